//! What one instance carries: the most that instances of a release were seen to bear with every
//! objective held, and the least above it with which one broke. It is learned from the load there
//! is; nobody puts any on to find out.

use atoll_model::Timestamp;
use atoll_model::capacity::{Capacity, Carried, Known};

use crate::elasticity::decide::round;

/// So many releases are remembered.
const REMEMBERED: usize = 5;
/// So much more than before is worth remembering.
const MORE: f64 = 1.02;

/// Whether what was promised was kept over the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it.
    All,
    /// Not all.
    Broken,
    /// Nothing is promised, or it was not measured.
    Unknown,
}

/// Learns from the load of one instance of a release over the last minutes.
///
/// **Invariant:** `broke` is more than `most`. What broke with little load did so for another
/// reason, and is forgotten when more has been carried.
pub(super) fn learn(
    releases: &[Carried],
    release: &str,
    each: f64,
    kept: Kept,
    at: Timestamp,
) -> Vec<Carried> {
    let mut all = releases.to_vec();
    let place = match all.iter().position(|carried| carried.release == release) {
        Some(place) => place,
        None => {
            all.insert(0, Carried { release: release.to_owned(), ..Carried::default() });
            all.truncate(REMEMBERED);
            0
        }
    };
    let Some(carried) = all.get_mut(place) else { return all };
    let most = carried.most.unwrap_or(0.0);
    match kept {
        Kept::All if each > most * MORE => {
            (carried.most, carried.at) = (Some(round(each)), Some(at));
            if carried.broke.is_some_and(|broke| broke <= each) {
                (carried.broke, carried.broke_at) = (None, None);
            }
        }
        Kept::Broken if each > most && carried.broke.is_none_or(|broke| each < broke) => {
            (carried.broke, carried.broke_at) = (Some(round(each)), Some(at));
        }
        _ => {}
    }
    all
}

/// The load one instance of a release carries, and how that is known. A release that has shown
/// nothing yet is taken for the one before it.
pub(super) fn each(
    spec: &Capacity,
    declared: f64,
    releases: &[Carried],
    release: Option<&str>,
) -> (f64, Known) {
    if let Some(each) = spec.each {
        return (each, Known::Set);
    }
    let shows = |carried: &&Carried| carried.most.is_some() || carried.broke.is_some();
    let own = releases.iter().find(|carried| Some(carried.release.as_str()) == release);
    match own.filter(shows).or_else(|| releases.iter().find(shows)) {
        Some(Carried { most: Some(most), broke: Some(_), .. }) => (*most, Known::Bounded),
        // It broke with less than was declared, and nothing less is known to be good.
        Some(Carried { most: None, broke: Some(broke), .. }) if *broke < declared => {
            (*broke, Known::Bounded)
        }
        Some(Carried { most: Some(most), .. }) if *most > declared => (*most, Known::Proven),
        _ => (declared, Known::Declared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(steps: &[(f64, Kept)]) -> Carried {
        let mut all = Vec::new();
        for (i, (each, kept)) in steps.iter().enumerate() {
            all = learn(&all, "shop-1", *each, *kept, Timestamp(i as i64));
        }
        all.remove(0)
    }

    #[test]
    fn the_most_that_was_carried_and_the_least_that_was_not() {
        use Kept::{All, Broken, Unknown};
        let seen =
            learned(&[(50.0, All), (70.0, All), (95.0, Broken), (90.0, Broken), (60.0, All)]);
        assert_eq!((seen.most, seen.broke), (Some(70.0), Some(90.0)));
        // What broke at night was no want of capacity.
        let seen = learned(&[(5.0, Broken), (40.0, All)]);
        assert_eq!((seen.most, seen.broke), (Some(40.0), None));
        let seen = learned(&[(40.0, All), (5.0, Broken), (80.0, Unknown)]);
        assert_eq!((seen.most, seen.broke), (Some(40.0), None));
    }

    #[test]
    fn what_is_proven_comes_before_what_is_declared() {
        let of = |most, broke| Carried {
            release: "shop-1".to_owned(),
            most,
            broke,
            ..Carried::default()
        };
        let spec = Capacity::default();
        let each = |carried: &[Carried]| each(&spec, 80.0, carried, Some("shop-1"));
        assert_eq!(each(&[]), (80.0, Known::Declared));
        assert_eq!(each(&[of(Some(50.0), None)]), (80.0, Known::Declared), "never had more");
        assert_eq!(each(&[of(Some(90.0), None)]), (90.0, Known::Proven));
        assert_eq!(each(&[of(Some(50.0), Some(60.0))]), (50.0, Known::Bounded));
        assert_eq!(each(&[of(None, Some(60.0))]), (60.0, Known::Bounded));
        let set = Capacity { each: Some(10.0), ..Capacity::default() };
        assert_eq!(super::each(&set, 80.0, &[of(Some(90.0), None)], None), (10.0, Known::Set));
    }

    #[test]
    fn a_new_release_is_taken_for_the_one_before() {
        let before = learn(&[], "shop-1", 90.0, Kept::All, Timestamp(0));
        let spec = Capacity::default();
        assert_eq!(each(&spec, 80.0, &before, Some("shop-2")), (90.0, Known::Proven));
        let after = learn(&before, "shop-2", 30.0, Kept::Broken, Timestamp(1));
        assert_eq!(after[0].release, "shop-2");
        assert_eq!(each(&spec, 80.0, &after, Some("shop-2")), (30.0, Known::Bounded));
    }
}
