//! The hidden `atoll sample`: the small web application that `atoll demo` runs, so that the demo
//! needs nothing that is not on every machine. It answers `/healthz`, tells who it is, and shows
//! `/metrics`. Its environment makes it slow or faulty, to try what watches it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use crate::clock;
use crate::exit::Exit;

/// Flags of `sample`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// Serves until it is killed.
///
/// # Errors
/// The address is taken.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    println!("{} listens on {}", said("ATOLL_INSTANCE"), args.listen);
    let sample = Arc::new(Sample::new());
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let sample = sample.clone();
        std::thread::spawn(move || {
            // A visitor who leaves early is nobody's loss.
            let _ = sample.answer(stream);
        });
    }
    Ok(Exit::Done)
}

fn said(variable: &str) -> String {
    std::env::var(variable).unwrap_or_default()
}

/// Upper bounds of the buckets of its histogram, in seconds.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0];

/// How it behaves, and what it counts.
struct Sample {
    /// How long an answer takes in the middle, in milliseconds.
    latency: f64,
    /// The share of answers that are errors.
    errors: f64,
    seed: AtomicU64,
    good: AtomicU64,
    bad: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
    micros: AtomicU64,
}

impl Sample {
    fn new() -> Sample {
        let number = |variable: &str| said(variable).parse().unwrap_or(0.0);
        Sample {
            latency: number("SAMPLE_LATENCY_MS"),
            errors: number("SAMPLE_ERRORS"),
            seed: AtomicU64::new(clock::now().0.unsigned_abs() | 1),
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            buckets: Default::default(),
            micros: AtomicU64::new(0),
        }
    }

    /// A number from 0 to 1, by xorshift.
    fn chance(&self) -> f64 {
        let step = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            Some(x ^ (x << 17))
        };
        let drawn = self.seed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        (drawn.unwrap_or(1) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = BufReader::new(&stream);
        let mut first = String::new();
        request.read_line(&mut first)?;
        let mut line = String::new();
        while request.read_line(&mut line)? > 2 {
            line.clear();
        }
        let (status, body) = if first.starts_with("GET /healthz") {
            health()
        } else if first.starts_with("GET /metrics") {
            ("200 OK", self.metrics())
        } else {
            self.page(first.trim())
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n");
        write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    fn page(&self, request: &str) -> (&'static str, String) {
        // Skewed to the right, as times of answers are.
        let spread = 0.7 + 0.4 * self.chance() + 0.6 * self.chance().powi(6);
        let took = self.latency * spread / 1000.0;
        clock::pause(Duration::from_secs_f64(took));
        self.micros.fetch_add((took * 1e6) as u64, Ordering::Relaxed);
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            count.fetch_add(u64::from(took <= *bound), Ordering::Relaxed);
        }
        if self.errors > 0.0 && self.chance() < self.errors {
            self.bad.fetch_add(1, Ordering::Relaxed);
            println!("ERROR {request}: this release fails now and then on purpose");
            return ("500 Internal Server Error", "failed on purpose\n".to_owned());
        }
        self.good.fetch_add(1, Ordering::Relaxed);
        let text =
            format!("{} {} {}\n", said("GREETING"), said("ATOLL_RELEASE"), said("ATOLL_INSTANCE"));
        println!("{request} -> 200 OK");
        ("200 OK", text)
    }

    fn metrics(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (good, bad) = (read(&self.good), read(&self.bad));
        let mut text = format!(
            "# HELP http_requests_total Requests answered.\n\
             # TYPE http_requests_total counter\n\
             http_requests_total{{code=\"200\"}} {good}\n\
             http_requests_total{{code=\"500\"}} {bad}\n\
             # HELP http_request_duration_seconds How long answers took.\n\
             # TYPE http_request_duration_seconds histogram\n"
        );
        let name = "http_request_duration_seconds";
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            text.push_str(&format!("{name}_bucket{{le=\"{bound}\"}} {}\n", read(count)));
        }
        let (all, sum) = (good + bad, read(&self.micros) as f64 / 1e6);
        text.push_str(&format!(
            "{name}_bucket{{le=\"+Inf\"}} {all}\n{name}_sum {sum}\n{name}_count {all}\n"
        ));
        text
    }
}

fn health() -> (&'static str, String) {
    if said("SAMPLE_BROKEN") == "yes" {
        ("500 Internal Server Error", "this release is broken on purpose\n".to_owned())
    } else {
        ("200 OK", "ok\n".to_owned())
    }
}
