//! Packages of runs are signed by a real server, and what is not signed or was changed is refused
//! where the environment asks. What is judged, and why, is in the text cases of the planners.

mod support;

use atoll_model::access::Actor;
use atoll_model::{Any, Intent, Kind, Level, Package, Reason, Write, provenance};
use atoll_plan::Plan;
use serde_json::{Value, json};
use support::{Caller, TestServer, serve, until};

/// Commits objects as a planner would: what pipelines make is not people's to write.
async fn plant(server: &TestServer, objects: &[Value]) {
    let writes: Vec<Write> = objects
        .iter()
        .map(|o| Write::Put(Any::from_value(o.clone()).expect("an object")))
        .collect();
    let plan = Plan { writes, ..Plan::new(Intent::Observe) };
    let make = |_: &atoll_plan::Context| Ok::<_, Vec<Reason>>(plan.clone());
    let done = server.running.server.commit(&Actor::controller("ci"), None, make).await;
    done.expect("it is committed");
}

fn run(number: u64, failed: u32) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Run", "metadata": { "name": format!("shop.{number}") },
        "spec": { "pipeline": "shop", "number": number, "cause": "push", "key": number.to_string() },
        "status": {
            "phase": "succeeded",
            "commit": { "id": "abc1234", "subject": "x", "author": "a", "at": "2026-01-01T00:00:00Z" },
            "tests": { "unit": { "passed": 3, "failed": failed, "skipped": 0, "millis": 1 } },
            "made": {
                "version": number.to_string(),
                "content": { "type": "files", "digest": format!("{number:064x}"), "size": 1, "entries": 1 },
            },
        },
    })
}

async fn serve_shop() -> (TestServer, Caller) {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let environment = json!({
        "apiVersion": "atoll/v1", "kind": "Environment", "metadata": { "name": "prod" },
        "spec": { "require": { "signed": true, "tests": ["unit"] } },
    });
    let application = json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "shop" },
        "spec": { "run": { "command": ["./shop"] } },
    });
    let ask = json!({ "objects": [environment, application] });
    assert_eq!(admin.call("POST", "/v1/apply", Some(&ask)).await.0, 200);
    // It ran the host's own programs before it had a pipeline: beside one it would wait for it.
    there(&admin, "shop-1").await;
    plant(
        &server,
        &[json!({
            "apiVersion": "atoll/v1", "kind": "Pipeline", "metadata": { "name": "shop" },
            "spec": {},
        })],
    )
    .await;
    (server, admin)
}

/// Waits for a release.
async fn there(admin: &Caller, release: &str) {
    until(async || {
        let (status, _) = admin.call("GET", &format!("/v1/releases/{release}"), None).await;
        (status == 200).then_some(())
    })
    .await;
}

async fn signed(admin: &Caller, version: &str) -> Package {
    let path = format!("/v1/packages/shop.{version}");
    let found = until(async || {
        let (_, body) = admin.call("GET", &path, None).await;
        let any = Any::from_value(body).ok()?;
        let package = any.of::<Package>()?.clone();
        package.status.provenance.is_some().then_some(package)
    })
    .await;
    let (_, key) = admin.call("GET", "/v1/provenance/key", None).await;
    let key = key["key"].as_str().expect("a key").to_owned();
    let envelope = found.status.provenance.as_ref();
    assert_eq!(provenance::verify(&found.spec, envelope, std::slice::from_ref(&key)), Ok(()));
    let altered = Package { digest: "f".repeat(64), ..found.spec.clone() };
    let refused = provenance::verify(&altered, envelope, &[key]).expect_err("it was changed");
    assert_eq!(refused.code, "altered");
    found.spec.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_packaged_signed_and_let_in() {
    let (server, admin) = serve_shop().await;
    plant(&server, &[run(1, 0)]).await;
    let package = signed(&admin, "1").await;
    assert_eq!(package.built.as_ref().map(|b| b.run.as_str()), Some("shop.1"));
    let let_in = async || {
        let (_, body) = admin.call("GET", "/v1/promotions/shop-2.prod", None).await;
        body["status"]["admittedAt"].as_str().map(str::to_owned)
    };
    until(let_in).await;
    let (_, journey) = admin.call("GET", "/v1/releases/shop-2/journey", None).await;
    assert_eq!(journey["commit"]["id"], "abc1234", "{journey}");
    assert_eq!(journey["stops"][0]["environment"], "prod");
    let (status, figures) = admin.call("GET", "/v1/figures/delivery?window=1d&by=team", None).await;
    assert_eq!((status, &figures["items"][0]["name"]), (200, &json!("nobody")));
    assert_eq!(admin.call("GET", "/v1/figures/delivery?window=90d", None).await.0, 422);
    assert!(admin.text("/metrics").await.contains("atoll_delivery_changes_per_day"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_or_failed_its_tests_is_refused() {
    let (server, admin) = serve_shop().await;
    let put = async |version: &str, more: Value| {
        let mut package = json!({
            "apiVersion": "atoll/v1", "kind": "Package",
            "metadata": { "name": format!("shop.{version}") },
            "spec": { "name": "shop", "version": version, "digest": "a".repeat(64) },
        });
        if more != Value::Null {
            package["spec"]["built"] = more;
        }
        admin.call("PUT", &format!("/v1/packages/shop.{version}"), Some(&package)).await
    };
    // Nobody says of a package that it was built here.
    let (status, said) =
        put("8", json!({ "run": "shop.8", "pipeline": "shop", "cause": "push" })).await;
    assert!(status >= 400, "{said}");
    assert_eq!(put("9", Value::Null).await.0, 200);
    let patch = json!({ "spec": { "package": "shop:9" } });
    assert_eq!(admin.call("PATCH", "/v1/applications/shop", Some(&patch)).await.0, 200);
    there(&admin, "shop-2").await;
    plant(&server, &[run(1, 2)]).await;
    signed(&admin, "1").await;
    there(&admin, "shop-3").await;
    for (release, code) in [("shop-2", "unsigned"), ("shop-3", "untested")] {
        let patch = json!({ "spec": { "release": release } });
        let (status, said) = admin.call("PATCH", "/v1/deployments/shop.prod", Some(&patch)).await;
        assert!(status >= 400 && said.to_string().contains(code), "{status} {said}");
    }
    assert!(server.running.server.cache.world().count(Kind::Instance) == 0);
}
