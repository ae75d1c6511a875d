//! The inventory over the API of a real server: facts that agents hand in, filters now and then,
//! imports, mending, and what other programs read. Planning is tested elsewhere.

mod support;

use atoll_model::Level;
use serde_json::{Value, json};
use support::{Caller, TestServer, serve, until};

/// Joins a host and returns its agent.
async fn join(server: &TestServer, name: &str) -> Caller {
    let join = server.caller_with(Level::Join).await;
    let facts = json!({
        "capacity": { "cpu": "2", "memory": "4Gi", "instances": 0 },
        "address": "10.0.0.7", "agent": {},
    });
    let ask = json!({ "name": name, "labels": { "zone": "a" }, "facts": facts });
    let (status, joined) = join.call("POST", "/v1/agents/join", Some(&ask)).await;
    assert_eq!(status, 200, "{joined}");
    server.caller(joined["token"].as_str().map(str::to_owned))
}

fn system(version: &str) -> Value {
    json!({ "digest": version, "data": { "system": {
        "os": { "name": "debian", "version": version, "pretty": "Debian" }, "memory": "4Gi",
    }}})
}

async fn find(caller: &Caller, filter: &str) -> Vec<String> {
    let encoded: String = filter
        .bytes()
        .map(|b| match b.is_ascii_alphanumeric() {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect();
    let (status, found) =
        caller.call("GET", &format!("/v1/inventory?filter={encoded}"), None).await;
    assert_eq!(status, 200, "{filter}: {found}");
    let names = found["items"].as_array().expect("items").iter();
    names.map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_handed_in_by_parts_and_what_is_lost_is_asked_for() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let agent = join(&server, "h1").await;
    let path = "/v1/agents/h1/facts";
    let digests = json!({ "system": "12", "packages": "p1" });
    let told = json!({ "digests": digests, "parts": [system("12")] });
    let (status, wanted) = agent.call("POST", path, Some(&told)).await;
    assert_eq!((status, &wanted["parts"]), (200, &json!(["packages"])));
    let (status, facts) = admin.call("GET", "/v1/facts/h1.system", None).await;
    assert_eq!((status, &facts["status"]["data"]["system"]["os"]["version"]), (200, &json!("12")));
    let revision = facts["metadata"]["revision"].clone();
    agent.call("POST", path, Some(&told)).await;
    let (_, facts) = admin.call("GET", "/v1/facts/h1.system", None).await;
    assert_eq!(facts["metadata"]["revision"], revision, "what says nothing new writes nothing");
    // Garbage, too much of it, and another's host.
    let garbage = json!({ "digests": {}, "parts": [{ "digest": "x", "data": { "system": 3 } }] });
    assert_eq!(agent.call("POST", path, Some(&garbage)).await.0, 422);
    let fat = json!({ "custom": { "x": "y".repeat(2 << 20) } });
    let fat = json!({ "digests": {}, "parts": [{ "digest": "x", "data": fat }] });
    let (status, answer) = agent.call("POST", path, Some(&fat)).await;
    assert_eq!((status, &answer["refused"][0]["code"]), (200, &json!("facts-refused")));
    let huge = format!("{{\"digests\":{{\"system\":\"{}\"}}}}", "z".repeat(50 << 20));
    let status = agent.call_text("POST", path, &huge).await;
    assert_eq!(status, 413);
    assert_eq!(agent.call("POST", "/v1/agents/h2/facts", Some(&told)).await.0, 403);
    assert_eq!(find(&admin, "kind = host and os.version >= 12 and memory = 4096Mi").await, ["h1"]);
    // People do not write what agents find.
    let (status, why) = admin.call("DELETE", "/v1/facts/h1.system", None).await;
    assert_eq!((status, &why["reasons"][0]["code"]), (403, &json!("not-yours")), "{why}");
    assert_eq!(admin.call("DELETE", "/v1/hosts/h1", None).await.0, 200);
    until(async || (admin.call("GET", "/v1/facts/h1.system", None).await.0 == 404).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_found_used_and_mended() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let agent = join(&server, "h1").await;
    let told = json!({ "digests": { "system": "11" }, "parts": [system("11")] });
    agent.call("POST", "/v1/agents/h1/facts", Some(&told)).await;
    let patch = json!({ "spec": { "expect": { "os.version": "12" } } });
    assert_eq!(admin.call("PATCH", "/v1/hosts/h1", Some(&patch)).await.0, 200);
    let finding = "/v1/drifts/host.h1.os-version";
    let open = async || (admin.call("GET", finding, None).await.0 == 200).then_some(());
    until(open).await;
    // To have the world match goes to the agent with its assignment.
    assert_eq!(admin.call("POST", &format!("{finding}/mend"), None).await.0, 200);
    let asked = "/v1/agents/h1/assignment?wait=1s";
    let (_, assignment) = agent.call("GET", asked, None).await;
    assert_eq!(assignment["mend"], json!({ "os.version": "12" }));
    // Why it could not is told where the difference is.
    let mends = json!({ "digest": "m", "data": { "mends": { "os.version": "no program" } } });
    let told = json!({ "digests": { "system": "11", "mends": "m" }, "parts": [mends] });
    agent.call("POST", "/v1/agents/h1/facts", Some(&told)).await;
    until(async || {
        let (_, drift) = admin.call("GET", finding, None).await;
        (drift["status"]["reasons"][1]["code"] == "not-mended").then_some(())
    })
    .await;
    // So does that somebody failed with what is recorded.
    let told = json!({ "subject": "host/h1", "attribute": "address", "value": "10.0.0.7",
        "works": false, "message": "refused" });
    let (status, done) = admin.call("POST", "/v1/inventory/evidence", Some(&told)).await;
    assert_eq!(status, 200, "{done}");
    let (_, assignment) = agent.call("GET", asked, None).await;
    assert!(assignment["look"].is_string(), "{assignment}");
    until(async || {
        (admin.call("GET", "/v1/drifts/host.h1.address", None).await.0 == 200).then_some(())
    })
    .await;
    // Taking what is closes it.
    assert_eq!(admin.call("POST", &format!("{finding}/accept"), None).await.0, 200);
    until(async || (admin.call("GET", finding, None).await.0 == 404).then_some(())).await;
    let (_, host) = admin.call("GET", "/v1/hosts/h1", None).await;
    assert_eq!(host["spec"]["expect"]["os.version"], json!("11"));
    assert!(host["spec"]["mend"].is_null(), "{host}");
    let (_, things) = admin.call("GET", "/v1/inventory/figures", None).await;
    assert_eq!(things["classes"][0]["class"], json!("host"));
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_imported_found_as_they_were_and_fed_to_others() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    join(&server, "h1").await;
    let class = json!({ "apiVersion": "atoll/v1", "kind": "ItemType",
        "metadata": { "name": "disk" }, "spec": {
            "schema": { "type": "object", "properties": { "size": { "type": "integer" } } },
            "identity": [{ "name": "serial", "attributes": ["serial"] }],
    }});
    assert_eq!(admin.call("PUT", "/v1/itemtypes/disk", Some(&class)).await.0, 200);
    let records = |size: Value| {
        json!({ "type": "disk", "source": "import/x", "records": [
            { "key": "d1", "attributes": { "serial": "S1", "size": size } },
        ]})
    };
    let (status, plan) =
        admin.call("POST", "/v1/inventory/import?dryRun=true", Some(&records(json!(1)))).await;
    assert_eq!((status, &plan["writes"][0]["op"]), (200, &json!("create")), "{plan}");
    assert_eq!(find(&admin, "type = disk").await, Vec::<String>::new(), "it was only planned");
    let import = async |size: Value| {
        admin.call("POST", "/v1/inventory/import", Some(&records(size))).await.0
    };
    assert_eq!(import(json!("big")).await, 422, "it does not fit the schema");
    assert_eq!(import(json!(1)).await, 200);
    let (_, item) = admin.call("GET", "/v1/items/d1", None).await;
    // What is kept is how the record is known again.
    assert_eq!(item["status"]["matches"][0]["rule"], json!("serial"), "{item}");
    let then = item["metadata"]["createdAt"].as_str().unwrap_or_default().to_owned();
    assert_eq!(import(json!(2)).await, 200);
    assert_eq!(find(&admin, "type = disk and size = 2").await, ["d1"]);
    let later = until(async || {
        let (_, found) = admin
            .call("GET", "/v1/inventory?filter=type%20%3D%20disk&at=2100-01-01T00:00:00Z", None)
            .await;
        (found["total"] == json!(1)).then_some(found)
    })
    .await;
    assert_eq!(later["items"][0]["spec"]["attributes"]["size"], json!(2));
    let (_, before) =
        admin.call("GET", &format!("/v1/inventory?filter=type%20%3D%20disk&at={then}"), None).await;
    assert_eq!(before["items"][0]["spec"]["attributes"]["size"], json!(1), "{before}");
    let (status, wrong) = admin.call("GET", "/v1/inventory?filter=type%20%3D", None).await;
    assert_eq!((status, &wrong["reasons"][0]["code"]), (422, &json!("filter")));
    let (_, ansible) = admin.call("GET", "/v1/inventory/ansible", None).await;
    assert_eq!(ansible["zone_a"]["hosts"], json!(["h1"]));
    assert_eq!(ansible["_meta"]["hostvars"]["h1"]["ansible_host"], json!("10.0.0.7"));
    let (_, targets) = admin.call("GET", "/v1/sd/prometheus?port=9200", None).await;
    assert_eq!(targets[0]["targets"], json!(["10.0.0.7:9200"]));
    let (status, _) = admin.call("DELETE", "/v1/itemtypes/disk", None).await;
    assert_eq!(status, 422, "items are of it");
}

/// Makes a class of servers that are told by vendor and serial number, and have a size.
async fn servers(admin: &Caller) {
    let class = json!({ "apiVersion": "atoll/v1", "kind": "ItemType",
        "metadata": { "name": "server" }, "spec": {
            "identity": [{ "name": "serial", "attributes": ["vendor", "serial"] }],
            "schema": { "type": "object", "properties": { "size": { "type": "integer" } } },
            "relations": { "rack": { "to": ["item/rack"] } },
    }});
    assert_eq!(admin.call("PUT", "/v1/itemtypes/server", Some(&class)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_thing_are_refused_before_anything_is_written() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    servers(&admin).await;
    let records = |rows: &[(&str, Value)]| {
        let all = rows.iter().map(|(key, of)| json!({ "key": key, "attributes": of }));
        json!({ "type": "server", "source": "import/x", "records": all.collect::<Vec<Value>>() })
    };
    let named = records(&[("X", json!({ "site": "fra" })), ("X", json!({ "site": "ber" }))]);
    let of = |serial: &str| json!({ "vendor": "HP", "serial": serial });
    let alike = records(&[("a", of("N1")), ("b", of("n1"))]);
    for (path, body) in [
        ("/v1/inventory/import?dryRun=true", &named),
        ("/v1/inventory/import", &named),
        ("/v1/inventory/observe", &alike),
    ] {
        let (status, why) = admin.call("POST", path, Some(body)).await;
        assert_eq!((status, &why["reasons"][0]["code"]), (422, &json!("duplicate")), "{why}");
    }
    assert_eq!(find(&admin, "type = server").await, Vec::<String>::new());
    // Names that become one are no one thing: both are made, and both are known again.
    let near = records(&[("Rack 1", of("R1")), ("rack-1", json!({}))]);
    for _ in 0..2 {
        assert_eq!(admin.call("POST", "/v1/inventory/import", Some(&near)).await.0, 200);
    }
    assert_eq!(find(&admin, "type = server").await, ["rack-1", "rack-1-2"]);
    let (_, second) = admin.call("GET", "/v1/items/rack-1-2", None).await;
    assert_eq!(second["status"]["matches"][0]["key"], json!("rack-1"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_seen_lacks_no_target() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    servers(&admin).await;
    let seen = |rows: Value| json!({ "type": "server", "source": "scan", "records": rows });
    let known = json!({ "key": "old", "attributes": { "vendor": "HP", "serial": "O1" } });
    let (status, done) =
        admin.call("POST", "/v1/inventory/observe", Some(&seen(json!([known])))).await;
    assert_eq!(status, 200, "{done}");
    let before = admin.call("GET", "/v1/items/old", None).await.1;
    // What was only observed has no targets that a class could find lacking.
    let patch = json!({ "spec": { "schema": { "required": ["vendor"] } } });
    assert_eq!(admin.call("PATCH", "/v1/itemtypes/server", Some(&patch)).await.0, 200);
    let moved = json!({ "key": "old", "attributes": { "vendor": "HP", "serial": "O2" } });
    let fresh = json!({ "key": "new", "attributes": { "vendor": "HP", "serial": "N1" } });
    let rows = seen(json!([moved, fresh]));
    let (status, done) = admin.call("POST", "/v1/inventory/observe", Some(&rows)).await;
    assert_eq!(status, 200, "{done}");
    let after = admin.call("GET", "/v1/items/old", None).await.1;
    assert_ne!(after["status"]["seen"], before["status"]["seen"]);
    let (_, new) = admin.call("GET", "/v1/items/new", None).await;
    assert_eq!(new["status"]["seen"]["serial"][0]["value"], json!("N1"), "{new}");
    assert_eq!(find(&admin, "type = server and serial = N1").await, ["new"]);
    // Nobody may write one that has no target and was not seen.
    let bare = json!({ "apiVersion": "atoll/v1", "kind": "Item", "metadata": { "name": "bare" },
        "spec": { "type": "server" } });
    assert_eq!(admin.call("PUT", "/v1/items/bare", Some(&bare)).await.0, 422);
}
