//! Servers of these tests on free ports, and clients of them.

use atoll_client::{Client, Endpoint};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;

/// A client of a server at `router`, on a free port.
pub async fn serve(router: Router) -> Client {
    atoll_client::install_crypto();
    client_of(vec![listen(router).await])
}

pub async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

pub fn client_of(servers: Vec<String>) -> Client {
    atoll_client::install_crypto();
    let token = Some("secret".to_owned());
    Client::new(&Endpoint { servers, token, ca_pem: None }).unwrap()
}

pub fn problem(status: u16, code: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": code, "status": status, "code": code });
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
