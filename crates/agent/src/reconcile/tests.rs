//! Cases of what is done when; each starts from what is here and what is assigned.

use atoll_model::Timestamp;
use atoll_model::run::Run;

use super::*;

fn run(command: &str) -> Run {
    serde_json::from_value(serde_json::json!({ "command": [command] })).unwrap()
}

fn release(command: &str) -> AssignedRelease {
    AssignedRelease {
        run: run(command),
        config: BTreeMap::new(),
        package: None,
        image: None,
        pinned: None,
    }
}

fn instance(name: &str, release: &str) -> AssignedInstance {
    AssignedInstance {
        name: name.to_owned(),
        generation: 1,
        created_at: Timestamp(1),
        deployment: "web.prod".to_owned(),
        application: "web".to_owned(),
        environment: "prod".to_owned(),
        ordinal: 0,
        release: release.to_owned(),
        prefetch: None,
        ports: BTreeMap::new(),
        resources: Default::default(),
        runtime: Runtime::Process,
        purge: false,
        stop: false,
        config: BTreeMap::new(),
    }
}

fn order(name: &str, command: &str) -> Order {
    Order {
        instance: instance(name, command),
        release: release(command),
        prefetch: None,
        prefetch_image: None,
    }
}

fn assignment(instances: Vec<AssignedInstance>) -> Assignment {
    let releases = ["a", "b"].map(|r| (r.to_owned(), release(r))).into();
    Assignment { revision: 5, instances, releases, ..Assignment::default() }
}

fn known(orders: &[Order]) -> BTreeMap<String, Arc<Order>> {
    orders.iter().map(|o| (o.instance.name.clone(), Arc::new(o.clone()))).collect()
}

fn step(record: Option<&Order>, alive: bool, fetched: bool, wanted: Option<&Order>) -> Step {
    next_step(Here { record, alive, fetched }, wanted)
}

#[test]
fn an_older_assignment_is_not_acted_on() {
    let assignment = assignment(vec![]);
    assert!(admits(4, &assignment) && admits(5, &assignment) && !admits(6, &assignment));
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let actions = reconcile(&assignment(vec![instance("x", "a")]), &known(&[order("x", "a")]));
    assert_eq!(actions, []);
}

#[test]
fn new_changed_and_gone_instances_are_told_apart() {
    let mut changed = instance("y", "b");
    changed.generation = 2;
    let actions = reconcile(
        &assignment(vec![instance("x", "a"), changed.clone()]),
        &known(&[order("y", "a"), order("z", "a")]),
    );
    let changed =
        Order { instance: changed, release: release("b"), prefetch: None, prefetch_image: None };
    let right = [
        Action::Start(Arc::new(order("x", "a"))),
        Action::Change(Arc::new(changed)),
        Action::Forget("z".to_owned()),
    ];
    assert_eq!(actions, right);
}

#[test]
fn nothing_assigned_means_that_everything_goes() {
    let actions = reconcile(&assignment(vec![]), &known(&[order("x", "a")]));
    assert_eq!(actions, [Action::Forget("x".to_owned())]);
}

#[test]
fn a_missing_release_harms_nothing_that_runs() {
    let lacking = reconcile(&assignment(vec![instance("x", "c")]), &known(&[order("x", "a")]));
    assert_eq!(lacking, [Action::Lacking("x".to_owned())]);
    let same = reconcile(&assignment(vec![instance("x", "c")]), &known(&[order("x", "c")]));
    assert_eq!(same, []);
    let mut stopped = instance("x", "c");
    stopped.stop = true;
    let actions = reconcile(&assignment(vec![stopped.clone()]), &known(&[order("x", "a")]));
    assert!(matches!(&actions[..], [Action::Change(o)] if o.instance.stop));
    let actions = reconcile(&assignment(vec![stopped.clone()]), &known(&[]));
    assert_eq!(actions, [Action::Absent(Box::new(stopped))]);
}

#[test]
fn a_stop_of_what_is_not_here_only_has_to_be_told() {
    let mut stopped = instance("x", "a");
    stopped.stop = true;
    let actions = reconcile(&assignment(vec![stopped.clone()]), &known(&[]));
    assert_eq!(actions, [Action::Absent(Box::new(stopped))]);
}

#[test]
fn the_package_to_prefetch_is_found() {
    let package = PackageRef { name: "web".into(), version: "2".into(), digest: "0".repeat(64) };
    let mut assignment = assignment(vec![instance("x", "a")]);
    assignment.instances[0].prefetch = Some("b".to_owned());
    assignment.releases.get_mut("b").unwrap().package = Some(package.clone());
    let actions = reconcile(&assignment, &known(&[order("x", "a")]));
    assert!(matches!(&actions[..], [Action::Change(o)] if o.prefetch == Some(package)));
}

#[test]
fn a_start_needs_the_files_first() {
    let wanted = order("x", "a");
    assert_eq!(step(None, false, false, Some(&wanted)), Step::Fetch);
    assert_eq!(step(None, false, true, Some(&wanted)), Step::Start);
    assert_eq!(step(Some(&wanted), true, true, Some(&wanted)), Step::Supervise);
}

#[test]
fn a_running_process_needs_no_files() {
    let wanted = order("x", "a");
    assert_eq!(step(Some(&wanted), true, false, Some(&wanted)), Step::Supervise);
}

#[test]
fn the_old_release_runs_until_the_new_one_is_here() {
    let (old, new) = (order("x", "a"), order("x", "b"));
    assert_eq!(step(Some(&old), true, false, Some(&new)), Step::Fetch);
    assert_eq!(step(Some(&old), true, true, Some(&new)), Step::Stop);
    assert_eq!(step(Some(&old), false, true, Some(&new)), Step::Start);
    assert_eq!(step(Some(&old), false, false, Some(&new)), Step::Fetch);
}

#[test]
fn other_ports_or_resources_need_another_process() {
    let old = order("x", "a");
    let mut new = old.clone();
    new.instance.ports.insert("http".to_owned(), 20001);
    assert_eq!(step(Some(&old), true, true, Some(&new)), Step::Stop);
    let mut new = old.clone();
    new.instance.resources.memory.0 += 1;
    assert_eq!(step(Some(&old), true, true, Some(&new)), Step::Stop);
}

#[test]
fn a_new_generation_alone_changes_no_process() {
    let old = order("x", "a");
    let mut new = old.clone();
    new.instance.generation = 7;
    new.instance.prefetch = Some("b".to_owned());
    assert_eq!(step(Some(&old), true, true, Some(&new)), Step::Supervise);
}

#[test]
fn what_died_with_its_supervisor_is_started_again() {
    let wanted = order("x", "a");
    assert_eq!(step(Some(&wanted), false, true, Some(&wanted)), Step::Start);
}

#[test]
fn stopping_comes_before_clearing() {
    let old = order("x", "a");
    assert_eq!(step(Some(&old), true, true, None), Step::Stop);
    assert_eq!(step(Some(&old), false, true, None), Step::Clear);
    assert_eq!(step(None, false, true, None), Step::Clear);
}

#[test]
fn a_stopped_instance_rests() {
    let old = order("x", "a");
    let mut stopped = old.clone();
    stopped.instance.stop = true;
    assert_eq!(step(Some(&old), true, true, Some(&stopped)), Step::Stop);
    assert_eq!(step(Some(&old), false, false, Some(&stopped)), Step::Rest);
    assert_eq!(step(None, false, false, Some(&stopped)), Step::Rest);
    assert_eq!(step(Some(&stopped), false, true, Some(&old)), Step::Start, "and comes back");
}

#[test]
fn another_instance_of_the_same_name_gets_a_clean_place() {
    let old = order("x", "a");
    let mut new = old.clone();
    new.instance.created_at = Timestamp(2);
    assert_eq!(step(Some(&old), true, true, Some(&new)), Step::Stop);
    assert_eq!(step(Some(&old), false, true, Some(&new)), Step::Clear);
    assert_eq!(step(None, false, true, Some(&new)), Step::Start);
}
