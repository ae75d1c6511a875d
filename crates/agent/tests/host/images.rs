//! Releases that are container images, with an engine and a registry of the tests' own.

use std::net::Ipv4Addr;

use atoll_model::agent::AssignedTask;
use atoll_model::ci::run::Content;
use atoll_model::ci::task::TaskPhase;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::dock::Dock;
use crate::stage::{Stage, task};

const NAME: &str = "shop.1.ship.0";

/// A step that makes an image of one file.
fn ship(repository: &str, timeout: &str) -> AssignedTask {
    let script = "mkdir -p ship/files; echo shop > ship/files/shop; \
                  printf 'FROM scratch\nCOPY files /\nCMD [\"/shop\"]\n' > ship/How";
    let image = json!({ "context": "ship", "dockerfile": "How", "repository": repository });
    task(
        NAME,
        json!({
            "command": ["/bin/sh", "-e", "-c", script], "limits": { "timeout": timeout },
            "release": { "application": "shop", "version": "7", "form": { "image": image } },
        }),
    )
}

/// A registry that closes so many connections before it answers.
async fn flaky(registry: String, mut bad: u32) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let name = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            if bad > 0 {
                bad -= 1;
                continue;
            }
            let mut to = TcpStream::connect(&registry).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    });
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_and_pushed_though_its_registry_is_away_for_a_while() {
    let dock = Dock::shared();
    let stage = Stage::with(Some(dock.socket())).await;
    let repository = format!("{}/shop", flaky(dock.registry(), 6).await);
    stage.assign_tasks(&[ship(&repository, "30s")]);
    let report = stage.over(NAME).await;
    assert_eq!(report.phase, TaskPhase::Succeeded, "{report:#?}");
    let made = report.yields.made.as_ref().unwrap();
    let Content::Image { repository: at, digest } = &made.content else { panic!("{made:?}") };
    assert_eq!((made.version.as_str(), at), ("7", &repository));
    let known = dock.docker(&["inspect", "-f", "{{json .RepoDigests}}", &format!("{at}:7")]);
    assert_eq!(known, format!("[\"{at}@{digest}\"]"));
    let log = stage.blob(report.yields.log.as_ref().unwrap());
    assert!(log.contains("COPY files /"), "{log}");
    assert!(stage.blob(made.sbom.as_ref().unwrap()).contains("shop"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_built_or_pushed_says_why() {
    let dock = Dock::shared();
    let nobody = {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let down = ship(&format!("{nobody}/shop"), "2s");
    let mut broken = ship(&format!("{}/shop", dock.registry()), "30s");
    broken.work.command[3] =
        "mkdir ship; printf 'FROM scratch\nCOPY absent /\n' > ship/How".to_owned();
    let mut nothing = ship(&format!("{}/shop", dock.registry()), "30s");
    nothing.work.command[3] = "ln -s /etc ship".to_owned();
    for (task, code) in
        [(down, "registry-down"), (broken, "build-failed"), (nothing, "context-missing")]
    {
        let stage = Stage::with(Some(dock.socket())).await;
        stage.assign_tasks(&[task]);
        let report = stage.over(NAME).await;
        let codes: Vec<&str> = report.reasons.iter().map(|r| r.code.as_str()).collect();
        assert_eq!(report.phase, TaskPhase::Failed);
        assert_eq!(codes.last(), Some(&code), "{report:#?}");
        stage.end().await;
    }
    let stage = Stage::with(Some("/nowhere/docker.sock".into())).await;
    stage.assign_tasks(&[ship("registry.example/shop", "30s")]);
    assert_eq!(stage.over(NAME).await.reasons[0].code, "docker-missing");
    stage.end().await;
}
