//! What missing instances are made for: each that a migration moves is replaced where that moves it
//! to, one for one; whatever else is missing goes first, and anywhere.
//!
//! **Invariant:** a migration that finds no room keeps nothing from being healed or scaled.

use std::cmp::Reverse;

use atoll_model::Selector;
use atoll_model::snapshot::Standing;

use super::Subject;
use super::fleet::Member;

/// New instances that are placed alike.
#[derive(Default)]
pub(super) struct Next<'a> {
    pub count: u32,
    /// Where they go, if that is bounded.
    pub to: Option<&'a Selector>,
    /// What they are made for, one for one; nothing of what is made for other reasons.
    pub replaces: Vec<&'a str>,
}

impl<'a> Next<'a> {
    /// That are made for nothing that is there, and go anywhere.
    pub fn anywhere(count: u32) -> Next<'a> {
        Next { count, ..Next::default() }
    }

    /// The first of those that are missing, and no more than `most` of them.
    pub fn of(subject: &Subject<'a>, missing: u32, most: u32) -> Next<'a> {
        let open = unreplaced(subject);
        let others = missing.saturating_sub(open.len() as u32);
        let to = |member: &Member<'a>| member.moved_by.map(|migration| &migration.spec.to);
        let Some(first) = open.first().and_then(|first| to(first)).filter(|_| others == 0) else {
            return Next::anywhere(if others == 0 { most } else { others.min(most) });
        };
        let alike = open.iter().take_while(|member| to(member) == Some(first));
        let replaces: Vec<&str> = alike.take(most as usize).map(|member| member.name()).collect();
        Next { count: replaces.len() as u32, to: Some(first), replaces }
    }
}

/// What has to leave its host and nothing was made for yet.
fn unreplaced<'a, 'x>(subject: &'x Subject<'a>) -> Vec<&'x Member<'a>> {
    let members = || subject.fleet.0.iter();
    let leaving = members().filter(|member| member.place == Standing::Leaving && member.present());
    let (replaced, mut open): (Vec<&Member>, Vec<&Member>) =
        leaving.partition(|member| member.replaced);
    // What was made for something, and is not said to be for any, is for those that go anywhere.
    let all = subject.counts.staying + (replaced.len() + open.len()) as u32;
    let surplus = all.saturating_sub(subject.wanted) as usize;
    open.sort_by_key(|m| (m.moved_by.is_some(), m.ready, Reverse(m.seat.ordinal)));
    open.drain(..surplus.saturating_sub(replaced.len()).min(open.len()));
    open
}
