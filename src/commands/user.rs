//! `atoll user`: adds users, gives them passwords, lists, disables and enables them. What they may
//! is said by roles, which are applied like any other object.

use std::sync::Arc;

use atoll_client::{Client, ClientError};
use atoll_model::access::wire::NewPassword;
use atoll_model::{Any, Kind, Object, Role, Team, User};

use crate::args::{Global, Output};
use crate::clock::now;
use crate::exit::{Exit, Failure};
use crate::{change, output, password};

/// What `atoll user` does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a user, to teams and roles if you like
    Add(Add),
    /// Give a user a password, from standard input
    Password(Named),
    /// List users
    List(Output),
    /// Let a user in no more, and end their tokens
    Disable(Named),
    /// Let a user in again
    Enable(Named),
}

/// What `atoll user add` takes.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Their name: lower-case letters, digits and -
    #[arg(value_name = "NAME")]
    name: String,
    /// How they are called
    #[arg(long, value_name = "TEXT", default_value = "")]
    called: String,
    /// Their address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    email: String,
    /// A team they are a member of, which is made if it is not there; may be repeated
    #[arg(long, value_name = "TEAM")]
    team: Vec<String>,
    /// A role bound to them: viewer, operator, admin, or a Role of yours; may be repeated
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
}

/// One user.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Their name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Does it.
///
/// # Errors
/// The client's; a password that cannot be read.
pub async fn run(global: &Global, command: Command) -> anyhow::Result<Exit> {
    let client = global.client()?;
    match command {
        Command::Add(args) => add(&client, args).await?,
        Command::Password(args) => set_password(&client, &args.name).await?,
        Command::List(args) => {
            let list = client.list_all(Kind::User, None).await?;
            if list.items.is_empty() && args.output.is_table() {
                output::say("there are no users; add one: atoll user add NAME");
                return Ok(Exit::Done);
            }
            output::print(&output::list(list.items, list.revision, args.output, now())?)?;
        }
        Command::Disable(args) => set_disabled(&client, &args.name, true).await?,
        Command::Enable(args) => set_disabled(&client, &args.name, false).await?,
    }
    Ok(Exit::Done)
}

async fn add(client: &Client, args: Add) -> anyhow::Result<()> {
    if stored::<User>(client, &args.name).await?.is_some() {
        return Err(Failure::usage(format!("there is a user {} already", args.name)).into());
    }
    let spec = User { display_name: args.called, email: args.email, ..User::default() };
    let mut all = vec![Any::User(Arc::new(Object::new(args.name.clone(), spec)))];
    for team in &args.team {
        let found = stored::<Team>(client, team).await?;
        let mut team = found.unwrap_or_else(|| Object::new(team.clone(), Team::default()));
        team.spec.members.push(args.name.clone());
        all.push(Any::Team(Arc::new(team)));
    }
    for role in &args.role {
        let found = stored::<Role>(client, role).await?;
        if found.is_none() && atoll_model::Level::of_role(role).is_none() {
            return Err(Failure::usage(format!("there is no role {role}; apply it first")).into());
        }
        let mut role = found.unwrap_or_else(|| Object::new(role.clone(), Role::default()));
        role.spec.to.push(format!("user/{}", args.name));
        all.push(Any::Role(Arc::new(role)));
    }
    let outcome = client.apply(all.iter().map(Any::to_value).collect(), false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[])?;
    output::say(&format!("now give them a password: atoll user password {}", args.name));
    Ok(())
}

/// The object as it is stored, if there is one.
async fn stored<S: atoll_model::object::Stored>(
    client: &Client,
    name: &str,
) -> anyhow::Result<Option<Object<S>>> {
    match client.get(S::KIND, name).await {
        Ok(any) => Ok(any.of::<S>().map(|object| Object::clone(object))),
        Err(ClientError::NotFound(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn set_password(client: &Client, name: &str) -> anyhow::Result<()> {
    let who = client.whoami().await?;
    // Whoever changes their own shows that they know the present one.
    let own = who.name == format!("user/{name}") && who.role != atoll_model::Level::Admin;
    let current = own.then(|| password::ask("present password")).transpose()?;
    let password = password::ask_new("new password")?;
    client.set_password(name, &NewPassword { password, current }).await?;
    output::print_line(&format!("the password of {name} is set"))?;
    Ok(())
}

async fn set_disabled(client: &Client, name: &str, disabled: bool) -> anyhow::Result<()> {
    let patch = serde_json::json!({ "spec": { "disabled": disabled } });
    let outcome = client.patch(Kind::User, name, patch, None, false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[])?;
    Ok(())
}
