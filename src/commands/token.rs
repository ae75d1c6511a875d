//! `atoll token`: makes, lists and revokes tokens. A secret is shown once, when it is made.

use atoll_model::api::TokenRequest;
use atoll_model::{Kind, Span};

use crate::args::{Global, Output};
use crate::change;
use crate::clock::now;
use crate::exit::Exit;
use crate::output::{self, Format};

/// What `atoll token` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a token and print its secret, this once
    Create(Create),
    /// List tokens, without their secrets
    List(Output),
    /// End a token
    Revoke(Revoke),
}

/// What `atoll token create` takes.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it lets its bearer do: join, viewer, operator, admin, or a Role of yours
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A user it speaks for: it lets its bearer do what they may; oneself, if nothing else is said
    #[arg(long, value_name = "NAME", conflicts_with = "role")]
    user: Option<String>,
    /// Whom it is for: host to join one, pipeline, or a name; said in the audit
    #[arg(long = "for", value_name = "WHOM", id = "whom")]
    whom: Option<String>,
    /// How long it holds
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    ttl: Span,
    #[command(flatten)]
    output: Output,
}

/// What `atoll token revoke` takes.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// Names of tokens, as `atoll token list` shows them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Does it.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create(global, args).await,
        Command::List(Output { output: format }) => {
            let list = global.client()?.list_all(Kind::Token, None).await?;
            if list.items.is_empty() && format.is_table() {
                output::say("there are no tokens");
                return Ok(Exit::Done);
            }
            output::print(&output::list(list.items, list.revision, format, now())?)?;
            Ok(Exit::Done)
        }
        Command::Revoke(args) => {
            let client = global.client()?;
            for name in &args.names {
                let name = name.strip_prefix("token/").unwrap_or(name);
                change::tell(&client.delete(Kind::Token, name, false).await?, &[])?;
            }
            Ok(Exit::Done)
        }
    }
}

async fn create(global: &Global, args: Create) -> anyhow::Result<Exit> {
    let role = args.role.or_else(|| usual(args.whom.as_deref()).filter(|_| args.user.is_none()));
    let request = TokenRequest {
        role: role.clone(),
        owner: args.whom,
        user: args.user.clone(),
        ttl: Some(args.ttl),
    };
    let made = global.client()?.create_token(&request).await?;
    let format = args.output.output;
    let text = output::value(&made, format, || match format {
        Format::Name => format!("token/{}\n", made.name),
        _ => format!("{}\n", made.token),
    });
    output::print(&text?)?;
    if format.is_table() {
        let (name, expires) = (&made.name, made.expires);
        let worth = match (role, args.user) {
            (Some(role), _) => format!("role {role}"),
            (None, Some(user)) => format!("for user {user}"),
            (None, None) => "for yourself".to_owned(),
        };
        output::say(&format!("token/{name}, {worth}, ends {expires}"));
        output::say("it is not shown again");
    }
    Ok(Exit::Done)
}

/// The role that goes with whom it is for.
fn usual(whom: Option<&str>) -> Option<String> {
    let role = match whom? {
        "host" => "join",
        "pipeline" => "operator",
        _ => "viewer",
    };
    Some(role.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_goes_with_whom_it_is_for() {
        assert_eq!(usual(Some("host")).as_deref(), Some("join"));
        assert_eq!(usual(Some("anna")).as_deref(), Some("viewer"));
        assert_eq!(usual(None), None);
    }
}
