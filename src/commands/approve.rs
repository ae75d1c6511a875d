//! `atoll approve`: says in one's own name that a release may enter an environment, that a budget
//! may be broken this month, or that a decision may be carried out.

use atoll_client::Client;
use atoll_model::api::Whoami;
use atoll_model::{Any, Approval, Kind, Object, Timestamp};

use crate::args::Global;
use crate::change;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::subject::Subject;

/// What `atoll approve` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// promotion/RELEASE.ENVIRONMENT, budget/NAME for the rest of the month, or decision/NAME
    #[arg(value_name = "promotion/NAME|budget/NAME|decision/NAME")]
    what: Subject,
    /// What there is to say
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

/// Approves.
///
/// # Errors
/// The client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let what = args.what.of(&[Kind::Promotion, Kind::Budget, Kind::Decision])?;
    let client = global.client()?;
    asks(&client.get(what.kind, &what.name).await?)?;
    let who = client.whoami().await?;
    let spec = Approval {
        subject: what.to_string(),
        by: who.name.clone(),
        role: role(&client, &what, &who).await?,
        comment: args.comment,
    };
    let any = Any::Approval(Object::new(name_of(&what.name, &who.name), spec).into());
    let subject = Subject::is(&any);
    if let Some(given) = already(&client, &any).await? {
        output::say(&format!("{subject} is there already, of {given}"));
        return Ok(Exit::Done);
    }
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[subject])?;
    Ok(Exit::Done)
}

/// Refuses what asks for no approval: also where one was given while it did.
fn asks(what: &Any) -> Result<(), Failure> {
    let Any::Budget(budget) = what else { return Ok(()) };
    let Some(reason) = budget.asks_nobody() else { return Ok(()) };
    let message = "there is nothing to approve".to_owned();
    Err(Failure { exit: Exit::Refused, message, reasons: vec![reason] })
}

/// Since when one's own word is there: it is given once.
async fn already(client: &Client, any: &Any) -> anyhow::Result<Option<Timestamp>> {
    let all = client.list_all(Kind::Approval, None).await?;
    let given = all.items.iter().find(|given| given.name() == any.name());
    Ok(given.and_then(|given| given.meta().created_at))
}

/// With which of one's roles: one the environment asks for, if one has it.
async fn role(client: &Client, what: &Subject, who: &Whoami) -> anyhow::Result<String> {
    let mut asked = Vec::new();
    // Whoever may approve need not see the environment.
    if what.kind == Kind::Promotion
        && let Some((_, environment)) = what.name.rsplit_once('.')
        && let Ok(Any::Environment(found)) = client.get(Kind::Environment, environment).await
    {
        asked = found.spec.approval.clone().map(|rule| rule.roles).unwrap_or_default();
    }
    let fits = who.roles.iter().find(|role| asked.contains(role)).or(who.roles.first());
    Ok(fits.cloned().unwrap_or_else(|| who.role.name().to_owned()))
}

/// The name of what is approved and whose word it is: one person has one word.
fn name_of(promotion: &str, who: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let who: String = who.trim_start_matches("user/").chars().map(plain).collect();
    format!("{promotion}.{}", who.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_no_approval_is_given_none() {
        let asked = |exceed: &str| {
            let budget = serde_json::json!({
                "apiVersion": "atoll/v1", "kind": "Budget", "metadata": { "name": "dev" },
                "spec": { "environment": "dev", "exceed": exceed,
                    "month": { "limit": 5, "currency": "EUR" } },
            });
            asks(&Any::from_value(budget).unwrap())
        };
        assert!(asked("approve").is_ok());
        for exceed in ["refuse", "warn"] {
            let failure = asked(exceed).unwrap_err();
            assert_eq!((failure.exit, &*failure.reasons[0].code), (Exit::Refused, "no-use"));
        }
    }

    #[test]
    fn one_person_has_one_word() {
        assert_eq!(name_of("shop-42.prod", "user/anna"), "shop-42.prod.anna");
        assert_eq!(name_of("shop-42.prod", "token/Ci.Bot"), "shop-42.prod.token-ci-bot");
    }
}
