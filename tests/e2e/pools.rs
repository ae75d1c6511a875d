//! Pools whose hosts are real: containers of a real engine that run the real agent, and instances
//! of a cloud's API as `moto` serves it, made by the example for Amazon EC2.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::dock::Dock;
use crate::site::{Site, eventually};

const APP: &str = "apiVersion: atoll/v1
kind: Environment
metadata: { name: prod }
spec: { hosts: pool=boxes }
---
apiVersion: atoll/v1
kind: Application
metadata: { name: shop }
spec:
  run:
    command:
    - sh
    - -c
    - D=/tmp/$PORT_HTTP; mkdir -p $D; echo hi > $D/index.html; exec httpd -f -p $PORT_HTTP -h $D
    ports: { http: 0 }
    resources: { cpu: 50m, memory: 16Mi }
    health: { http: /index.html, port: http, every: 200ms }
    stop: { grace: 1s }
  scaling: { min: 3, max: 6 }
";

fn pool(name: &str, count: u32, provider: &str) -> String {
    format!(
        "apiVersion: atoll/v1
kind: Pool
metadata: {{ name: {name} }}
spec: {{ count: {count}, max: 4, zone: a, provider: {provider} }}
"
    )
}

impl Site {
    fn machines(&self, pool: &str) -> Vec<String> {
        let machines = self.field(&format!("pool/{pool}"), "/status/machines");
        let machines = machines.as_object().cloned().unwrap_or_default();
        machines.keys().cloned().collect()
    }

    fn pool_is(&self, pool: &str, phase: &str, ready: u32) {
        eventually(&format!("{pool} is {phase} with {ready}"), || {
            let status = self.field(&format!("pool/{pool}"), "/status");
            let is = status["phase"] == phase && status["counts"]["ready"] == json!(ready);
            is.then_some(())
        });
    }
}

#[test]
fn hosts_that_are_containers_come_serve_are_replaced_and_go() {
    let dock = Dock::shared();
    let mut site = Site::empty();
    site.env.push(("DOCKER_HOST".to_owned(), format!("unix://{}", dock.socket().display())));
    site.env.push(("ATOLL_POOL_CONTAINERS".to_owned(), "true".to_owned()));
    site.start_up();
    let provider = "{ docker: { network: host, cpu: 500m, memory: 256Mi } }";
    let manifest = site.write("pool.yaml", &pool("boxes", 2, provider));
    site.atoll(&["apply", "-f", &manifest, "--wait"]).ok();
    let there = || {
        let said = dock.docker(&["ps", "-a", "--filter", "label=io.atoll.pool=boxes", "-q"]);
        said.lines().count()
    };
    assert_eq!((site.machines("boxes").len(), there()), (2, 2));
    let hosts = site.machines("boxes");
    let host = |pointer: &str| site.field(&format!("host/{}", hosts[0]), pointer);
    assert_eq!(host("/status/capacity/memory"), json!("256Mi"));
    assert_eq!(host("/metadata/labels"), json!({ "pool": "boxes", "zone": "a" }));
    let app = site.write("app.yaml", APP);
    site.atoll(&["apply", "-f", &app, "--wait"]).ok();
    // Fewer hosts: what serves moves first, and its machine goes then.
    site.atoll(&["scale", "pool/boxes", "1", "--wait"]).ok();
    assert_eq!(there(), 1);
    assert_eq!(site.wait_ready("shop.prod", 3).len(), 3);
    // One that is gone is replaced, and what ran there runs again.
    let lost = site.machines("boxes").remove(0);
    dock.docker(&["rm", "-f", &lost]);
    eventually("another one takes its place", || {
        let machines = site.machines("boxes");
        (machines.len() == 1 && machines[0] != lost).then_some(())
    });
    site.pool_is("boxes", "settled", 1);
    site.wait_ready("shop.prod", 3);
    let refused = site.atoll(&["scale", "pool/boxes", "5"]);
    assert!(refused.code != 0 && refused.err.contains("more than max"), "{}", refused.err);
    site.atoll(&["delete", "application/shop", "--wait"]).ok();
    site.atoll(&["delete", "pool/boxes", "--wait"]).ok();
    assert_eq!(there(), 0);
}

/// A server of Amazon's API.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Installs it, once, and starts it; a sentence, where there is no way to PyPI.
    fn start(site: &Site) -> Result<Moto, String> {
        let venv = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("moto");
        let program = venv.join("bin/moto_server");
        if !program.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let pip = venv.join("bin/pip");
            run(Command::new(pip).args(["install", "-q", "moto[server,ec2]==5.*"]))?;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = port.expect("a free port").port();
        let log = std::fs::File::create(site.path("moto.log")).expect("a file");
        let child = Command::new(program)
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        eventually("moto answers", || TcpStream::connect(("127.0.0.1", port)).ok());
        Ok(Moto { child, url: format!("http://127.0.0.1:{port}") })
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

#[test]
fn machines_of_a_cloud_are_made_once_and_terminated() {
    let mut site = Site::empty();
    let moto = match Moto::start(&site) {
        Ok(moto) => moto,
        Err(why) => return eprintln!("not tested against EC2: moto cannot be installed: {why}"),
    };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pools/ec2");
    for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        site.env.push((key.to_owned(), "test".to_owned()));
    }
    let programs = example.to_string_lossy();
    let data = site.path("server").to_string_lossy().into_owned();
    let flags = ["--data", &data, "--listen", "127.0.0.1:0", "--pool-programs", &programs];
    let mut server = site.server("up.log", &flags);
    let provider = format!(
        "{{ exec: {{ create: [ec2], list: [ec2], delete: [ec2], timeout: 30s, \
         env: {{ EC2_ENDPOINT: '{}', AWS_REGION: us-east-1, EC2_IMAGE: ami-12c6146b }} }} }}",
        moto.url
    );
    let manifest = site.write("pool.yaml", &pool("cloud", 2, &provider));
    site.atoll(&["apply", "-f", &manifest]).ok();
    eventually("two machines are made", || {
        let status = site.field("pool/cloud", "/status");
        (status["counts"]["joining"] == json!(2)).then_some(())
    });
    let listed = || {
        let question = r#"{"version":1,"action":"list","pool":"cloud"}"#;
        let mut command = Command::new(example.join("ec2"));
        command.env("EC2_ENDPOINT", &moto.url).env("AWS_REGION", "us-east-1");
        command.envs(site.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut stdin, question.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let machines = said["machines"].as_array().cloned().unwrap_or_default();
        let keys = machines.iter().map(|one| one["key"].as_str().unwrap_or_default().to_owned());
        let mut keys: Vec<String> = keys.collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(listed(), site.machines("cloud"));
    assert_eq!(site.field("pool/cloud", "/status/account"), json!("123456789012/us-east-1"));
    site.atoll(&["delete", "pool/cloud", "--wait"]).ok();
    assert!(listed().is_empty());
    server.kill().expect("it can be killed");
    server.wait().expect("it ends");
}
