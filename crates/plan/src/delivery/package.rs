//! From a run to its package, once: what a run's release step has made becomes a package that says
//! how it was built, and is offered to its application, of which the platform makes the release.
//! Not the run itself, and not the signing, for which a server has the key.

use std::sync::Arc;

use atoll_model::ci::run::{Content, Made, RunPhase};
use atoll_model::provenance::Built;
use atoll_model::{
    Any, Application, Intent, Object, Package, Pipeline, Reason, Release, Run, Snapshot, Write,
    provenance,
};

use crate::{Context, Plan};

/// Plans for one run: its package first, then what is made of that.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(run) = cx.world.get::<Run>(name) else { return Plan::nothing() };
    let (RunPhase::Succeeded, Some(made)) = (run.status.phase, &run.status.made) else {
        return Plan::nothing();
    };
    let wanted = package(cx.world, run, made);
    match existing(cx.world, run, &wanted) {
        Slot::Ours(package) if package.status.offered => Plan::nothing(),
        Slot::Ours(package) => offer(cx, run, package),
        Slot::Free(spec) => {
            let mut plan = Plan::nothing();
            let object_name = Package::object_name(&spec.name, &spec.version);
            let message = format!("run/{name} made {}:{}", spec.name, spec.version);
            plan.reasons.push(Reason::new("packaged", message));
            let mut new = Object::new(object_name, *spec);
            new.meta.generation = 1;
            new.meta.created_at = Some(cx.now);
            plan.writes.push(Write::Put(Any::Package(Arc::new(new))));
            plan
        }
        Slot::Taken => Plan::nothing(),
    }
}

/// The runs a changed object may concern.
pub fn touched(_: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Run(run)) => vec![run.meta.name.clone()],
        Some(Any::Package(package)) => {
            package.spec.built.as_ref().map(|built| built.run.clone()).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Where the package of a run is, or is to be.
enum Slot<'a> {
    Ours(&'a Arc<Object<Package>>),
    Free(Box<Package>),
    Taken,
}

/// A version is given once: where it is taken, the number of the run is added.
fn existing<'a>(world: &'a Snapshot, run: &Object<Run>, wanted: &Package) -> Slot<'a> {
    let longer = format!("{}-{}", wanted.version, run.spec.number);
    for version in [wanted.version.clone(), longer] {
        match world.get::<Package>(&Package::object_name(&wanted.name, &version)) {
            None => return Slot::Free(Box::new(Package { version, ..wanted.clone() })),
            Some(there) => {
                if there.spec.built.as_ref().is_some_and(|built| built.run == *run.name()) {
                    return Slot::Ours(there);
                }
            }
        }
    }
    Slot::Taken
}

fn pipeline<'a>(world: &'a Snapshot, run: &'a Object<Run>) -> Option<&'a Pipeline> {
    let stored = world.get::<Pipeline>(&run.spec.pipeline).map(|pipeline| &pipeline.spec);
    stored.or(run.status.definition.as_deref())
}

/// The application the releases of a run are of.
fn application_of(world: &Snapshot, run: &Object<Run>) -> String {
    let pipeline = pipeline(world, run);
    let named = pipeline.and_then(|pipeline| pipeline.application.clone());
    named.unwrap_or_else(|| run.spec.pipeline.clone())
}

/// The branch of a run, where it is not the pipeline's own.
fn branch_of(world: &Snapshot, run: &Object<Run>) -> Option<String> {
    let source = pipeline(world, run).and_then(|pipeline| pipeline.source.as_ref());
    let own = source.map_or("main", |source| source.branch.as_str());
    let branch = run.spec.branch.clone().filter(|branch| branch != own);
    // What was handed in beside a repository is nobody's branch.
    let handed_in = run.spec.source.is_some() && source.is_some();
    branch.or_else(|| handed_in.then(|| "local".to_owned()))
}

fn package(world: &Snapshot, run: &Object<Run>, made: &Made) -> Package {
    let source = pipeline(world, run).and_then(|pipeline| pipeline.source.as_ref());
    let built = Built {
        run: run.meta.name.clone(),
        pipeline: run.spec.pipeline.clone(),
        cause: run.spec.cause,
        source: source.map(|source| {
            let own = || format!("/git/{}.git", run.spec.pipeline);
            source.git.clone().unwrap_or_else(own)
        }),
        branch: branch_of(world, run).or_else(|| run.spec.branch.clone()),
        commit: run.status.commit.clone(),
        tests: run.status.tests.clone(),
        sbom: made.sbom.clone(),
    };
    let (digest, size, entries, image) = match &made.content {
        Content::Files { digest, size, entries } => (digest, *size, *entries, None),
        Content::Image { repository, digest } => (digest, 0, 0, Some(repository.clone())),
    };
    Package {
        name: application_of(world, run),
        version: made.version.clone(),
        digest: digest.clone(),
        size,
        entries,
        image,
        built: Some(built),
    }
}

/// What a run that is still there says a package is: what may be signed.
pub fn attestable(world: &Snapshot, package: &Object<Package>) -> bool {
    let Some(built) = &package.spec.built else { return false };
    let Some(run) = world.get::<Run>(&built.run) else { return false };
    let Some(made) = &run.status.made else { return false };
    let version = package.spec.version.clone();
    Package { version, ..self::package(world, run, made) } == package.spec
}

/// The packages that are to be signed.
pub fn unsigned(world: &Snapshot) -> Vec<String> {
    let lacks = |package: &&Arc<Object<Package>>| {
        package.status.provenance.is_none() && attestable(world, package)
    };
    world.all::<Package>().filter(lacks).map(|package| package.meta.name.clone()).collect()
}

/// Keeps the signature of a package with it.
pub fn signed(cx: &Context, name: &str, secret: &[u8; 32]) -> Plan {
    let mut plan = Plan::nothing();
    let package = cx.world.get::<Package>(name).filter(|package| attestable(cx.world, package));
    let Some(package) = package else { return plan };
    let mut new = Object::clone(package);
    new.status.provenance = provenance::sign(secret, &package.spec);
    if new.status != package.status {
        plan.reasons.push(Reason::new("signed", format!("{name} is signed")));
        plan.writes.push(Write::Put(Any::Package(Arc::new(new))));
    }
    plan
}

/// Hands a package on: to its application, which is from then on what the commit declares; of a
/// branch, as a release of its own.
///
/// **Invariant:** it is done once for each package, so that nobody's later word is overruled.
fn offer(cx: &Context, run: &Object<Run>, package: &Arc<Object<Package>>) -> Plan {
    let mut plan = Plan::nothing();
    let mut offered = Object::clone(package);
    offered.status.offered = true;
    offered.status.reasons.clear();
    match branch_of(cx.world, run) {
        Some(branch) => plan.writes.extend(branch_release(cx, run, package, branch)),
        None if is_late(cx.world, run) => {
            let message = format!("a newer run of {} was faster", run.spec.pipeline);
            offered.status.reasons.push(Reason::new("late", message));
        }
        None => match application(cx, run, package) {
            Some(write) => {
                plan.intent = Intent::Edit;
                plan.writes.push(write);
            }
            None => {
                let name = &package.spec.name;
                let message = format!("no application {name}, and its commit declares none");
                offered.status.reasons.push(Reason::new("application-missing", message));
            }
        },
    }
    plan.writes.push(Write::Put(Any::Package(Arc::new(offered))));
    plan
}

/// Whether the application is at the package of a newer run already.
fn is_late(world: &Snapshot, run: &Object<Run>) -> bool {
    let application = world.get::<Application>(&application_of(world, run));
    let at = application.and_then(|application| application.spec.package.as_ref());
    let at = at.and_then(|package| package.split_once(':'));
    let at = at.and_then(|(name, version)| {
        world.get::<Package>(&Package::object_name(name, version))?.spec.built.as_ref()
    });
    at.filter(|built| built.pipeline == run.spec.pipeline)
        .and_then(|built| world.get::<Run>(&built.run))
        .is_some_and(|newer| newer.spec.number > run.spec.number)
}

fn application(cx: &Context, run: &Object<Run>, package: &Object<Package>) -> Option<Write> {
    let name = &package.spec.name;
    let stored = cx.world.get::<Application>(name);
    let declared = run.status.application.as_deref();
    let spec = declared.or(stored.map(|stored| &stored.spec))?;
    let of = Some(format!("{name}:{}", package.spec.version));
    let spec = Application { package: of, ..spec.clone() };
    let mut new = match stored {
        Some(stored) if stored.meta.deleting() => return None,
        Some(stored) => Object::clone(stored),
        None => Object { meta: Default::default(), spec: spec.clone(), status: Default::default() },
    };
    new.meta.name.clone_from(name);
    new.meta.generation += 1;
    new.meta.created_at = new.meta.created_at.or(Some(cx.now));
    new.spec = spec;
    Some(Write::Put(Any::Application(Arc::new(new))))
}

fn branch_release(
    cx: &Context,
    run: &Object<Run>,
    package: &Object<Package>,
    branch: String,
) -> Option<Write> {
    let name = &package.spec.name;
    let stored = cx.world.get::<Application>(name).map(|application| &application.spec);
    // Without an application nothing of a branch could run anywhere.
    let spec = run.status.application.as_deref().or(stored).filter(|_| stored.is_some())?;
    let number = cx.world.last_number(name) + 1;
    let free = |n: &u64| cx.world.get::<Release>(&format!("{name}-{n}")).is_none();
    let number = (number..number + 1000).find(free)?;
    let release = Release {
        application: name.clone(),
        number,
        package: Some(package.spec.reference()),
        image: package.spec.image_reference().or_else(|| spec.image.clone()),
        run: spec.run.clone(),
        config: spec.config.fixed.clone(),
        overrides: spec.config.environments.clone(),
        branch: Some(branch),
        veto: None,
        notes: run.status.commit.as_ref().map(|c| c.subject.clone()).unwrap_or_default(),
    };
    let mut new = Object::new(format!("{name}-{number}"), release);
    new.meta.generation = 1;
    new.meta.created_at = Some(cx.now);
    Some(Write::Put(Any::Release(Arc::new(new))))
}
