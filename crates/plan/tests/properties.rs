//! Properties that hold in every world, under every schedule of edits and faults: checked on
//! seeded random fleets. Not examples, which are the text cases.
//!
//! `ATOLL_SEEDS` is the number of worlds; `ATOLL_SEED` replays one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

mod fleet;

/// The number of seeds where nobody says how many.
const USUAL_SEEDS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// Runs a property on many seeds, on as many threads as there are cores.
fn on_seeds(property: fn(u64)) {
    if let Some(seed) = number("ATOLL_SEED") {
        return property(seed);
    }
    let last = number("ATOLL_SEEDS").unwrap_or(USUAL_SEEDS);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        return;
                    }
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| property(seed))) {
                        next.store(last, Ordering::Relaxed);
                        eprintln!(
                            "seed {seed} fails; again: ATOLL_SEED={seed} cargo test -p atoll-plan \
                             --test properties"
                        );
                        std::panic::resume_unwind(why);
                    }
                }
            });
        }
    });
}

#[test]
fn every_fleet_stays_within_its_bounds_and_settles() {
    on_seeds(|seed| fleet::Trial::new(seed).run());
}

#[test]
fn every_run_ends_and_no_task_is_begun_twice() {
    on_seeds(fleet::runs::play);
}

#[test]
fn decisions_stay_within_their_limits_and_rest_on_what_is_measured() {
    on_seeds(fleet::centre::play);
}

#[test]
fn nothing_grows_past_a_budget_that_refuses() {
    on_seeds(fleet::budgets::stays_within);
}

#[test]
fn no_machine_is_left_over_or_made_twice_whatever_providers_do() {
    on_seeds(fleet::pools::play);
}

#[test]
fn the_twin_of_a_fleet_at_rest_stays_at_rest() {
    on_seeds(fleet::twins::stays_at_rest);
}
