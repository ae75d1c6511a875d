//! `atoll approve`: says in one's own name that a release may enter an environment, that a budget
//! may be broken this month, or that a decision may be carried out.

use atoll_client::Client;
use atoll_model::api::Whoami;
use atoll_model::{Any, Approval, Kind, Object, Timestamp};

use crate::args::Global;
use crate::change;
use crate::exit::Exit;
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
    client.get(what.kind, &what.name).await?;
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
    fn one_person_has_one_word() {
        assert_eq!(name_of("shop-42.prod", "user/anna"), "shop-42.prod.anna");
        assert_eq!(name_of("shop-42.prod", "token/Ci.Bot"), "shop-42.prod.token-ci-bot");
    }
}
