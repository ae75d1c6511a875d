//! What a rollout makes in the place of others goes where budgets leave it, and nothing that serves
//! is stopped for what would not. Only what is missing is made anywhere in the end.

use atoll_model::{Kind, Object, Release};

use super::super::fleet::Member;
use super::super::replace::Next;
use super::Draft;
use crate::budget::dear::{Dear, Replaced, too_dear};
use crate::budget::fill;
use crate::placement::{self, Need};

impl<'a> Draft<'a> {
    /// Creates up to `count` instances in the place of others, as [`create`](Draft::create), but
    /// nowhere that is dearer than budgets leave them. Where some are missing, those are made
    /// whatever they cost if there is no other room.
    pub fn create_for(
        &mut self,
        release: &'a Object<Release>,
        count: u32,
        replaced: Replaced,
    ) -> u32 {
        let missing = self.subject.wanted.saturating_sub(self.subject.counts.total);
        self.create_held(release, (count, missing), replaced)
    }

    /// Creates up to `most` of those that are missing, as [`create`](Draft::create). Those that go
    /// elsewhere than the first are left to the next plan. What a rollout has stopped is made where
    /// budgets leave it, if there is such room or what is being stopped makes some.
    pub fn make_up(&mut self, release: &'a Object<Release>, missing: u32, most: u32) -> u32 {
        let subject = self.subject;
        let next = Next::of(subject, missing, most);
        let rolls = subject.progress.rollout.is_some() && release.name() == subject.target.name();
        if !rolls || !next.replaces.is_empty() {
            return self.place(release, &next, None);
        }
        let lost = missing.saturating_sub(subject.counts.stopping);
        self.create_held(release, (next.count, lost), Replaced::Some)
    }

    /// How many of these that serve may be stopped for others to be made in their place: no more
    /// than may be taken down, and as many as then find room that budgets leave. Notes why none do.
    pub fn replaceable(&mut self, release: &'a Object<Release>, serving: &[&Member]) -> u32 {
        let most = (serving.len() as u32).min(self.spare);
        let (world, name) = (self.subject.world, self.subject.object.name());
        let mut none = None;
        for count in parts(most, Replaced::Some) {
            let Some(dear) = self.too_dear(release, count, Replaced::Some) else { return count };
            let need = Need { dear: Some(&dear), ..self.need(release) };
            let old = serving.iter().take(count as usize).map(|member| member.name());
            match fill::replaceable(world, name, need, old) {
                0 => none = Some(placement::unplaceable(world, &need, count)),
                found => return found,
            }
        }
        self.obstacles.extend(none);
        0
    }

    /// Creates so many where budgets leave it, and if there is no such room, those that are missing
    /// anywhere.
    fn create_held(
        &mut self,
        release: &'a Object<Release>,
        (count, missing): (u32, u32),
        replaced: Replaced,
    ) -> u32 {
        let obstacles = self.obstacles.len();
        for count in parts(count, replaced) {
            self.obstacles.truncate(obstacles);
            let dear = self.too_dear(release, count, replaced);
            let made = self.place(release, &Next::anywhere(count), dear.as_ref());
            if made > 0 || dear.is_none() {
                return made;
            }
        }
        if missing == 0 {
            return 0;
        }
        self.obstacles.truncate(obstacles);
        self.create(release, count.min(missing))
    }

    fn too_dear(&self, release: &Object<Release>, count: u32, replaced: Replaced) -> Option<Dear> {
        let (subject, each) = (self.subject, release.spec.run.resources);
        // The way back is not held for money.
        if subject.goes_back() || subject.world.count(Kind::Budget) == 0 {
            return None;
        }
        let name = subject.object.name();
        too_dear(subject.world, subject.now, name, each, (count, replaced))
    }
}

/// Among how many that is shared which budgets leave: among all of them, and if that is too little
/// for each, it is for one. Those that replace all are made together.
fn parts(count: u32, replaced: Replaced) -> impl Iterator<Item = u32> {
    let one = (count > 1 && replaced == Replaced::Some).then_some(1);
    (count > 0).then_some(count).into_iter().chain(one)
}
