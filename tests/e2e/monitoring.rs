//! What is measured without set-up, rules that become alerts that become messages, and a bad
//! release that the guard takes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::site::{Site, eventually, sample};

/// The sample application with its metrics read every second.
fn measured(name: &str, min: u32, env: &str, rollout: &str) -> String {
    let text = sample(name, min, env, rollout);
    text.replace("    stop:", "    metrics: { path: /metrics, port: http, every: 1s }\n    stop:")
}

fn query(site: &Site, expression: &str) -> Value {
    site.json(&["query", expression, "-o", "json"])
}

/// The values of an expression, once there are any.
fn values(site: &Site, expression: &str) -> Vec<f64> {
    eventually(expression, || {
        let answer = query(site, expression);
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |s: &Value| s["value"][1].as_str().and_then(|text| text.parse().ok());
        let values: Vec<f64> = series.iter().filter_map(value).collect();
        (!values.is_empty()).then_some(values)
    })
}

/// Takes what is posted to it, and answers 200.
struct Sink {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Sink {
    fn open() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(body) = take(stream) {
                    kept.lock().expect("nobody broke").push(body);
                }
            }
        });
        Sink { url, bodies }
    }

    /// What was posted of an alert: `firing` or `resolved`, in order.
    fn told(&self, alert: &str) -> Vec<String> {
        let bodies = self.bodies.lock().expect("nobody broke");
        let of = |body: &&Value| body["alerts"][0]["labels"]["alertname"] == alert;
        bodies.iter().filter(of).filter_map(|b| b["status"].as_str().map(str::to_owned)).collect()
    }
}

fn take(stream: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Visitors of every ready instance of a deployment, until it is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    visitors: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(site: &Site, deployment: &str) -> Load {
        let ports: Vec<u64> = site
            .instances(deployment)
            .iter()
            .filter_map(|instance| instance["spec"]["ports"]["http"].as_u64())
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let visitor = |port: u64| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // An instance that is being updated refuses for a moment.
                    let _ = visit(port);
                }
            })
        };
        let visitors = ports.iter().flat_map(|port| [*port, *port]).map(visitor).collect();
        Load { stop, visitors }
    }
}

fn visit(port: u64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for visitor in self.visitors.drain(..) {
            // A visitor has nothing to say.
            let _ = visitor.join();
        }
    }
}

#[test]
fn hosts_and_instances_are_measured_without_set_up() {
    let site = Site::up();
    let file = site.write("web.yaml", &measured("web", 2, "GREETING: hi", "healthyFor: 300ms"));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    let up = values(&site, "sum(up{deployment=\"web.prod\"})");
    eventually("both are scraped", || {
        (values(&site, "sum(up{deployment=\"web.prod\"})") == [2.0]).then_some(())
    });
    assert!(!up.is_empty());
    let load = Load::on(&site, "web.prod");
    eventually("requests are counted by instance", || {
        let rates = "rate(http_requests_total{deployment=\"web.prod\",code=\"200\"}[30s]) > 0";
        (values(&site, rates).len() == 2).then_some(())
    });
    drop(load);
    assert!(values(&site, "node_memory_MemTotal_bytes{host=\"local\"}")[0] > 1e8);
    let memory = "container_memory_working_set_bytes{deployment=\"web.prod\"}";
    assert_eq!(values(&site, memory).len(), 2);

    // An answer says how much of what should have been measured was.
    let answer = query(&site, "up{deployment=\"web.prod\"}");
    assert_eq!(answer["atoll"]["series"], json!(2), "{answer}");
    assert!(answer["atoll"]["completeness"].as_f64() > Some(0.9), "{answer}");
    let nothing = site.atoll(&["query", "no_such_metric"]);
    assert!(nothing.err.contains("no data"), "{}", nothing.err);
    let wrong = site.atoll(&["query", "sum(("]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    let shown = site.atoll(&["query", "up", "--range", "1m"]).ok();
    assert!(shown.contains("COURSE") && shown.contains("web.prod.0"), "{shown}");
}

#[test]
fn an_alert_is_told_once_and_its_end_too() {
    let mut site = Site::up();
    let sink = Sink::open();
    let file = site.write("web.yaml", &measured("web", 1, "GREETING: hi", "healthyFor: 300ms"));
    site.atoll(&["apply", "-f", &file, "--wait", "--timeout", "60s"]).ok();
    values(&site, "up{deployment=\"web.prod\"}");
    let receiver = format!(
        "apiVersion: atoll/v1
kind: Receiver
metadata: {{ name: sink }}
spec:
  channel: {{ webhook: {{ url: \"{}\" }} }}
  routes: [{{ groupWait: 0s, groupInterval: 1s, repeatInterval: 1h }}]
",
        sink.url
    );
    let receiver = site.write("receiver.yaml", &receiver);
    let rules = site.write("web.rules.yml", &rule_file("up{deployment=\"web.prod\"} == 1"));
    let wrong = site.write("wrong.rules.yml", &rule_file("sum(("));
    let refused = site.atoll(&["apply", "-f", &wrong]);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("groups[0].rules[0].expr"), "{}", refused.err);
    site.atoll(&["apply", "-f", &receiver, "-f", &rules]).ok();
    eventually("it is told", || (sink.told("WebIsUp") == ["firing"]).then_some(()));
    let alert = site.json(&["get", "alerts", "-o", "json"])["items"][0].clone();
    assert_eq!(alert["spec"]["subject"], json!("instance/web.prod.0"), "{alert}");
    let name = alert["metadata"]["name"].as_str().expect("a name").to_owned();
    let why = site.atoll(&["why", &format!("alert/{name}")]).ok();
    assert!(why.contains("sink"), "{why}");

    // State is kept: after a crash nobody is told again.
    site.kill_up();
    site.start_up();
    values(&site, "up{deployment=\"web.prod\"}");
    site.atoll(&["delete", "rule/web"]).ok();
    eventually("its end is told", || {
        (sink.told("WebIsUp").last().map(String::as_str) == Some("resolved")).then_some(())
    });
    assert_eq!(sink.told("WebIsUp"), ["firing", "resolved"]);
}

fn rule_file(expression: &str) -> String {
    format!(
        "groups:
- name: web
  interval: 1s
  rules:
  - alert: WebIsUp
    expr: '{expression}'
    for: 1s
    labels: {{ severity: page }}
    annotations: {{ summary: '{{{{ $labels.instance }}}} is up' }}
"
    )
}
