//! Signing in through an identity provider: a real one, `oidc-provider-mock` from PyPI, which the
//! test installs and starts itself. Where it cannot be installed the test says so and is skipped.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use atoll_model::Level;
use atoll_server::ProviderOptions;
use serde_json::json;
use support::{TestServer, serve_with, until};

const VERSION: &str = "oidc-provider-mock==0.4.8";

/// The provider, ended with the test.
struct Provider {
    child: Child,
    issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, installed into the build's own directory once.
fn installed() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc");
    let program = target.join("bin/oidc-provider-mock");
    if program.exists() {
        return Ok(program);
    }
    let run = |what: &str, command: &mut Command| {
        let done = command.stdout(Stdio::null()).output().map_err(|e| format!("{what}: {e}"))?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() { Ok(()) } else { Err(format!("{what}: {said}")) }
    };
    run("making a venv", Command::new("python3").args(["-m", "venv"]).arg(&target))?;
    let pip = target.join("bin/pip");
    run("installing it", Command::new(pip).args(["install", "-q", VERSION]))?;
    Ok(program)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts it with two people, or says why it cannot be.
fn provider() -> Option<Provider> {
    let program = match installed() {
        Ok(program) => program,
        Err(why) => {
            eprintln!("SKIPPED: no identity provider could be installed: {why}");
            return None;
        }
    };
    let port = free_port();
    let anna = json!({
        "sub": "7", "preferred_username": "Anna.B", "name": "Anna B.",
        "email": "anna@x.example", "groups": ["developers"],
    });
    let taken = json!({ "sub": "8", "preferred_username": "root" });
    let child = Command::new(program)
        .args(["--port", &port.to_string()])
        .args(["--user-claims", &anna.to_string(), "--user-claims", &taken.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    Some(Provider { child, issuer: format!("http://127.0.0.1:{port}") })
}

async fn served(issuer: &str) -> TestServer {
    serve_with(|options| {
        options.provider = Some(ProviderOptions {
            issuer: issuer.to_owned(),
            client_id: "atoll".to_owned(),
            secret_file: None,
            groups_claim: "groups".to_owned(),
            scopes: "openid profile email".to_owned(),
            base: None,
        });
    })
    .await
}

fn browser() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).build().expect("a client")
}

/// The value of a cookie that an answer sets.
fn cookie(answer: &reqwest::Response, name: &str) -> Option<String> {
    let all = answer.headers().get_all("set-cookie").iter();
    all.filter_map(|value| value.to_str().ok()?.split(';').next()?.strip_prefix(name))
        .find_map(|rest| Some(rest.strip_prefix('=')?.to_owned()))
        .filter(|value| !value.is_empty())
}

fn location(answer: &reqwest::Response) -> String {
    let value = answer.headers().get("location").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Goes to the provider, says who one is, and comes back to the address it names, with the errand.
async fn there(base: &str, sub: &str) -> (String, String) {
    let browser = browser();
    let start = browser.get(format!("{base}/v1/oidc/start")).send().await.expect("an answer");
    assert_eq!(start.status(), 302);
    let errand = cookie(&start, "atoll_errand").expect("an errand");
    let address = location(&start);
    for part in ["code_challenge=", "code_challenge_method=S256", "nonce=", "state="] {
        assert!(address.contains(part), "{address}");
    }
    let form = format!("sub={sub}");
    let kind = "application/x-www-form-urlencoded";
    let said = browser.post(&address).header("content-type", kind).body(form).send().await;
    let said = said.expect("an answer");
    assert!(said.status().is_redirection(), "{}", said.status());
    (location(&said), errand)
}

async fn back(address: &str, errand: &str) -> reqwest::Response {
    let ask = browser().get(address).header("cookie", format!("atoll_errand={errand}"));
    ask.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_comes_from_the_provider() {
    let Some(provider) = provider() else { return };
    let server = served(&provider.issuer).await;
    let base = format!("http://{}", server.running.server.listen);
    let admin = server.caller_with(Level::Admin).await;
    let (_, ways) = server.caller(None).call("GET", "/v1/login", None).await;
    assert_eq!(ways["provider"], json!("127.0.0.1"), "{ways}");
    until(async || {
        let start = browser().get(format!("{base}/v1/oidc/start")).send().await.ok()?;
        (start.status() == 302).then_some(())
    })
    .await;

    let team = json!({
        "apiVersion": "atoll/v1", "kind": "Team", "metadata": { "name": "trade" },
        "spec": { "groups": ["developers"] },
    });
    let role = json!({
        "apiVersion": "atoll/v1", "kind": "Role", "metadata": { "name": "viewer" },
        "spec": { "to": ["team/trade"] },
    });
    let root = json!({
        "apiVersion": "atoll/v1", "kind": "User", "metadata": { "name": "root" }, "spec": {},
    });
    let ask = json!({ "objects": [team, role, root] });
    assert_eq!(admin.call("POST", "/v1/apply", Some(&ask)).await.0, 200);

    let (address, errand) = there(&base, "7").await;
    let answer = back(&address, &errand).await;
    assert_eq!(answer.status(), 200);
    let session = cookie(&answer, "atoll_session").expect("a session");
    let who = browser().get(format!("{base}/v1/whoami"));
    let who = who.header("cookie", format!("atoll_session={session}")).send().await;
    let text = who.expect("an answer").text().await.expect("a text");
    let who: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&who["name"], &who["role"]), (&json!("user/anna-b"), &json!("viewer")), "{who}");
    assert_eq!(who["teams"], json!(["trade"]));
    let (_, user) = admin.call("GET", "/v1/users/anna-b", None).await;
    assert_eq!(user["spec"]["subject"], json!(format!("{}#7", provider.issuer)), "{user}");

    // A code is good once, an errand for its own answer only, and neither without the other.
    assert_ne!(back(&address, &errand).await.status(), 200, "a code was taken twice");
    let (address, _) = there(&base, "7").await;
    assert_eq!(back(&address, &errand).await.status(), 401, "another's errand was taken");
    let (address, _) = there(&base, "7").await;
    assert_eq!(back(&address, "").await.status(), 401);
    assert_eq!(back(&address, "garbage").await.status(), 401);

    // Nobody becomes a user who was here before.
    let (address, errand) = there(&base, "8").await;
    let answer = back(&address, &errand).await;
    assert_eq!(answer.status(), 409);
    let text = answer.text().await.expect("a text");
    assert!(text.contains("user/root") && text.contains("#8"), "{text}");
    let link = json!({ "spec": { "subject": format!("{}#8", provider.issuer) } });
    assert_eq!(admin.call("PATCH", "/v1/users/root", Some(&link)).await.0, 200);
    let (address, errand) = there(&base, "8").await;
    assert_eq!(back(&address, &errand).await.status(), 200);
    let off = json!({ "spec": { "disabled": true } });
    assert_eq!(admin.call("PATCH", "/v1/users/root", Some(&off)).await.0, 200);
    let (address, errand) = there(&base, "8").await;
    assert_eq!(back(&address, &errand).await.status(), 403);
    let script = format!("{base}/v1/oidc/callback?error=%3Cscript%3Ealert(1)%3C/script%3E&state=x");
    let text = back(&script, &errand).await.text().await.expect("a text");
    assert!(!text.contains("<script>"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_told() {
    let server = served(&format!("http://127.0.0.1:{}", free_port())).await;
    let (status, said) = server.caller(None).call("GET", "/v1/oidc/start", None).await;
    assert_eq!((status, &said["code"]), (502, &json!("provider")), "{said}");
}
