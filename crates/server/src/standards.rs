//! The standards and policies that come with the program: made once, on the first start that knows
//! them, as objects like all others. What an operator makes of them, or that they delete one, is
//! left alone.

use atoll_model::access::Actor;
use atoll_model::policy::BUILT_IN_LABEL;
use atoll_model::{Any, Intent, Reason, manifest};
use atoll_plan::{Plan, edit};
use atoll_store::CommitError;

use crate::Server;
use crate::commit::{Committed, Refusal};

/// The manifests.
const BUILT_IN: &str = include_str!("standards/built-in.yaml");
/// Where it is kept that a standard was made, before its name.
const KEPT: &str = "standards/built-in/";
/// The same of policies of the decision centre.
const KEPT_POLICIES: &str = "policies/built-in/";

/// Makes those that never were. Nothing depends on them: where they cannot be made, that is said.
pub async fn install(app: &Server) {
    let policies = atoll_plan::centre::built_in().map(labelled);
    for (kept, actor, all) in [(KEPT, "standard", built_in()), (KEPT_POLICIES, "policy", policies)]
    {
        let done = match all {
            Ok(all) => make(app, kept, actor, all).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!("could not make what comes with the program: {error}");
        }
    }
}

/// Replicas that start at once agree: who comes second finds them.
async fn make(app: &Server, kept: &str, actor: &str, mut all: Vec<Any>) -> Result<(), String> {
    let names: Vec<String> = all.iter().map(|any| format!("{kept}{}", any.name())).collect();
    let never = app.store.has_blobs(names).await.map_err(|e| e.to_string())?;
    all.retain(|any| never.iter().any(|name| name.strip_prefix(kept) == Some(any.name())));
    if all.is_empty() {
        return Ok(());
    }
    let done = app
        .commit(&Actor::controller(actor), None, |cx| {
            let new = |any: &Any| cx.world.find(any.kind(), any.name()).is_none();
            let new: Vec<Any> = all.into_iter().filter(new).collect();
            let mut plan = Plan { intent: Intent::Edit, ..edit::apply(cx, new)? };
            plan.reasons.push(Reason::new("built-in", "it came with the program"));
            Ok(plan)
        })
        .await;
    match done {
        Ok(Committed { held: Some(reasons), .. }) => {
            let said: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            return Err(format!("they are held: {}", said.join("; ")));
        }
        Ok(_) | Err(Refusal::Store(CommitError::Conflict { .. })) => {}
        Err(error) => return Err(error.to_string()),
    }
    for name in never {
        app.store.put_blob(&name, b"made").await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn built_in() -> Result<Vec<Any>, String> {
    let all = manifest::read("built-in.yaml", BUILT_IN.as_bytes()).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        all.join("; ")
    });
    all.map(labelled)
}

fn labelled(mut all: Vec<Any>) -> Vec<Any> {
    for any in &mut all {
        any.meta_mut().labels.insert(BUILT_IN_LABEL.to_owned(), "true".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use atoll_plan::policy::check;

    use super::*;

    #[test]
    fn what_comes_with_the_program_keeps_its_own_examples() {
        let all = built_in().unwrap();
        assert!(all.len() >= 10, "{}", all.len());
        for any in &all {
            any.validate().unwrap();
            let Any::Standard(standard) = any else { panic!("{}", any.id()) };
            let (name, spec) = (standard.name(), &standard.spec);
            assert_eq!(check::problems(spec), Vec::new(), "{name}");
            let both =
                spec.examples.iter().any(|e| e.passes) && spec.examples.iter().any(|e| !e.passes);
            assert!(both, "{name} has no example of both");
            assert!(!spec.fix.is_empty() && !spec.description.is_empty(), "{name}");
        }
    }
}
