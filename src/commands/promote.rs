//! `atoll promote`: asks that a release enters an environment. For a rollout under way it skips
//! what is left of its soaks, which is another thing: `rollout.rs`.

use std::collections::BTreeMap;

use atoll_client::{Client, ClientError};
use atoll_model::promotion::PromotionPhase;
use atoll_model::{Any, Kind, Object, Promotion, Reason, Release};
use serde_json::json;

use crate::args::{Global, Override};
use crate::change;
use crate::commands::rollout;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll promote` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A release, with --to; or deployment/NAME, whose rollout is to skip its soaks
    #[arg(value_name = "RELEASE|deployment/NAME")]
    what: String,
    /// The environment the release is to enter
    #[arg(long, value_name = "ENVIRONMENT")]
    to: Option<String>,
    /// Do not wait for soaks, approvals, times and freezes; --reason says why, and it is listed
    #[arg(long, requires = "to", requires = "reason")]
    emergency: bool,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "to")]
    reason: Option<String>,
    #[command(flatten)]
    over: Override,
}

/// Asks for it.
///
/// # Errors
/// The client's; a refusal of the gate; a release that will never enter.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let Some(to) = args.to else {
        let what: Subject = args.what.parse().map_err(|_| {
            let what = &args.what;
            Failure::usage(format!("say where to: atoll promote {what} --to ENVIRONMENT"))
        })?;
        let args = rollout::Args { what, over: args.over };
        return rollout::run(global, rollout::Step::Promote, args).await;
    };
    let client = global.client()?;
    let release = args.what.strip_prefix("release/").unwrap_or(&args.what);
    let emergency = args.reason.filter(|_| args.emergency);
    let subject = Subject { kind: Kind::Promotion, name: format!("{release}.{to}") };
    let outcome = match client.get(Kind::Promotion, &subject.name).await {
        Ok(_) => {
            let spec = json!({ "asked": true, "emergency": emergency });
            change::patch(&client, &subject, spec, BTreeMap::new(), None, &args.over).await?
        }
        Err(ClientError::NotFound(_)) => {
            let mut any = made(&client, release, &to, emergency).await?;
            change::annotate(&mut any, &args.over);
            let outcome = client.apply(vec![any.to_value()], false).await?;
            change::judge(&outcome)?;
            outcome
        }
        Err(error) => return Err(error.into()),
    };
    change::tell(&outcome, std::slice::from_ref(&subject))?;
    say(&client, &subject).await
}

async fn made(
    client: &Client,
    release: &str,
    to: &str,
    emergency: Option<String>,
) -> anyhow::Result<Any> {
    let any = client.get(Kind::Release, release).await?;
    let of = any.of::<Release>().map(|release| release.spec.application.clone());
    let spec = Promotion {
        application: of.unwrap_or_default(),
        release: release.to_owned(),
        environment: to.to_owned(),
        asked: true,
        emergency,
    };
    Ok(Any::Promotion(Object::new(format!("{release}.{to}"), spec).into()))
}

/// Says what is waited for, and fails where nothing will come of it.
async fn say(client: &Client, subject: &Subject) -> anyhow::Result<Exit> {
    let any = client.get(subject.kind, &subject.name).await?;
    let Some(promotion) = any.of::<Promotion>() else { return Ok(Exit::Done) };
    let status = &promotion.status;
    if status.phase == PromotionPhase::Refused {
        let message = format!("{subject} will not be let in");
        let reasons = status.reasons.clone();
        return Err(Failure { exit: Exit::Refused, message, reasons }.into());
    }
    if status.phase == PromotionPhase::Superseded {
        let (release, spec) = (&promotion.spec.release, &promotion.spec);
        let message = format!("{subject}: a newer release went in before it");
        let back = format!("go back: atoll deploy {} -e {}", spec.application, spec.environment);
        let reason = Reason::new("superseded", format!("{release} is older than what is there"))
            .hint(format!("{back} --release {release}"));
        return Err(Failure { exit: Exit::Refused, message, reasons: vec![reason] }.into());
    }
    output::say(&format!("see what it waits for: atoll why {subject}"));
    Ok(Exit::Done)
}
