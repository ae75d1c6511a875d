//! One command on many hosts: a job, which is done once, and a runbook, which jobs are made of. Not
//! what a host does of it, which is a task of `ci/task.rs`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::access::Author;
use crate::ci::pipeline::{Param, Schedule};
use crate::cmdb::explained;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::{Cpu, Memory, Portion};
use crate::run::{Resources, check_variable};
use crate::selector::Selector;
use crate::time::{Span, Timestamp};

pub mod filled;

/// The longest a job may let one host work, in milliseconds: a week.
const LONGEST: u64 = 7 * 24 * 3_600_000;
/// The most that is kept of what one host says: a log travels as one blob.
const MOST_OUTPUT: u64 = 31 << 20;

/// One command on many hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// The hosts it is done on, by their labels; all that are open, if empty and none is named.
    #[serde(default)]
    pub on: Selector,
    /// Hosts by name, besides those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What is done on each, and in which order.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// Hosts on which it has succeeded in an earlier round are left out, and each round looks for
    /// new hosts: however often it is submitted, it is done once on each.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// The runbook it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// A higher round does it again where it has not succeeded.
    #[serde(default = "first_round")]
    pub round: u32,
    /// So many pauses are over: it goes on behind them.
    #[serde(default)]
    pub resumed: u32,
    /// It is to be ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
}

fn first_round() -> u32 {
    1
}

/// What is done on each host, and how it goes from host to host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deed {
    /// Program and arguments. No shell is between; `sh -c` is one.
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The user of the host it is done as.
    #[serde(default = "Deed::usual_user")]
    pub run_as: String,
    /// A host may take so long; then the command is ended.
    #[serde(default = "Deed::usual_timeout")]
    pub timeout: Span,
    /// What the command may use of a host.
    #[serde(default = "Deed::usual_resources")]
    pub resources: Resources,
    /// So much is kept of what it says on each host.
    #[serde(default = "Deed::usual_output")]
    pub output: Memory,
    /// How many hosts at a time: the sizes of batches, of which the last is repeated. All at once,
    /// if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Portion>,
    /// No further batch is begun once more hosts than that have failed.
    #[serde(default = "Deed::no_errors")]
    pub max_errors: Portion,
    /// Whether it waits for a person between batches.
    #[serde(default)]
    pub pause: Pause,
}

impl Deed {
    /// A command, everything else as usual.
    pub fn of(command: Vec<String>) -> Deed {
        Deed {
            command,
            env: BTreeMap::new(),
            run_as: Deed::usual_user(),
            timeout: Deed::usual_timeout(),
            resources: Deed::usual_resources(),
            output: Deed::usual_output(),
            batches: Vec::new(),
            max_errors: Deed::no_errors(),
            pause: Pause::default(),
        }
    }

    fn usual_user() -> String {
        "root".to_owned()
    }
    fn usual_timeout() -> Span {
        Span::seconds(60)
    }
    fn usual_resources() -> Resources {
        Resources { cpu: Cpu(1_000), memory: Memory(1 << 30) }
    }
    fn usual_output() -> Memory {
        Memory(1 << 20)
    }
    fn no_errors() -> Portion {
        Portion::Count(0)
    }

    /// Where batches of so many hosts end, counted from the first host.
    pub fn ends(&self, hosts: u32) -> Vec<u32> {
        let mut ends = Vec::new();
        let mut end = 0_u32;
        let sizes = self
            .batches
            .iter()
            .chain(std::iter::repeat(self.batches.last().unwrap_or(&Portion::Percent(10_000))));
        for size in sizes {
            if end >= hosts {
                break;
            }
            end = end.saturating_add(size.ceil_of(hosts).max(1)).min(hosts);
            ends.push(end);
        }
        ends
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.command.is_empty(), "command", "is empty");
        let first = self.command.first().is_some_and(String::is_empty);
        invalid.add_if(first, "command[0]", "is empty");
        invalid.add_if(self.run_as.is_empty(), "runAs", "is empty");
        invalid.add_if(self.timeout.0 < 1000, "timeout", "is less than 1s");
        invalid.add_if(self.timeout.0 > LONGEST, "timeout", "is more than 7d");
        invalid.add_if(self.output.0 > MOST_OUTPUT, "output", "is more than 31Mi");
        invalid.add_if(self.batches.len() > 50, "batches", "are more than 50");
        for (i, size) in self.batches.iter().enumerate() {
            let none = matches!(size, Portion::Count(0) | Portion::Percent(0));
            invalid.add_if(none, &format!("batches[{i}]"), "is 0; a batch is of one host at least");
        }
        for key in self.env.keys() {
            check_variable(&mut invalid, "env", key);
        }
        invalid.into_result()
    }
}

/// When a job waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pause {
    /// It goes through.
    #[default]
    Never,
    /// After the first batch.
    First,
    /// After each batch but the last.
    Each,
}

impl Pause {
    /// Whether it waits behind the batch of that number, the first being 1.
    pub fn after(self, batch: u32) -> bool {
        match self {
            Pause::Never => false,
            Pause::First => batch == 1,
            Pause::Each => true,
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// In one word.
    pub phase: JobPhase,
    /// The round this is of; 0 before the first.
    #[serde(default)]
    pub round: u32,
    /// The hosts of this round in their order, fixed when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// So many of them have been told to begin.
    #[serde(default)]
    pub begun: u32,
    /// So many have done it.
    #[serde(default)]
    pub succeeded: u32,
    /// So many have failed, or taken too long.
    #[serde(default)]
    pub failed: u32,
    /// So many went away with it.
    #[serde(default)]
    pub lost: u32,
    /// On so many it was ended.
    #[serde(default)]
    pub cancelled: u32,
    /// The hosts on which it has succeeded, in any round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub done: BTreeSet<String>,
    /// When this round began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(JobStatus);

impl JobStatus {
    /// So many hosts have not done it though they were told to.
    pub fn errors(&self) -> u32 {
        self.failed + self.lost
    }

    /// So many are over, whatever became of them.
    pub fn over(&self) -> u32 {
        self.succeeded + self.failed + self.lost + self.cancelled
    }
}

/// The state of a job in one word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum JobPhase {
    /// Its hosts are not chosen yet.
    #[default]
    Pending,
    /// Hosts do it.
    Running,
    /// It waits for a person behind a batch.
    Paused,
    /// All hosts have done it, but for so few that it does not matter.
    Succeeded,
    /// Too many hosts have not.
    Failed,
    /// It was ended.
    Cancelled,
}

impl JobPhase {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        self >= JobPhase::Succeeded
    }
}

impl Job {
    /// The name of the task of one host in a round.
    pub fn task(name: &str, round: u32, host: &str) -> String {
        format!("{name}.r{round}.{host}")
    }
}

impl Spec for Job {
    const KIND: Kind = Kind::Job;
    type Status = JobStatus;

    fn validate_name(name: &str, spec: &Job) -> Result<(), Invalid> {
        let Some(runbook) = &spec.runbook else { return name::check_simple(name) };
        name::check_derived(name)?;
        if name.starts_with(&format!("{runbook}.")) {
            Ok(())
        } else {
            Err(Invalid::one("", format!("the name of this job begins with {runbook}.")))
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("do", self.deed.validate());
        for (i, host) in self.hosts.iter().enumerate() {
            invalid.nest(&format!("hosts[{i}]"), name::check_simple(host));
        }
        invalid.add_if(self.round == 0, "round", "is 0; the first is 1");
        invalid.into_result()
    }
}

/// What jobs are made of: a command with parameters, by hand or by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Runbook {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What is asked of whoever runs it: `{{params.NAME}}` in the command and the environment, and
    /// `PARAM_NAME` in the environment, which scripts had better use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// The hosts it is done on where nobody says otherwise.
    #[serde(default)]
    pub on: Selector,
    /// What is done on each.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// Times at which a job of it begins by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
}

/// What is known of a runbook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunbookStatus {
    /// The number of its newest job.
    #[serde(default)]
    pub last_job: u64,
    /// For each schedule, the last of its times that was seen to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<Timestamp>,
    /// Who wrote it last: what the clock begins may no more than they may when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(RunbookStatus);

impl Spec for Runbook {
    const KIND: Kind = Kind::Runbook;
    type Status = RunbookStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("do", self.deed.validate());
        for (key, param) in &self.params {
            invalid.nest(&format!("params.{key}"), param.validate());
        }
        filled::check(&self.deed, &self.params, &mut invalid);
        for (i, schedule) in self.schedules.iter().enumerate() {
            if let Err(wrong) = schedule.check() {
                invalid.add(&format!("schedules[{i}].cron"), wrong);
            }
            let at = |field: &str| format!("schedules[{i}].{field}");
            invalid.add_if(schedule.branch.is_some(), &at("branch"), "is for pipelines");
            for key in schedule.params.keys().filter(|key| !self.params.contains_key(*key)) {
                invalid.add(&at("params"), format!("has {key:?}, which is no parameter"));
            }
            for (key, param) in &self.params {
                let nothing = param.default.is_none() && !schedule.params.contains_key(key);
                invalid.add_if(
                    nothing,
                    &at("params"),
                    format!("lacks {key:?}, which has no default"),
                );
            }
        }
        invalid.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(batches: &[&str]) -> Deed {
        serde_json::from_value(serde_json::json!({ "command": ["true"], "batches": batches }))
            .unwrap()
    }

    #[test]
    fn the_last_size_of_a_batch_is_repeated() {
        assert_eq!(deed(&[]).ends(7), [7]);
        assert_eq!(deed(&["1", "10%", "50%"]).ends(20), [1, 3, 13, 20]);
        assert_eq!(deed(&["2"]).ends(5), [2, 4, 5]);
        assert_eq!(deed(&["1%"]).ends(3), [1, 2, 3]);
        assert_eq!(deed(&["10"]).ends(0), [0_u32; 0]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |value: serde_json::Value| {
            let job: Job = serde_json::from_value(value).unwrap();
            job.validate().map_err(|e| e.to_string())
        };
        assert!(check(serde_json::json!({ "do": { "command": ["true"] } })).is_ok());
        for (wrong, says) in [
            (serde_json::json!({ "do": { "command": [] } }), "do.command"),
            (serde_json::json!({ "do": { "command": ["x"], "batches": ["0"] } }), "batches[0]"),
            (serde_json::json!({ "do": { "command": ["x"], "timeout": "10ms" } }), "timeout"),
            (serde_json::json!({ "do": { "command": ["x"] }, "hosts": ["A b"] }), "hosts[0]"),
            (serde_json::json!({ "do": { "command": ["x"], "output": "1Gi" } }), "output"),
        ] {
            let said = check(wrong).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn what_a_runbook_fills_in_is_there_and_in_no_script() {
        let check = |command: serde_json::Value, env: serde_json::Value| {
            let book: Runbook = serde_json::from_value(serde_json::json!({
                "params": { "a-b": {}, "n": { "type": "number" }, "user": {} }, "do": { "command": command, "env": env },
            }))
            .unwrap();
            book.validate().map_err(|e| e.to_string())
        };
        let none = || serde_json::json!({});
        for good in [
            serde_json::json!(["echo", "{{params.user}}"]),
            serde_json::json!(["sh", "-c", "echo \"$PARAM_USER\""]),
            serde_json::json!(["sh", "-c", "echo \"$1\"", "x", "{{params.user}}"]),
            serde_json::json!(["sh", "./it.sh", "{{params.user}}", "{{pipeline}}"]),
            serde_json::json!(["bash", "-c", "echo {{pipeline}} {{params.n}}"]),
        ] {
            assert_eq!(check(good.clone(), none()), Ok(()), "{good}");
        }
        assert_eq!(
            check(serde_json::json!(["x"]), serde_json::json!({"A": "{{params.user}}"})),
            Ok(())
        );
        for bad in [
            serde_json::json!(["sh", "-c", "echo {{params.a-b}}"]),
            serde_json::json!(["sh", "-c", "echo {{ params['a-b'] | upper }}"]),
        ] {
            assert!(check(bad.clone(), none()).is_err(), "{bad}");
        }
        for bad in [
            serde_json::json!(["sh", "-c", "echo {{params.user}}"]),
            serde_json::json!(["/bin/bash", "-euo", "pipefail", "-c", "echo {{params.user}}"]),
            serde_json::json!(["sh", "-ec", "echo {{ params.user }}"]),
            serde_json::json!(["timeout", "5", "busybox", "sh", "-c", "x {{params.user}}"]),
            serde_json::json!(["su", "-", "app", "-c", "x {{params.user}}"]),
        ] {
            let said = check(bad.clone(), none()).unwrap_err();
            assert!(said.contains("write \"$PARAM_USER\" instead"), "{bad}: {said}");
        }
        for (bad, env) in [
            (serde_json::json!(["echo", "{{params.usr}}"]), none()),
            (serde_json::json!(["echo"]), serde_json::json!({ "A": "{{params.usr}}" })),
        ] {
            let said = check(bad, env).unwrap_err();
            assert!(said.contains("there is no params.usr"), "{said}");
            assert!(
                said.contains("there are params.a-b, params.n, params.user, pipeline"),
                "{said}"
            );
        }
        assert!(check(serde_json::json!(["echo", "{{nosuch}}"]), none()).is_err());
        assert!(check(serde_json::json!(["echo", "{{params.user"]), none()).is_err());
    }
}
