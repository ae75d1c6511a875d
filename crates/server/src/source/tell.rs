//! Commit status goes back: GitHub, GitLab or Gitea is told how the run of a commit did. What it is
//! told follows from the run; a forge that does not take it is asked again for a while, and then
//! not.

use std::time::Duration;

use atoll_model::ci::pipeline::{Forge, Repository, StatusRule};
use atoll_model::ci::run::RunPhase;
use atoll_model::{Pipeline, Run, Snapshot, Span};
use atoll_plan::ci::sourced::{self, word};
use reqwest::{Method, StatusCode, Url};
use serde_json::json;

use crate::metrics::remote::chain;
use crate::{Server, abroad};

/// A forge answers within this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a forge did not take within this time after the end of a run, it is not told any more.
const GIVE_UP: Span = Span::seconds(3_600);

/// Speaks to forges.
pub(super) struct Teller {
    client: reqwest::Client,
}

impl Teller {
    pub fn new() -> Result<Teller, String> {
        let builder = reqwest::Client::builder().timeout(PATIENCE).user_agent("atoll");
        // A secret goes to the host it was meant for, and to no other.
        let client = abroad::guarded(builder, 0).build().map_err(|e| e.to_string())?;
        Ok(Teller { client })
    }
}

/// Whether there is somebody to tell, and a secret to do it with.
pub(super) fn can_be(world: &Snapshot, run: &str) -> bool {
    let run = world.get::<Run>(run);
    let pipeline = run.and_then(|run| world.get::<Pipeline>(&run.spec.pipeline));
    let source = pipeline.and_then(|pipeline| pipeline.spec.source.as_ref());
    source.is_some_and(|source| credential(source).is_some() && target(source).is_some())
}

/// The secret a forge is told with.
fn credential(source: &Repository) -> Option<&String> {
    let own = source.status.as_ref().and_then(|rule| rule.credential.as_ref());
    own.or(source.credential.as_ref())
}

/// Which forge, the address of its API, and the repository's path there.
fn target(source: &Repository) -> Option<(Forge, String, String)> {
    let url = Url::parse(source.git.as_ref()?).ok()?;
    let host = url.host_str()?;
    let rule = source.status.clone().unwrap_or_default();
    let StatusRule { forge, api, .. } = rule;
    let forge = forge.or_else(|| Forge::by_host(host))?;
    let path = url.path().trim_matches('/').trim_end_matches(".git").to_owned();
    let api = api.unwrap_or_else(|| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = if url.scheme() == "http" { "http" } else { "https" };
        let base = format!("{scheme}://{host}{port}");
        match forge {
            Forge::GitHub if host == "github.com" => "https://api.github.com".to_owned(),
            Forge::GitHub => format!("{base}/api/v3"),
            Forge::GitLab => format!("{base}/api/v4"),
            Forge::Gitea => format!("{base}/api/v1"),
        }
    });
    Some((forge, api.trim_end_matches('/').to_owned(), path))
}

/// The state in the forge's own word.
fn state(forge: Forge, phase: RunPhase) -> &'static str {
    match (forge, word(phase)) {
        (Forge::GitLab, "cancelled") => "canceled",
        (Forge::GitLab, word) => word,
        (_, "running") => "pending",
        (_, "failed") => "failure",
        (_, "cancelled") => "error",
        (_, word) => word,
    }
}

impl Server {
    /// Tells the state of a run's commit; false, if that is to be tried again.
    pub(super) async fn tell_state(&self, teller: &Teller, name: &str) -> bool {
        let world = self.cache.world();
        let Some(run) = world.get::<Run>(name) else { return true };
        let phase = run.status.phase;
        let Err(why) = self.tell(teller, &world, name).await else {
            return self.note_source(|cx| sourced::told(cx, name, phase)).await;
        };
        let ended = run.status.ended_at;
        let late = ended.is_some_and(|at| self.clock.now().since(at) > GIVE_UP);
        let given_up = late.then_some(phase);
        self.note_source(|cx| sourced::untold(cx, name, &why, given_up)).await && late
    }

    async fn tell(&self, teller: &Teller, world: &Snapshot, name: &str) -> Result<(), String> {
        let (Some(run), here) = (world.get::<Run>(name), self.addresses()) else {
            return Ok(());
        };
        let Some(commit) = &run.status.commit else { return Ok(()) };
        let pipeline = world.get::<Pipeline>(&run.spec.pipeline);
        let Some(source) = pipeline.and_then(|p| p.spec.source.as_ref()) else { return Ok(()) };
        let (Some((forge, api, path)), Some(secret)) = (target(source), credential(source)) else {
            return Ok(());
        };
        let token = self.secret_text(world, &run.spec.pipeline, secret).await;
        let token = token.ok_or_else(|| format!("there is no secret {secret}"))?;
        // What is fetched with `user:password` is told with the password.
        let token = token.trim().rsplit(':').next().unwrap_or_default();
        abroad::check(&Url::parse(&api).map_err(|e| format!("{api}: {e}"))?)?;
        let state = state(forge, run.status.phase);
        let context = format!("atoll/{}", run.spec.pipeline);
        let told: String = match run.status.reasons.first() {
            Some(reason) => reason.message.chars().take(120).collect(),
            None => format!("{name} is {}", word(run.status.phase)),
        };
        let base = here.first().map(String::as_str).unwrap_or_default();
        let link = format!("{base}/runs/{name}");
        let id = &commit.id;
        let ask = match forge {
            Forge::GitHub | Forge::Gitea => {
                let url = format!("{api}/repos/{path}/statuses/{id}");
                let scheme = if forge == Forge::GitHub { "Bearer" } else { "token" };
                let body = json!({
                    "state": state, "context": context, "description": told, "target_url": link,
                });
                let ask = teller.client.request(Method::POST, url).json(&body);
                ask.header("Authorization", format!("{scheme} {token}"))
            }
            Forge::GitLab => {
                let project = path.replace('/', "%2F");
                let url = format!("{api}/projects/{project}/statuses/{id}");
                let mut body = json!({
                    "state": state, "name": context, "description": told, "target_url": link,
                });
                if let Some(branch) = &run.spec.branch {
                    body["ref"] = branch.clone().into();
                }
                let ask = teller.client.request(Method::POST, url).json(&body);
                ask.header("PRIVATE-TOKEN", token)
            }
        };
        let answer = ask.send().await.map_err(|e| chain(&e.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        match has_it_already(forge, status, &text) {
            true => Ok(()),
            false => Err(refused(&api, status, id, &text)),
        }
    }
}

/// GitLab refuses a state that a commit has already, and says so in words.
fn has_it_already(forge: Forge, status: StatusCode, text: &str) -> bool {
    forge == Forge::GitLab
        && status == StatusCode::BAD_REQUEST
        && text.contains("Cannot transition status")
}

/// What a forge answered instead of taking a state, with the beginning of what it said.
fn refused(api: &str, status: StatusCode, commit: &str, text: &str) -> String {
    let commit = commit.get(..12).unwrap_or(commit);
    let said = serde_json::from_str::<serde_json::Value>(text).ok();
    let said = said.and_then(|said| Some(said.get("message")?.to_string()));
    let said = said.map(|said| format!(": {}", said.trim_matches('"')));
    let said: String = said.unwrap_or_default().chars().take(200).collect();
    format!("{api} answers {status} for commit {commit}{said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(git: &str) -> Repository {
        serde_json::from_value(json!({ "git": git })).unwrap()
    }

    #[test]
    fn only_a_state_that_is_there_already_counts_as_told() {
        let bad = StatusCode::BAD_REQUEST;
        let there =
            r#"{"message":"Cannot transition status via :run from :running (Reason(s): …)"}"#;
        assert!(has_it_already(Forge::GitLab, bad, there));
        assert!(!has_it_already(Forge::Gitea, bad, there));
        let other = r#"{"message":{"target_url":["is blocked"]}}"#;
        assert!(!has_it_already(Forge::GitLab, bad, other));
        let id = "069c1f7e0a5b4c3d2e1f";
        assert_eq!(
            refused("https://git.example/api/v4", bad, id, other),
            "https://git.example/api/v4 answers 400 Bad Request for commit 069c1f7e0a5b: \
             {\"target_url\":[\"is blocked\"]}"
        );
        let none = refused("https://git.example", StatusCode::UNAUTHORIZED, id, "");
        assert_eq!(none, "https://git.example answers 401 Unauthorized for commit 069c1f7e0a5b");
    }

    #[test]
    fn a_forge_is_known_by_its_host() {
        let at = |git: &str| target(&source(git));
        assert_eq!(
            at("https://github.com/trade/shop.git"),
            Some((Forge::GitHub, "https://api.github.com".into(), "trade/shop".into()))
        );
        assert_eq!(
            at("https://gitlab.example/a/b/shop.git"),
            Some((Forge::GitLab, "https://gitlab.example/api/v4".into(), "a/b/shop".into()))
        );
        assert_eq!(
            at("ssh://git@gitea.example/a/b"),
            Some((Forge::Gitea, "https://gitea.example/api/v1".into(), "a/b".into()))
        );
        assert_eq!(at("https://git.example/a/b"), None);
    }
}
