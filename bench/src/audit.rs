//! What the chain of records costs a commit: its hashes are worked out anew, of the very records a
//! store of SQLite has just kept, beside the time the commits took. The chain cannot be switched
//! off, so nothing is timed without it; neither server nor network is in the way.

use std::path::Path;

use anyhow::{Context as _, ensure};
use atoll_store::{Batch, Change, Entry, Expect, Store, Write};
use serde_json::json;

use crate::daemon::home;
use crate::interrupt::unless_interrupted;
use crate::table::{Goal, Row, median};
use crate::{Args, clock};

/// Commits that are timed, of one object each, one after the other.
const COMMITS: usize = 2_000;
/// Objects that are changed in turn.
const OBJECTS: usize = 100;
/// Variables of the object that is written, which make it about 1 kB.
const VARIABLES: usize = 30;
/// Writes of one large batch.
const LARGE: usize = 4_000;
/// So often all hashes are worked out.
const PASSES: usize = 20;
/// A hash as it is kept: so many letters.
const LETTERS: usize = 64;
const ONE: &str = "audit's chain, of a commit of one object";
const MANY: &str = "audit's chain, of one of 4,000 writes of a commit";

#[derive(Clone, Copy, Default)]
struct Found {
    /// A commit of one object, in microseconds.
    commit: f64,
    /// How much longer it takes to keep 64 letters more, in microseconds.
    letters: f64,
    /// One hash of these, in microseconds.
    hash: f64,
    /// One write of a large batch, in microseconds.
    write: f64,
    /// One hash of those, in microseconds.
    large: f64,
}

fn rows_of(runs: &[Found]) -> Vec<Row> {
    let of = |figure: fn(&Found) -> f64| crate::over(runs, figure);
    let (commit, hash) = (of(|r| r.commit), of(|r| r.hash));
    let (write, large) = (of(|r| r.write), of(|r| r.large));
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
    vec![
        Row::new(ONE, hash, "µs", Goal::None).noted(format!(
            "the hash of one record of 1 kB worked out by itself, as it cannot be switched off; \
             the median commit takes {commit:.1} µs, of which that is {:.1} %; keeping {LETTERS} \
             letters more beside each record changes it by {:+.1} µs",
            share(hash, commit),
            of(|r| r.letters)
        )),
        Row::new(MANY, large, "µs", Goal::None).noted(format!(
            "the same, where nothing waits for anything; such a write takes {write:.1} µs in all, \
             of which that is {:.1} %",
            share(large, write)
        )),
    ]
}

/// The rows that are asked for.
///
/// # Errors
/// The store does not work, or its hashes are others than those worked out here.
pub async fn rows(args: &Args) -> anyhow::Result<Vec<Row>> {
    if args.pick(rows_of(&[])).is_empty() {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for run in 1..=args.runs {
        let found = unless_interrupted(measure()).await?;
        eprintln!(
            "audit's chain, run {run}: {:.2} µs of a commit of {:.1} µs, {:.2} µs of a write of \
             {:.1} µs; {LETTERS} letters {:+.1} µs",
            found.hash, found.commit, found.large, found.write, found.letters
        );
        runs.push(found);
    }
    Ok(args.pick(rows_of(&runs)))
}

async fn measure() -> anyhow::Result<Found> {
    let (one, other, large) = (home()?, home()?, home()?);
    let (store, wider) = (open(one.path()).await?, open(other.path()).await?);
    let (mut plain, mut wide) = (Vec::new(), Vec::new());
    for number in 0..COMMITS {
        // By turns, so that whatever else the machine does is met by both.
        plain.push(commit(&store, number, "").await?);
        wide.push(commit(&wider, number, &"0".repeat(LETTERS)).await?);
    }
    let commit = median(plain);
    let letters = median(wide) - commit;
    let hash = hash(&store, COMMITS).await?;
    let store = open(large.path()).await?;
    let writes = (0..LARGE).map(write).collect();
    let began = clock::now();
    store.commit(batch(writes, "")).await?;
    let write = began.elapsed().as_secs_f64() * 1e6 / LARGE as f64;
    let large = self::hash(&store, LARGE).await?;
    Ok(Found { commit, letters, hash, write, large })
}

async fn open(directory: &Path) -> anyhow::Result<Store> {
    Store::open_sqlite(directory).await.context("opening a store")
}

/// Commits one object; how long that took, in microseconds.
async fn commit(store: &Store, number: usize, more: &str) -> anyhow::Result<f64> {
    let batch = batch(vec![write(number)], more);
    let began = clock::now();
    store.commit(batch).await?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

fn batch(writes: Vec<Write>, more: &str) -> Batch {
    let message = format!("the bench wants another value{more}");
    Batch {
        writes,
        actor: "user/bench".to_owned(),
        intent: "edit".to_owned(),
        reasons: json!([{ "code": "edited", "message": message }]).to_string(),
        at: clock::time_of_day().0,
        fence: None,
    }
}

fn write(number: usize) -> Write {
    let name = format!("app-{}", number % OBJECTS);
    let env: serde_json::Map<String, serde_json::Value> =
        (0..VARIABLES).map(|at| (format!("VARIABLE_{at:02}"), json!("some value"))).collect();
    let body = json!({
        "apiVersion": "atoll/v1", "kind": "Application",
        "metadata": { "name": name, "generation": number },
        "spec": { "owner": "team/bench", "run": { "command": ["./program"], "env": env } },
    });
    let (kind, change) = ("Application".to_owned(), Change::Put(body.to_string()));
    Write { kind, name, expect: Expect::Any, reasons: None, change }
}

/// Works out the hash of every record of a store, as its chain does, and checks that it comes to
/// the store's own; how long one takes, in microseconds.
async fn hash(store: &Store, records: usize) -> anyhow::Result<f64> {
    let all = store.since(0, records + 1).await?;
    ensure!(all.len() == records, "{} of {records} records are kept", all.len());
    let mut times = Vec::new();
    for _ in 0..PASSES {
        let mut head = String::new();
        let mut wrong = None;
        let began = clock::now();
        for entry in &all {
            head = link(&head, entry);
            if head != entry.hash {
                wrong.get_or_insert(entry.revision);
            }
        }
        times.push(began.elapsed().as_secs_f64() * 1e6 / records as f64);
        ensure!(wrong.is_none(), "the store has another hash of record {wrong:?}");
    }
    Ok(median(times))
}

/// What `crates/store/src/chain.rs` makes of a record; that it is the same is checked by each use.
fn link(before: &str, entry: &Entry) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(before.as_bytes());
    part(&entry.revision.to_le_bytes());
    part(&entry.at.to_le_bytes());
    part(&[u8::from(entry.deleted)]);
    let texts = [&entry.kind, &entry.name, &entry.actor, &entry.intent, &entry.reasons];
    texts.iter().for_each(|text| part(text.as_bytes()));
    part(entry.body.as_bytes());
    hasher.finalize().to_hex().to_string()
}
