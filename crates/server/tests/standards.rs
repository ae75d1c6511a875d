//! Standards over the API of a real server: those that come with the program, a refusal and its
//! ways out, the replay, and the figures. What standards say is tested with the planners.

mod support;

use atoll_model::Level;
use serde_json::{Value, json};
use support::{Caller, serve, until};

fn application(name: &str, owner: Option<&str>) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": name },
        "spec": { "owner": owner, "environments": [], "run": { "command": ["sleep"], "ports": { "a": 0 }, "health": { "tcp": true } } },
    })
}

fn standard(mode: &str) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Standard", "metadata": { "name": "team-owned" },
        "spec": {
            "kinds": ["Application"], "mode": mode, "field": "spec.owner",
            "require": "has(object.spec.owner) && object.spec.owner.startsWith('team/')",
            "message": "{{object.metadata.name}} is no team's", "fix": "write owner: team/NAME",
        },
    })
}

async fn apply(caller: &Caller, object: Value) -> (u16, Value) {
    caller.call("POST", "/v1/apply", Some(&json!({ "objects": [object] }))).await
}

fn codes(answer: &Value) -> Vec<&str> {
    let reasons = answer["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
    reasons.iter().filter_map(|reason| reason["code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_the_program_is_made_once() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let (_, all) = operator.call("GET", "/v1/standards", None).await;
    let names = all["items"].as_array().map(Vec::len).unwrap_or_default();
    assert!(names >= 10, "{names}");
    let patch = json!({ "spec": { "mode": "off" } });
    let path = "/v1/standards/health-declared";
    assert_eq!(operator.call("PATCH", path, Some(&patch)).await.0, 200);
    assert_eq!(operator.call("DELETE", "/v1/standards/owner-declared", None).await.0, 200);
    atoll_server::standards::install(&server.running.server).await;
    assert_eq!(operator.call("GET", "/v1/standards/owner-declared", None).await.0, 404);
    let (_, kept) = operator.call("GET", path, None).await;
    assert_eq!(kept["spec"]["mode"], "off");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enforced_is_refused_with_its_field_and_its_fix() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    assert_eq!(apply(&operator, application("before", Some("user/kim"))).await.0, 200);
    let (status, told) = apply(&operator, standard("trial")).await;
    assert_eq!(status, 200, "{told}");
    // On trial it is kept in the history, and nobody is told.
    let (_, told) = apply(&operator, application("tried", Some("user/kim"))).await;
    assert_eq!(codes(&told), Vec::<&str>::new());
    let (_, past) = operator.call("GET", "/v1/history/applications/tried", None).await;
    let first = past["entries"].as_array().and_then(|all| all.last()).cloned();
    let first = first.unwrap_or_default();
    assert!(codes(&first).iter().all(|code| *code == "standard-trial"), "{first}");
    assert!(first.to_string().contains("breaks standard team-owned"), "{first}");

    let (_, told) = apply(&operator, standard("warn")).await;
    assert_eq!(codes(&told), Vec::<&str>::new());
    let (_, told) = apply(&operator, application("warned", Some("user/kim"))).await;
    assert!(codes(&told).contains(&"standard-warn"), "{told}");

    let (_, told) = apply(&operator, standard("enforce")).await;
    assert!(told.to_string().contains("3 of the 3 objects"), "{told}");
    let (status, told) = apply(&operator, application("refused", Some("user/kim"))).await;
    assert_eq!((status, codes(&told)), (403, vec!["standard"]), "{told}");
    let said = told.to_string();
    for part in ["team-owned", "spec.owner", "write owner: team/NAME", "--break-glass"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let mut broken = application("refused", Some("user/kim"));
    broken["metadata"]["annotations"] = json!({ "atoll/break-glass": "the shop is down" });
    let (status, told) = apply(&operator, broken).await;
    assert_eq!(status, 200, "{told}");
    assert!(codes(&told).contains(&"standard-overridden"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_replayed_and_scores_are_told() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    assert_eq!(apply(&operator, application("kims", Some("user/kim"))).await.0, 200);
    assert_eq!(apply(&operator, application("trades", Some("team/trade"))).await.0, 200);
    assert_eq!(apply(&operator, application("kims", Some("team/trade"))).await.0, 200);
    let ask = json!({ "standard": standard("enforce"), "since": "1h" });
    let (status, told) = operator.call("POST", "/v1/replay/standards", Some(&ask)).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!((&told["changes"], &told["stopped"]), (&json!(3), &json!(1)), "{told}");
    assert_eq!(told["stops"][0]["subject"], "application/kims");
    assert_eq!((&told["objectsNow"], &told["brokenNow"]), (&json!(2), &json!(0)), "{told}");
    let mut wrong = ask.clone();
    wrong["standard"]["spec"]["require"] = json!("objct == 1");
    let (status, told) = operator.call("POST", "/v1/replay/standards", Some(&wrong)).await;
    assert_eq!(status, 422, "{told}");
    assert!(told.to_string().contains("did you mean object"), "{told}");

    let of_trade = |row: &Value| row["name"] == "team/trade";
    let scored = async || {
        let (_, told) = operator.call("GET", "/v1/figures/standards?by=team", None).await;
        // An application is its first owner's until its card is written anew.
        told["items"].as_array().filter(|rows| rows.iter().all(of_trade)).cloned()
    };
    let rows = until(async || scored().await.filter(|rows| !rows.is_empty())).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let measured = async || {
        let text = operator.text("/metrics").await;
        let fleet = "atoll_standards_score{by=\"fleet\",name=\"fleet\"}";
        text.contains(fleet).then_some(text)
    };
    let text = until(measured).await;
    assert!(text.contains("atoll_standards_findings{standard=\"resources-declared\""), "{text}");
    assert_eq!(operator.call("GET", "/v1/figures/standards?by=zone", None).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_rollback_passes_what_would_hold_it_is_noted_and_nothing_else_of_then() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    let mut first = application("shop", Some("user/kim"));
    first["metadata"]["annotations"] = json!({ "atoll/override-freeze": "fire", "seen": "then" });
    assert_eq!(apply(&operator, first).await.0, 200);
    assert_eq!(apply(&operator, application("shop", Some("team/shop"))).await.0, 200);
    let path = "/v1/rollback/applications/shop?overrideFreeze=flood&breakGlass=storm";
    let (status, told) = operator.call("POST", path, None).await;
    assert_eq!(status, 200, "{told}");
    let wrote = &told["objects"][0];
    assert_eq!(wrote["spec"]["owner"], "user/kim", "{told}");
    let said = json!({ "atoll/override-freeze": "flood", "atoll/break-glass": "storm" });
    assert_eq!(wrote["metadata"]["annotations"], said, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_not_there_yet_is_no_earlier_one() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    assert_eq!(apply(&operator, application("shop", Some("user/kim"))).await.0, 200);
    for (method, path) in [
        ("POST", "/v1/rollback/applications/shop?to=8888888"),
        ("GET", "/v1/applications/shop?revision=8888888"),
    ] {
        let (status, told) = operator.call(method, path, None).await;
        assert_eq!(status, 404, "{path}: {told}");
        let said = told["title"].as_str().unwrap();
        assert!(said.starts_with("there is no application/shop at revision 8888888"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_passes_an_enforced_standard() {
    let server = serve().await;
    let operator = server.caller_with(Level::Operator).await;
    assert_eq!(apply(&operator, application("shop", Some("user/kim"))).await.0, 200);
    assert_eq!(apply(&operator, application("shop", Some("team/shop"))).await.0, 200);
    assert_eq!(apply(&operator, standard("enforce")).await.0, 200);
    assert_eq!(apply(&operator, application("shop", Some("user/kim"))).await.0, 403);
    let path = "/v1/rollback/applications/shop";
    let (status, told) = operator.call("POST", path, Some(&json!({}))).await;
    assert_eq!(status, 200, "{told}");
    let said = told["reasons"].to_string();
    assert!(said.contains("the way back is never barred"), "{told}");
    let (_, shop) = operator.call("GET", "/v1/applications/shop", None).await;
    assert_eq!(shop["spec"]["owner"], "user/kim");
}
