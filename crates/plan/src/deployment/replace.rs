//! What missing instances are made for: each that a migration moves is replaced where that moves it
//! to, one for one; whatever else is missing goes first, and anywhere.
//!
//! **Invariant:** a migration that finds no room keeps nothing from being healed or scaled.

use std::cmp::Reverse;

use atoll_model::Selector;
use atoll_model::snapshot::Standing;

use super::Subject;
use super::fleet::Member;
use crate::migration;

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
        let to = |member: &Member<'a>| member.moved_by.and_then(migration::bound);
        let Some(first) = open.first().filter(|_| others == 0) else {
            return Next::anywhere(others.min(most));
        };
        let to_first = to(first);
        let alike = open.iter().take_while(|member| to(member) == to_first);
        let replaces: Vec<&str> = alike.take(most as usize).map(|member| member.name()).collect();
        Next { count: replaces.len() as u32, to: to_first, replaces }
    }

    /// One in the place of an instance that something else has a port of: it is made for what that
    /// was made for, and goes where that was to go.
    pub fn instead_of(subject: &Subject<'a>, member: &Member<'a>) -> Next<'a> {
        let made_for = member.object.spec.replaces.as_deref();
        let made_for = |m: &&Member<'a>| m.replaced && made_for == Some(m.name());
        let moved = subject.fleet.0.iter().find(made_for);
        Next {
            count: 1,
            to: moved.and_then(|m| m.moved_by).and_then(migration::bound),
            replaces: moved.map(Member::name).into_iter().collect(),
        }
    }
}

/// What a migration moves and nothing was made for yet.
fn unreplaced<'a, 'x>(subject: &'x Subject<'a>) -> Vec<&'x Member<'a>> {
    let leaving = subject.fleet.0.iter().filter(|m| m.place == Standing::Leaving && m.present());
    let (moved, others): (Vec<&Member>, Vec<&Member>) =
        leaving.partition(|member| member.moved_by.is_some());
    let all = subject.counts.staying + (moved.len() + others.len()) as u32;
    let (replaced, mut open): (Vec<&Member>, Vec<&Member>) =
        moved.into_iter().partition(|member| member.replaced);
    open.sort_by_key(|m| (m.ready, Reverse(m.seat.ordinal)));
    // What is there beyond what is wanted, and was made for none of these, leaves as many
    // unreplaced: those that are stopped first.
    let surplus = all.saturating_sub(subject.wanted) as usize;
    let spare = surplus.saturating_sub(replaced.len() + others.len());
    open.drain(..spare.min(open.len()));
    open
}
