//! What is rehearsed of peaks: those that are told of, and those that are there now.

use atoll_model::elasticity::LOAD;
use atoll_model::peak::PeakApplication;
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::{Kind, Peak, Timestamp};
use atoll_plan::rehearsal::HISTORY_STEP;
use atoll_plan::rehearsal::about::{self, Question};
use serde_json::json;

use super::*;

/// Both scenarios are the same but for the peak, and are asked the same.
#[test]
fn a_peak_that_is_told_of_is_held_and_one_that_is_not_breaks() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal");
    let report = |name: &str| run(&read(&here.join(name)), &Today::default(), &never()).unwrap();
    let (held, missed) = (report("peak-held.yaml"), report("peak-missed.yaml"));
    assert!(held.held, "{held}");
    assert!(!missed.held, "{missed}");
    let told = held.to_string();
    assert!(told.contains("hosts open"), "a host is made for it: {told}");
    assert!(told.contains("hosts emptied"), "and is given back: {told}");
}

const HOUR: Span = Span::seconds(3_600);

/// A fleet with a peak of the next hours that was planned for; it may have begun.
fn with_a_peak(begins: i64, expected: serde_json::Value, row: PeakApplication) -> Today {
    let mut sim = Sim::new(11);
    let size = Amount { cpu: Cpu(4_000), memory: Memory(8 << 30), instances: 0 };
    sim.join("h0", &[], size);
    let application = json!({
        "apiVersion": "atoll/v1", "kind": "Application", "metadata": { "name": "shop" },
        "spec": {
            "run": { "command": ["x"], "resources": { "cpu": "100m", "memory": "64Mi" } },
            "scaling": {
                "min": 4, "max": 18, "perInstance": { "query": "load", "target": 12 },
            },
        },
    });
    let environment = Any::Environment(Arc::new(Object::new("prod", Environment::default())));
    sim.apply(vec![environment, Any::from_value(application).unwrap()]).unwrap();
    assert!(sim.settle(Span::seconds(600)));
    let now = sim.now();
    let starts = Timestamp(now.0 + begins * 60_000);
    let spec = json!({
        "starts": starts.to_string(), "ends": (starts + HOUR).to_string(),
        "environment": "prod", "applications": { "shop": expected },
        "lead": { "scale": "10m", "giveBack": "10m" },
    });
    let mut peak = Object::new("pd", serde_json::from_value::<Peak>(spec).unwrap());
    peak.status.times = peak.spec.times().unwrap();
    peak.status.applications = vec![row];
    let mut world = sim.world.clone();
    world.put(Any::Peak(Arc::new(peak)));
    Today { world, measured: sim.context().measured.clone(), now, ..Today::default() }
}

fn row(usual: f64, expected: f64, reasons: &[&str]) -> PeakApplication {
    PeakApplication {
        deployment: "shop.prod".to_owned(),
        usual: Some(usual),
        expected: Some(expected),
        needed: Some((expected / 12.0).ceil() as u32),
        reasons: reasons.iter().map(|code| atoll_model::Reason::new(code, "")).collect(),
        ..PeakApplication::default()
    }
}

fn measure(today: &mut Today, load: f64) {
    let mut scaler = Object::clone(today.world.get::<Autoscaler>("shop.prod").unwrap());
    let signal = json!({ "name": LOAD, "value": load });
    scaler.status.signals = vec![serde_json::from_value(signal).unwrap()];
    today.world.put(Any::Autoscaler(Arc::new(scaler)));
}

/// The load that is played at the beginning, in the rest of a peak that is there, and at the end.
fn played(report: &RehearsalReport) -> (f64, f64, f64) {
    let course = &report.deployments[0].course;
    let in_it = (Span::seconds(1_800).0 / course.step.0) as usize;
    (course.load[0], course.load[in_it], *course.load.last().unwrap())
}

fn of_object(today: &Today, kind: Kind, name: &str) -> RehearsalReport {
    match about::question(&today.world, (kind, name), today.now).unwrap() {
        Question::Played(scenario) => run(&scenario, today, &never()).unwrap(),
        Question::Known(known) => panic!("{known}"),
    }
}

fn said(report: &RehearsalReport, part: &str) -> bool {
    report.assumed.iter().any(|assumed| assumed.contains(part))
}

/// A twin of today does not begin with less load than is measured now.
#[test]
fn of_a_peak_that_is_there_what_is_measured_is_played_where_it_is_more() {
    let of = |volume: f64, load: f64| {
        let planned = row(30.0, volume, &["usual-now"]);
        let mut today = with_a_peak(0, json!({ "volume": volume }), planned);
        measure(&mut today, load);
        today
    };
    for (volume, load) in [(40.0, 150.0), (60.0, 116.0), (120.0, 150.0)] {
        let today = of(volume, load);
        let told = format!("the load of shop.prod is {load}, and {volume} at most was expected");
        let report = of_object(&today, Kind::Peak, "pd");
        assert_eq!(played(&report), (load, load, 30.0), "{report}");
        assert!(said(&report, &told), "{report}");
        assert_eq!(report.deployments[0].most, (load / 12.0).ceil() as u32, "{report}");
        let report = of_object(&today, Kind::Deployment, "shop.prod");
        // It asks whether twice the load is carried, a minute later.
        assert_eq!((played(&report).0, played(&report).1), (load, 2.0 * load), "{report}");
        assert!(said(&report, &told), "{report}");
    }
    let report = of_object(&of(200.0, 150.0), Kind::Peak, "pd");
    assert_eq!(played(&report).1, 200.0, "what is expected may still come: {report}");
    assert!(!said(&report, "at most was expected"), "{report}");
}

/// What is there of a peak is not taken for what is usual, and then once more for what it brings.
#[test]
fn what_is_there_of_a_peak_is_not_multiplied_by_it() {
    let mut today = with_a_peak(-30, json!(4), row(40.0, 160.0, &[]));
    let steps = 4 * 288;
    let at = |back: u64| today.now - Span(HISTORY_STEP.0 * back);
    let load = |back: u64| if back <= 6 { 150.0 } else { 40.0 };
    let past: Vec<(Timestamp, f64)> = (0..steps).rev().map(|back| (at(back), load(back))).collect();
    today.history = [("shop.prod".to_owned(), past)].into();
    measure(&mut today, 150.0);
    let report = of_object(&today, Kind::Peak, "pd");
    let most = report.deployments[0].course.load.iter().copied().fold(0.0, f64::max);
    assert_eq!(most, 160.0, "{report}");
}
