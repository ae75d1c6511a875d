//! Whose an object is, and where: what a role's teams, environments and labels are compared with.
//! What is derived is its application's, what is said about something that thing's; what cannot
//! have an owner field may have a label `team`.

use std::collections::BTreeMap;

use atoll_model::{
    Any, Application, Budget, Decision, Deployment, Job, Kind, Promotion, Run, Snapshot,
};

/// The label that names the team of what has no owner of its own.
const TEAM_LABEL: &str = "team";

/// The environments an object belongs to; none, where it is of no single ones.
pub(super) fn environments(world: &Snapshot, any: &Any) -> Vec<String> {
    if let Some(subject) = subject(world, any) {
        return environments(world, &subject);
    }
    let one = |name: &str| vec![name.to_owned()];
    match any {
        Any::Environment(environment) => one(environment.name()),
        Any::Promotion(promotion) => one(&promotion.spec.environment),
        Any::Budget(budget) => budget.spec.environment.iter().cloned().collect(),
        Any::Approval(approval) => match approval.spec.subject.split_once('/') {
            Some(("budget", name)) => {
                let budget = world.get::<Budget>(name).cloned().map(Any::Budget);
                budget.map(|budget| environments(world, &budget)).unwrap_or_default()
            }
            Some((_, name)) => last_part(name).map(one).unwrap_or_default(),
            None => Vec::new(),
        },
        Any::Freeze(freeze) => freeze.spec.environments.clone(),
        Any::Peak(peak) => one(&peak.spec.environment),
        Any::Alert(alert) => match alert.spec.labels.get("environment") {
            Some(environment) => one(environment),
            None => of_deployment(world, any).unwrap_or_default(),
        },
        _ => of_deployment(world, any).unwrap_or_default(),
    }
}

fn of_deployment(world: &Snapshot, any: &Any) -> Option<Vec<String>> {
    if let Any::Deployment(deployment) = any {
        return Some(vec![deployment.spec.environment.clone()]);
    }
    let name = deployment(any)?;
    let environment = match world.get::<Deployment>(&name) {
        Some(deployment) => deployment.spec.environment.clone(),
        // One that is gone was named by its application and its environment.
        None => last_part(&name)?.to_owned(),
    };
    Some(vec![environment])
}

fn last_part(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, last)| last)
}

/// What an object is only said about. Whoever a waiver names as its owner, it is of what it
/// excuses.
fn subject(world: &Snapshot, any: &Any) -> Option<Any> {
    let id = match any {
        Any::Scorecard(card) => card.spec.subject.clone(),
        Any::Waiver(waiver) => waiver.spec.subject.clone()?,
        Any::Drift(drift) => drift.spec.subject.clone(),
        Any::Facts(facts) => format!("host/{}", facts.spec.host),
        Any::Decision(decision) => decision.spec.subject.clone(),
        Any::Approval(approval) if approval.spec.subject.starts_with("decision/") => {
            let name = approval.spec.subject.strip_prefix("decision/")?;
            world.get::<Decision>(name)?.spec.subject.clone()
        }
        _ => return None,
    };
    let (kind, name) = id.split_once('/')?;
    let found = world.find(Kind::parse(kind)?, name)?;
    // Nothing is said about what is said.
    let said = [Kind::Scorecard, Kind::Waiver, Kind::Drift, Kind::Facts, Kind::Decision];
    Some(found).filter(|found| !said.contains(&found.kind()))
}

/// The deployment an object is derived from.
fn deployment(any: &Any) -> Option<String> {
    match any {
        Any::Instance(instance) => Some(instance.spec.deployment.clone()),
        Any::Objective(objective) => Some(objective.spec.deployment.clone()),
        Any::Autoscaler(autoscaler) => Some(autoscaler.spec.deployment.clone()),
        Any::Capacity(capacity) => Some(capacity.spec.deployment.clone()),
        Any::Analysis(analysis) => Some(analysis.spec.deployment.clone()),
        // The rule of a deployment is named as it is.
        Any::Rule(rule) if rule.name().contains('.') => Some(rule.name().to_owned()),
        Any::Alert(alert) => alert.spec.labels.get("deployment").cloned(),
        _ => None,
    }
}

/// The application an object is of.
fn application(world: &Snapshot, any: &Any) -> Option<String> {
    if let Some(name) = deployment(any) {
        return match world.get::<Deployment>(&name) {
            Some(deployment) => Some(deployment.spec.application.clone()),
            None => name.rsplit_once('.').map(|(application, _)| application.to_owned()),
        };
    }
    match any {
        Any::Application(application) => Some(application.name().to_owned()),
        Any::Deployment(deployment) => Some(deployment.spec.application.clone()),
        Any::Release(release) => Some(release.spec.application.clone()),
        Any::Promotion(promotion) => Some(promotion.spec.application.clone()),
        Any::Approval(approval) => {
            let name = approval.spec.subject.strip_prefix("promotion/")?;
            let promotion = world.get::<Promotion>(name);
            promotion.map(|promotion| promotion.spec.application.clone())
        }
        Any::Package(package) => Some(package.spec.name.clone()),
        Any::Pipeline(pipeline) => {
            let named = pipeline.spec.application.clone();
            Some(named.unwrap_or_else(|| pipeline.name().to_owned()))
        }
        _ => None,
    }
}

/// Who answers for an object, as `team/NAME` or `user/NAME`.
pub(crate) fn owner(world: &Snapshot, any: &Any) -> Option<String> {
    if let Some(subject) = subject(world, any) {
        return owner(world, &subject);
    }
    let own = match any {
        Any::Application(application) => application.spec.owner.clone(),
        Any::Config(config) => config.spec.owner.clone(),
        Any::Monitor(monitor) => monitor.spec.owner.clone(),
        Any::Runbook(runbook) => runbook.spec.owner.clone(),
        Any::Objective(objective) => objective.spec.owner.clone(),
        Any::Alert(alert) => alert.spec.owner.clone(),
        Any::Team(team) => Some(format!("team/{}", team.name())),
        Any::User(user) => Some(format!("user/{}", user.name())),
        _ => None,
    };
    let label = || any.meta().labels.get(TEAM_LABEL).map(|team| format!("team/{team}"));
    own.or_else(|| of_run(world, any)).or_else(|| of_application(world, any)).or_else(label)
}

/// Runs and tasks are their pipeline's; jobs and theirs, their runbook's.
fn of_run(world: &Snapshot, any: &Any) -> Option<String> {
    let job = match any {
        Any::Job(job) => Some(job),
        Any::Task(task) => world.get::<Job>(&task.spec.run),
        _ => None,
    };
    if let Some(job) = job {
        let runbook = world.find(Kind::Runbook, job.spec.runbook.as_ref()?);
        let label = job.meta.labels.get(TEAM_LABEL).map(|team| format!("team/{team}"));
        return runbook.and_then(|runbook| owner(world, &runbook)).or(label);
    }
    let pipeline = match any {
        Any::Run(run) => run.spec.pipeline.clone(),
        Any::Task(task) => match world.get::<Run>(&task.spec.run) {
            Some(run) => run.spec.pipeline.clone(),
            None => task.spec.run.rsplit_once('.')?.0.to_owned(),
        },
        _ => return None,
    };
    owner(world, &world.find(Kind::Pipeline, &pipeline)?)
}

fn of_application(world: &Snapshot, any: &Any) -> Option<String> {
    if matches!(any, Any::Application(_)) {
        return None;
    }
    let found = world.find(Kind::Application, &application(world, any)?)?;
    owner(world, &found)
}

/// The labels of an object, and of its application where its own do not say otherwise.
pub(super) fn labels(world: &Snapshot, any: &Any) -> BTreeMap<String, String> {
    if let Some(subject) = subject(world, any) {
        return labels(world, &subject);
    }
    let mut labels =
        match application(world, any).and_then(|name| world.get::<Application>(&name).cloned()) {
            Some(application) => application.meta.labels.clone(),
            None => BTreeMap::new(),
        };
    labels.extend(any.meta().labels.clone());
    labels
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::Object;

    use super::*;

    fn put(world: &mut Snapshot, kind: &str, name: &str, spec: &str) -> Any {
        let text = format!(
            r#"{{"apiVersion":"atoll/v1","kind":"{kind}","metadata":{{"name":"{name}"}},
               "spec":{spec}}}"#
        );
        let any = Any::from_json(&text).unwrap();
        world.put(any.clone());
        any
    }

    #[test]
    fn what_is_said_about_something_is_whose_that_is() {
        let mut world = Snapshot::default();
        let app = r#"{"owner":"team/money","run":{"command":["x"]}}"#;
        put(&mut world, "Application", "pay", app);
        let spec = r#"{"standard":"s","subject":"application/pay","owner":"team/trade",
            "reason":"r","ends":"2027-01-01T00:00:00Z"}"#;
        let waiver = put(&mut world, "Waiver", "w", spec);
        assert_eq!(owner(&world, &waiver).as_deref(), Some("team/money"));
        let card = r#"{"subject":"application/pay"}"#;
        let card = put(&mut world, "Scorecard", "application.pay", card);
        assert_eq!(owner(&world, &card).as_deref(), Some("team/money"));
        let spec = spec.replace("application/pay", "waiver/v");
        let circle = put(&mut world, "Waiver", "v", &spec);
        assert_eq!(owner(&world, &circle), None);
    }

    #[test]
    fn what_is_derived_is_its_applications() {
        let mut world = Snapshot::default();
        let app = r#"{"owner":"team/trade","run":{"command":["x"]}}"#;
        put(&mut world, "Application", "shop", app);
        put(&mut world, "Environment", "prod", "{}");
        let spec = r#"{"application":"shop","environment":"prod","instances":1}"#;
        let deployment = put(&mut world, "Deployment", "shop.prod", spec);
        let pipeline = put(&mut world, "Pipeline", "shop", r#"{"steps":[]}"#);
        let spec = r#"{"pipeline":"shop","number":1,"cause":"manual","key":"k"}"#;
        let run = put(&mut world, "Run", "shop.1", spec);
        for any in [&deployment, &pipeline, &run] {
            assert_eq!(owner(&world, any).as_deref(), Some("team/trade"), "{}", any.id());
        }
        assert_eq!(environments(&world, &deployment), ["prod"]);
        assert!(environments(&world, &run).is_empty());
        let instance = atoll_model::Instance {
            deployment: "shop.prod".into(),
            ordinal: 0,
            release: "shop-1".into(),
            host: "h1".into(),
            ports: BTreeMap::new(),
            resources: Default::default(),
            prefetch: None,
            runtime: Default::default(),
            replaces: None,
        };
        let instance = Any::Instance(Arc::new(Object::new("shop.prod.0", instance)));
        assert_eq!(owner(&world, &instance).as_deref(), Some("team/trade"));
        // Its deployment may be gone already.
        world.remove(Kind::Deployment, "shop.prod");
        assert_eq!(environments(&world, &instance), ["prod"]);
        assert_eq!(owner(&world, &instance).as_deref(), Some("team/trade"));
        let host = put(&mut world, "Host", "h1", "{}");
        assert_eq!(owner(&world, &host), None);
    }
}
