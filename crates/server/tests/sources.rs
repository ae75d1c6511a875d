//! Where runs come from: webhooks as the forges send them, repositories of real git by file, by
//! HTTP and served by the server itself, and what is told back. No network but loopback.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use atoll_model::Level;
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use support::sink::Sink;
use support::{Caller, serve, until};

const MANIFEST: &str = "apiVersion: atoll/v1
kind: Pipeline
metadata: { name: shop }
spec:
  steps:
    - { name: unit, run: make test }
---
apiVersion: atoll/v1
kind: Application
metadata: { name: shop }
spec:
  run: { command: [./shop] }
";

/// A work tree of real git.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Tree {
        let tree = Tree { dir: tempfile::tempdir().expect("a directory") };
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree
    }

    fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git")
            .args(["-c", "user.name=Anna", "-c", "user.email=anna@example.org"])
            .args(args)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stderr(Stdio::piped())
            .output()
            .expect("git runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "git {args:?}: {said}");
        String::from_utf8(done.stdout).expect("text").trim().to_owned()
    }

    /// Commits a file; returns the commit.
    fn commit(&self, path: &str, text: &str, message: &str) -> String {
        let path = self.dir.path().join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a directory");
        }
        std::fs::write(path, text).expect("a file");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn url(&self) -> String {
        file_url(self.dir.path())
    }
}

fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

async fn apply(admin: &Caller, name: &str, spec: Value) {
    let pipeline = json!({
        "apiVersion": "atoll/v1", "kind": "Pipeline", "metadata": { "name": name }, "spec": spec,
    });
    let path = format!("/v1/pipelines/{name}");
    let (status, said) = admin.call("PUT", &path, Some(&pipeline)).await;
    assert_eq!(status, 200, "{said}");
}

/// Waits until a run has what is asked for.
async fn run_with(admin: &Caller, name: &str, good: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/runs/{name}");
    until(async || {
        let (_, run) = admin.call("GET", &path, None).await;
        good(&run).then_some(run)
    })
    .await
}

fn has_source(run: &Value) -> bool {
    run["status"]["source"].is_string()
}

fn is_over(run: &Value) -> bool {
    run["status"]["endedAt"].is_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_fetched_and_read() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let tree = Tree::new();
    tree.commit("src/main.c", "int main() {}\n", "First");
    let commit = tree.commit("atoll.yaml", MANIFEST, "Add a pipeline\n\nWith words.");
    apply(&admin, "shop", json!({ "source": { "git": tree.url() } })).await;
    let (status, begun) = admin.call("POST", "/v1/pipelines/shop/runs", Some(&json!({}))).await;
    assert_eq!(status, 200, "{begun}");
    let run = run_with(&admin, "shop.1", has_source).await;
    let status = &run["status"];
    assert_eq!(status["commit"]["id"], json!(commit), "{run}");
    assert_eq!(status["commit"]["subject"], json!("Add a pipeline"));
    assert_eq!(status["commit"]["author"], json!("Anna"));
    assert_eq!(status["application"]["run"]["command"], json!(["./shop"]));
    let digest = status["source"].as_str().unwrap_or_default();
    let index: Value =
        serde_json::from_str(&admin.text(&format!("/v1/blobs/{digest}")).await).expect("an index");
    let paths: Vec<&str> = index["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| e["path"].as_str())
        .collect();
    assert_eq!(paths, ["atoll.yaml", "src", "src/main.c"]);
    // A name of a branch is not a way to give git an option.
    let ask = json!({ "branch": "--upload-pack=touch /tmp/x" });
    admin.call("POST", "/v1/pipelines/shop/runs", Some(&ask)).await;
    let run = run_with(&admin, "shop.2", |run| !run["status"]["reasons"].is_null()).await;
    assert!(run["status"]["source"].is_null(), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_manifest_fails_the_run_with_its_place() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let tree = Tree::new();
    tree.commit("atoll.yaml", &MANIFEST.replace("run: make", "rum: make"), "Break it");
    apply(&admin, "shop", json!({ "source": { "git": tree.url() } })).await;
    admin.call("POST", "/v1/pipelines/shop/runs", Some(&json!({}))).await;
    let run = run_with(&admin, "shop.1", is_over).await;
    assert_eq!(run["status"]["phase"], json!("failed"));
    let message = run["status"]["reasons"][0]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("atoll.yaml:6:"), "{message}");
    assert!(message.contains("unknown field \"rum\"") && message.contains("\"run\""), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_commits_are_found_by_looking() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let tree = Tree::new();
    tree.commit("atoll.yaml", MANIFEST, "First");
    let source = json!({ "git": tree.url(), "poll": "200ms" });
    let spec = json!({ "source": source, "triggers": { "paths": ["src/**", "atoll.yaml"] } });
    apply(&admin, "shop", spec).await;
    run_with(&admin, "shop.1", has_source).await;
    tree.commit("docs/x.md", "words\n", "Only words");
    let commit = tree.commit("src/main.c", "int main() {}\n", "A change");
    let run = run_with(&admin, "shop.2", has_source).await;
    assert_eq!(run["status"]["commit"]["id"], json!(commit));
    assert_eq!(run["spec"]["cause"], json!("poll"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_failed_is_told_until_one_succeeds() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let tree = Tree::new();
    let source = json!({ "git": format!("{}/later", tree.url()), "poll": "200ms" });
    apply(&admin, "shop", json!({ "source": source })).await;
    let pipeline = async |good: fn(&Value) -> bool| {
        until(async || {
            let (_, pipeline) = admin.call("GET", "/v1/pipelines/shop", None).await;
            good(&pipeline["status"]).then_some(pipeline)
        })
        .await
    };
    let told = pipeline(|status| status["unseen"].is_object() && status["reasons"].is_array());
    assert_eq!(told.await["status"]["reasons"][0]["code"], json!("address-refused"));
    tree.git(&["init", "--quiet", "later"]);
    pipeline(|status| status["unseen"].is_null() && status["reasons"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_repository_served_here_begins_a_run_and_is_told_elsewhere() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    apply(&admin, "shop", json!({ "source": {} })).await;
    let tree = Tree::new();
    let commit = tree.commit("atoll.yaml", MANIFEST, "First");
    let remote = format!("{}/git/shop.git", admin.url());
    tree.git(&["push", "--quiet", &remote, "main", "main:other"]);
    let run = run_with(&admin, "shop.1", has_source).await;
    assert_eq!(run["spec"]["cause"], json!("push"));
    assert_eq!(run["status"]["commit"]["id"], json!(commit));
    tree.git(&["push", "--quiet", &remote, "main"]);
    // The same server over HTTP is a repository elsewhere to another pipeline, on a forge.
    let forge = Sink::start().await;
    let token = admin.call_text("PUT", "/v1/secrets/forge/value", &password(&admin)).await;
    assert_eq!(token, 204);
    let plain = format!("http://{}/git/shop.git", server.running.server.listen);
    let status = json!({ "forge": "github", "api": forge.url });
    let source = json!({ "git": plain, "poll": "200ms", "credential": "forge", "status": status });
    apply(&admin, "copy", json!({ "source": source })).await;
    let run = run_with(&admin, "copy.1", has_source).await;
    assert_eq!(run["status"]["commit"]["id"], json!(commit), "{run}");
    let told = until(async || forge.received().first().cloned()).await;
    assert_eq!(told["context"], json!("atoll/copy"), "{told}");
    let (_, runs) = admin.call("GET", "/v1/runs", None).await;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(2), "one run for each pipeline");
    // A forge that takes no state is told of by the run, until it does.
    let spec = |api: &str| {
        let status = json!({ "forge": "github", "api": api });
        let source = json!({ "git": plain, "poll": "200ms", "credential": "forge",
                             "status": status });
        json!({ "source": source })
    };
    apply(&admin, "lost", spec("http://127.0.0.1:1")).await;
    let untold = |run: &Value| run["status"]["untold"]["code"] == json!("state-not-told");
    run_with(&admin, "lost.1", untold).await;
    apply(&admin, "lost", spec(&forge.url)).await;
    run_with(&admin, "lost.1", |run| run["status"]["untold"].is_null()).await;
    let viewer = server.caller_with(Level::Viewer).await;
    let path = "/git/shop.git/info/refs?service=git-receive-pack";
    assert_eq!(viewer.call_text("GET", path, "").await, 403);
    assert_eq!(admin.call_text("GET", "/git/none.git/info/refs", "").await, 404);
    // Git asks without a credential first, which is not worth a record; a wrong one is.
    let guess = server.caller(Some("guess".to_owned()));
    let refused = async |of: &str| {
        until(async || {
            let path = "/v1/audit?kind=audit&actor=unknown";
            let (_, audit) = admin.call("GET", path, None).await;
            let audit = audit["entries"].to_string();
            audit.contains(of).then_some(audit)
        })
        .await
    };
    assert_eq!(guess.call("GET", "/v1/whoami", None).await.0, 401);
    let before = refused("/v1/whoami").await;
    assert!(!before.contains("/git/"), "{before}");
    assert_eq!(guess.call_text("GET", path, "").await, 401);
    refused("/git/").await;
}

/// The token of a caller, as a password.
fn password(caller: &Caller) -> String {
    let url = caller.url();
    let rest = url.split("any:").nth(1).unwrap_or_default();
    rest.split('@').next().unwrap_or_default().to_owned()
}

/// A server that redirects every request.
async fn redirecting(to: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/shop.git")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_redirects_to_a_private_place_is_refused() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let refs = "/info/refs?service=git-upload-pack";
    for (at, to) in ["http://169.254.169.254/x.git", "http://localhost:1/x.git", "file:///etc"]
        .into_iter()
        .enumerate()
    {
        let git = redirecting(&format!("{to}{refs}")).await;
        let name = format!("p{at}");
        apply(&admin, &name, json!({ "source": { "git": git } })).await;
        admin.call("POST", &format!("/v1/pipelines/{name}/runs"), Some(&json!({}))).await;
        let run = run_with(&admin, &format!("{name}.1"), is_over).await;
        let reason = &run["status"]["reasons"][0];
        assert_eq!(reason["code"], json!("address-refused"), "{to}: {run}");
    }
}

fn push(git: &str, branch: &str, commit: &str) -> String {
    let repository = json!({ "clone_url": git });
    let body = json!({
        "ref": format!("refs/heads/{branch}"), "after": commit, "repository": repository,
        "commits": [{ "added": ["src/x"] }],
    });
    body.to_string()
}

fn signature(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    let tag = hmac::sign(&key, body.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_taken_once_and_only_where_they_are_signed() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let anybody = server.caller(None);
    assert_eq!(admin.call_text("PUT", "/v1/secrets/hook/value", "s3cret").await, 204);
    let git = "https://git.invalid/trade/shop.git";
    let triggers = json!({ "webhook": "hook", "branches": ["main", "release/*"] });
    apply(&admin, "shop", json!({ "source": { "git": git }, "triggers": triggers })).await;
    let hook = "/v1/hooks/shop";
    let commit = |c: char| c.to_string().repeat(40);
    let body = push(git, "main", &commit('a'));
    let signed = format!("sha256={}", signature(&body));
    let github = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", signed.as_str())];
    let (status, begun) = anybody.post_with(hook, &github, &body).await;
    assert_eq!((status, &begun["run"]), (202, &json!("shop.1")), "{begun}");
    let (status, again) = anybody.post_with(hook, &github, &body).await;
    assert_eq!((status, &again["run"], &again["existed"]), (200, &json!("shop.1"), &json!(true)));
    let body = push("git@git.invalid:trade/shop.git", "release/1", &commit('b'));
    let token = [("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "s3cret")];
    assert_eq!(anybody.post_with(hook, &token, &body).await.0, 202);
    let body = push(git, "main", &commit('c'));
    let signed = signature(&body);
    let gitea = [("X-Gitea-Event", "push"), ("X-Gitea-Signature", signed.as_str())];
    assert_eq!(anybody.post_with(hook, &gitea, &body).await.0, 202);

    // As GitHub sends it where nobody chose JSON; what is signed is the form.
    let pairs = [("payload", push(git, "main", &commit('f')))];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let signed = format!("sha256={}", signature(&form));
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let github = [kind, ("X-GitHub-Event", "push"), ("X-Hub-Signature-256", signed.as_str())];
    let (status, begun) = anybody.post_with(hook, &github, &form).await;
    assert_eq!((status, &begun["run"]), (202, &json!("shop.4")), "{begun}");
    assert_eq!(anybody.post_with(hook, &github, &form.replace("main", "x")).await.0, 403);

    let wrong = [("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "s3creT")];
    assert_eq!(anybody.post_with(hook, &wrong, &body).await.0, 403);
    let altered = body.replace("main", "release/2");
    assert_eq!(anybody.post_with(hook, &gitea, &altered).await.0, 403);
    assert_eq!(anybody.post_with(hook, &[("X-GitHub-Event", "push")], &body).await.0, 401);
    assert_eq!(anybody.post_with(hook, &[], &body).await.0, 401);
    assert_eq!(anybody.post_with("/v1/hooks/none", &token, &body).await.0, 404);
    let other = push("https://git.invalid/other.git", "main", &commit('d'));
    assert_eq!(anybody.post_with(hook, &token, &other).await.0, 404);
    let ping = [("X-Gitlab-Event", "Tag Push Hook"), ("X-Gitlab-Token", "s3cret")];
    assert_eq!(anybody.post_with(hook, &ping, &body).await.0, 204);
    for body in [push(git, "feature", &commit('e')), push(git, "main", &commit('0'))] {
        assert_eq!(anybody.post_with(hook, &token, &body).await.0, 204, "{body}");
    }
    let (_, runs) = admin.call("GET", "/v1/runs", None).await;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(4));
}
