//! The API of a real server on a free port, spoken to as curl would: rights of every route, errors,
//! conflicts, watches. Planning is tested elsewhere.

mod support;

use atoll_model::Level;
use atoll_server::api::routes::{Access, routes};
use serde_json::{Value, json};
use support::{Caller, concrete, serve};

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_without_a_right() {
    let server = serve().await;
    let (nobody, viewer) = (server.caller(None), server.caller_with(Level::Viewer).await);
    let host = server.caller_with(Level::Join).await;
    let mut walked = 0;
    for route in routes().iter().filter(|r| r.access != Access::Public) {
        let path = concrete(route.path);
        let (method, ask) = (route.method.as_str(), json!({}));
        let (status, body) = nobody.call(method, &path, Some(&ask)).await;
        assert_eq!((status, &body["code"]), (401, &json!("unauthorized")), "{method} {path}");
        let guess = server.caller(Some("guess".to_owned()));
        assert_eq!(guess.call(method, &path, Some(&ask)).await.0, 401, "{method} {path}");
        let weak = match route.access {
            Access::Write | Access::OwnHost | Access::Join | Access::Collect | Access::Deposit => {
                &viewer
            }
            Access::Read | Access::ReadAll | Access::Session | Access::Fetch => &host,
            Access::Anybody | Access::Public => continue,
        };
        assert_eq!(weak.call(method, &path, Some(&ask)).await.0, 403, "{method} {path}");
        walked += 1;
    }
    assert!(walked > 15, "only {walked} routes were walked");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_for_administrators_and_end() {
    let server = serve().await;
    let (admin, operator) =
        (server.caller_with(Level::Admin).await, server.caller_with(Level::Operator).await);
    assert_eq!(operator.call("GET", "/v1/tokens", None).await.0, 403);
    assert_eq!(operator.call("GET", "/v1/watch?kinds=tokens", None).await.0, 403);
    assert_eq!(admin.call("GET", "/v1/tokens", None).await.0, 200);
    let ask = json!({ "role": "viewer", "owner": "anna", "ttl": "1h" });
    assert_eq!(operator.call("POST", "/v1/tokens/create", Some(&ask)).await.0, 403);
    let (status, made) = admin.call("POST", "/v1/tokens/create", Some(&ask)).await;
    assert_eq!(status, 200, "{made}");
    let anna = server.caller(made["token"].as_str().map(str::to_owned));
    let (_, who) = anna.call("GET", "/v1/whoami", None).await;
    assert_eq!((&who["name"], &who["role"]), (&json!("user/anna"), &json!("viewer")));
    let name = made["name"].as_str().unwrap_or_default();
    assert_eq!(admin.call("DELETE", &format!("/v1/tokens/{name}"), None).await.0, 200);
    assert_eq!(
        anna.call("GET", "/v1/whoami", None).await.0,
        401,
        "a revoked token is worth nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_speaks_for_its_own_host_only() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let join = server.caller_with(Level::Join).await;
    let facts = json!({
        "capacity": { "cpu": "2", "memory": "1Gi", "instances": 0 },
        "address": "127.0.0.1", "agent": {},
    });
    for name in ["h1", "h2"] {
        let ask = json!({ "name": name, "labels": { "zone": "a" }, "facts": facts });
        assert_eq!(join.call("POST", "/v1/agents/join", Some(&ask)).await.0, 200);
    }
    let ask = json!({ "name": "h1", "labels": {}, "facts": facts });
    let (_, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
    let h1 = server.caller(joined["token"].as_str().map(str::to_owned));
    let report = json!({ "full": true, "instances": [] });
    assert_eq!(h1.call("POST", "/v1/agents/h1/report", Some(&report)).await.0, 204);
    assert_eq!(h1.call("POST", "/v1/agents/h2/report", Some(&report)).await.0, 403);
    assert_eq!(h1.call("GET", "/v1/agents/h2/assignment?after=0", None).await.0, 403);
    for path in ["/v1/hosts", "/v1/hosts/h1", "/v1/watch", "/v1/audit", "/v1/tokens"] {
        assert_eq!(h1.call("GET", path, None).await.0, 403, "{path}");
    }
    let (_, host) = admin.call("GET", "/v1/hosts/h1", None).await;
    assert_eq!(host["status"]["capacity"]["cpu"], json!("2"), "{host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_what_is_telling_however_much_came_after_it() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let join = server.caller_with(Level::Join).await;
    let facts = |memory: u32| {
        json!({
            "capacity": { "cpu": "2", "memory": format!("{memory}Mi"), "instances": 0 },
            "address": "127.0.0.1", "agent": {},
        })
    };
    let ask = json!({ "name": "h1", "labels": { "zone": "a" }, "facts": facts(1) });
    let (_, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
    let h1 = server.caller(joined["token"].as_str().map(str::to_owned));
    let cordon = json!({ "spec": { "cordon": true } });
    assert_eq!(admin.call("PATCH", "/v1/hosts/h1", Some(&cordon)).await.0, 200);
    for memory in 2..130 {
        let report = json!({ "facts": facts(memory) });
        assert_eq!(h1.call("POST", "/v1/agents/h1/report", Some(&report)).await.0, 204);
    }
    let (status, why) = admin.call("GET", "/v1/why/hosts/h1", None).await;
    assert_eq!(status, 200, "{why}");
    let lately = why["lately"].as_array().expect("a list");
    let cordoned = lately.iter().find(|entry| {
        let diff = entry["diff"].as_array().expect("a list");
        diff.iter().any(|field| field["path"] == json!("spec.cordon"))
    });
    assert!(cordoned.is_some() && lately.len() <= 8, "{lately:?}");
}

fn environment(name: &str) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Environment",
        "metadata": { "name": name }, "spec": {},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remark_is_kept_with_the_object_it_is_about() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let budget = json!({
        "apiVersion": "atoll/v1", "kind": "Budget", "metadata": { "name": "trade" },
        "spec": { "environment": "dev", "month": { "limit": "50", "currency": "EUR" } },
    });
    let ask = json!({ "objects": [environment("dev"), budget] });
    let (status, done) = admin.call("POST", "/v1/apply", Some(&ask)).await;
    assert_eq!((status, &done["reasons"][0]["code"]), (200, &json!("price-missing")), "{done}");
    for (path, remarks) in [("environments/dev", 0), ("budgets/trade", 1)] {
        let (_, history) = admin.call("GET", &format!("/v1/history/{path}"), None).await;
        let first = history["entries"].as_array().and_then(|all| all.last()).expect("an entry");
        assert_eq!(first["reasons"].as_array().map(Vec::len), Some(remarks), "{path}: {first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_which_field_and_nothing_is_applied_in_part() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let mut wrong = environment("staging");
    wrong["spec"]["aftr"] = json!("dev");
    let mut wrong_kind = environment("x");
    wrong_kind["kind"] = json!("Enviroment");
    let ask = json!({ "objects": [environment("dev"), wrong, wrong_kind] });
    let (status, problem) = admin.call("POST", "/v1/apply", Some(&ask)).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid")));
    let text = problem["reasons"].to_string();
    assert!(text.contains("did you mean \\\"after\\\"?"), "{text}");
    assert!(text.contains("Environment"), "{text}");
    assert_eq!(problem["reasons"].as_array().map(Vec::len), Some(2), "{text}");
    let (_, list) = admin.call("GET", "/v1/environments", None).await;
    assert_eq!(list["items"], json!([]));
    assert_eq!(admin.call("GET", "/v1/environments/dev", None).await.0, 404);
    assert_eq!(admin.call("GET", "/v1/nonsense", None).await.0, 404);
    assert_eq!(admin.call("GET", "/v1/environments/dev/extra", None).await.0, 404);
    assert_eq!(admin.call_text("POST", "/v1/apply", "{").await, 400);
    let large = format!("{{\"objects\": [\"{}\"]}}", "x".repeat(17 << 20));
    assert_eq!(admin.call_text("POST", "/v1/apply", &large).await, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_problem_too() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let json = "application/json";
    for (path, kind, body, code) in [
        ("/v1/apply", json, "{", 400),
        ("/v1/apply", json, "{\"objects\": 1}", 422),
        ("/v1/apply", "text/plain", "{}", 415),
        ("/v1/apply?dryRun=perhaps", json, "{\"objects\": []}", 400),
        ("/v1/whoami", json, "{}", 405),
    ] {
        let (status, text) = operator.send_bytes(path, kind, body.as_bytes()).await;
        let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!((status, &problem["status"]), (code, &json!(code)), "{path}: {text}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{text}");
    }
    for (times, code) in [("1e308", 422), ("1000001", 422), ("-1", 422), ("NaN", 422), ("1e6", 200)]
    {
        let path = format!("/v1/capacity?times={times}");
        let (status, answer) = operator.call("GET", &path, None).await;
        assert_eq!(status, code, "{path}: {answer}");
        let told = answer["reasons"].to_string().contains("times: is not a number from 0 to");
        assert_eq!(told, code == 422, "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_edit_one_object_the_second_is_told() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let ask = json!({ "objects": [environment("dev")] });
    assert_eq!(admin.call("POST", "/v1/apply", Some(&ask)).await.0, 200);
    let (_, read) = admin.call("GET", "/v1/environments/dev", None).await;
    let mut first = read.clone();
    first["metadata"]["labels"] = json!({ "by": "first" });
    assert_eq!(admin.call("PUT", "/v1/environments/dev", Some(&first)).await.0, 200);
    let mut second = read;
    second["metadata"]["labels"] = json!({ "by": "second" });
    let (status, problem) = admin.call("PUT", "/v1/environments/dev", Some(&second)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    let (_, now) = admin.call("GET", "/v1/environments/dev", None).await;
    assert_eq!(now["metadata"]["labels"]["by"], json!("first"));
    let revision = |value: &Value| value["metadata"]["revision"].as_u64().unwrap_or_default();
    let patch = json!({ "metadata": { "labels": { "by": "third" } } });
    let stale = revision(&now) - 1;
    assert_eq!(admin.patch_at("/v1/environments/dev", &patch, stale).await, 409);
    assert_eq!(admin.patch_at("/v1/environments/dev", &patch, revision(&now)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let ask = json!({ "objects": [environment("dev")] });
    let (status, outcome) = admin.call("POST", "/v1/apply?dryRun=true", Some(&ask)).await;
    assert_eq!((status, &outcome["verdict"]), (200, &json!("commit")), "{outcome}");
    assert_eq!(outcome["writes"][0]["op"], json!("create"));
    assert_eq!(admin.call("GET", "/v1/environments/dev", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peak_names_in_vain_is_told_once_by_a_dry_run_and_by_applying_it() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let peak = json!({
        "apiVersion": "atoll/v1", "kind": "Peak", "metadata": { "name": "sale" },
        "spec": {
            "starts": "2199-11-11T00:00:00Z", "ends": "2199-11-12T00:00:00Z",
            "environment": "nowhere", "applications": { "shop": 5 },
        },
    });
    for path in ["/v1/apply?dryRun=true", "/v1/apply"] {
        let ask = json!({ "objects": [peak] });
        let (status, outcome) = admin.call("POST", path, Some(&ask)).await;
        assert_eq!(status, 200, "{outcome}");
        let reasons = outcome["reasons"].as_array().unwrap();
        let codes: Vec<&Value> = reasons.iter().map(|reason| &reason["code"]).collect();
        assert_eq!(codes, ["no-environment"], "{path}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_where_it_left_off() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let apply = |name: &str| json!({ "objects": [environment(name)] });
    admin.call("POST", "/v1/apply", Some(&apply("one"))).await;
    let seen = watched(&admin, "/v1/watch?kinds=environments", 2).await;
    assert_eq!(seen[0].0, "put one");
    assert_eq!(seen[1].0, "sync");
    let from = seen[1].1;
    admin.call("POST", "/v1/apply", Some(&apply("two"))).await;
    admin.call("DELETE", "/v1/environments/one", None).await;
    let path = format!("/v1/watch?kinds=environments&from={from}");
    let seen = watched(&admin, &path, 2).await;
    let names: Vec<&str> = seen.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(names, ["put two", "delete one"]);
    assert!(seen[0].1 > from && seen[1].1 > seen[0].1);
}

/// The first events of a watch, as `event name` with their revision.
async fn watched(caller: &Caller, path: &str, count: usize) -> Vec<(String, u64)> {
    let events = caller.events(path, count).await;
    events
        .iter()
        .map(|event| {
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
            let what = format!("{} {name}", event["event"].as_str().unwrap_or_default());
            (what.trim().to_owned(), event["revision"].as_u64().unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_checked_and_bounded() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let digest = blake3::hash(b"content").to_hex().to_string();
    let path = format!("/v1/blobs/{digest}");
    assert_eq!(admin.call_text("PUT", &path, "other").await, 422);
    assert_eq!(admin.call_text("PUT", &path, "content").await, 204);
    assert_eq!(admin.call_text("GET", &path, "").await, 200);
    assert_eq!(admin.call_text("GET", "/v1/blobs/..%2f..%2fetc%2fpasswd", "").await, 422);
    let (_, missing) = admin
        .call("POST", "/v1/blobs/missing", Some(&json!({ "digests": [digest, "0".repeat(64)] })))
        .await;
    assert_eq!(missing["digests"], json!(["0".repeat(64)]));
}
