//! Requests over the wire: which server is asked, what is done again, watches and sessions.

mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use atoll_client::{ClientError, Frame, ListQuery};
use atoll_model::Kind;
use atoll_model::agent::{Ask, SessionNote};
use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures::StreamExt;
use serde_json::{Value, json};

use server::{client_of, listen, problem, serve};

fn list(revision: u64) -> axum::Json<Value> {
    let body = json!({ "apiVersion": "atoll/v1", "kind": "List", "items": [],
        "revision": revision });
    axum::Json(body)
}

/// An address nothing listens on.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn the_next_server_is_asked_and_remembered() {
    let one = listen(Router::new().route("/v1/hosts", get(|| async { list(1) }))).await;
    let dead = nobody().await;
    let client = client_of(vec![dead.clone(), one.clone()]);
    assert_eq!(client.list(Kind::Host, &ListQuery::default()).await.unwrap().revision, 1);
    assert_eq!(client.servers(), [one, dead.clone()], "the one that answered comes first");

    let client = client_of(vec![dead.clone()]);
    let error = client.list(Kind::Host, &ListQuery::default()).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains(&dead), "{error}");
}

/// Another's server at one of our addresses hides none of ours.
#[tokio::test]
async fn who_does_not_know_us_is_passed_over() {
    let strange = Router::new().fallback(|| async { problem(401, "unauthenticated") });
    let ours = Router::new().route("/v1/hosts", get(|| async { list(7) }));
    let (strange, ours) = (listen(strange).await, listen(ours).await);
    let client = client_of(vec![strange.clone(), ours.clone()]);
    assert_eq!(client.list(Kind::Host, &ListQuery::default()).await.unwrap().revision, 7);
    assert_eq!(client.servers()[0], ours, "it is remembered");
    // Where nobody knows us, that is said.
    let error = client_of(vec![strange]).list(Kind::Host, &ListQuery::default()).await;
    assert!(error.unwrap_err().to_string().contains("unauthenticated"));
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_done_twice() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    // Takes the request and hangs up without an answer.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 64];
            let _ = stream.read(&mut bytes).await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let good = Router::new()
        .route("/v1/hosts", get(|| async { list(1) }))
        .route("/v1/rollback/hosts/h1", post(|| async { problem(500, "internal") }));
    let client = client_of(vec![rude, listen(good).await]);
    let error = client.rollback(Kind::Host, "h1", None, &BTreeMap::new(), false).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(client.list(Kind::Host, &ListQuery::default()).await.is_ok());
    assert!(asked.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn a_rollback_says_why_it_passes_what_would_hold_it() {
    async fn back(Query(query): Query<BTreeMap<String, String>>) -> axum::Json<Value> {
        assert_eq!(query["overrideFreeze"], "fire & flood");
        assert_eq!((query.get("breakGlass"), query["to"].as_str()), (None, "3"));
        axum::Json(json!({ "verdict": "commit", "reasons": [], "writes": [] }))
    }
    let good = Router::new().route("/v1/rollback/hosts/h1", post(back));
    let client = client_of(vec![listen(good).await]);
    let said = [("atoll/override-freeze", "fire & flood".to_owned())].into();
    client.rollback(Kind::Host, "h1", Some(3), &said, false).await.unwrap();
}

#[tokio::test]
async fn problems_keep_their_words() {
    async fn object(headers: HeaderMap, Path(name): Path<String>) -> impl IntoResponse {
        assert_eq!(headers["authorization"], "Bearer secret");
        match name.as_str() {
            "gone" => problem(404, "not-found"),
            "a/b" => problem(409, "held"),
            _ => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        }
    }
    let client = serve(Router::new().route("/v1/hosts/{name}", get(object))).await;
    let error = client.get(Kind::Host, "gone").await.unwrap_err();
    assert_eq!((error.exit_code(), error.code()), (5, "not-found"));
    let error = client.get(Kind::Host, "a/b").await.unwrap_err();
    assert_eq!((error.exit_code(), error.code()), (3, "held"));
    let error = client.get(Kind::Host, "x").await.unwrap_err();
    assert!(error.exit_code() == 1 && error.to_string().contains("502"), "{error}");
}

#[tokio::test]
async fn a_watch_goes_on_after_the_last_revision_seen() {
    type Asked = Arc<Mutex<Vec<Option<String>>>>;
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let event = |event: &str, revision: u64| {
        format!("id: {revision}\ndata: {{\"event\":\"{event}\",\"revision\":{revision}}}\n\n")
    };
    let answer = move |Query(query): Query<std::collections::HashMap<String, String>>| {
        let mut seen = seen.lock().unwrap();
        seen.push(query.get("from").cloned());
        let body = match seen.len() {
            1 => event("put", 9) + ": cut off before everything was sent\n",
            2 => event("put", 9) + &event("put", 3) + &event("sync", 10) + &event("delete", 11),
            3 => event("put", 12),
            _ => return std::future::ready(problem(410, "too-old")),
        };
        std::future::ready(body.into_response())
    };
    let client = serve(Router::new().route("/v1/watch", get(answer))).await;
    let events: Vec<_> = client.watch(&[Kind::Host], None, None).collect().await;
    let revisions: Vec<u64> = events.iter().flatten().map(|e| e.revision).collect();
    assert_eq!(revisions, [9, 9, 3, 10, 11, 12]);
    assert_eq!(events.last().unwrap().as_ref().unwrap_err().status(), Some(410));
    let from = |n: u64| Some(n.to_string());
    assert_eq!(*asked.lock().unwrap(), [None, None, from(11), from(12)]);

    let first = client_of(vec![nobody().await]).watch(&[Kind::Host], None, None).next().await;
    assert!(matches!(first, Some(Err(ClientError::Unreachable { .. }))));
}

#[tokio::test]
async fn a_session_carries_bytes_and_notes_both_ways() {
    async fn session(headers: HeaderMap, upgrade: WebSocketUpgrade) -> impl IntoResponse {
        assert_eq!(headers["authorization"], "Bearer secret");
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                let last = matches!(message, Message::Text(_));
                let _ = socket.send(message).await;
                if last {
                    break;
                }
            }
            let _ = socket.send(Message::Close(None)).await;
        })
    }
    let client = serve(Router::new().route("/v1/instances/{name}/session", get(session))).await;
    let ask = Ask::Exec { command: vec!["ls".into()], tty: None };
    let mut socket = client.open_session("shop.prod.0", &ask).await.unwrap();
    let data = Frame::Data(1, "hello".into());
    socket.send(data.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Some(data));
    let (mut sender, mut receiver) = socket.split();
    let exit = Frame::Note(SessionNote::Exit { code: 3 });
    sender.send(exit.clone()).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(exit));
    assert_eq!(receiver.next().await.unwrap(), None);

    let gone = client.answer_session("h1", "s1").await.map(drop).unwrap_err();
    assert_eq!(gone.status(), Some(404));
}
