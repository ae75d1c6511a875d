//! `atoll autoscale`: the bounds of what keeps the number of instances of a deployment, and whether
//! it acts.

use atoll_client::ClientError;
use atoll_model::elasticity::ScalingMode;
use atoll_model::{Application, Kind, Reason, many};
use serde_json::json;

use crate::args::{Global, Override, Wait};
use crate::change;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll autoscale` takes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what to change").required(true).multiple(true))]
pub struct Args {
    /// deployment/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// The least instances here, in place of the application's
    #[arg(long, value_name = "N", group = "what to change")]
    min: Option<u32>,
    /// The most instances here
    #[arg(long, value_name = "N", group = "what to change")]
    max: Option<u32>,
    /// Whether the number is changed, or only said what it would be
    #[arg(long, group = "what to change")]
    mode: Option<Mode>,
    /// Back to what the application declares
    #[arg(long, conflicts_with_all = ["min", "max", "mode"], group = "what to change")]
    reset: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    over: Override,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    Act,
    Observe,
}

/// Changes what is given.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let mut what = args.what.of(&[Kind::Deployment, Kind::Autoscaler])?;
    what.kind = Kind::Autoscaler;
    let client = global.client()?;
    let before = match client.get(what.kind, &what.name).await {
        Err(ClientError::NotFound(_)) => {
            // It may be the deployment that is not there: then that is said.
            client.get(Kind::Deployment, &what.name).await?;
            return Err(unscaled(&what.name).into());
        }
        other => other?,
    };
    let mut spec = serde_json::Map::new();
    if args.reset {
        spec = ["min", "max", "mode", "requires"]
            .map(|field| (field.to_owned(), json!(null)))
            .into_iter()
            .collect();
    }
    let mode = args.mode.map(|mode| match mode {
        Mode::Act => "act",
        Mode::Observe => "observe",
    });
    let given = [("min", args.min.map(|n| json!(n))), ("max", args.max.map(|n| json!(n)))];
    let given = given.into_iter().chain([("mode", mode.map(|mode| json!(mode)))]);
    spec.extend(given.filter_map(|(field, value)| Some((field.to_owned(), value?))));
    let revision = Some(before.meta().revision);
    let outcome = change::patch_spec(&client, &what, spec.into(), revision, &args.over).await?;
    let exit = change::conclude(&client, &what, &outcome, Some(&before), args.wait).await?;
    if args.reset {
        let (application, _) = what.name.rsplit_once('.').unwrap_or((&what.name, ""));
        // Who may not see the application is told whose bounds hold, and not which.
        let declared = client.get(Kind::Application, application).await.ok();
        let declared = declared.as_ref().and_then(|any| any.of::<Application>());
        let bounds = declared.and_then(|application| bounds(&application.spec));
        output::say(&format!(
            "as application/{application} declares{}",
            bounds.unwrap_or_default()
        ));
    }
    Ok(exit)
}

/// The bounds an application declares, if it does.
fn bounds(application: &Application) -> Option<String> {
    let scaling = application.scaling.as_ref()?;
    let mode = match scaling.mode {
        ScalingMode::Act => "act",
        ScalingMode::Observe => "observe",
    };
    Some(format!(": {} to {}, mode {mode}", scaling.min, many(scaling.max, "instance")))
}

/// A deployment that nothing scales has no bounds to be changed.
fn unscaled(name: &str) -> Failure {
    let message = format!("deployment/{name} has no autoscaler");
    let why = "its application says nothing its number could go by";
    let hint = "declare spec.scaling of the application; see docs/guide/scaling.md";
    let reasons = vec![Reason::new("not-scaled", why).hint(hint)];
    Failure { exit: Exit::NotFound, message, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_an_application_declares_are_told() {
        let declared = |scaling: serde_json::Value| {
            let spec = json!({ "run": { "command": ["x"] }, "scaling": scaling });
            bounds(&serde_json::from_value(spec).unwrap())
        };
        let told = declared(json!({ "min": 2, "max": 8 }));
        assert_eq!(told.as_deref(), Some(": 2 to 8 instances, mode act"));
        let told = declared(json!({ "min": 0, "max": 1, "mode": "observe" }));
        assert_eq!(told.as_deref(), Some(": 0 to 1 instance, mode observe"));
        assert_eq!(declared(json!(null)), None);
    }
}
