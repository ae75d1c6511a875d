//! Requests and answers of the HTTP API that are not objects themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Level;
use crate::access::role::Verb;
use crate::object::Reason;
use crate::time::Timestamp;
use crate::{Any, Kind};

/// `GET /v1/{plural}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// Always `atoll/v1`.
    pub api_version: String,
    /// Always `List`.
    pub kind: String,
    /// The objects, by name.
    pub items: Vec<Any>,
    /// The revision this is true of; watch from here.
    pub revision: u64,
    /// Send back as `continue` for the next page; absent on the last.
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `POST /v1/apply`: several manifests at once, all or none.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Apply {
    /// The manifests. They are taken as JSON values so that every error in every one is told.
    pub objects: Vec<serde_json::Value>,
}

/// What a change did, or would do: the answer to every write.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What the gate says.
    pub verdict: VerdictWord,
    /// What is written, and with `dryRun` what planners would write next.
    pub writes: Vec<WriteView>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What it costs; absent where there is no price book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// The revision of the last write; absent for a dry run, or when nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The objects as stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Any>,
}

/// What the gate says, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictWord {
    /// It is done.
    Commit,
    /// Not now.
    Hold,
    /// Not at all.
    Deny,
}

/// One write, to be read by people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteView {
    /// `create`, `update`, `unchanged` or `delete`.
    pub op: String,
    /// Of this kind.
    pub kind: Kind,
    /// Of this name.
    pub name: String,
    /// What changes, field by field.
    pub diff: Vec<FieldDiff>,
    /// Who writes it: `you`, or the planner that would follow.
    pub by: String,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// `spec.instances`.
    pub path: String,
    /// What it was; absent, if it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    /// What it becomes; absent, if it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
}

/// An error, as RFC 9457 has it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemJson {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub type_: String,
    /// What was attempted on what, and what to do.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable code: `not-found`, `conflict`, `invalid`, `denied`, `held`, `unauthorized`, …
    pub code: String,
    /// Each single reason.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// One event of `GET /v1/watch`, sent as a server-sent event whose id is the revision.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchEvent {
    /// `put` or `delete`; `sync` once everything that was there at the start has been sent.
    pub event: String,
    /// The revision of the write.
    pub revision: u64,
    /// The object, or its last form if it was deleted; absent for `sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Any>,
}

/// One row of history or audit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The revision of the write.
    pub revision: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// Of this kind.
    pub kind: Kind,
    /// Of this name.
    pub name: String,
    /// `create`, `update` or `delete`.
    pub op: String,
    /// Who wrote it.
    pub actor: String,
    /// What for.
    pub intent: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What changed since the write before.
    #[serde(default)]
    pub diff: Vec<FieldDiff>,
    /// The object as written; only where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Any>,
}

impl HistoryEntry {
    /// Whether the write says more than how far something is.
    pub fn is_telling(&self) -> bool {
        const STATES: [&str; 5] = [
            "status.phase",
            "status.release",
            "status.lastGood",
            "status.desired",
            "status.wanted",
        ];
        let ours = self.actor.starts_with("controller/") || self.actor.starts_with("host/");
        let planner = ours && matches!(self.intent.as_str(), "observe" | "report");
        let machine = |path: &str| path.starts_with("status.machines.") && path.ends_with(".phase");
        let orphan = |path: &str| path.starts_with("status.orphans") && !path.contains(".ask");
        let state = |path: &str| {
            !path.starts_with("status.") || STATES.contains(&path) || machine(path) || orphan(path)
        };
        !planner || self.op != "update" || self.diff.iter().any(|field| state(&field.path))
    }
}

/// Rows of history or audit, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The rows.
    pub entries: Vec<HistoryEntry>,
}

/// `GET /v1/why/{plural}/{name}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `kind/name`.
    pub subject: String,
    /// What it is, in one sentence.
    pub state: String,
    /// Why it is so, the most telling first.
    pub reasons: Vec<Reason>,
    /// What is being waited for, each with since when or until when.
    pub waiting_for: Vec<String>,
    /// What happens next, and when.
    pub next: Vec<String>,
    /// The writes that led here, newest first, without those that only say how far it is.
    pub lately: Vec<HistoryEntry>,
    /// Other subjects to ask about: `host/h1`.
    pub see: Vec<String>,
}

/// `GET /v1/whoami`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// The actor.
    pub name: String,
    /// The greatest of its built-in roles; `member`, where it has others only.
    pub role: Level,
    /// Every role it has.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The teams it is in.
    #[serde(default)]
    pub teams: Vec<String>,
    /// What it may do at all, to something.
    #[serde(default)]
    pub verbs: Vec<Verb>,
    /// When its credential ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// It signed in, and may sign out.
    #[serde(default)]
    pub session: bool,
    /// The server's version.
    pub server_version: String,
}

/// `POST /v1/tokens/create`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// What it lets its bearer do: a built-in role, or the name of a Role; what its user may, if
    /// absent.
    #[serde(default)]
    pub role: Option<String>,
    /// Whom it is made for.
    #[serde(default)]
    pub owner: Option<String>,
    /// The user it is to speak for: oneself, or with an admin anybody.
    #[serde(default)]
    pub user: Option<String>,
    /// How long it holds; 24 hours, if absent.
    #[serde(default)]
    pub ttl: Option<crate::Span>,
}

/// The answer to [`TokenRequest`]: the only time the secret is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenMade {
    /// The name of the token's object.
    pub name: String,
    /// The secret; a join token ends with `.` and the fingerprint of the server's CA.
    pub token: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// `POST /v1/pipelines/{name}/runs`: begins a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// The same key begins one run, however often it is sent; each request begins one, if absent.
    #[serde(default)]
    pub key: Option<String>,
    /// The branch; the pipeline's own, if absent.
    #[serde(default)]
    pub branch: Option<String>,
    /// The commit; the newest of the branch, if absent.
    #[serde(default)]
    pub commit: Option<String>,
    /// Source that is handed in, as the digest of a package's index.
    #[serde(default)]
    pub source: Option<String>,
    /// Steps that are handed in; those of the repository, if absent.
    #[serde(default)]
    pub definition: Option<Box<crate::Pipeline>>,
    /// What is given to the run.
    #[serde(default)]
    pub params: std::collections::BTreeMap<String, serde_json::Value>,
}

/// The answer to [`RunRequest`], and to a webhook.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunBegun {
    /// The name of the run.
    pub run: String,
    /// It was begun for the same before.
    pub existed: bool,
}

/// `POST /v1/runbooks/{name}/jobs`: begins a job of a runbook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobRequest {
    /// What is given to it.
    #[serde(default)]
    pub params: std::collections::BTreeMap<String, serde_json::Value>,
    /// The hosts it is done on, by their labels; the runbook's own, if absent and none is named.
    #[serde(default)]
    pub on: Option<crate::Selector>,
    /// Hosts by name, besides those.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// The answer to [`JobRequest`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobBegun {
    /// The name of the job.
    pub job: String,
}

/// `GET /v1/caches/{scope}/{key}`: what is kept under a key, or one that begins as it may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheFound {
    /// The key it was found under.
    pub key: String,
    /// The digest of its package's index.
    pub digest: String,
}

/// `PUT /v1/caches/{scope}/{key}`: what is to be kept, if nothing is there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CacheKept {
    /// The digest of its package's index.
    pub digest: String,
}

/// `GET /v1/runs/{name}/tests`: every test of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunTests {
    /// How they went, by suite.
    pub totals: std::collections::BTreeMap<crate::ci::step::Suite, crate::ci::task::TestTotals>,
    /// Each, with the task that ran it; those that failed first.
    pub tests: Vec<TestRun>,
    /// There were more than are kept.
    pub truncated: bool,
}

/// One test, as one task ran it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestRun {
    /// The task.
    pub task: String,
    /// The test.
    #[serde(flatten)]
    pub case: crate::ci::task::TestCase,
    /// It both passed and failed on this commit.
    pub flaky: bool,
}

/// `GET /v1/pipelines/{name}/tests`: the tests of a pipeline over its newest runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineTests {
    /// The runs looked at, newest first.
    pub runs: Vec<String>,
    /// Each test that was not always as it should; the flakiest first.
    pub tests: Vec<TestRecord>,
}

/// How one test went over several runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestRecord {
    /// What kind of test.
    pub suite: crate::ci::step::Suite,
    /// The class, file or module it stands in.
    pub group: String,
    /// Its name.
    pub name: String,
    /// So often it passed.
    pub passed: u32,
    /// So often it failed.
    pub failed: u32,
    /// On so many commits it both passed and failed.
    pub flaky: u32,
    /// The newest run in which it failed.
    #[serde(default)]
    pub last_failed: Option<String>,
}

/// `POST /v1/blobs/missing`: which pieces does the server lack?
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Digests {
    /// BLAKE3 digests in hex.
    pub digests: Vec<String>,
}

/// `GET /readyz`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether it can serve.
    pub ready: bool,
    /// Whether its controllers act.
    pub leads: bool,
    /// The name of the replica that leads, as far as this one knows.
    pub leader: Option<String>,
    /// The revision its answers are true of.
    pub revision: u64,
}

/// Work out which fields differ between two JSON forms, leaving out `metadata` that the server
/// sets. Arrays are compared as wholes.
pub fn diff(from: Option<&Any>, to: Option<&Any>) -> Vec<FieldDiff> {
    let flat = |any: Option<&Any>| {
        let mut fields = BTreeMap::new();
        if let Some(any) = any {
            let value = any.to_value();
            for part in ["metadata", "spec", "status"] {
                flatten(part.to_owned(), &value[part], &mut fields);
            }
        }
        for set in ["revision", "generation", "createdAt", "name"] {
            fields.remove(&format!("metadata.{set}"));
        }
        fields
    };
    let (before, after) = (flat(from), flat(to));
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| FieldDiff {
            path: path.clone(),
            from: before.get(path).cloned(),
            to: after.get(path).cloned(),
        })
        .collect()
}

fn flatten(
    path: String,
    value: &serde_json::Value,
    into: &mut BTreeMap<String, serde_json::Value>,
) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                flatten(format!("{path}.{key}"), field, into);
            }
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => {}
        other => {
            into.insert(path, other.clone());
        }
    }
}
