//! Who may do what, on a real server: scoped users, passwords, sessions, and the records of it all.
//! What a role is worth is tested with the planners.

mod support;

use atoll_model::access::Actor;
use atoll_model::api::JobRequest;
use atoll_model::{Any, Intent, Level, Runbook, Write};
use atoll_plan::job::begin::begin;
use atoll_server::api::routes::{Access, routes};
use serde_json::{Value, json};
use support::{Caller, TestServer, concrete, serve, until};

const PASSWORD: &str = "correct horse battery";

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "atoll/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

async fn apply(caller: &Caller, objects: &[Value]) -> (u16, Value) {
    caller.call("POST", "/v1/apply", Some(&json!({ "objects": objects }))).await
}

fn application(name: &str, team: &str) -> Value {
    object("Application", name, json!({ "owner": team, "run": { "command": ["/bin/true"] } }))
}

/// Two teams with an application each; anna is in trade, and may do with trade's what her role
/// says.
async fn two_teams(server: &TestServer) -> Caller {
    let admin = server.caller_with(Level::Admin).await;
    let rules = json!([
        { "verbs": ["read", "logs"], "teams": ["own"] },
        { "verbs": ["write"], "kinds": ["Deployment", "Config"], "teams": ["own"] },
        { "verbs": ["read"], "kinds": ["Environment"] },
    ]);
    let all = [
        object("User", "anna", json!({})),
        object("User", "bo", json!({})),
        object("Team", "trade", json!({ "members": ["anna"] })),
        object("Role", "developer", json!({ "to": ["team/trade"], "rules": rules })),
        object("Environment", "prod", json!({})),
        application("shop", "team/trade"),
        application("pay", "team/money"),
        object("Config", "shop-switches", json!({ "owner": "team/trade", "values": { "a": 1 } })),
        object("Config", "pay-switches", json!({ "owner": "team/money", "values": { "a": 2 } })),
    ];
    let (status, said) = apply(&admin, &all).await;
    assert_eq!(status, 200, "{said}");
    for name in ["shop.prod", "pay.prod"] {
        until(async || {
            let (status, _) = admin.call("GET", &format!("/v1/deployments/{name}"), None).await;
            (status == 200).then_some(())
        })
        .await;
    }
    admin
}

/// A caller with a token that speaks for a user.
async fn speaking_for(server: &TestServer, admin: &Caller, user: &str) -> Caller {
    let ask = json!({ "user": user });
    let (status, made) = admin.call("POST", "/v1/tokens/create", Some(&ask)).await;
    assert_eq!(status, 200, "{made}");
    server.caller(made["token"].as_str().map(str::to_owned))
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_limits_every_way_of_reading() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let anna = speaking_for(&server, &admin, "anna").await;
    let (_, who) = anna.call("GET", "/v1/whoami", None).await;
    assert_eq!((&who["name"], &who["role"]), (&json!("user/anna"), &json!("member")), "{who}");
    assert_eq!((&who["teams"], &who["roles"]), (&json!(["trade"]), &json!(["developer"])));

    let (_, list) = anna.call("GET", "/v1/applications", None).await;
    assert_eq!(names(&list), ["shop"]);
    assert_eq!(names(&anna.call("GET", "/v1/deployments", None).await.1), ["shop.prod"]);
    assert_eq!(names(&anna.call("GET", "/v1/environments", None).await.1), ["prod"]);
    for ours in [
        "/v1/applications/shop",
        "/v1/history/applications/shop",
        "/v1/why/deployments/shop.prod",
        "/v1/configs/shop-switches",
        "/v1/audit",
        "/api/v1/query?query=up",
        "/api/v1/rules",
    ] {
        assert_eq!(anna.call("GET", ours, None).await.0, 200, "{ours}");
    }
    let (_, theirs) = admin.call("GET", "/v1/applications/pay", None).await;
    let revision = theirs["metadata"]["revision"].as_u64().unwrap_or_default();
    for theirs in [
        "/v1/applications/pay".to_owned(),
        format!("/v1/applications/pay?revision={revision}"),
        "/v1/history/applications/pay".to_owned(),
        "/v1/why/deployments/pay.prod".to_owned(),
        "/v1/configs/pay-switches".to_owned(),
        "/v1/configs/pay-switches/values".to_owned(),
        "/v1/configs/pay-switches/watch".to_owned(),
        "/v1/logs?subject=deployment/pay.prod".to_owned(),
        "/v1/users".to_owned(),
        "/v1/tokens".to_owned(),
        "/v1/watch?kinds=users".to_owned(),
        "/v1/audit/verify".to_owned(),
        "/metrics".to_owned(),
        "/api/v1/status/tsdb".to_owned(),
    ] {
        let (status, said) = anna.call("GET", &theirs, None).await;
        assert_eq!(status, 403, "{theirs}: {said}");
        assert_eq!(said["code"], json!("denied"), "{theirs}");
        let hint = said["reasons"][0]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("role") && hint.contains("admin"), "{theirs}: {said}");
    }
    let (_, told) = anna.call("GET", "/v1/applications/pay", None).await;
    let title = told["title"].as_str().unwrap_or_default();
    assert!(title.contains("may not read application/pay (of team/money)"), "{title}");

    // What is watched, and what was written, are limited in the same way.
    let events = anna.events("/v1/watch?kinds=applications,deployments", 3).await;
    let seen = |event: &Value| event["object"]["metadata"]["name"].clone();
    assert_eq!(
        events.iter().map(seen).collect::<Vec<_>>(),
        [json!("shop"), json!("shop.prod"), Value::Null]
    );
    let (_, audit) = anna.call("GET", "/v1/audit?limit=500", None).await;
    let all = audit["entries"].as_array().cloned().unwrap_or_default();
    let written: Vec<&Value> = all.iter().filter(|entry| entry["kind"] != "Audit").collect();
    let of = |name: &str| {
        written.iter().any(|entry| entry["name"].as_str().is_some_and(|n| n.starts_with(name)))
    };
    assert!(of("shop") && !of("pay"), "{audit}");
    assert!(written.len() < all.len(), "what she was refused is hers to know");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_shows_neither_in_the_inventory_nor_in_scores() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let anna = speaking_for(&server, &admin, "anna").await;
    let found = async |caller: &Caller, more: &str| {
        let path = format!("/v1/inventory?filter=kind%20%3D%20application{more}");
        let (status, found) = caller.call("GET", &path, None).await;
        assert_eq!(status, 200, "{found}");
        names(&found).join(" ")
    };
    for more in ["", "&at=2100-01-01T00:00:00Z"] {
        assert_eq!(found(&admin, more).await, "pay shop");
        assert_eq!(found(&anna, more).await, "shop");
    }
    for (path, status) in [
        ("/v1/inventory/things/applications/shop", 200),
        ("/v1/inventory/things/applications/pay", 404),
        ("/v1/inventory/impact?of=application/pay", 404),
        ("/v1/inventory/path?from=application/pay&to=deployment/pay.prod", 404),
    ] {
        assert_eq!(anna.call("GET", path, None).await.0, status, "{path}");
        assert_eq!(admin.call("GET", path, None).await.0, 200, "{path}");
    }
    let scored = async |caller: &Caller, name: &str| {
        let (_, scores) = caller.call("GET", "/v1/figures/standards", None).await;
        (scores.to_string().contains(name)).then_some(())
    };
    until(async || scored(&admin, "pay").await).await;
    until(async || scored(&anna, "shop").await).await;
    assert_eq!(scored(&anna, "pay").await, None);
    for path in ["/v1/inventory/graph", "/v1/inventory/ansible", "/v1/sd/prometheus"] {
        let (status, said) = anna.call("GET", path, None).await;
        assert!(status == 200 && !said.to_string().contains("pay"), "{path}: {said}");
    }
    // Somebody else's suffers too: not what, but that it does.
    let mut ledger = application("ledger", "team/money");
    ledger["spec"]["needs"] = json!(["application/shop"]);
    assert_eq!(apply(&admin, &[ledger]).await.0, 200);
    for (caller, hidden) in [(&admin, Value::Null), (&anna, json!(true))] {
        let path = "/v1/inventory/impact?of=application/shop";
        let (_, told) = caller.call("GET", path, None).await;
        assert_eq!(told["hidden"], hidden, "{told}");
        assert_eq!(told.to_string().contains("ledger"), hidden.is_null(), "{told}");
    }
    // Not even how many there are of what.
    assert_eq!(apply(&admin, &[object("ItemType", "vault", json!({}))]).await.0, 200);
    for (caller, told) in [(&admin, true), (&anna, false)] {
        let (_, figures) = caller.call("GET", "/v1/inventory/figures", None).await;
        assert_eq!(figures.to_string().contains("vault"), told, "{figures}");
    }
    // Nobody says anything of what they may not see, nor of items they may not write.
    let told = json!({ "subject": "application/pay", "attribute": "address", "value": "x",
        "works": false });
    assert_eq!(anna.call("POST", "/v1/inventory/evidence", Some(&told)).await.0, 403);
    let records = json!({ "type": "disk", "source": "scan", "records": [] });
    assert_eq!(anna.call("POST", "/v1/inventory/observe", Some(&records)).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_limits_every_way_of_writing() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let anna = speaking_for(&server, &admin, "anna").await;
    let more = json!({ "spec": { "instances": 0 } });
    let dry = "?dryRun=true";
    assert_eq!(anna.call("PATCH", "/v1/deployments/shop.prod", Some(&more)).await.0, 200);
    let (status, told) = anna.call("PATCH", "/v1/deployments/pay.prod", Some(&more)).await;
    assert_eq!((status, &told["code"]), (403, &json!("denied")), "{told}");
    let path = format!("/v1/deployments/pay.prod{dry}");
    let (status, told) = anna.call("PATCH", &path, Some(&more)).await;
    assert_eq!((status, &told["verdict"], &told["writes"]), (200, &json!("deny"), &json!([])));
    for (method, path, body) in [
        ("PUT", "/v1/applications/shop", application("shop", "team/trade")),
        ("DELETE", "/v1/deployments/shop.prod", Value::Null),
        ("POST", "/v1/rollback/applications/pay", Value::Null),
        ("PUT", "/v1/users/bo", object("User", "bo", json!({ "disabled": true }))),
        ("PUT", "/v1/teams/trade", object("Team", "trade", json!({ "members": ["bo"] }))),
        ("PUT", "/v1/roles/mine", object("Role", "mine", json!({ "to": ["user/anna"] }))),
        ("POST", "/v1/tokens/create", json!({ "role": "admin" })),
        ("POST", "/v1/tokens/create", json!({ "user": "bo" })),
        ("PUT", "/v1/users/bo/password", json!({ "password": PASSWORD })),
        ("PUT", "/v1/secrets/x/value", json!("x")),
        ("PUT", "/v1/caches/pay/key", json!({ "digest": "0".repeat(64) })),
    ] {
        let (status, said) = anna.call(method, path, Some(&body)).await;
        assert_eq!(status, 403, "{method} {path}: {said}");
    }
    // Neither given away nor taken.
    let mine = object("Config", "shop-switches", json!({ "owner": "team/money" }));
    assert_eq!(apply(&anna, &[mine]).await.0, 403);
    let theirs = object("Config", "pay-switches", json!({ "owner": "team/trade" }));
    assert_eq!(apply(&anna, &[theirs]).await.0, 403);
    let new = object("Config", "more", json!({ "owner": "team/trade", "values": { "b": 1 } }));
    assert_eq!(apply(&anna, &[new]).await.0, 200);

    // All of it is on record, once for each.
    let refused = until(async || {
        let (_, audit) = admin.call("GET", "/v1/audit?refused=true&actor=user/anna", None).await;
        let all = audit["entries"].as_array().cloned().unwrap_or_default();
        let about = |what: &str| all.iter().any(|entry| entry["name"] == what);
        let both = about("PUT /v1/roles/mine") && about("PATCH /v1/deployments/pay.prod");
        both.then_some(all)
    })
    .await;
    assert!(refused.iter().all(|entry| entry["op"] == "refused" && entry["hash"] != ""));
    assert_eq!(refused[0]["from"], json!("127.0.0.1"));
    let (_, verified) = admin.call("GET", "/v1/audit/verify", None).await;
    assert_eq!(verified["holds"], json!(true), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_takes_a_credential_that_is_worth_nothing() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let bo = speaking_for(&server, &admin, "bo").await;
    let elsewhere = serve().await;
    let foreign = elsewhere.caller_with(Level::Admin).await.at(&server);
    let expired = {
        let ask = json!({ "role": "admin", "ttl": "1ms" });
        let (_, made) = admin.call("POST", "/v1/tokens/create", Some(&ask)).await;
        server.caller(made["token"].as_str().map(str::to_owned))
    };
    let gone = speaking_for(&server, &admin, "anna").await;
    let off = json!({ "spec": { "disabled": true } });
    assert_eq!(admin.call("PATCH", "/v1/users/anna", Some(&off)).await.0, 200);
    let mut walked = 0;
    for route in routes().iter().filter(|route| route.access != Access::Public) {
        let (method, path, ask) = (route.method.as_str(), concrete(route.path), json!({}));
        for (who, caller) in [("foreign", &foreign), ("expired", &expired), ("disabled", &gone)] {
            let (status, said) = caller.call(method, &path, Some(&ask)).await;
            assert_eq!(
                (status, &said["code"]),
                (401, &json!("unauthorized")),
                "{who} {method} {path}"
            );
        }
        // One who is known and has no role is refused everywhere, and told what is missing.
        if route.access != Access::Anybody {
            let (status, said) = bo.call(method, &path, Some(&ask)).await;
            assert_eq!((status, &said["code"]), (403, &json!("denied")), "{method} {path}");
            assert!(said["reasons"][0]["hint"].is_string(), "{method} {path}: {said}");
        }
        walked += 1;
    }
    assert!(walked > 50, "only {walked} routes were walked");
    // Those nobody knows are counted, not recorded one by one.
    let unknown = until(async || {
        let path = "/v1/audit?kind=audit&actor=unknown&limit=1000";
        let (_, audit) = admin.call("GET", path, None).await;
        let all = audit["entries"].as_array().cloned().unwrap_or_default();
        (!all.is_empty()).then_some(all)
    })
    .await;
    assert!(unknown.len() <= walked, "{}", unknown.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_ends_what_was_begun_with_it() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let anna = speaking_for(&server, &admin, "anna").await;
    let mut watch = anna.stream("/v1/watch?kinds=applications").await;
    let mut told = watch.next(2).await;
    // What was hers becomes another's: to her it is gone.
    assert_eq!(apply(&admin, &[application("shop", "team/money")]).await.0, 200);
    told.extend(watch.next(1).await);
    let told: Vec<&str> = told.iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(told, ["put", "sync", "delete"]);
    assert_eq!(anna.call("GET", "/v1/applications/shop", None).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_and_out() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let nobody = server.caller(None);
    let (_, ways) = nobody.call("GET", "/v1/login", None).await;
    assert_eq!((&ways["password"], &ways["provider"]), (&json!(false), &Value::Null));
    let login = |user: &str, password: &str| json!({ "user": user, "password": password });
    let short = json!({ "password": "short" });
    assert_eq!(admin.call("PUT", "/v1/users/anna/password", Some(&short)).await.0, 422);
    let set = json!({ "password": PASSWORD });
    assert_eq!(admin.call("PUT", "/v1/users/anna/password", Some(&set)).await.0, 204);
    // The hash is shown nowhere, and a manifest that does not name it keeps it.
    let mut shown = String::new();
    for path in ["/v1/users/anna", "/v1/history/users/anna", "/v1/audit?limit=1000"] {
        shown += &admin.text(path).await;
    }
    assert!(!shown.contains("argon2") && !shown.contains(PASSWORD), "{shown}");
    assert_eq!(apply(&admin, &[object("User", "anna", json!({ "email": "a@x" }))]).await.0, 200);

    let wrong = nobody.call("POST", "/v1/login", Some(&login("anna", "wrong password"))).await;
    let unknown = nobody.call("POST", "/v1/login", Some(&login("nobody", PASSWORD))).await;
    assert_eq!((wrong.0, &wrong.1["title"]), (401, &unknown.1["title"]), "they are told apart");
    let (status, made) = nobody.call("POST", "/v1/login", Some(&login("anna", PASSWORD))).await;
    assert_eq!(status, 200, "{made}");
    let anna = server.caller(made["token"].as_str().map(str::to_owned));
    let (_, who) = anna.call("GET", "/v1/whoami", None).await;
    assert_eq!((&who["name"], &who["session"]), (&json!("user/anna"), &json!(true)));

    // Whoever has signed in makes tokens for themselves; such a token makes no others.
    let (status, own) = anna.call("POST", "/v1/tokens/create", Some(&json!({}))).await;
    assert_eq!(status, 200, "{own}");
    let own = server.caller(own["token"].as_str().map(str::to_owned));
    assert_eq!(own.call("GET", "/v1/applications/shop", None).await.0, 200);
    assert_eq!(own.call("POST", "/v1/tokens/create", Some(&json!({}))).await.0, 403);

    // One's own password takes the present one.
    let change = |current: &str| json!({ "password": "another good password", "current": current });
    assert_eq!(anna.call("PUT", "/v1/users/anna/password", Some(&change("no"))).await.0, 401);
    assert_eq!(anna.call("PUT", "/v1/users/anna/password", Some(&change(PASSWORD))).await.0, 204);
    assert_eq!(anna.call("GET", "/v1/whoami", None).await.0, 200, "the session that asked goes on");
    assert_eq!(anna.call("DELETE", "/v1/session", None).await.0, 204);
    assert_eq!(anna.call("GET", "/v1/whoami", None).await.0, 401);
    assert_eq!(own.call("GET", "/v1/whoami", None).await.0, 200, "a token is no session");

    let (_, audit) = admin.call("GET", "/v1/audit?kind=audit&actor=user/anna", None).await;
    let ops: Vec<&str> = audit["entries"]
        .as_array()
        .map(|all| all.iter().filter_map(|entry| entry["op"].as_str()).collect())
        .unwrap_or_default();
    for op in ["login", "logout", "password"] {
        assert!(ops.contains(&op), "{op}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_has_to_wait() {
    let server = serve().await;
    let admin = two_teams(&server).await;
    let set = json!({ "password": PASSWORD });
    assert_eq!(admin.call("PUT", "/v1/users/anna/password", Some(&set)).await.0, 204);
    let nobody = server.caller(None);
    let guess = json!({ "user": "anna", "password": "a wrong password" });
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(nobody.call("POST", "/v1/login", Some(&guess)).await.0);
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
    let right = json!({ "user": "anna", "password": PASSWORD });
    assert_eq!(nobody.call("POST", "/v1/session", Some(&right)).await.0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_told_what_is_wrong() {
    let server = serve().await;
    let nobody = server.caller(None);
    for body in ["", "[]", "{}", "{\"user\":1}", "{\"user\":\"a\"}", "not json"] {
        let status = nobody.call_text("POST", "/v1/login", body).await;
        assert!((400..500).contains(&status), "{body}: {status}");
        let status = nobody.call_text("POST", "/v1/session", body).await;
        assert!((400..500).contains(&status), "{body}: {status}");
    }
    let script = json!({ "user": "<script>alert(1)</script>\0", "password": "x".repeat(5_000) });
    assert_eq!(nobody.call("POST", "/v1/login", Some(&script)).await.0, 401);
    assert_eq!(nobody.call("GET", "/v1/oidc/start", None).await.0, 404);
    assert_eq!(nobody.call("GET", "/v1/oidc/callback?code=x&state=y", None).await.0, 404);
    assert_eq!(nobody.call("DELETE", "/v1/session", None).await.0, 204);
    let admin = server.caller_with(Level::Admin).await;
    for (role, status) in [("host", 422), ("nonsense", 404), ("", 404)] {
        let ask = json!({ "role": role });
        assert_eq!(admin.call("POST", "/v1/tokens/create", Some(&ask)).await.0, status, "{role}");
    }
    assert_eq!(admin.call("GET", "/v1/audit?kind=nonsense", None).await.0, 404);
    assert_eq!(admin.call("GET", "/v1/audit/verify?revision=x", None).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_for_the_pipelines_it_names() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let secret = object("Secret", "key", json!({ "pipelines": ["shop"] }));
    assert_eq!(apply(&admin, &[secret]).await.0, 200);
    assert_eq!(admin.call_text("PUT", "/v1/secrets/key/value", "hunter2").await, 204);
    let (_, kept) = admin.call("GET", "/v1/secrets/key", None).await;
    assert_eq!(kept["spec"]["pipelines"], json!(["shop"]), "{kept}");
    let steps = json!([{ "name": "go", "run": "true", "secrets": { "KEY": "key" } }]);
    let pipeline = |name: &str| object("Pipeline", name, json!({ "steps": steps }));
    let (status, said) = apply(&admin, &[pipeline("other")]).await;
    assert_eq!(status, 403, "{said}");
    assert!(said.to_string().contains("secret-foreign"), "{said}");
    assert_eq!(apply(&admin, &[pipeline("shop")]).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_clock_may_not_begin_is_put_on_record() {
    let server = serve().await;
    let admin = server.caller_with(Level::Admin).await;
    let host = object("Host", "h1", json!({}));
    let rule = json!([{ "verbs": ["read", "write", "run"], "kinds": ["Runbook", "Job"] }]);
    let role = object("Role", "books", json!({ "to": ["user/anna"], "rules": rule }));
    let made = apply(&admin, &[object("User", "anna", json!({})), role]).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let anna = speaking_for(&server, &admin, "anna").await;
    // Whatever a manifest says of its author, it is whoever sends it.
    let mut book = object("Runbook", "nightly", json!({ "do": { "command": ["id"] } }));
    book["status"] = json!({ "author": { "name": "user/local", "level": "admin" } });
    let made = apply(&anna, &[book]).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let (_, kept) = anna.call("GET", "/v1/runbooks/nightly", None).await;
    assert_eq!(kept["status"]["author"]["name"], "user/anna", "{kept}");
    let made = apply(&admin, &[host]).await;
    assert_eq!(made.0, 200, "{}", made.1);

    let server = &server.running.server;
    let clock = Actor::controller("runbook");
    let done = server.commit(&clock, None, |cx| {
        let (mut plan, _) = begin(cx, "nightly", &JobRequest::default())?;
        plan.intent = Intent::Observe;
        let mut book = (**cx.world.get::<Runbook>("nightly").expect("it is there")).clone();
        book.status.last_job = 1;
        plan.writes.push(Write::Put(Any::Runbook(book.into())));
        Ok(plan)
    });
    let held = done.await.expect("it is decided").held.expect("it is held");
    assert!(held[0].message.contains("user/anna"), "{held:?}");
    assert!(held[0].message.contains("host/h1"), "{held:?}");
    until(async || {
        let (_, audit) = admin.call("GET", "/v1/audit?refused=true", None).await;
        let all = audit["entries"].as_array().cloned().unwrap_or_default();
        let told = |e: &Value| e["name"] == "runbook/nightly" && e["op"] == "refused";
        all.iter().any(told).then_some(())
    })
    .await;
}
