//! How a job of a runbook begins, by hand or by the clock: parameters checked and filled in, a
//! number given. What it does then stands in `job.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_model::api::JobRequest;
use atoll_model::ci::fill::Names;
use atoll_model::job::filled::variable;
use atoll_model::job::{Deed, Runbook};
use atoll_model::{Any, Intent, Job, Object, Reason, Write};
use serde_json::Value;

use crate::ci::run::names::{filled_params, wrong_params};
use crate::{Context, Plan};

/// A plan that begins a job of a runbook, and the job's name.
///
/// # Errors
/// There is no such runbook, or what is given to it is wrong.
pub fn begin(cx: &Context, runbook: &str, ask: &JobRequest) -> Result<(Plan, String), Vec<Reason>> {
    let Some(book) = cx.world.get::<Runbook>(runbook) else {
        let message = format!("there is no runbook {runbook}");
        return Err(vec![Reason::new("not-found", message).hint("atoll get runbooks")]);
    };
    if book.meta.deleting() {
        let message = format!("runbook {runbook} is being deleted");
        return Err(vec![Reason::new("deleting", message)]);
    }
    let wrong = wrong_params(&book.spec.params, &ask.params);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let given = filled_params(&book.spec.params, &ask.params);
    let deed = fill(&book.spec.deed, runbook, given).map_err(|why| {
        vec![Reason::new("not-filled", why).hint("correct the runbook's command, or its env")]
    })?;
    let newest = cx.world.derived::<Job>(runbook).filter_map(|job| number(job.name())).max();
    let number = book.status.last_job.max(newest.unwrap_or(0)) + 1;
    let name = format!("{runbook}.{number}");
    let elsewhere = ask.on.is_some() || !ask.hosts.is_empty();
    let on = ask.on.clone().unwrap_or_default();
    let spec = Job {
        on: if elsewhere { on } else { book.spec.on.clone() },
        hosts: ask.hosts.clone(),
        deed,
        once: false,
        runbook: Some(runbook.to_owned()),
        round: 1,
        resumed: 0,
        cancelled: false,
    };
    let mut job = Object::new(name.clone(), spec);
    job.meta.generation = 1;
    job.meta.created_at = Some(cx.now);
    let mut plan = Plan::new(Intent::Edit);
    plan.writes.push(Write::Put(Any::Job(Arc::new(job))));
    Ok((plan, name))
}

/// The number of a job of a runbook.
pub(super) fn number(job: &str) -> Option<u64> {
    job.rsplit_once('.')?.1.parse().ok()
}

fn fill(deed: &Deed, runbook: &str, params: BTreeMap<String, Value>) -> Result<Deed, String> {
    let mut deed = deed.clone();
    // For scripts: a value in the environment is no part of their text, whatever is in it.
    let told = params.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (variable(name), text)
    });
    let told: Vec<(String, String)> = told.collect();
    let names = Names { pipeline: runbook.to_owned(), params, ..Names::default() };
    for word in &mut deed.command {
        *word = names.fill(word)?;
    }
    for value in deed.env.values_mut() {
        *value = names.fill(value)?;
    }
    for (name, value) in told {
        deed.env.entry(name).or_insert(value);
    }
    Ok(deed)
}
