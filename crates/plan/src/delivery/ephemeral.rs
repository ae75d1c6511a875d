//! Environments made for branches: one for each application and branch that has a release, for as
//! long as its pattern says. They are environments like any other but for their beginning and end.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::delivery::Ephemeral;
use atoll_model::{
    Any, Application, Deployment, Environment, Kind, Object, Promotion, Reason, Timestamp, Write,
};

use crate::{Context, Plan, checksum, sooner};

/// Makes, prolongs and ends the environments of an application's branches.
pub(super) fn environments(cx: &Context, application: &Object<Application>, plan: &mut Plan) {
    let wanted = wanted(cx, application);
    for (name, spec) in &wanted {
        let until = spec.ephemeral.as_ref().map(|ephemeral| ephemeral.until);
        plan.again_at = sooner(plan.again_at, until);
        match cx.world.get::<Environment>(name) {
            None => {
                let mut new = Object::new(name.as_str(), spec.clone());
                new.meta.generation = 1;
                new.meta.created_at = Some(cx.now);
                plan.reasons.push(Reason::new("branch", format!("{name} is made for a branch")));
                plan.writes.push(Write::Put(Any::Environment(Arc::new(new))));
            }
            Some(there) if there.spec != *spec && there.spec.ephemeral.is_some() => {
                let mut new = Object::clone(there);
                new.spec = spec.clone();
                new.meta.generation += 1;
                plan.writes.push(Write::Put(Any::Environment(Arc::new(new))));
            }
            Some(_) => {}
        }
    }
    let ours = |e: &&Arc<Object<Environment>>| {
        e.spec.ephemeral.as_ref().is_some_and(|of| of.application == *application.name())
    };
    for over in cx.world.all::<Environment>().filter(ours) {
        if !wanted.contains_key(over.name()) && !over.meta.deleting() {
            plan.writes.extend(end(cx, application.name(), over));
        }
    }
}

/// The environments there are to be, by name.
fn wanted(cx: &Context, application: &Object<Application>) -> BTreeMap<String, Environment> {
    let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for release in cx.world.releases_of(application.name()) {
        if let (Some(branch), Some(at)) = (&release.spec.branch, release.meta.created_at) {
            newest.insert(branch, at);
        }
    }
    let mut wanted = BTreeMap::new();
    if newest.is_empty() {
        return wanted;
    }
    let named = application.spec.environments.as_ref();
    for pattern in cx.world.all::<Environment>().filter(|e| !e.meta.deleting()) {
        let Some(template) = &pattern.spec.template else { continue };
        if named.is_some_and(|all| !all.iter().any(|e| e == pattern.name())) {
            continue;
        }
        for (branch, at) in newest.iter().filter(|(branch, _)| template.takes(branch)) {
            let until = *at + template.ttl;
            if until > cx.now {
                let spec = Environment {
                    template: None,
                    ephemeral: Some(Ephemeral {
                        of: pattern.meta.name.clone(),
                        application: application.meta.name.clone(),
                        branch: (*branch).to_owned(),
                        until,
                    }),
                    ..pattern.spec.clone()
                };
                wanted.insert(name_of(pattern.name(), application.name(), branch), spec);
            }
        }
    }
    wanted
}

/// Why a branch has no environment, of each that makes some for branches.
pub(crate) fn why_none(cx: &Context, application: &str, branch: &str) -> Vec<Reason> {
    let listed = cx.world.get::<Application>(application);
    let listed = listed.and_then(|application| application.spec.environments.as_ref());
    let mut reasons = Vec::new();
    for pattern in cx.world.all::<Environment>().filter(|e| !e.meta.deleting()) {
        let Some(template) = &pattern.spec.template else { continue };
        let name = pattern.name();
        let (code, message, hint) = if !template.takes(branch) {
            let of = template.branches.join(", ");
            let message = format!("{name} makes environments for other branches: {of}");
            ("branch-not-meant", message, format!("see spec.template of environment/{name}"))
        } else if listed.is_some_and(|all| !all.iter().any(|listed| listed == name)) {
            let message =
                format!("application/{application} lists its environments, without {name}");
            let hint = format!("add {name} to spec.environments of application/{application}");
            ("environment-not-listed", message, hint)
        } else {
            let message = format!("its time in {name} is over, {} after it was made", template.ttl);
            ("branch-over", message, "a newer release of the branch gets one again".to_owned())
        };
        reasons.push(Reason::new(code, message).hint(hint));
    }
    if reasons.is_empty() {
        let message = "no environment makes others for branches".to_owned();
        let hint = "give an Environment a template: spec.template.branches";
        reasons.push(Reason::new("no-template", message).hint(hint));
    }
    reasons
}

/// `preview-shop-new-cart`; a branch whose name says more than names may gets a checksum.
fn name_of(pattern: &str, application: &str, branch: &str) -> String {
    let letters = branch.chars().map(|c| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    });
    let plain: String = letters.take(24).collect();
    let plain = plain.trim_matches('-');
    let sum = checksum([branch.as_bytes()]) as u16;
    match plain == branch {
        true => format!("{pattern}-{application}-{plain}"),
        false => format!("{pattern}-{application}-{plain}-{sum:04x}"),
    }
}

/// Ends an environment: at once where nothing is in it.
fn end(cx: &Context, application: &str, over: &Object<Environment>) -> Vec<Write> {
    let inside = format!("{application}.{}", over.name());
    if cx.world.get::<Deployment>(&inside).is_some() {
        let mut new = over.clone();
        new.meta.deleted_at = Some(cx.now);
        return vec![Write::Put(Any::Environment(Arc::new(new)))];
    }
    let promotions = cx.world.all::<Promotion>().filter(|p| p.spec.environment == *over.name());
    let promotions = promotions.map(|p| (Kind::Promotion, &p.meta));
    let all = promotions.chain([(Kind::Environment, &over.meta)]);
    all.map(|(kind, meta)| Write::Delete { kind, name: meta.name.clone(), revision: meta.revision })
        .collect()
}
