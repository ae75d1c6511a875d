//! A pipeline: where source comes from, what begins a run, and the graph of its steps. The same
//! form stands in the repository, as a document of `atoll.yaml`, and in the store.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::ci::fill;
use crate::ci::step::{Matrix, Step};
use crate::cmdb::explained;
use crate::cron;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

/// What is done with each commit of a repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pipeline {
    /// The application its releases are of; the one of the pipeline's name, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Where its source is; without, it is run on what is handed in with each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Repository>,
    /// What begins a run, besides people.
    #[serde(default, skip_serializing_if = "Triggers::is_empty")]
    pub triggers: Triggers,
    /// What may be given to a run, and what it is otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// Which runs do not run at the same time; all may, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Runs of higher priority get free places first; 0 is usual.
    #[serde(default, skip_serializing_if = "is_usual_priority")]
    pub priority: i32,
    /// A run may take so long in all.
    #[serde(default = "Pipeline::usual_timeout")]
    pub timeout: Span,
    /// Runs, their logs and artefacts are kept so long.
    #[serde(default = "Pipeline::usual_keep")]
    pub keep: Span,
    /// What is done. Empty where the steps stand in the repository only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl Pipeline {
    fn usual_timeout() -> Span {
        Span::seconds(3_600)
    }
    fn usual_keep() -> Span {
        Span::seconds(30 * 86_400)
    }
}

/// Where source comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    /// A git address: `https://…`, `ssh://…`, `git@host:path`, or a `file://…` below a directory
    /// the server was started with (`--repositories`). Absent: Atoll serves the repository
    /// itself, at `/git/NAME.git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// The branch releases for environments come from.
    #[serde(default = "Repository::usual_branch")]
    pub branch: String,
    /// The manifest in it.
    #[serde(default = "Repository::usual_file")]
    pub file: String,
    /// It is looked for new commits this often; only on a webhook, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Span>,
    /// The secret that holds the password or token it is fetched with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// How it is told of runs; found out from the address, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRule>,
}

/// How a forge is told of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusRule {
    /// What it is; guessed by the name of its host, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Forge>,
    /// The address of its API; derived from the repository's, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The secret that holds the token it is told with; the repository's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// A place that keeps repositories, by how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// GitHub, and GitHub Enterprise.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
}

impl Forge {
    /// Which a host is by its name, where that tells.
    pub fn by_host(host: &str) -> Option<Forge> {
        match host {
            host if host.contains("github") => Some(Forge::GitHub),
            host if host.contains("gitlab") => Some(Forge::GitLab),
            host if host.contains("gitea") || host.contains("codeberg") => Some(Forge::Gitea),
            _ => None,
        }
    }
}

impl Repository {
    /// Why no forge is told of runs though that is asked for, and what to do.
    pub fn tells_nobody(&self) -> Option<Reason> {
        let rule = self.status.as_ref()?;
        let untold = |why: &str, hint: &str| {
            let reason = Reason::new("status-untold", format!("no forge is told: {why}"));
            Some(reason.hint(hint))
        };
        let Some(git) = &self.git else {
            let why = "Atoll serves the repository itself";
            return untold(why, "leave source.status out");
        };
        let Some((_, rest)) = git.split_once("://") else {
            let why = "the address of the repository does not say where its API is";
            return untold(why, "write it as ssh://git@HOST/PATH");
        };
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.is_empty() {
            return untold("the repository is on no host", "leave source.status out");
        }
        if rule.forge.is_none() && Forge::by_host(host).is_none() {
            let why = format!("what {host} is, its name does not say");
            return untold(&why, "give source.status.forge: github, gitlab or gitea");
        }
        if rule.credential.is_none() && self.credential.is_none() {
            let hint = "give source.status.credential: the secret that holds its token";
            return untold("no secret is named to do it with", hint);
        }
        None
    }

    fn usual_branch() -> String {
        "main".to_owned()
    }
    fn usual_file() -> String {
        "atoll.yaml".to_owned()
    }

    /// Whether an address is of a kind that is fetched: git itself knows some that run programs.
    fn is_spoken(git: &str) -> bool {
        match git.split_once("://") {
            Some((scheme, rest)) => {
                ["https", "http", "ssh", "file"].contains(&scheme) && !rest.is_empty()
            }
            // `git@host:path` is how people write an address of ssh.
            None => git.split_once(':').is_some_and(|(host, path)| {
                let (user, host) = host.split_once('@').unwrap_or(("", ""));
                let is_name = |text: &str| !text.is_empty() && !text.contains(['/', ' ']);
                !user.starts_with('-') && is_name(user) && is_name(host) && !path.is_empty()
            }),
        }
    }
}

/// What begins a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Triggers {
    /// A commit on one of these branches, each a name or a pattern with `*`; the repository's own
    /// branch, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Vec<String>>,
    /// Only where one of these paths changed, each a pattern with `*` and `**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Times, as cron writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// The secret that signs webhooks of GitHub, GitLab and Gitea. Without one they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

impl Triggers {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Triggers::default()
    }
}

/// A time at which a run begins again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Five fields as in crontab, in UTC.
    pub cron: String,
    /// The branch that is run; the repository's own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What is given to the run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
}

impl Schedule {
    /// Whether `cron` can be read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        cron::check(&self.cron)
    }

    /// The first of its times after another.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        cron::next_after(&self.cron, after)
    }
}

/// What may be given to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Param {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is.
    #[serde(rename = "type", default)]
    pub kind: ParamKind,
    /// What it is where nothing is given; without, it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
    /// Nothing but one of these; anything of its type, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<serde_json::Value>,
}

impl Param {
    /// Checks a parameter by itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let mut all = self.default.iter().chain(&self.one_of);
        let of_type = all.all(|value| self.kind.admits(value));
        invalid.add_if(!of_type, "", "default and oneOf are of its type");
        invalid.into_result()
    }
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl ParamKind {
    /// Whether a value is of the type.
    pub fn admits(self, value: &serde_json::Value) -> bool {
        match self {
            ParamKind::String => value.is_string(),
            ParamKind::Integer => value.is_i64() || value.is_u64(),
            ParamKind::Number => value.is_number(),
            ParamKind::Boolean => value.is_boolean(),
        }
    }

    /// What a value of it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            ParamKind::String => "text",
            ParamKind::Integer => "a whole number",
            ParamKind::Number => "a number",
            ParamKind::Boolean => "true or false",
        }
    }
}

/// Which runs do not run at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Runs, of whatever pipeline, whose group is the same text; `{{…}}` is filled in.
    pub group: String,
    /// A newer run ends one that is still going; otherwise it waits for it.
    #[serde(default)]
    pub cancel: bool,
}

/// How a pipeline is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStatus {
    /// The number of its newest run.
    #[serde(default)]
    pub last_run: u64,
    /// The newest commit seen of each branch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<String, String>,
    /// When it was last looked for commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polled_at: Option<Timestamp>,
    /// Why that failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Reason>,
    /// When each schedule last began a run, in the order of the schedules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<Timestamp>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(PipelineStatus);

impl Spec for Pipeline {
    const KIND: Kind = Kind::Pipeline;
    type Status = PipelineStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if let Some(application) = &self.application {
            invalid.nest("application", name::check_simple(application));
        }
        invalid.add_if(
            self.steps.is_empty() && self.source.is_none(),
            "steps",
            "there are none, and no source they could come from",
        );
        let git = self.source.as_ref().and_then(|source| source.git.as_deref());
        if let Some(git) = git.filter(|git| !Repository::is_spoken(git)) {
            invalid.add("source.git", format!("{git:?} is not https://…, ssh://… or file://…"));
        }
        invalid.add_if(self.timeout.0 == 0, "timeout", "is 0; nothing is that fast");
        for (param, rule) in &self.params {
            invalid.nest(&format!("params.{param}"), rule.validate());
        }
        let known: BTreeSet<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        for (i, step) in self.steps.iter().enumerate() {
            invalid.nest(&format!("steps[{i}]"), step.validate(&known));
        }
        for (i, schedule) in self.triggers.schedules.iter().enumerate() {
            if let Err(wrong) = schedule.check() {
                invalid.add(&format!("triggers.schedules[{i}].cron"), wrong);
            }
        }
        self.check_together(&mut invalid);
        fill::check(self, &mut invalid);
        invalid.into_result()
    }
}

impl Pipeline {
    /// What holds for all steps together.
    fn check_together(&self, invalid: &mut Invalid) {
        let mut names = BTreeSet::new();
        let mut artifacts = BTreeSet::new();
        let mut cells = 0;
        for (i, step) in self.steps.iter().enumerate() {
            let twice = !names.insert(&step.name);
            invalid.add_if(twice, &format!("steps[{i}].name"), "is that of another step too");
            for artifact in &step.artifacts {
                invalid.add_if(
                    !artifacts.insert(&artifact.name),
                    &format!("steps[{i}].artifacts"),
                    format!("{:?} is that of another artefact too", artifact.name),
                );
            }
            cells += step.matrix.combinations();
        }
        invalid.add_if(
            cells > 4 * Matrix::MOST_CELLS,
            "steps",
            format!("have {cells} cells together; {} are the most", 4 * Matrix::MOST_CELLS),
        );
        self.check_inputs(invalid);
        let releases = self.steps.iter().filter(|step| step.release.is_some()).count();
        invalid.add_if(releases > 1, "steps", "more than one makes a release; one may");
        if let Some(circle) = self.circle() {
            invalid.add("steps", format!("wait for each other: {}", circle.join(" → ")));
        }
    }

    /// What a step is given was left by one before it.
    fn check_inputs(&self, invalid: &mut Invalid) {
        for (i, step) in self.steps.iter().enumerate() {
            let before = self.before(step);
            for input in &step.inputs {
                let leaves = |step: &&Step| step.artifacts.iter().any(|a| a.name == *input);
                invalid.add_if(
                    !before.iter().any(leaves),
                    &format!("steps[{i}].inputs"),
                    format!("no step it needs leaves {input:?}; name that step in needs"),
                );
            }
        }
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The steps that a step needs, directly or through others.
    pub fn before(&self, step: &Step) -> Vec<&Step> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = step.needs.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            let more = self.step(name).filter(|_| names.insert(name));
            open.extend(more.iter().flat_map(|step| &step.needs).map(String::as_str));
        }
        self.steps.iter().filter(|step| names.contains(step.name.as_str())).collect()
    }

    /// Steps that wait for each other, if any do.
    fn circle(&self) -> Option<Vec<String>> {
        let needs: BTreeMap<&str, &Step> =
            self.steps.iter().map(|step| (step.name.as_str(), step)).collect();
        let mut left: BTreeSet<&str> = needs.keys().copied().collect();
        loop {
            let free =
                |name: &&&str| needs[**name].needs.iter().all(|n| !left.contains(n.as_str()));
            let done: Vec<&str> = left.iter().filter(free).copied().collect();
            if done.is_empty() {
                break;
            }
            left.retain(|name| !done.contains(name));
        }
        // Whoever is left has someone left to wait for, so this comes back to where it was.
        let mut at = *left.first()?;
        let mut way = Vec::new();
        while !way.contains(&at) {
            way.push(at);
            at = needs[at].needs.iter().map(String::as_str).find(|n| left.contains(n))?;
        }
        let mut circle: Vec<String> =
            way.iter().skip_while(|name| **name != at).map(|name| (*name).to_owned()).collect();
        circle.push(at.to_owned());
        Some(circle)
    }
}

fn is_usual_priority(priority: &i32) -> bool {
    *priority == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(steps: serde_json::Value) -> Result<(), String> {
        let spec = serde_json::json!({ "steps": steps });
        let pipeline: Pipeline = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        pipeline.validate().map_err(|e| e.to_string())
    }

    #[test]
    fn steps_that_wait_for_each_other_are_named() {
        let step = |name: &str, needs: &[&str]| serde_json::json!({ "name": name, "needs": needs, "run": "true" });
        assert_eq!(pipeline(serde_json::json!([step("a", &[]), step("b", &["a"])])), Ok(()));
        let circle = serde_json::json!([step("a", &["c"]), step("b", &["a"]), step("c", &["b"])]);
        let said = pipeline(circle).unwrap_err();
        assert!(said.contains("wait for each other: a → c → b → a"), "{said}");
        let said = pipeline(serde_json::json!([step("unit", &[]), step("b", &["unti"])]));
        assert!(said.unwrap_err().contains("did you mean \"unit\"?"));
    }

    #[test]
    fn a_forge_that_is_not_told_is_said_with_why() {
        let said = |source: serde_json::Value| {
            let source: Repository = serde_json::from_value(source).unwrap();
            source.tells_nobody().map(|reason| reason.message)
        };
        let of = |git: &str, status: serde_json::Value| {
            said(serde_json::json!({ "git": git, "credential": "token", "status": status }))
        };
        let none = serde_json::json!({});
        assert_eq!(of("https://github.com/a/b", none.clone()), None);
        assert_eq!(of("https://git.example/a", serde_json::json!({ "forge": "gitea" })), None);
        assert!(of("https://me@git.example/a", none.clone()).unwrap().contains("git.example is"));
        assert!(of("git@github.com:a/b", none.clone()).is_some());
        assert!(of("file:///srv/x.git", none.clone()).is_some());
        assert!(said(serde_json::json!({ "status": none.clone() })).is_some());
        let open = serde_json::json!({ "git": "https://github.com/a/b", "status": none });
        assert!(said(open).unwrap().contains("no secret"));
        assert_eq!(said(serde_json::json!({ "git": "https://git.example/a" })), None);
    }

    #[test]
    fn a_whole_number_is_asked_for_as_such() {
        let rule: Param = serde_json::from_value(serde_json::json!({ "type": "integer" })).unwrap();
        assert!(
            rule.kind.admits(&serde_json::json!(3)) && rule.kind.admits(&serde_json::json!(-3))
        );
        assert!(!rule.kind.admits(&serde_json::json!(3.5)));
        assert!(!rule.kind.admits(&serde_json::json!("3")));
    }

    #[test]
    fn addresses_that_git_would_run_are_refused() {
        for git in ["https://h/x.git", "ssh://git@h/x", "git@h:x.git", "file:///srv/x.git"] {
            assert!(Repository::is_spoken(git), "{git}");
        }
        for git in ["ext::sh -c x@y:z", "-oProxyCommand=x@h:p", "ftp://h/x", "x", "/srv/x", "@h:x"]
        {
            assert!(!Repository::is_spoken(git), "{git}");
        }
    }

    #[test]
    fn a_matrix_has_its_cells_and_not_too_many() {
        let axis = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let mut matrix = Matrix {
            axes: [("a".to_owned(), axis(2)), ("b".to_owned(), axis(3))].into(),
            exclude: vec![[("a".to_owned(), "1".to_owned())].into()],
            ..Matrix::default()
        };
        let cells = matrix.cells();
        assert_eq!(cells.len(), 3);
        assert!(cells.iter().all(|cell| cell["a"] == "0"));
        assert_eq!(Matrix::default().cells(), [BTreeMap::new()]);
        matrix.axes = [("a".to_owned(), axis(100)), ("b".to_owned(), axis(100))].into();
        let step = serde_json::json!([{ "name": "x", "run": "true", "matrix": matrix }]);
        assert!(pipeline(step).unwrap_err().contains("has 10000 cells; 256 are the most"));
    }

    #[test]
    fn what_runs_beside_a_step_has_a_name_and_something_to_run() {
        let said = |services: serde_json::Value| {
            pipeline(serde_json::json!([{ "name": "x", "run": "true", "services": services }]))
        };
        let db = serde_json::json!({ "name": "db", "command": ["db"], "ports": { "sql": 0 },
            "health": { "tcp": true } });
        assert_eq!(said(serde_json::json!([db, { "name": "mq", "image": "mq:3" }])), Ok(()));
        for (wrong, words) in [
            (serde_json::json!([db, db]), "that of another service"),
            (serde_json::json!([{ "name": "../x", "command": ["db"] }]), "name"),
            (serde_json::json!([{ "name": "db" }]), "name a program, or an image"),
            (
                serde_json::json!([{ "name": "db", "command": ["db"], "health": { "tcp": true } }]),
                "port",
            ),
        ] {
            let said = said(wrong).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn paths_stay_in_the_workspace() {
        for path in ["/etc", "../x", "a/../../b", ""] {
            let step = serde_json::json!([{
                "name": "x", "run": "true", "artifacts": [{ "name": "a", "paths": [path] }],
            }]);
            assert!(pipeline(step).is_err(), "{path}");
        }
    }
}
