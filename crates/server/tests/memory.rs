//! Memory that is given back, in a process of its own: what other tests take would be seen.

use atoll_server::own::process;

#[test]
fn freed_memory_is_given_back() {
    let before = process::read().resident.unwrap();
    // Small pieces, of which the last one freed is not the last one taken.
    let mut pieces: Vec<Vec<u8>> = (0..300_000).map(|_| vec![1; 1000]).collect();
    let kept = pieces.pop();
    drop(pieces);
    let left = process::give_back(before);
    assert!(left < before + 60e6, "{before} {left}");
    assert_eq!(process::give_back(left), left.min(process::read().resident.unwrap()));
    drop(kept);
}
