//! The verbs, a file each, and which of them runs. Not what they share, which stands beside
//! this file.

pub mod agent;
pub mod apply;
pub mod approve;
pub mod audit;
pub mod autoscale;
pub mod budget;
pub mod capacity;
pub mod completion;
pub mod config;
pub mod decisions;
pub mod delete;
pub mod delivery;
pub mod demo;
pub mod deploy;
pub mod describe;
pub mod diff;
pub mod drift;
pub mod edit;
pub mod exec;
pub mod facts;
pub mod find;
pub mod get;
pub mod guard;
pub mod history;
pub mod host;
pub mod import;
pub mod inventory;
pub mod label;
pub mod login;
pub mod logout;
pub mod logs;
pub mod migrate;
pub mod network;
pub mod package;
pub mod peak;
pub mod pin;
pub mod pipeline;
pub mod plan;
pub mod promote;
pub mod provider;
pub mod query;
pub mod rehearse;
pub mod relation;
pub mod rightsize;
pub mod rollback;
pub mod rollout;
pub mod run;
pub mod sample;
pub mod scale;
pub mod schema;
pub mod secret;
pub mod server;
mod sheet;
pub mod silence;
pub mod standard;
pub mod token;
pub mod top;
pub mod up;
pub mod user;
pub mod version;
pub mod veto;
pub mod waive;
pub mod whoami;
pub mod why;

use crate::args::{Command, Global, Offline, Recorded};
use crate::exit::Exit;

/// Runs a verb to its end.
///
/// # Errors
/// The verb's.
pub async fn run(command: Command, global: Global) -> anyhow::Result<Exit> {
    match command {
        Command::Up(args) => up::run(&global, args).await,
        Command::Server(args) => server::run(&global, args).await,
        Command::Agent(args) => agent::run(&global, args).await,
        Command::Demo(args) => demo::run(&global, args).await,
        Command::Apply(args) => apply::run(&global, args).await,
        Command::Plan(args) => plan::run(&global, args).await,
        Command::Get(args) => get::run(&global, args).await,
        Command::Describe(args) => describe::run(&global, args).await,
        Command::Why(args) => why::run(&global, args).await,
        Command::History(args) => history::run(&global, args).await,
        Command::Diff(args) => diff::run(&global, args).await,
        Command::Rollback(args) => rollback::run(&global, args).await,
        Command::Delete(args) => delete::run(&global, args).await,
        Command::Edit(args) => edit::run(&global, args).await,
        Command::Label(args) => label::run(&global, args).await,
        Command::Scale(args) => scale::run(&global, args).await,
        Command::Autoscale(args) => autoscale::run(&global, args).await,
        Command::Budget(args) => budget::run(&global, args).await,
        Command::Capacity(args) => capacity::run(&global, args).await,
        Command::Rightsize(args) => rightsize::run(&global, args).await,
        Command::Migrate(args) => migrate::run(&global, args).await,
        Command::Rehearse(args) => rehearse::run(&global, args).await,
        Command::Peak(args) => peak::run(&global, args).await,
        Command::Deploy(args) => deploy::run(&global, args).await,
        Command::Pause(args) => rollout::run(&global, rollout::Step::Pause, args).await,
        Command::Resume(args) => rollout::follow(&global, rollout::Step::Resume, args).await,
        Command::Promote(args) => promote::run(&global, args).await,
        Command::Approve(args) => approve::run(&global, args).await,
        Command::Veto(args) => veto::run(&global, args).await,
        Command::Pin(args) => pin::run(&global, args).await,
        Command::Unpin(args) => pin::undo(&global, args).await,
        Command::Delivery(args) => delivery::run(&global, args).await,
        Command::Abort(args) => rollout::follow(&global, rollout::Step::Abort, args).await,
        Command::Package(command) => package::run(&global, command).await,
        Command::Pipeline(command) => pipeline::run(&global, command).await,
        Command::Secret(command) => secret::run(&global, command).await,
        Command::Run(args) => run::run(&global, args).await,
        Command::Retry(args) => run::retry(&global, args).await,
        Command::Cancel(args) => rollout::run(&global, rollout::Step::Cancel, args).await,
        Command::Logs(args) => logs::run(&global, args).await,
        Command::Exec(args) => exec::run(&global, args).await,
        Command::Cordon(args) => host::run(&global, host::Step::Cordon, args).await,
        Command::Uncordon(args) => host::run(&global, host::Step::Uncordon, args).await,
        Command::Drain(args) => host::run(&global, host::Step::Drain, args).await,
        Command::Audit(args) => audit::run(&global, args).await,
        Command::Query(args) => query::run(&global, args).await,
        Command::Top(args) => top::run(&global, args).await,
        Command::Recorded(command) => recorded(&global, command).await,
        Command::Silence(args) => silence::run(&global, args).await,
        Command::Guard(command) => guard::run(&global, command).await,
        Command::Standard(command) => standard::run(&global, command).await,
        Command::Decisions(args) => decisions::run(&global, args).await,
        Command::Waive(args) => waive::run(&global, args).await,
        Command::Token(command) => token::run(&global, command).await,
        Command::Config(command) => config::run(&global, command).await,
        Command::Login(args) => login::run(&global, args).await,
        Command::Logout(args) => logout::run(&global, args).await,
        Command::User(command) => user::run(&global, command).await,
        Command::Whoami(args) => whoami::run(&global, args).await,
        Command::Version(args) => version::run(&global, args).await,
        Command::Provider(command) => provider::run(command).await,
        Command::Offline(command) => offline(command),
    }
}

/// What is asked of the inventory.
async fn recorded(global: &Global, command: Recorded) -> anyhow::Result<Exit> {
    match command {
        Recorded::Facts(args) => facts::run(global, args).await,
        Recorded::Find(args) => find::run(global, args).await,
        Recorded::Export(args) => find::export(global, args).await,
        Recorded::Import(args) => import::run(global, args).await,
        Recorded::Observe(args) => import::observe(global, args).await,
        Recorded::Drift(args) => drift::run(global, args).await,
        Recorded::Impact(args) => relation::impact(global, args).await,
        Recorded::Path(args) => relation::path(global, args).await,
        Recorded::Inventory(args) => inventory::run(global, args).await,
        Recorded::Merge(args) => inventory::merge(global, args).await,
        Recorded::Split(args) => inventory::split(global, args).await,
        Recorded::Network(command) => network::run(global, command).await,
    }
}

/// What needs no server.
fn offline(command: Offline) -> anyhow::Result<Exit> {
    match command {
        Offline::Completion(args) => completion::run(args),
        Offline::Schema(args) => schema::run(args),
        Offline::Sample(args) => sample::run(&args),
    }
}
