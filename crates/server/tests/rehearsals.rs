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
