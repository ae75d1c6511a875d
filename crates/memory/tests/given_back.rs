//! Memory that is given back to the kernel once it is free, in a process of its own: what other
//! tests take would be seen.

use std::sync::mpsc::channel;
use std::time::Duration;

/// The bytes of memory this process has.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

#[test]
fn freed_memory_is_given_back() {
    atoll_memory::small_pages();
    let before = resident();
    let work = || {
        // Small pieces, of which the last one freed is not the last one taken.
        let mut pieces: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1000]).collect();
        let most = resident();
        (pieces.pop(), most)
    };
    // A thread that ends, one that goes on, and this one.
    let ended = std::thread::spawn(work).join().unwrap();
    let ((said, hear), (end, ends)) = (channel(), channel::<()>());
    let goes_on = std::thread::spawn(move || {
        let kept = work();
        said.send(()).unwrap();
        ends.recv().unwrap_err();
        drop(kept);
    });
    hear.recv().unwrap();
    let own = work();
    assert!(own.1 > before + 90e6, "so much was taken: before {before}, most {}", own.1);
    let mut looks = 0..200;
    while resident() > before + 30e6 {
        assert!(looks.next().is_some(), "before {before}, left {}", resident());
        // It is no sooner than a while after it is free, by whoever takes memory then.
        hear.recv_timeout(Duration::from_millis(100)).unwrap_err();
        drop(vec![vec![1_u8; 1000]; 1000]);
    }
    drop((ended, own, end));
    goes_on.join().unwrap();
}
