//! Measures the store: rows a second, bytes a sample, memory, and reading back, on a made-up noisy
//! set. It asserts nothing. Arguments: directory, series, rounds, jitter in milliseconds, rows a
//! commit, and 1 to leave the log as it is; no rounds only opens what is there. `print` instead of
//! a directory writes the same set as text, to feed another store.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use atoll_metrics::storage::{Options, Storage};
use atoll_metrics::{Matcher, Sample, Source};

const START: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;

/// A quick row of numbers from a seed.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    fn bell(&mut self, width: i64) -> i64 {
        let sum: i64 = (0..4).map(|_| self.below(width as u64) as i64).sum();
        sum - width * 2
    }
}

/// The set: what each series is, and where it is now.
struct Set {
    labels: Vec<[(&'static str, Rc<str>); 8]>,
    state: Vec<i64>,
    noise: Noise,
    jitter: u64,
}

impl Set {
    fn new(series: usize, jitter: u64) -> Set {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let mut shared: HashSet<Rc<str>> = HashSet::new();
        let mut text = |text: String| {
            let text: Rc<str> = shared.get(text.as_str()).cloned().unwrap_or_else(|| text.into());
            shared.insert(Rc::clone(&text));
            text
        };
        let labels = |i: usize| {
            [
                ("__name__", text(format!("node_metric_{}_total", i % 100))),
                ("app", text(format!("app-{}", i / 100 % 20))),
                ("environment", text("production".to_owned())),
                ("instance", text(format!("host-{}.example.org:9100", i / 100))),
                ("job", text("node".to_owned())),
                ("kind", text(["http", "disk", "net", "cpu"][i % 4].to_owned())),
                ("team", text(format!("team-{}", i / 100 % 7))),
                ("zone", text(format!("zone-{}", i / 100 % 3))),
            ]
        };
        Set {
            labels: (0..series).map(labels).collect(),
            state: (0..series).map(|_| noise.below(1_000_000) as i64).collect(),
            noise,
            jitter,
        }
    }

    fn next(&mut self, i: usize, round: i64) -> Sample {
        let noise = &mut self.noise;
        let state = &mut self.state[i];
        let metric = i % 100;
        let value = match metric % 8 {
            0 | 1 => {
                *state += noise.below(1000) as i64;
                *state as f64
            }
            2 => {
                *state += 1500 + noise.bell(200);
                *state as f64
            }
            3 => {
                *state += noise.bell(40);
                *state as f64 / 100.0
            }
            4 => {
                *state += noise.bell(300);
                *state as f64 / 1000.0
            }
            5 => {
                *state += noise.below(5) as i64 - 2;
                *state as f64
            }
            6 => *state as f64,
            _ => {
                *state += noise.below(1500) as i64;
                *state as f64 / 100.0
            }
        };
        let jitter = if self.jitter == 0 { 0 } else { noise.below(self.jitter) as i64 };
        Sample { at: START + round * STEP + jitter, value }
    }
}

fn number(of: usize, otherwise: usize) -> usize {
    std::env::args().nth(of).and_then(|a| a.parse().ok()).unwrap_or(otherwise)
}

/// Seconds of processor time of this process.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / 100.0
}

fn memory(field: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().find(|l| l.starts_with(field)).unwrap_or_default().replace('\t', " ")
}

fn print(mut set: Set, rounds: i64) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for round in 0..rounds {
        for i in 0..set.labels.len() {
            let sample = set.next(i, round);
            let labels = &set.labels[i];
            let rest: Vec<String> = labels[1..].iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let (name, value) = (&labels[0].1, sample.value);
            writeln!(out, "{name}{{{}}} {value} {}", rest.join(","), sample.at)?;
        }
    }
    out.flush()
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn clock() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).unwrap_or("ingest.tmp".to_owned());
    let (series, rounds) = (number(2, 10_000), number(3, 1440) as i64);
    let (jitter, batch) = (number(4, 0) as u64, number(5, 5000));
    let mut set = Set::new(series, jitter);
    if dir == "print" {
        return Ok(print(set, rounds)?);
    }
    let options = Options { retention: i64::MAX / 4, ..Options::default() };
    let begin = clock();
    let storage = Storage::open(Path::new(&dir), options, START)?;
    let (took, held) = (begin.elapsed().as_secs_f64(), storage.status().head_samples);
    println!("open {took:.2} s with {held} samples in the log, {}", memory("VmHWM"));
    if rounds == 0 {
        return Ok(());
    }
    let (mut cpu, mut wall, mut first) = (0.0, 0.0, 0.0);
    let mut samples = vec![Sample { at: 0, value: 0.0 }; series];
    for round in 0..rounds {
        for (i, sample) in samples.iter_mut().enumerate() {
            *sample = set.next(i, round);
        }
        let (start, begin) = (processor(), clock());
        let now = START + round * STEP + STEP;
        for (labels, samples) in set.labels.chunks(batch).zip(samples.chunks(batch)) {
            let mut appender = storage.appender("bench", now);
            for (labels, sample) in labels.iter().zip(samples) {
                let labels = labels.each_ref().map(|(name, value)| (*name, value.as_ref()));
                appender.add(&labels, std::slice::from_ref(sample));
            }
            appender.commit()?;
        }
        if round % 16 == 0 {
            storage.maintain(now)?;
        }
        wall += begin.elapsed().as_secs_f64();
        cpu += processor() - start;
        if round == 0 {
            first = wall;
        }
    }
    let rows = (series as i64 * rounds) as f64;
    println!("new series: {:.0} ns each", first * 1e9 / series as f64);
    println!("{rows} rows: {:.2} M/s wall, {:.2} M/cpu-s", rows / wall / 1e6, rows / cpu / 1e6);
    println!("{}, {}", memory("VmHWM"), memory("VmRSS"));
    println!("{:#?}", storage.status().blocks);
    println!(
        "log {} bytes, head {} bytes",
        storage.status().log_bytes,
        storage.status().head_bytes
    );
    instant(&storage, START + rounds * STEP)?;
    if number(6, 0) == 1 {
        return Ok(());
    }
    let (start, begin) = (processor(), clock());
    storage.flush()?;
    println!("{:?}", storage.maintain(START + rounds * STEP + 100_000_000)?);
    println!("flush {:.2} s, cpu {:.2}", begin.elapsed().as_secs_f64(), processor() - start);
    let status = storage.status();
    let all = status.blocks.bytes + status.log_bytes;
    println!("{:.3} bytes/sample, {:?}", all as f64 / rows, status.blocks);
    read(&storage, rounds)?;
    println!("{}, {}", memory("VmHWM"), memory("VmRSS"));
    Ok(())
}

/// What a rule does: the newest sample of each series.
fn instant(storage: &Storage, at: i64) -> Result<(), Box<dyn std::error::Error>> {
    let begin = clock();
    let found = storage.select(&[Matcher::equal("job", "node")], at - 300_000, at)?;
    let selected = begin.elapsed().as_secs_f64();
    for ahead in [0, STEP + 1] {
        let begin = clock();
        let last = found.iter().filter(|s| s.last(at - ahead).is_some()).count();
        println!(
            "select in memory {:.0} ns a series, last of {last} {:.0} ns",
            selected * 1e9 / found.len() as f64,
            begin.elapsed().as_secs_f64() * 1e9 / found.len() as f64
        );
    }
    Ok(())
}

fn read(storage: &Storage, rounds: i64) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..2 {
        let end = START + rounds * STEP;
        let begin = clock();
        let found = storage.select(
            &[Matcher::equal("job", "node")],
            end.saturating_sub(1440 * STEP),
            end,
        )?;
        let selected = begin.elapsed().as_secs_f64();
        let (mut into, mut count) = (Vec::new(), 0);
        let begin = clock();
        for series in &found {
            into.clear();
            series.read(end - 1440 * STEP, end, &mut into)?;
            count += into.len();
        }
        let took = begin.elapsed().as_secs_f64();
        println!(
            "select {} series {:.1} ms; read {count} samples, {:.1} ns each",
            found.len(),
            selected * 1e3,
            took * 1e9 / count as f64
        );
    }
    Ok(())
}
