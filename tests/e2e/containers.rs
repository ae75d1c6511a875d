//! Applications as containers, on a real engine: started, killed, updated, entered, adopted, kept
//! across restarts of everything, and removed with what they kept.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::dock::Dock;
use crate::site::{Site, alive, eventually, kill_hard, now};

const QUICK: &str = "healthyFor: 300ms, deadline: 60s";

/// The manifest of an application of that image; `more` goes into its `run`.
fn manifest(image: &str, min: u32, rollout: &str, more: &str) -> String {
    format!(
        "apiVersion: atoll/v1
kind: Environment
metadata: {{ name: box }}
spec: {{ runtime: docker }}
---
apiVersion: atoll/v1
kind: Application
metadata: {{ name: shop }}
spec:
  environments: [box]
  image: {image}
  run:
    ports: {{ http: 0 }}
    resources: {{ cpu: 50m, memory: 64Mi }}
    health: {{ http: /healthz, port: http, every: 200ms, startTimeout: 20s }}
    stop: {{ grace: 1s }}
    restart: {{ backoff: 200ms..5s }}
    {more}
  scaling: {{ min: {min}, max: 20 }}
  rollout: {{ {rollout} }}
"
    )
}

fn site_on(dock: &Dock) -> Site {
    let mut site = Site::empty();
    site.env.push(("DOCKER_HOST".to_owned(), format!("unix://{}", dock.socket().display())));
    site.start_up();
    site
}

impl Site {
    fn apply(&self, text: &str) {
        let file = self.write("shop.yaml", text);
        self.atoll(&["apply", "-f", &file, "--wait", "--timeout", "90s"]).ok();
    }

    fn served(&self, name: &str) -> String {
        let port = self.field(&format!("instance/{name}"), "/status/ports/http");
        let port = u16::try_from(port.as_u64().expect("a port")).expect("a port");
        eventually("it serves", || get(port))
    }

    fn why(&self, id: &str) -> String {
        self.atoll(&["why", id]).ok()
    }

    /// The codes of the reasons of an object, in one text.
    fn reasons(&self, id: &str) -> String {
        self.field(id, "/status/reasons").to_string()
    }

    fn remove(&self, dock: &Dock) {
        self.atoll(&["delete", "application/shop", "--wait"]).ok();
        self.no_container_left(dock);
    }

    fn no_container_left(&self, dock: &Dock) {
        let label = format!("label=io.atoll.agent={}", self.owner());
        eventually("no container is left", || {
            dock.docker(&["ps", "-aq", "--filter", &label]).is_empty().then_some(())
        });
    }

    /// What the agent of `up` calls itself with the engine.
    fn owner(&self) -> String {
        let hash = blake3::hash(self.path("data/agent").as_os_str().as_encoded_bytes());
        hash.to_hex()[..8].to_owned()
    }
}

fn get(port: u16) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.contains("200").then(|| body.to_owned())
}

#[test]
fn containers_live_a_whole_life() {
    let dock = Dock::shared();
    let mut site = site_on(&dock);
    let first = dock.pushed("life/shop:1", "one");
    site.apply(&manifest(&first, 3, QUICK, ""));
    let ready = site.wait_ready("shop.box", 3);
    assert_eq!(site.served(&ready[0].0), "one");
    let pinned = site.field("release/shop-1", "/status/image");
    let digest = pinned.as_str().expect("it is fixed");
    assert!(digest.starts_with(&format!("{}/life/shop@sha256:", dock.registry())), "{digest}");

    // A container whose process dies is started again, quickly.
    let (name, pid) = ready[0].clone();
    let killed = now();
    kill_hard(pid);
    eventually("it is started again", || {
        site.ready("shop.box").into_iter().find(|(n, p)| *n == name && *p != pid)
    });
    assert!(killed.elapsed().as_secs() < 10, "it took {:?}", killed.elapsed());
    assert_eq!(site.field(&format!("instance/{name}"), "/status/restarts"), json!(1));

    // Another image, under another tag.
    let second = dock.pushed("life/shop:2", "two");
    site.apply(&manifest(&second, 3, QUICK, ""));
    assert_eq!(site.field("deployment/shop.box", "/status/release"), json!("shop-2"));
    let ready = site.wait_ready("shop.box", 3);
    assert_eq!(site.served(&ready[0].0), "two");
    reads_and_enters(&site, &ready[0].0);
    is_adopted(&mut site);
    site.remove(&dock);
}

fn reads_and_enters(site: &Site, name: &str) {
    let id = format!("instance/{name}");
    let log = site.atoll(&["logs", &id]).ok();
    assert!(log.contains("says two"), "{log}");
    let found = site.atoll(&["logs", &id, "--since", "10m", "--grep", "says"]).ok();
    assert!(found.contains("says two"), "{found}");
    let said = site.atoll(&["exec", &id, "--", "sh", "-c", "cat /www/index.html; exit 7"]);
    assert_eq!((said.code, said.out.as_str()), (7, "two"), "{}", said.err);
    // Others in the environment are known by name.
    let ask = format!("wget -qO- http://{name}:$PORT_HTTP/");
    let said = site.atoll(&["exec", &id, "--", "sh", "-c", &ask]);
    assert_eq!(said.out, "two", "{}", said.err);
    let used = format!("container_memory_usage_bytes{{instance=\"{name}\"}}");
    eventually("it is measured", || {
        let said = site.atoll(&["query", &used]);
        said.out.contains(name).then_some(())
    });
}

/// A server and an agent that are killed leave containers running, and find them again.
fn is_adopted(site: &mut Site) {
    let mut before = site.wait_ready("shop.box", 3);
    site.kill_up();
    assert!(before.iter().all(|(_, pid)| alive(*pid)), "they run without us");
    // One that dies meanwhile is started again afterwards.
    let (name, dead) = before[2].clone();
    kill_hard(dead);
    site.start_up();
    eventually("the dead one is back", || {
        site.ready("shop.box").into_iter().find(|(n, p)| *n == name && *p != dead)
    });
    let mut after = site.wait_ready("shop.box", 3);
    before.retain(|(n, _)| *n != name);
    after.retain(|(n, _)| *n != name);
    before.sort();
    after.sort();
    assert_eq!(after, before, "the same processes");
}

#[test]
fn docker_restarted_under_a_rollout_is_nobodys_fault() {
    let dock = Dock::start();
    let site = site_on(&dock);
    dock.image("shop:1", "one");
    dock.image("shop:2", "two");
    let keeps = "volumes: [{ name: data, path: /var/lib/shop }]";
    site.apply(&manifest("shop:1", 3, QUICK, keeps));
    let slow = "healthyFor: 2s, deadline: 60s, maxSurge: 0, maxUnavailable: 1";
    let file = site.write("shop.yaml", &manifest("shop:2", 3, slow, keeps));
    site.atoll(&["apply", "-f", &file]).ok();
    eventually("the rollout is under way", || {
        let updated = site.field("deployment/shop.box", "/status/updated");
        (updated.as_u64() > Some(0)).then_some(())
    });
    dock.stop_daemon(Signal::SIGTERM);
    eventually("it is said what is missing", || {
        site.instances("shop.box")
            .iter()
            .any(|i| i["status"]["reasons"].to_string().contains("docker-missing"))
            .then_some(())
    });
    dock.start_daemon();
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "90s"]).ok();
    let status = site.field("deployment/shop.box", "/status");
    assert_eq!((&status["release"], &status["failed"]), (&json!("shop-2"), &json!(null)));
    let ready = site.wait_ready("shop.box", 3);
    assert_eq!(site.served(&ready[0].0), "two");

    // The same without any warning: nothing is left undone.
    dock.stop_daemon(Signal::SIGKILL);
    dock.start_daemon();
    eventually("all are back", || {
        let ready = site.ready("shop.box");
        (ready.len() == 3 && ready.iter().all(|(_, pid)| alive(*pid))).then_some(())
    });

    // What is deleted while it is away takes along what it kept, once it is back.
    let volumes = || dock.docker(&["volume", "ls", "-q", "--filter", "label=io.atoll.deployment"]);
    assert!(volumes().contains(&site.owner()), "{}", volumes());
    dock.stop_daemon(Signal::SIGTERM);
    site.atoll(&["delete", "application/shop", "--wait"]).ok();
    dock.start_daemon();
    eventually("its volumes are gone", || (!volumes().contains(&site.owner())).then_some(()));
    site.no_container_left(&dock);
}

#[test]
fn volumes_are_kept_until_the_deployment_goes() {
    let dock = Dock::shared();
    let site = site_on(&dock);
    dock.image("kept:1", "one");
    dock.image("kept:2", "two");
    let keeps = "volumes: [{ name: data, path: /var/lib/shop }]";
    site.apply(&manifest("kept:1", 1, QUICK, keeps));
    let write = ["exec", "instance/shop.box.0", "--", "touch", "/var/lib/shop/order-1"];
    site.atoll(&write).ok();
    site.apply(&manifest("kept:2", 1, QUICK, keeps));
    let ready = site.wait_ready("shop.box", 1);
    assert_eq!(ready[0].0, "shop.box.0", "it stays where its data is");
    let look = ["exec", "instance/shop.box.0", "--", "cat", "/var/lib/shop/order-1"];
    site.atoll(&look).ok();
    let why = site.why("instance/shop.box.0");
    assert!(why.contains("volume"), "{why}");

    // Stopped and started again, it finds them; deleted, they go.
    site.atoll(&["scale", "deployment/shop.box", "0", "--wait"]).ok();
    site.atoll(&["scale", "deployment/shop.box", "1", "--wait"]).ok();
    site.wait_ready("shop.box", 1);
    site.atoll(&look).ok();
    let volumes = || dock.docker(&["volume", "ls", "-q", "--filter", "label=io.atoll.deployment"]);
    assert!(volumes().contains("shop.box.0.data"), "{}", volumes());
    site.remove(&dock);
    eventually("its volume is gone", || (!volumes().contains(&site.owner())).then_some(()));
}

#[test]
fn images_that_cannot_be_had_are_explained() {
    let dock = Dock::shared();
    let site = site_on(&dock);
    let reason = |image: &str, code: &str| {
        let file = site.write("shop.yaml", &manifest(image, 1, QUICK, ""));
        site.atoll(&["apply", "-f", &file]).ok();
        eventually(code, || {
            let all = site.instances("shop.box");
            let said = |i: &serde_json::Value| i["status"]["reasons"].to_string().contains(code);
            all.iter().any(said).then_some(())
        });
        site.why("instance/shop.box.0")
    };
    let why = reason(&format!("{}/no/such:1", dock.registry()), "image-missing");
    assert!(why.contains("no/such:1"), "{why}");
    let why = reason("127.0.0.1:1/shop:1", "registry-down");
    assert!(why.contains("refused") && why.contains("127.0.0.1:1"), "{why}");
    let guarded = dock.guarded();
    let image = format!("{}/shop:1", guarded.name());
    let why = reason(&image, "image-unauthorised");
    assert!(why.contains("docker login"), "{why}");

    // Logging in is enough; nothing has to be asked for again.
    dock.image(&image, "one");
    dock.docker(&["login", "-u", "me", "-p", "secret", &guarded.name()]);
    dock.docker(&["push", "-q", &image]);
    dock.docker(&["rmi", &image]);
    let config = site.path(".docker/config.json");
    std::fs::create_dir_all(config.parent().expect("it has one")).expect("a directory");
    std::fs::copy(dock.config(), config).expect("a file");
    site.wait_ready("shop.box", 1);
    site.remove(&dock);
}

#[test]
fn a_host_without_docker_gets_no_containers() {
    let mut site = Site::empty();
    site.env.push(("DOCKER_HOST".to_owned(), "unix:///nowhere/docker.sock".to_owned()));
    site.start_up();
    let file = site.write("shop.yaml", &manifest("shop:1", 1, QUICK, ""));
    site.atoll(&["apply", "-f", &file]).ok();
    eventually("it says so", || {
        let said = site.reasons("deployment/shop.box");
        let told = said.contains("no docker that answers") && said.contains("/nowhere/docker.sock");
        told.then_some(())
    });
}
