//! What only an embedded database meets: its process killed, its disk full.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use atoll_store::{CommitError, Expect, Store};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::place::{Place, assert_sound, batch, contents, keep, put, until, wal, within};

/// Set for the process that is to be killed: where it writes, and what.
const DIR: &str = "ATOLL_TEST_CRASH_DIR";
const LOAD: &str = "ATOLL_TEST_CRASH_LOAD";

/// Not a test of its own: what [`killed_while`] runs in another process.
#[tokio::test]
async fn the_process_that_is_killed() {
    let (Ok(dir), Ok(load)) = (std::env::var(DIR), std::env::var(LOAD)) else {
        return;
    };
    let store = Store::open_sqlite(Path::new(&dir)).await.unwrap();
    if load == "huge" {
        println!("began");
        // More than the cache holds: the journal grows long before the commit.
        let body = format!("\"{}\"", "x".repeat(1_000));
        let names = (0..100_000).map(|i| format!("huge{i}"));
        let writes = names.map(|name| put(&name, Expect::Absent, &body)).collect();
        store.commit(batch(writes)).await.unwrap();
        println!("done 0");
    }
    for i in 0_u64.. {
        let names = (0..3).map(|n| format!("small{i}.{n}"));
        let writes = names.map(|name| put(&name, Expect::Absent, "{}")).collect();
        store.commit(batch(writes)).await.unwrap();
        println!("done {i}");
    }
}

fn start(dir: &Path, load: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_faults::the_process_that_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(LOAD, load)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

fn integrity(dir: &Path) -> String {
    let connection = rusqlite::Connection::open(dir.join("atoll.db")).unwrap();
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_process_killed_in_mid_transaction_leaves_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let before = Store::open_sqlite(dir.path()).await.unwrap();
    before.commit(batch(vec![put("before", Expect::Absent, "[1]")])).await.unwrap();
    drop(before);
    let start_size = wal(dir.path());
    let (mut child, said) = start(dir.path(), "huge");
    until(async || wal(dir.path()) > start_size + 1_000_000).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let said: Vec<_> = said.lines().map_while(Result::ok).collect();
    assert!(said.iter().any(|line| line.ends_with("began")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("done")), "killed too late");

    assert_eq!(integrity(dir.path()), "ok");
    let store = Store::open_sqlite(dir.path()).await.unwrap();
    assert_eq!(contents(&store).await, [("before".to_owned(), "[1]".to_owned())]);
    let next = batch(vec![put("after", Expect::Absent, "{}")]);
    assert_eq!(store.commit(next).await.unwrap(), [2]);
    assert_sound(&store).await;
}

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for kill_after in [1, 7, 60, 300] {
        let dir = dir.path().join(kill_after.to_string());
        let (mut child, said) = start(&dir, "small");
        let mut lines = said.lines().map_while(Result::ok).filter(|line| line.contains("done"));
        let mut acknowledged = lines.by_ref().take(kill_after).count();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had still said before it died counts as well.
        acknowledged += lines.count();
        let store = Store::open_sqlite(&dir).await.unwrap();
        let revision = store.revision().await.unwrap();
        assert!(revision >= 3 * acknowledged as u64, "{revision} of {acknowledged}");
        assert_eq!(revision % 3, 0, "part of a batch was committed");
        assert_sound(&store).await;
        assert_eq!(integrity(&dir), "ok");
    }
}

#[tokio::test]
async fn a_full_database_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite_of(dir.path(), Some(300)).await.unwrap();
    let body = format!("\"{}\"", "x".repeat(5_000));
    let mut written = 0;
    let refused = loop {
        match store.commit(batch(vec![put("a", Expect::Any, &body)])).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, CommitError::Full), "{refused:?}");
    assert!(written > 10);
    assert_eq!(store.revision().await.unwrap(), written);
    assert_sound(&store).await;
    // A batch too large does not take its neighbours with it.
    let huge = (0..500).map(|i| put(&format!("huge{i}"), Expect::Any, &body)).collect();
    store.compact_history(keep(i64::MAX, 1)).await.unwrap();
    let small = || batch(vec![put("b", Expect::Any, "{}")]);
    let outcomes = store.commit_all(vec![small(), batch(huge), small()]).await;
    assert_eq!(outcomes[0].as_deref().unwrap(), [written + 2], "the pruning is on record");
    assert!(matches!(outcomes[1], Err(CommitError::Full)), "{:?}", outcomes[1]);
    assert_eq!(outcomes[2].as_deref().unwrap(), [written + 3]);
    drop(store);
    assert_eq!(integrity(dir.path()), "ok");
}

/// On a small disk of its own, which only the threads of this test see; it takes root.
#[test]
fn a_full_disk_refuses_and_recovers() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: no disk can be made; the limit on pages stands in for it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let disk = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let size = Some("size=8m");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), size).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within(fill_the_disk(&path)));
    });
    disk.join().unwrap();
}

async fn fill_the_disk(path: &Path) {
    let store = Store::open_sqlite(path).await.unwrap();
    let body = format!("\"{}\"", "x".repeat(20_000));
    let put_one = |i: u64| batch(vec![put(&format!("h{i}"), Expect::Absent, &body)]);
    assert_eq!(store.commit(put_one(0)).await.unwrap(), [1]);
    let ballast = path.join("ballast");
    let zeros = vec![0; 64 * 1024];
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}

    let mut written = 1;
    let refused = loop {
        match store.commit(put_one(written)).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, CommitError::Full), "{refused:?}");
    assert_eq!(store.revision().await.unwrap(), written);
    assert_sound(&store).await;

    std::fs::remove_file(&ballast).unwrap();
    drop(file);
    assert_eq!(store.commit(put_one(written)).await.unwrap(), [written + 1]);
    assert_sound(&store).await;
    assert_eq!(integrity(path), "ok");
}

#[tokio::test]
async fn the_directory_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let Place::Sqlite(root) = Place::sqlite() else { panic!("it is SQLite") };
    let dir = root.path().join("deep").join("down");
    drop(Store::open_sqlite(&dir).await.unwrap());
    let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // Whoever made the directory, what is kept in it is for its owner.
    let open = root.path().join("open");
    std::fs::create_dir(&open).unwrap();
    drop(Store::open_sqlite(&open).await.unwrap());
    let mode = std::fs::metadata(open.join("atoll.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = Store::open_sqlite(&file).await.err().unwrap().to_string();
    assert!(refused.contains("file"), "{refused}");
}
