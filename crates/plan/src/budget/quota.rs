//! Who may have how much of what hosts have. Pure arithmetic over one resource; it knows no
//! objects.
//!
//! Everybody is guaranteed something, what is not used of it is lent, and what nobody is guaranteed
//! is there for all: the surplus is shared by weight, as far as each wants it (weighted max-min
//! fairness, as in the fair scheduler of Hadoop and the cohorts of Kueue). Where there is too
//! little, what is core is served first.

/// What one asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// It always has so much, if it wants it.
    pub guaranteed: u64,
    /// It never has more.
    pub ceiling: u64,
    /// Its part of the surplus.
    pub weight: u32,
    /// It comes first where there is too little.
    pub core: bool,
    /// It wants so much.
    pub wants: u64,
}

impl Claim {
    /// What it wants and may have at most.
    fn target(&self) -> u64 {
        self.wants.min(self.ceiling)
    }

    fn base(&self) -> u64 {
        self.target().min(self.guaranteed)
    }
}

/// What each has of a capacity.
///
/// **Invariant:** together no more than there is; each no more than it wants and its ceiling; each
/// what it is guaranteed, where there is enough for all guarantees; and nothing is left over that
/// anybody wants.
pub fn share(capacity: u64, claims: &[Claim]) -> Vec<u64> {
    let mut has = vec![0; claims.len()];
    let mut left = capacity;
    for core in [true, false] {
        let of: Vec<usize> = (0..claims.len()).filter(|i| claims[*i].core == core).collect();
        let ask = |i: usize| (claims[i].base(), claims[i].guaranteed.max(1));
        left = fill(left, &of, &mut has, ask);
    }
    for core in [true, false] {
        let of: Vec<usize> = (0..claims.len()).filter(|i| claims[*i].core == core).collect();
        let ask = |i: usize| (claims[i].target(), u64::from(claims[i].weight.max(1)));
        left = fill(left, &of, &mut has, ask);
    }
    has
}

/// Fills each up to what it asks for, by weight, until nothing is left or nobody asks. What is left
/// of a division goes to the first of those who still ask, one each.
fn fill(mut left: u64, of: &[usize], has: &mut [u64], ask: impl Fn(usize) -> (u64, u64)) -> u64 {
    loop {
        let open: Vec<usize> = of.iter().copied().filter(|i| has[*i] < ask(*i).0).collect();
        let sum: u128 = open.iter().map(|i| u128::from(ask(*i).1)).sum();
        if open.is_empty() || left == 0 {
            return left;
        }
        let round = left;
        let mut given = 0;
        for i in &open {
            let (most, weight) = ask(*i);
            let part = (u128::from(round) * u128::from(weight) / sum) as u64;
            let part = part.min(most - has[*i]);
            has[*i] += part;
            given += part;
        }
        if given == 0 {
            // Fewer are left than there are who ask.
            for i in open.iter().take(round as usize) {
                has[*i] += 1;
                given += 1;
            }
        }
        left -= given;
    }
}

/// What one may have: as much as it would, if it wanted all it may and others what they want now.
pub fn may(capacity: u64, claims: &[Claim], of: usize) -> u64 {
    let mut asked = claims.to_vec();
    if let Some(claim) = asked.get_mut(of) {
        claim.wants = claim.ceiling;
    }
    share(capacity, &asked).get(of).copied().unwrap_or_default()
}

/// What each has lent of what it is guaranteed: others' use beyond theirs that what nobody is
/// guaranteed does not cover, in proportion to what each leaves unused.
pub fn lent(capacity: u64, claims: &[Claim]) -> Vec<u64> {
    let has = share(capacity, claims);
    let guaranteed: u64 = claims.iter().fold(0, |sum, c| sum.saturating_add(c.guaranteed));
    let beyond = |i: usize| has[i].saturating_sub(claims[i].guaranteed);
    let borrowed: u64 = (0..claims.len()).map(beyond).sum();
    let lent = borrowed.saturating_sub(capacity.saturating_sub(guaranteed));
    let unused: Vec<u64> =
        (0..claims.len()).map(|i| claims[i].guaranteed.saturating_sub(has[i])).collect();
    let all: u128 = unused.iter().map(|part| u128::from(*part)).sum();
    let part = |unused: &u64| match all {
        0 => 0,
        all => ((u128::from(lent) * u128::from(*unused)).div_ceil(all) as u64).min(*unused),
    };
    unused.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Random;

    fn claim(guaranteed: u64, ceiling: u64, weight: u32, wants: u64) -> Claim {
        Claim { guaranteed, ceiling, weight, core: false, wants }
    }

    #[test]
    fn what_is_idle_is_lent_and_given_back() {
        let idle = claim(6, 10, 1, 1);
        let busy = claim(4, 10, 1, 10);
        assert_eq!(share(10, &[idle, busy]), [1, 9]);
        assert_eq!(lent(10, &[idle, busy]), [5, 0]);
        let back = Claim { wants: 6, ..idle };
        assert_eq!(share(10, &[back, busy]), [6, 4]);
        assert_eq!(lent(10, &[back, busy]), [0, 0]);
        assert_eq!(may(10, &[idle, busy], 0), 6, "it may have what it is guaranteed");
    }

    #[test]
    fn the_surplus_is_shared_by_weight() {
        let claims = [claim(2, 100, 1, 100), claim(2, 100, 3, 100), claim(0, 2, 9, 100)];
        assert_eq!(share(22, &claims), [6, 14, 2]);
    }

    #[test]
    fn what_is_core_comes_first() {
        let core = Claim { core: true, ..claim(4, 8, 1, 8) };
        let rest = claim(4, 8, 1, 8);
        assert_eq!(share(10, &[rest, core]), [4, 6]);
        // A zone is lost: what is guaranteed is not there for both.
        assert_eq!(share(5, &[rest, core]), [1, 4]);
    }

    #[test]
    fn shares_hold_their_promises_for_any_claims() {
        for seed in 0..2_000 {
            let mut random = Random::new(seed);
            let count = 1 + random.below(6) as usize;
            let claims: Vec<Claim> = (0..count)
                .map(|_| {
                    let guaranteed = random.below(20);
                    Claim {
                        guaranteed,
                        ceiling: guaranteed + random.below(20),
                        weight: 1 + random.below(5) as u32,
                        core: random.below(3) == 0,
                        wants: random.below(60),
                    }
                })
                .collect();
            let capacity = random.below(100);
            let has = share(capacity, &claims);
            let sum: u64 = has.iter().sum();
            assert!(sum <= capacity, "seed {seed}");
            let promised: u64 = claims.iter().map(|c| c.guaranteed).sum();
            let mut unmet = false;
            for (claim, has) in claims.iter().zip(&has) {
                assert!(*has <= claim.target(), "seed {seed}");
                assert!(promised > capacity || *has >= claim.base(), "seed {seed}");
                unmet |= *has < claim.target();
            }
            assert!(!unmet || sum == capacity, "seed {seed}: something is left that is wanted");
        }
    }
}
