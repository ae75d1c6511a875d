//! Tests of the sending of messages, of rules that fail, and of very many alerts.

use std::collections::BTreeMap;

use atoll_model::Kind;
use atoll_model::alerting::{Alert, AlertPhase, Rule, RuleGroup, RuleItem};
use atoll_model::monitoring::Completeness;
use atoll_model::notification::{AlertNote, Cause, Receiver};

use super::*;
use crate::Measurements;
use crate::follow::apply;
use crate::query::{Answer, Answers, Series};
use crate::testing::world;

const T: Timestamp = Timestamp(1_700_000_000_000);

fn message() -> Object<Notification> {
    let spec = Notification {
        receiver: "ops".to_owned(),
        key: "k".to_owned(),
        group: BTreeMap::new(),
        number: 1,
        cause: Cause::New,
        alerts: Vec::new(),
        more: 0,
        more_ended: 0,
        silenced: Vec::new(),
        unlisted: Vec::new(),
        digest: String::new(),
        at: T,
    };
    Object::new("ops.k.0000000001", spec)
}

/// Attempts at these times, in seconds, all failing.
fn attempts(times: &[i64], permanent: bool) -> (Snapshot, Vec<i64>) {
    let mut world = world([Any::Notification(Arc::new(message()))]);
    let measured = Measurements::default();
    let mut waits = Vec::new();
    for at in times {
        let now = Timestamp(T.0 + at * 1000);
        let cx = Context { world: &world, measured: &measured, now };
        let plan = sent(&cx, "ops.k.0000000001", Err("refused".to_owned()), permanent);
        for write in &plan.writes {
            apply(&mut world, write);
        }
        let status = &world.get::<Notification>("ops.k.0000000001").unwrap().status;
        waits.push(status.retry_at.map_or(-1, |retry| (retry.0 - now.0) / 1000));
    }
    (world, waits)
}

#[test]
fn attempts_come_more_and_more_seldom_until_it_is_too_late() {
    let (world, waits) = attempts(&[0, 6, 20, 50, 100, 300, 600, 1200, 14_400], false);
    for (wait, doubled) in waits.iter().zip([5, 10, 20, 40, 80, 160, 300, 300]) {
        assert!((doubled..=doubled * 6 / 5).contains(wait), "{waits:?}");
    }
    assert_eq!(waits[8], -1);
    assert_eq!(to_send(&world, Timestamp(i64::MAX)), [""; 0]);
    let (world, waits) = attempts(&[0], true);
    assert_eq!((waits, next_to_send(&world)), (vec![-1], None));
}

#[test]
fn what_got_through_is_not_sent_again() {
    let mut world = world([Any::Notification(Arc::new(message()))]);
    assert_eq!(to_send(&world, T), ["ops.k.0000000001"]);
    assert_eq!(to_send(&world, Timestamp(T.0 - 1)), [""; 0]);
    let measured = Measurements::default();
    let plan = sent(
        &Context { world: &world, measured: &measured, now: T },
        "ops.k.0000000001",
        Ok(()),
        false,
    );
    apply(&mut world, &plan.writes[0]);
    assert_eq!((to_send(&world, T), next_to_send(&world)), (Vec::new(), None));
}

fn rule() -> Any {
    let item = RuleItem {
        alert: Some("Down".to_owned()),
        expr: "up == 0".to_owned(),
        ..RuleItem::default()
    };
    let group = RuleGroup {
        name: "main".to_owned(),
        interval: Span::seconds(15),
        limit: 0,
        query_offset: None,
        labels: BTreeMap::new(),
        narrow: None,
        rules: vec![item],
    };
    Any::Rule(Arc::new(Object::new("node", Rule { groups: vec![group], owner: None })))
}

fn receiver() -> Any {
    let spec = serde_json::json!({
        "channel": { "webhook": { "url": "http://x" } },
        "routes": [{ "groupBy": [], "groupWait": "0s" }],
    });
    let spec: Receiver = serde_json::from_value(spec).unwrap();
    Any::Receiver(Arc::new(Object::new("ops", spec)))
}

/// Evaluates the rule with the same answer to all it asks, and applies what is planned.
fn evaluate(
    world: &mut Snapshot,
    now: Timestamp,
    answer: &Result<Arc<Answer>, Reason>,
) -> (usize, Option<Timestamp>) {
    let mut measured = Measurements::default();
    let queries = rule::queries(&Context { world, measured: &measured, now }, "node");
    measured.answers = queries.into_iter().map(|q| (q.name, answer.clone())).collect::<Answers>();
    let plan = rule::plan(&Context { world, measured: &measured, now }, "node");
    for write in &plan.writes {
        apply(world, write);
    }
    (plan.writes.len(), plan.again_at)
}

fn hosts(count: usize) -> Result<Arc<Answer>, Reason> {
    let of = |n: usize| Series {
        labels: [("host".to_owned(), format!("h{n}"))].into(),
        points: vec![(T, 1.0)],
        lag: None,
    };
    let count = count as u64;
    let completeness =
        Completeness { series: count, expected: count, seen: count, ..Completeness::default() };
    Ok(Arc::new(Answer { series: (0..count as usize).map(of).collect(), completeness }))
}

#[test]
fn very_many_alerts_are_written_bit_by_bit_and_told_in_short() {
    let mut world = world([rule(), receiver()]);
    let answer = hosts(10_000);
    let mut rounds = 0;
    loop {
        let (writes, again_at) = evaluate(&mut world, T, &answer);
        // The last of them also says how many there are.
        assert!(writes <= rule::MOST_WRITES + 1, "{writes}");
        rounds += 1;
        if again_at != Some(T) {
            break;
        }
    }
    assert_eq!((world.count(Kind::Alert), rounds), (10_000, 5));
    assert_eq!(world.get::<Rule>("node").unwrap().status.firing, 10_000);
    assert_eq!(evaluate(&mut world, T, &answer).0, 0, "planned twice is written once");

    let measured = Measurements::default();
    let plan = receiver::plan(&Context { world: &world, measured: &measured, now: T }, "ops");
    for write in &plan.writes {
        apply(&mut world, write);
    }
    let told: Vec<_> = world.all::<Notification>().cloned().collect();
    assert_eq!((told.len(), told[0].spec.alerts.len(), told[0].spec.more), (1, 200, 9_800));
    let told_name = told[0].meta.name.clone();
    let later = T + Span::seconds(3600);
    let again = receiver::plan(&Context { world: &world, measured: &measured, now: later }, "ops");
    let told = |w: &&Write| matches!(w, Write::Put(Any::Notification(_)));
    assert_eq!(again.writes.iter().filter(told).count(), 0, "nothing has changed");

    // All who were counted when they fired are counted when they end.
    let end = T + Span::seconds(7200);
    let sent =
        sent(&Context { world: &world, measured: &measured, now: T }, &told_name, Ok(()), false);
    sent.writes.iter().for_each(|write| drop(apply(&mut world, write)));
    for alert in world.all::<Alert>().cloned().collect::<Vec<_>>() {
        let mut ended = Object::clone(&alert);
        ended.status.phase = AlertPhase::Resolved;
        apply(&mut world, &Write::Put(Any::Alert(Arc::new(ended))));
    }
    let over = receiver::plan(&Context { world: &world, measured: &measured, now: end }, "ops");
    let told = over.writes.iter().find_map(|write| match write {
        Write::Put(Any::Notification(told)) => Some(&told.spec),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told.cause, told.alerts.len(), told.more_ended), (Cause::Resolved, 200, 9_800));
}

/// A message for each of very many alerts: made some at a time, and sent without planning them
/// all anew after each.
#[test]
fn very_many_messages_are_made_some_at_a_time_and_sent_in_one_go() {
    let Any::Receiver(by_host) = receiver() else { panic!() };
    let mut by_host = Object::clone(&by_host);
    by_host.spec.routes[0].group_by = vec!["host".to_owned()];
    let mut world = world([rule(), Any::Receiver(Arc::new(by_host))]);
    while evaluate(&mut world, T, &hosts(1_200)).1 == Some(T) {}
    let measured = Measurements::default();
    let mut rounds = Vec::new();
    let plan = |world: &mut Snapshot, now: Timestamp| {
        let plan = receiver::plan(&Context { world, measured: &measured, now }, "ops");
        let made = world.count(Kind::Notification);
        for write in &plan.writes {
            apply(world, write);
        }
        (world.count(Kind::Notification) - made, plan.again_at)
    };
    for _ in 0..4 {
        let (made, again_at) = plan(&mut world, T);
        rounds.push((made, again_at == Some(T)));
    }
    assert_eq!(rounds, [(500, true), (500, true), (200, false), (0, false)]);
    assert_eq!(world.get::<Receiver>("ops").unwrap().status.waiting, 1_200);

    let mut touched = 0;
    let mut now = T;
    for name in to_send(&world, T) {
        now = now + Span(10);
        let old = Any::Notification(world.get::<Notification>(&name).unwrap().clone());
        let cx = Context { world: &world, measured: &measured, now };
        let Plan { writes, .. } = sent(&cx, &name, Ok(()), false);
        apply(&mut world, &writes[0]);
        let Write::Put(new) = &writes[0] else { panic!() };
        if !receiver::touched(&world, Some(&old), Some(new)).is_empty() {
            touched += 1;
            assert!(plan(&mut world, now).1.is_some_and(|at| at <= now + Span::seconds(2)));
        }
    }
    // Twelve seconds of sending; the status is two seconds old at most.
    assert_eq!(touched, 6);
    plan(&mut world, now + Span::seconds(2));
    assert_eq!(world.get::<Receiver>("ops").unwrap().status.waiting, 0);
}

/// What was told to fire and then makes room for newer ones has its end told all the same.
#[test]
fn of_very_many_alerts_none_that_was_told_ends_unheard() {
    let mut world = world([rule(), receiver()]);
    let mut now = T;
    let mut tell = |world: &mut Snapshot, count: usize| -> Notification {
        now = now + Span::seconds(3600);
        while evaluate(world, now, &hosts(count)).1 == Some(now) {}
        let measured = Measurements::default();
        let plan = receiver::plan(&Context { world, measured: &measured, now }, "ops");
        for write in &plan.writes {
            apply(world, write);
        }
        let newest = world.all::<Notification>().max_by_key(|n| n.spec.number).unwrap().clone();
        let plan = sent(&Context { world, measured: &measured, now }, newest.name(), Ok(()), false);
        for write in &plan.writes {
            apply(world, write);
        }
        newest.spec.clone()
    };
    let first = tell(&mut world, 300);
    let name = first.alerts[0].name.clone();
    let second = tell(&mut world, 500);
    assert!(second.alerts.iter().all(|note| note.firing && note.name != name));
    assert!(second.unlisted.contains(&name) && second.unlisted.len() == 200);
    let mut gone = Object::clone(world.get::<Alert>(&name).unwrap());
    gone.status.phase = AlertPhase::Resolved;
    apply(&mut world, &Write::Put(Any::Alert(Arc::new(gone))));
    let measured = Measurements::default();
    let later = T + Span::seconds(3 * 3600);
    let plan = receiver::plan(&Context { world: &world, measured: &measured, now: later }, "ops");
    let told = plan.writes.iter().find_map(|write| match write {
        Write::Put(Any::Notification(told)) if told.spec.number == 3 => Some(told),
        _ => None,
    });
    let ended: Vec<&AlertNote> = told.unwrap().spec.alerts.iter().filter(|n| !n.firing).collect();
    assert_eq!(ended.iter().map(|note| &note.name).collect::<Vec<_>>(), [&name]);
}

#[test]
fn the_history_of_an_alert_names_it_by_its_own_labels() {
    let said = |count: usize, series: &str| {
        let world = world([rule()]);
        let mut answer = Answer::clone(&hosts(count).unwrap());
        for (n, one) in answer.series.iter_mut().enumerate() {
            one.labels = [(series.to_owned(), n.to_string())].into();
        }
        let answer = Ok(Arc::new(answer));
        let mut measured = Measurements::default();
        let queries =
            rule::queries(&Context { world: &world, measured: &measured, now: T }, "node");
        measured.answers = queries.into_iter().map(|q| (q.name, answer.clone())).collect();
        let plan = rule::plan(&Context { world: &world, measured: &measured, now: T }, "node");
        plan.reasons[0].message.clone()
    };
    assert_eq!(said(1, "job"), "it began to fire: Down for {job=\"0\"}");
    assert_eq!(said(1, "__name__"), "it began to fire: Down");
    assert!(said(7, "job").starts_with("7 alerts began to fire together: Down for {job=\"0\"}, "));
}

#[test]
fn a_question_without_an_answer_changes_no_alert() {
    let mut world = world([rule()]);
    evaluate(&mut world, T, &hosts(2));
    let failed = Err(Reason::new("query-failed", "the store is away"));
    let later = T + Span::seconds(30);
    assert_eq!(evaluate(&mut world, later, &failed).0, 1, "only the rule says so");
    let firing = |a: &&Arc<Object<Alert>>| a.status.phase == AlertPhase::Firing;
    assert_eq!(world.all::<Alert>().filter(firing).count(), 2);
    let reasons = &world.get::<Rule>("node").unwrap().status.reasons;
    assert_eq!(reasons[0].message, "main, Down: the store is away");
    assert_eq!(evaluate(&mut world, later, &failed).0, 0);
}

#[test]
fn evaluation_times_do_not_depend_on_who_asks_when() {
    let world = world([rule()]);
    let measured = Measurements::default();
    let at = |now: i64| {
        let now = Timestamp(T.0 + now);
        let queries = rule::queries(&Context { world: &world, measured: &measured, now }, "node");
        match queries[0].period {
            crate::query::Period::At(at) => (at.0, now.0),
            crate::query::Period::Range { .. } => panic!("not at one time"),
        }
    };
    let times: Vec<_> = (0..60).map(|n| at(n * 1000)).collect();
    for pair in times.windows(2) {
        let ((a, _), (b, now)) = (pair[0], pair[1]);
        assert!(b <= now && (b == a || b == a + 15_000), "{pair:?}");
    }
    assert_eq!(times.iter().map(|(at, _)| *at).collect::<std::collections::BTreeSet<_>>().len(), 5);
}

/// What is known of a host at one time.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    Bad,
    Good,
    Nothing,
}

/// The answers to what a rule asks, of hosts in this state.
fn of_hosts(hosts: &[Known], unfiltered: bool) -> Result<Arc<Answer>, Reason> {
    let seen = |(n, known): (usize, &Known)| {
        let there = *known == Known::Bad || (unfiltered && *known == Known::Good);
        let labels = [("host".to_owned(), format!("h{n}"))].into();
        there.then(|| Series {
            labels,
            points: vec![(T, f64::from(*known == Known::Bad))],
            lag: None,
        })
    };
    let series: Vec<Series> = hosts.iter().enumerate().filter_map(seen).collect();
    let seen = hosts.iter().filter(|known| **known != Known::Nothing).count() as u64;
    let expected = hosts.len() as u64;
    let completeness = Completeness { series: seen, expected, seen, ..Completeness::default() };
    Ok(Arc::new(Answer { series, completeness }))
}

/// Whatever is measured and whatever is not: an alert ends only where its condition was measured
/// not to hold, nobody is told more often than they asked for, nobody hears of an end that was
/// none, and what is planned twice is written once.
#[test]
fn alerts_end_by_what_is_known_and_are_told_once() {
    for seed in 0..20 {
        let mut random = crate::sim::Random::new(seed);
        let mut world = world([rule(), receiver()]);
        let mut known = [Known::Good; 3];
        let mut last_told = None;
        for step in 0..300 {
            let now = T + Span::seconds(15 * step);
            for host in &mut known {
                match random.span(Span(0), Span(9)).0 {
                    0 => *host = Known::Bad,
                    1 => *host = Known::Good,
                    2 => *host = Known::Nothing,
                    _ => {}
                }
            }
            let before = world.clone();
            let mut measured = Measurements::default();
            let queries =
                rule::queries(&Context { world: &world, measured: &measured, now }, "node");
            let answers = queries.into_iter().map(|q| (q.name, of_hosts(&known, q.unfiltered)));
            measured.answers = answers.collect();
            for round in 0..3 {
                let plans: [crate::Planner; 2] =
                    [|cx, _| rule::plan(cx, "node"), |cx, _| receiver::plan(cx, "ops")];
                for plan in plans {
                    let plan = plan(&Context { world: &world, measured: &measured, now }, "");
                    // In the second a receiver counts what the first has made.
                    let counts = |w: &Write| w.kind() == Kind::Receiver;
                    let settled = match round {
                        0 => true,
                        1 => plan.writes.iter().all(counts),
                        _ => plan.writes.is_empty(),
                    };
                    assert!(settled, "seed {seed} step {step}: {plan:?}");
                    plan.writes.iter().for_each(|write| drop(apply(&mut world, write)));
                }
            }
            for alert in before.all::<Alert>().filter(|a| a.status.phase == AlertPhase::Firing) {
                let host: usize = alert.spec.labels["host"][1..].parse().unwrap();
                let now = world.get::<Alert>(alert.name()).map(|alert| alert.status.phase);
                let ended = now != Some(AlertPhase::Firing);
                assert_eq!(ended, known[host] == Known::Good, "seed {seed} step {step} {host}");
            }
            let new =
                |n: &&Arc<Object<Notification>>| before.get::<Notification>(n.name()).is_none();
            let told: Vec<_> = world.all::<Notification>().filter(new).cloned().collect();
            for message in &told {
                let often =
                    last_told.is_none_or(|at: Timestamp| now.since(at) >= Span::seconds(300));
                assert!(often, "seed {seed} step {step}");
                last_told = Some(now);
                for note in &message.spec.alerts {
                    let alert = world.get::<Alert>(&note.name);
                    let fires = alert.is_some_and(|a| a.status.phase == AlertPhase::Firing);
                    assert_eq!(note.firing, fires, "seed {seed} step {step}");
                }
            }
        }
    }
}
