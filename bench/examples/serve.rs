//! Temporary: the server alone.
use atoll_model::access::Actor;
use atoll_model::{Role, Span};
use atoll_server::{Encryption, Keep, Options};
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| args[args.iter().position(|a| a == flag).unwrap() + 1].clone();
    let options = Options {
        keep: Keep::Directory(value("--data").into()),
        listen: value("--listen").parse().unwrap(),
        advertise: None,
        encryption: Encryption::Off,
        host_timeout: Span::seconds(30),
    };
    let Ok(running) = atoll_server::start(options).await else { panic!("start") };
    let actor = Actor { name: "user/local".to_owned(), role: Role::Admin, host: None };
    let secret = atoll_server::auth::secret();
    running.server.keep_token(&actor, &secret, Role::Admin, None, None).await.unwrap();
    println!("admin token (shown once): {secret}");
    println!("serving on {}", running.server.addresses()[0]);
    let mut s = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    s.recv().await;
    running.stop().await;
}
