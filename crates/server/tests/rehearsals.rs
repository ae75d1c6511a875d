//! Rehearsals over HTTP: who may ask, what a wrong question gets, and that nothing of the world is
//! written. What comes of a scenario is tested where it is played.

mod support;

use atoll_model::Level;
use serde_json::{Value, json};
use support::serve;

fn scenario(spec: &Value) -> Value {
    json!({
        "apiVersion": "atoll/v1", "kind": "Rehearsal", "metadata": { "name": "r" }, "spec": spec,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_is_played_and_nothing_is_written() {
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    let shop = json!({ "capacity": 100, "instances": 4, "min": 4, "max": 8 });
    let spec = |at_least: u32| {
        scenario(&json!({
            "lasts": "30m",
            "fleet": { "zones": { "a": 2, "b": 2 }, "applications": { "shop": shop } },
            "load": { "shop": { "level": 200 } },
            "faults": [{ "fault": "loss", "at": "10m", "of": "zone/a" }],
            "checks": [{ "check": "instances", "of": "shop", "atLeast": at_least }],
        }))
    };
    let (status, report) = viewer.call("POST", "/v1/rehearse", Some(&spec(1))).await;
    assert_eq!((status, &report["held"]), (200, &json!(true)), "{report}");
    assert_eq!(report["hosts"], json!(4), "{report}");
    let (status, report) = viewer.call("POST", "/v1/rehearse", Some(&spec(4))).await;
    assert_eq!((status, &report["held"]), (200, &json!(false)), "half of them are lost: {report}");
    for plural in ["applications", "deployments", "instances", "hosts"] {
        let (_, list) = viewer.call("GET", &format!("/v1/{plural}"), None).await;
        assert_eq!(list["items"], json!([]), "{plural}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_is_played_and_another_is_a_conflict() {
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    let shop = json!({ "capacity": 100, "instances": 40, "min": 4, "max": 80 });
    let long = scenario(&json!({
        "lasts": "24h",
        "fleet": { "zones": { "a": 20, "b": 20 }, "applications": { "shop": shop } },
        "load": { "shop": { "level": 2000, "noise": 0.2 } },
    }));
    let play = async || viewer.call("POST", "/v1/rehearse", Some(&long)).await;
    let mut both = <[_; 2]>::from(tokio::join!(play(), play()));
    both.sort_by_key(|(status, _)| *status);
    let [(played, _), (busy, told)] = both;
    assert_eq!((played, busy, &told["code"]), (200, 409, &json!("conflict")), "{told}");
    assert!(told["title"].as_str().unwrap().contains("under way"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rehearsed_is_refused_with_its_reason() {
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    let gone = json!({ "faults": [{ "fault": "loss", "at": "1m", "of": "zone/nowhere" }] });
    let (status, body) = viewer.call("POST", "/v1/rehearse", Some(&scenario(&gone))).await;
    assert_eq!((status, &body["code"]), (404, &json!("not-found")), "{body}");
    let wrong = scenario(&json!({ "step": "0s" }));
    let (status, body) = viewer.call("POST", "/v1/rehearse", Some(&wrong)).await;
    assert_eq!(status, 422, "{body}");
    for (of, expected) in [("deployments/none", 404), ("nonsense/x", 404), ("hosts/x", 422)] {
        let path = format!("/v1/rehearse/{of}");
        let (status, body) = viewer.call("POST", &path, None).await;
        assert_eq!(status, expected, "{of}: {body}");
    }
    // What may be kept on the object is not asked as if it were read only.
    assert_eq!(viewer.call("GET", "/v1/rehearse/deployments/none", None).await.0, 405);
    let nobody = server.caller(None);
    assert_eq!(nobody.call("POST", "/v1/rehearse", Some(&wrong)).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_told_all_that_is_wrong_in_it_with_its_lines() {
    const HEAD: &str = "apiVersion: atoll/v1\nkind: Rehearsal\nmetadata: { name: r }\nspec:\n";
    let server = serve().await;
    let viewer = server.caller_with(Level::Viewer).await;
    let told = async |kind: &str, text: &str| {
        let (status, said) = viewer.send_bytes("/v1/rehearse", kind, text.as_bytes()).await;
        let body: Value = serde_json::from_str(&said).unwrap();
        let reasons = body["reasons"].as_array().into_iter().flatten();
        let messages = reasons.map(|reason| reason["message"].as_str().unwrap().to_owned());
        (status, messages.collect::<Vec<_>>(), body)
    };
    let yaml = "application/yaml";
    let wrong = format!("{HEAD}  lasts: soon\n  checks:\n    - {{ check: servd, of: shop }}\n");
    let (status, messages, body) = told(yaml, &wrong).await;
    assert_eq!((status, messages.len(), &body["code"]), (422, 2, &json!("invalid")), "{body}");
    assert!(messages[0].starts_with("scenario:5:10: spec.lasts: "), "{messages:?}");
    assert!(messages[1].starts_with("scenario:7:16: "), "{messages:?}");
    assert!(messages[1].ends_with("did you mean \"served\"?"), "{messages:?}");
    assert_eq!(body["title"], json!(messages[0]), "{body}");

    let gone = format!(
        "{HEAD}  fleet: {{ zones: {{ a: 1 }}, applications: {{ shop: {{ capacity: 9 }} }} }}\n  \
         load: {{ shop: {{ level: 5 }} }}\n  faults:\n    \
         - {{ fault: loss, at: 1m, of: zone/q }}\n"
    );
    let missing = "spec.faults[0].of: there is no host of zone/q";
    let (status, messages, body) = told(yaml, &gone).await;
    assert_eq!((status, messages), (404, vec![format!("scenario:8:34: {missing}")]), "{body}");
    let asked = json!({ "zones": { "a": 1 }, "applications": { "shop": { "capacity": 9 } } });
    let lost = json!([{ "fault": "loss", "at": "1m", "of": "zone/q" }]);
    let load = json!({ "shop": { "level": 5 } });
    let asked = scenario(&json!({ "fleet": asked, "load": load, "faults": lost })).to_string();
    let (status, messages, body) = told("application/json", &asked).await;
    assert_eq!((status, messages), (404, vec![missing.to_owned()]), "{body}");
    let pool = format!("{}  lasts: 1h\n", HEAD.replace("Rehearsal", "Pool"));
    for (text, begin) in [
        (pool.as_str(), "scenario:2:7: kind: is not Rehearsal"),
        ("spec: { lasts: 1h", "scenario:1:"),
        ("", "scenario:1:1: "),
    ] {
        let (status, messages, body) = told(yaml, text).await;
        assert_eq!((status, messages.len()), (422, 1), "{body}");
        assert!(messages[0].starts_with(begin), "{messages:?}");
    }
}
