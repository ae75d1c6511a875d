//! Which host does which of the tasks that wait: by priority, then in turn among pipelines, each
//! to the emptiest host it may run on. The queue is planned as a whole, since fairness is of all
//! who wait; a task that has a host never moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_model::ci::task::TaskPhase;
use atoll_model::cmdb::{Amount, HostPhase};
use atoll_model::snapshot::Load;
use atoll_model::{Any, Host, Intent, Object, Reason, Selector, Snapshot, Span, Task, Write};

use crate::placement::no_engine;
use crate::{Context, Plan};

/// The one subject: the queue.
const QUEUE: &str = "queue";
/// So many tasks get a host in one transaction.
const AT_ONCE: usize = 128;
/// What waits is looked at again after this time, whatever signals were lost.
const LOOK_AGAIN: Span = Span::seconds(15);

/// Gives hosts to the tasks that wait.
pub fn plan(cx: &Context, name: &str) -> Plan {
    // A pass over everything comes with the name of each host; one of them is enough.
    let first = cx.world.all::<Host>().next().map(|host| host.name());
    if name != QUEUE && first != Some(name) {
        return Plan::nothing();
    }
    let mut plan = Plan::new(Intent::Observe);
    let mut lines = Lines::of(cx.world);
    let mut rooms = Rooms::default();
    let mut left = Vec::new();
    while plan.writes.len() < AT_ONCE {
        let Some(task) = lines.next() else { break };
        let Some(host) = rooms.place(cx.world, task) else {
            left.push(task);
            continue;
        };
        lines.took(task);
        plan.writes.push(give(cx, task, host));
    }
    tell(cx, &left, &mut plan);
    if cx.world.queued_tasks().next().is_some() {
        let full = plan.writes.len() == AT_ONCE;
        plan.again_at = Some(if full { cx.now } else { cx.now + LOOK_AGAIN });
    }
    plan
}

/// Whether a changed object may let a task find a host.
pub fn touched(world: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    let matters = match new.or(old) {
        Some(Any::Task(task)) => {
            let waits = task.spec.host.is_none() && !task.status.phase.is_over();
            let left = new.is_none() || task.status.phase.is_over();
            waits || (left && world.queued_tasks().next().is_some())
        }
        Some(Any::Host(_) | Any::Instance(_)) => world.queued_tasks().next().is_some(),
        _ => false,
    };
    if matters { vec![QUEUE.to_owned()] } else { Vec::new() }
}

fn give(cx: &Context, task: &Arc<Object<Task>>, host: String) -> Write {
    let mut new = Object::clone(task);
    new.meta.generation += 1;
    new.spec.host = Some(host);
    new.status.phase = TaskPhase::Pending;
    new.status.since = Some(cx.now);
    new.status.reasons.clear();
    Write::Put(Any::Task(Arc::new(new)))
}

/// Says of tasks that found no host what they wait for. Of those whose turn will come, only once
/// they have waited for a while, and of none again while it is the same.
fn tell(cx: &Context, left: &[&Arc<Object<Task>>], plan: &mut Plan) {
    let mut known: Vec<(&Task, Vec<Reason>)> = Vec::new();
    for task in left {
        let alike = |spec: &Task| {
            let engine = |task: &Task| task.work.needs_engine();
            spec.on == task.spec.on
                && need(spec) == need(&task.spec)
                && engine(spec) == engine(&task.spec)
        };
        let at = known.iter().position(|(spec, _)| alike(spec)).unwrap_or_else(|| {
            known.push((&task.spec, why_it_waits(cx.world, &task.spec)));
            known.len() - 1
        });
        let why = &known[at].1;
        let codes = |reasons: &[Reason]| -> Vec<String> {
            reasons.iter().map(|reason| reason.code.clone()).collect()
        };
        // Where others in this plan were given the room, its turn comes too.
        let soon = why.iter().any(|reason| reason.code == "busy");
        let waited = cx.now.since(task.meta.created_at.unwrap_or(cx.now));
        let free = why.iter().any(|reason| reason.code == "queued");
        let early = free || (soon && waited < LOOK_AGAIN);
        if early || codes(why) == codes(&task.status.reasons) || plan.writes.len() >= AT_ONCE {
            continue;
        }
        let mut new = Object::clone(task);
        new.status.reasons.clone_from(why);
        plan.writes.push(Write::Put(Any::Task(Arc::new(new))));
    }
}

/// The pipeline a task is of.
fn pipeline(task: &Task) -> &str {
    task.run.rsplit_once('.').map_or(task.run.as_str(), |(pipeline, _)| pipeline)
}

/// What waits, a line for each pipeline and priority, and whose turn it is.
struct Lines<'a> {
    /// By priority, the highest last; then by how many the pipeline has going, and its name.
    turns: BTreeSet<(std::cmp::Reverse<i32>, usize, &'a str)>,
    lines: BTreeMap<(i32, &'a str), std::vec::IntoIter<&'a Arc<Object<Task>>>>,
    going: BTreeMap<&'a str, usize>,
}

impl<'a> Lines<'a> {
    fn of(world: &'a Snapshot) -> Lines<'a> {
        let mut waiting: BTreeMap<(i32, &str), Vec<&Arc<Object<Task>>>> = BTreeMap::new();
        for task in world.queued_tasks().filter(|task| !task.spec.cancelled) {
            let key = (task.spec.priority, pipeline(&task.spec));
            waiting.entry(key).or_default().push(task);
        }
        let mut going: BTreeMap<&str, usize> = BTreeMap::new();
        if !waiting.is_empty() {
            for host in world.all::<Host>() {
                for task in world.tasks_on(host.name()) {
                    *going.entry(pipeline(&task.spec)).or_default() += 1;
                }
            }
        }
        let of = |name: &str| going.get(name).copied().unwrap_or(0);
        let turns =
            waiting.keys().map(|(p, name)| (std::cmp::Reverse(*p), of(name), *name)).collect();
        let in_order = |mut line: Vec<&'a Arc<Object<Task>>>| {
            line.sort_by_key(|task| (task.meta.created_at, &task.spec.run, task.spec.cell));
            line.into_iter()
        };
        let lines = waiting.into_iter().map(|(key, line)| (key, in_order(line))).collect();
        Lines { turns, lines, going }
    }

    /// The task whose turn it is. One that found no host is passed by.
    fn next(&mut self) -> Option<&'a Arc<Object<Task>>> {
        loop {
            let (priority, _, name) = *self.turns.first()?;
            if let Some(task) = self.lines.get_mut(&(priority.0, name)).and_then(Iterator::next) {
                return Some(task);
            }
            self.turns.pop_first();
        }
    }

    /// It has a host: its pipeline is behind those with fewer.
    fn took(&mut self, task: &'a Object<Task>) {
        let (priority, name) = (task.spec.priority, pipeline(&task.spec));
        let going = self.going.entry(name).or_default();
        self.turns.remove(&(std::cmp::Reverse(priority), *going, name));
        *going += 1;
        self.turns.insert((std::cmp::Reverse(priority), *going, name));
    }
}

/// What was given away in this plan, and what is known to fit nowhere.
#[derive(Default)]
struct Rooms<'a> {
    taken: BTreeMap<&'a str, Amount>,
    nowhere: Vec<(&'a Selector, bool, Amount)>,
}

impl<'a> Rooms<'a> {
    /// The emptiest host a task may be done on.
    fn place(&mut self, world: &'a Snapshot, task: &'a Object<Task>) -> Option<String> {
        let need = need(&task.spec);
        let engine = task.spec.work.needs_engine();
        let hopeless = |(on, with, least): &(&Selector, bool, Amount)| {
            *on == &task.spec.on
                && (engine || !*with)
                && need.cpu.0 >= least.cpu.0
                && need.memory.0 >= least.memory.0
        };
        if self.nowhere.iter().any(hopeless) {
            return None;
        }
        let mut best: Option<(Load, &str)> = None;
        for (_, hosts) in world.open_hosts() {
            for (load, name) in hosts {
                // Hosts come with the emptiest first; only what this plan gave away changes that.
                if best.is_some_and(|(least, _)| least <= *load) {
                    break;
                }
                let Some(host) = world.get::<Host>(name) else { continue };
                let taken = self.taken.get(name.as_str()).copied().unwrap_or_default();
                if exclusion(world, host, &task.spec, taken).is_some() {
                    continue;
                }
                let load = Load::of(used(world, host, taken), usable(host));
                if best.is_none_or(|best| (load, name.as_str()) < best) {
                    best = Some((load, name));
                }
            }
        }
        let Some((_, name)) = best else {
            self.nowhere.push((&task.spec.on, engine, need));
            return None;
        };
        let host = world.get::<Host>(name)?;
        let taken = self.taken.entry(host.name()).or_default();
        taken.cpu.0 += need.cpu.0;
        taken.memory.0 += need.memory.0;
        Some(name.to_owned())
    }
}

fn need(task: &Task) -> Amount {
    let resources = task.work.limits.resources;
    Amount { cpu: resources.cpu, memory: resources.memory, instances: 0 }
}

fn usable(host: &Object<Host>) -> Amount {
    host.spec.usable(host.status.capacity)
}

fn used(world: &Snapshot, host: &Object<Host>, more: Amount) -> Amount {
    let mut used = world.usage(host.name()).map(|usage| usage.amount).unwrap_or_default();
    used.cpu.0 += more.cpu.0;
    used.memory.0 += more.memory.0;
    used
}

/// Why a task cannot be done on a host now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exclusion {
    NotSelected,
    NotOpen,
    NoEngine,
    TooSmall,
    /// What is deployed there, and does not end, leaves it no room.
    Deployed,
    Busy,
}

fn exclusion(
    world: &Snapshot,
    host: &Object<Host>,
    task: &Task,
    more: Amount,
) -> Option<Exclusion> {
    if !task.on.matches(&host.meta.labels) {
        return Some(Exclusion::NotSelected);
    }
    if !host.is_open() {
        return Some(Exclusion::NotOpen);
    }
    if task.work.needs_engine() && host.status.agent.engine.is_empty() {
        return Some(Exclusion::NoEngine);
    }
    let (need, usable) = (need(task), usable(host));
    if need.cpu.0 > usable.cpu.0 || need.memory.0 > usable.memory.0 {
        return Some(Exclusion::TooSmall);
    }
    let used = used(world, host, more);
    let full =
        used.cpu.0 + need.cpu.0 > usable.cpu.0 || used.memory.0 + need.memory.0 > usable.memory.0;
    full.then(|| match fits_once_others_end(world, host, need) {
        true => Exclusion::Busy,
        false => Exclusion::Deployed,
    })
}

/// Whether there would be room if everything that ends by itself had ended.
fn fits_once_others_end(world: &Snapshot, host: &Object<Host>, need: Amount) -> bool {
    let (used, usable) = (used(world, host, Amount::default()), usable(host));
    let tasks = world.tasks_on(host.name()).filter(|task| !task.status.phase.is_over());
    let ends: (u64, u64) = tasks
        .map(|task| self::need(&task.spec))
        .fold((0, 0), |sum, one| (sum.0 + one.cpu.0, sum.1 + one.memory.0));
    used.cpu.0.saturating_sub(ends.0) + need.cpu.0 <= usable.cpu.0
        && used.memory.0.saturating_sub(ends.1) + need.memory.0 <= usable.memory.0
}

/// Why a task that waits has no host, in words.
pub(crate) fn why_it_waits(world: &Snapshot, task: &Task) -> Vec<Reason> {
    let mut found: BTreeMap<Exclusion, Vec<&str>> = BTreeMap::new();
    let mut lost = 0;
    for host in world.all::<Host>() {
        match exclusion(world, host, task, Amount::default()) {
            None => return vec![Reason::new("queued", "its turn comes next")],
            Some(Exclusion::NotOpen) if host.status.phase == HostPhase::Unknown => lost += 1,
            Some(other) => found.entry(other).or_default().push(host.name()),
        }
    }
    let need = task.work.limits.resources;
    let asks = format!("{} cpu and {} of memory", need.cpu, need.memory);
    let mut reasons = Vec::new();
    let mut say = |code: &str, message: String, hint: &str| {
        reasons.push(Reason::new(code, message).hint(hint));
    };
    let named = |of: &[&str]| match of.len() {
        1..=3 => of.join(", "),
        n => format!("{n} hosts"),
    };
    for (cause, hosts) in &found {
        let hosts = named(hosts);
        match cause {
            Exclusion::NotSelected => {
                let message = format!("{hosts}: not selected by on: {}", task.on);
                say("not-selected", message, "label a host, or change the step's on");
            }
            Exclusion::NotOpen => {
                let message = format!("{hosts}: cordoned or drained");
                say("not-open", message, "atoll uncordon host/NAME");
            }
            Exclusion::NoEngine => {
                let is = |host: &Object<Host>| {
                    exclusion(world, host, task, Amount::default()) == Some(*cause)
                };
                let why = no_engine(world, is);
                let message = format!("{hosts}: no container engine, and the step needs one{why}");
                say("no-engine", message, "start Docker there, or leave images out");
            }
            Exclusion::TooSmall => {
                let message = format!("{hosts}: smaller than the {asks} it asks for");
                say("too-small", message, "lower the step's limits.resources");
            }
            Exclusion::Busy => {
                let message = format!("{hosts}: busy; it asks for {asks}");
                say("busy", message, "it begins when others end there");
            }
            Exclusion::Deployed => {
                let message =
                    format!("{hosts}: what is deployed there takes the room; it asks for {asks}");
                let hint = "that does not end: lower the step's limits.resources, or add a host";
                say("deployed", message, hint);
            }
        }
    }
    if lost > 0 {
        let are = if lost == 1 { "host is" } else { "hosts are" };
        say("not-heard", format!("{lost} {are} not heard from"), "start their agents");
    }
    if found.is_empty() && lost == 0 {
        say("no-hosts", "there are no hosts".to_owned(), "join one: atoll agent --server URL");
    }
    reasons
}
