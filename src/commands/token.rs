//! `atoll token`: makes, lists and revokes tokens. A secret is shown once, when it is made.

use atoll_model::api::TokenRequest;
use atoll_model::{Kind, Role, Span};
use clap::ValueEnum;

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
    /// What it lets its bearer do
    #[arg(long, value_enum, required_unless_present = "whom")]
    role: Option<GivenRole>,
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

/// The roles a person may give. That of a host comes of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GivenRole {
    /// May join one host
    Join,
    /// Reads everything but tokens
    Viewer,
    /// Reads and writes everything but tokens
    Operator,
    /// Everything
    Admin,
}

impl GivenRole {
    fn role(self) -> Role {
        match self {
            GivenRole::Join => Role::Join,
            GivenRole::Viewer => Role::Viewer,
            GivenRole::Operator => Role::Operator,
            GivenRole::Admin => Role::Admin,
        }
    }
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
    let role = role(args.role, args.whom.as_deref());
    let request = TokenRequest { role, owner: args.whom, ttl: Some(args.ttl) };
    let made = global.client()?.create_token(&request).await?;
    let format = args.output.output;
    let text = output::value(&made, format, || match format {
        Format::Name => format!("token/{}\n", made.name),
        _ => format!("{}\n", made.token),
    });
    output::print(&text?)?;
    if format.is_table() {
        let (name, expires) = (&made.name, made.expires);
        output::say(&format!("token/{name}, role {}, ends {expires}", role.name()));
        output::say("it is not shown again");
    }
    Ok(Exit::Done)
}

/// The role asked for, or the one that goes with whom it is for.
fn role(role: Option<GivenRole>, whom: Option<&str>) -> Role {
    match (role, whom) {
        (Some(role), _) => role.role(),
        (None, Some("host")) => Role::Join,
        (None, Some("pipeline")) => Role::Operator,
        (None, _) => Role::Viewer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_goes_with_whom_it_is_for() {
        assert_eq!(role(None, Some("host")), Role::Join);
        assert_eq!(role(Some(GivenRole::Admin), Some("host")), Role::Admin);
        assert_eq!(role(None, Some("anna")), Role::Viewer);
    }
}
