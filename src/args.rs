//! The command line as it is typed: global flags, the verbs, and the groups of flags several
//! verbs share. What a verb does, and flags of its own, stand in its file in `commands/`.

use std::path::PathBuf;

use atoll_client::{Client, Endpoint};
use atoll_model::decision::OVERRIDE_ANNOTATION;
use atoll_model::monitoring::OVERRIDE_BUDGET_ANNOTATION;
use atoll_model::policy::BREAK_GLASS_ANNOTATION;
use atoll_model::{Memory, Span};
use atoll_server::{MetricsOptions, MetricsPolicy, ProviderOptions, Remote, policy};
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands;
use crate::context::{self, Resolved, Said};
use crate::output::Format;

/// Runs applications on hosts, and says why things are as they are.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, about, max_term_width = 100)]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
    /// Whom to talk to.
    #[command(flatten)]
    pub global: Global,
}

/// Flags every verb takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Whom to talk to", next_display_order = 900)]
pub struct Global {
    /// Address of a server; several, with commas or repeated, are tried in turn
    #[arg(long = "server", value_name = "URL", global = true, action = ArgAction::Append)]
    pub servers: Vec<String>,
    /// The secret to show; else $ATOLL_TOKEN, else the context file
    #[arg(long, value_name = "TOKEN", global = true, hide_default_value = true)]
    pub token: Option<String>,
}

impl Global {
    /// Whom these flags, the environment and the context file mean together.
    ///
    /// # Errors
    /// The context file cannot be read.
    pub fn resolve(&self) -> anyhow::Result<Resolved> {
        let flags = Said { servers: self.servers.clone(), token: self.token.clone() };
        let file = match context::path() {
            Some(path) => context::read(&path)?,
            None => context::ContextFile::default(),
        };
        Ok(context::resolve(flags, Said::environment(), file))
    }

    /// A client of whoever is meant. Connects to nothing yet.
    ///
    /// # Errors
    /// An address is none, or the context file cannot be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        let resolved = self.resolve()?;
        let endpoint =
            Endpoint { servers: resolved.servers, token: resolved.token, ca_pem: resolved.ca };
        Ok(Client::new(&endpoint)?)
    }
}

/// `-o`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// How to show it
    #[arg(short = 'o', long = "output", value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// `--wait` and `--timeout`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Wait {
    /// Wait until it has settled, and say how
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    pub timeout: Span,
}

/// `--override-freeze`, `--override-budget` and `--break-glass`.
#[derive(Clone, Debug, Default, Args)]
pub struct Override {
    /// Do it in spite of a freeze, and say why; the audit keeps it
    #[arg(long = "override-freeze", value_name = "REASON")]
    pub freeze: Option<String>,
    /// Release although the error budget is spent, and say why; the audit keeps it
    #[arg(long = "override-budget", value_name = "REASON")]
    pub budget: Option<String>,
    /// Do it although it breaks an enforced standard, and say why; the audit keeps it
    #[arg(long = "break-glass", value_name = "REASON")]
    pub glass: Option<String>,
}

impl Override {
    /// The annotations that say so.
    pub fn annotations(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let freeze = self.freeze.iter().map(|reason| (OVERRIDE_ANNOTATION, reason));
        let budget = self.budget.iter().map(|reason| (OVERRIDE_BUDGET_ANNOTATION, reason));
        let glass = self.glass.iter().map(|reason| (BREAK_GLASS_ANNOTATION, reason));
        freeze.chain(budget).chain(glass)
    }
}

/// How a server keeps what is measured.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is measured")]
pub struct Metrics {
    /// Send everything measured to a Prometheus-compatible server too, and read it from there
    #[arg(long = "metrics-remote", value_name = "URL")]
    pub remote: Option<String>,
    /// A file with the bearer token that server wants
    #[arg(long = "metrics-remote-token-file", value_name = "FILE", requires = "remote")]
    pub token_file: Option<PathBuf>,
    /// How long it is kept
    #[arg(long = "metrics-retention", value_name = "SPAN", default_value = "15d")]
    pub retention: Span,
    /// Keep some series longer, shorter or thinned out, as in '{job="node"} for 90d, 5m after 1d';
    /// may be repeated, the first whose selector matches decides
    #[arg(long = "metrics-keep", value_name = "POLICY", value_parser = policy)]
    pub keep: Vec<MetricsPolicy>,
    /// So many series one source may have at a time; more are refused
    #[arg(long = "metrics-series-per-source", value_name = "COUNT", default_value = "200000")]
    pub series_per_source: usize,
}

impl Metrics {
    /// The same for the server, kept in `dir`.
    pub fn options(&self, dir: PathBuf) -> MetricsOptions {
        let remote = self.remote.as_deref().map(Remote::at);
        MetricsOptions {
            remote: remote.map(|to| Remote { token_file: self.token_file.clone(), ..to }),
            retention: self.retention,
            policies: self.keep.clone(),
            series_per_source: self.series_per_source,
            dir,
        }
    }
}

/// The identity provider people may sign in through in the console.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Signing in")]
pub struct Provider {
    /// An OpenID Connect provider people may sign in through, as it writes its own address
    #[arg(long = "oidc-issuer", value_name = "URL", requires = "client_id")]
    pub issuer: Option<String>,
    /// What the provider knows this server by
    #[arg(long = "oidc-client-id", value_name = "ID", requires = "issuer")]
    pub client_id: Option<String>,
    /// A file with the secret the provider gave for it
    #[arg(long = "oidc-client-secret-file", value_name = "FILE", requires = "issuer")]
    pub secret_file: Option<PathBuf>,
    /// The claim of the ID token that lists groups, which teams may name
    #[arg(long = "oidc-groups-claim", value_name = "CLAIM", default_value = "groups")]
    pub groups_claim: String,
    /// What the provider is asked for
    #[arg(long = "oidc-scopes", value_name = "SCOPES", default_value = "openid profile email")]
    pub scopes: String,
}

impl Provider {
    /// The same for the server, which browsers reach at `base`.
    pub fn options(&self, base: Option<String>) -> Option<ProviderOptions> {
        Some(ProviderOptions {
            issuer: self.issuer.clone()?,
            client_id: self.client_id.clone()?,
            secret_file: self.secret_file.clone(),
            groups_claim: self.groups_claim.clone(),
            scopes: self.scopes.clone(),
            base,
        })
    }
}

/// How an agent does the steps of pipelines.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Steps of pipelines")]
pub struct Steps {
    /// Directories and files of this host that steps see, read-only, besides the system's
    #[arg(long = "step-paths", value_name = "PATH,…", value_delimiter = ',')]
    pub paths: Vec<PathBuf>,
    /// Do steps even where they cannot be kept apart from this host: every one is trusted then
    #[arg(long = "bare-steps")]
    pub bare: bool,
}

/// What an agent keeps though nobody needs it.
#[derive(Clone, Debug, Args)]
pub struct Cached {
    /// So much of packages, and of images, is kept though nothing needs them any more
    #[arg(long = "cache", value_name = "SIZE", default_value = "10Gi")]
    pub bytes: Memory,
}

/// `-f`.
#[derive(Clone, Debug, Args)]
pub struct Files {
    /// A manifest, a directory of them, or - for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// The verbs, in the order in which help shows them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start server, agent and console in one process on this machine
    Up(commands::up::Args),
    /// Start one replica of the control plane
    Server(commands::server::Args),
    /// Make this machine a host
    Agent(commands::agent::Args),
    /// Show what it can do with applications of its own
    Demo(commands::demo::Args),
    /// Bring objects to what manifests say
    Apply(commands::apply::Args),
    /// What applying manifests would change, and what the gate says
    Plan(commands::plan::Args),
    /// List objects, or show some of them
    Get(commands::get::Args),
    /// Everything about an object, to read
    Describe(commands::describe::Args),
    /// Why an object is as it is, what it waits for, and what happens next
    Why(commands::why::Args),
    /// Who changed an object, when, and why
    History(commands::history::Args),
    /// How an object differs between two revisions
    Diff(commands::diff::Args),
    /// Take an object back to an earlier revision
    Rollback(commands::rollback::Args),
    /// Delete objects
    Delete(commands::delete::Args),
    /// Edit an object with $EDITOR
    Edit(commands::edit::Args),
    /// Set or remove labels of an object
    Label(commands::label::Args),
    /// Set the number of instances of a deployment
    Scale(commands::scale::Args),
    /// Bound what keeps the number of instances of a deployment, or let it only observe
    Autoscale(commands::autoscale::Args),
    /// Move what runs on some hosts to others, in waves
    Migrate(commands::migrate::Args),
    /// What would come of a scenario, played on a twin of the fleet
    Rehearse(commands::rehearse::Args),
    /// Show peaks: what they take, what must be ready by when, what was seen
    Peak(commands::peak::Args),
    /// What the fleet can carry, as it is and as it would be
    Capacity(commands::capacity::Args),
    /// What instances ask for beside what they use, and what they should ask for
    Rightsize(commands::rightsize::Args),
    /// What is spent of each budget, and what the fleet costs whom
    Budget(commands::budget::Args),
    /// Roll out a release, or a package, of an application
    Deploy(commands::deploy::Args),
    /// Stop a rollout or a migration where it is
    Pause(commands::rollout::Args),
    /// Let a paused rollout, migration or job go on
    Resume(commands::rollout::Waiting),
    /// Ask that a release enters an environment, or skip the soaks of a rollout under way
    Promote(commands::promote::Args),
    /// Approve a release's entry into an environment, a budget's breach, or a decision
    Approve(commands::approve::Args),
    /// Say that a release is to run nowhere
    Veto(commands::veto::Args),
    /// Keep a deployment at the release it runs
    Pin(commands::pin::Args),
    /// Let a deployment follow releases again
    Unpin(commands::pin::Undo),
    /// How fast and how well is delivered
    Delivery(commands::delivery::Args),
    /// Give a rollout up and go back to the last good release
    Abort(commands::rollout::Waiting),
    /// Packages: the files releases are made of
    #[command(subcommand)]
    Package(commands::package::Command),
    /// Pipelines: run them, follow and end their runs, and see what came of them
    #[command(subcommand)]
    Pipeline(commands::pipeline::Command),
    /// Secrets: set, list and delete them
    #[command(subcommand)]
    Secret(commands::secret::Command),
    /// Do something on many hosts, and show what comes of it
    Run(commands::run::Args),
    /// Do a job once more where it has not succeeded
    Retry(commands::run::Retry),
    /// End a job or a migration
    Cancel(commands::rollout::Args),
    /// Show the logs of an instance or a task, or of all instances of a deployment
    Logs(commands::logs::Args),
    /// Run a command beside an instance
    Exec(commands::exec::Args),
    /// Close a host to new instances
    Cordon(commands::host::Args),
    /// Open a host again
    Uncordon(commands::host::Args),
    /// Move everything off a host
    Drain(commands::host::Args),
    /// Who did what, and whether all records of it are as they were written
    Audit(commands::audit::Args),
    /// Ask what was measured, in PromQL
    Query(commands::query::Args),
    /// What hosts and instances take of their resources
    Top(commands::top::Args),
    #[command(flatten)]
    Recorded(Recorded),
    /// Keep alerts quiet for a time
    Silence(commands::silence::Args),
    /// How rollouts are judged: replay records, give feedback
    #[command(subcommand)]
    Guard(commands::guard::Command),
    /// Dynamic configuration and switches: set, release gray, see who has taken it up
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Standards: what is asked of everything, how well it is kept, what it would have stopped
    #[command(subcommand, visible_alias = "standards")]
    Standard(commands::standard::Command),
    /// What was decided by itself and why; whether it was right; stop all of it, or let it go on
    #[command(visible_alias = "decision")]
    Decisions(commands::decisions::Args),
    /// Excuse something from a standard, for a time
    Waive(commands::waive::Args),
    /// Tokens: who may do what
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Users: add them, give them passwords, disable them
    #[command(subcommand)]
    User(commands::user::Command),
    /// Sign in, or remember a server and a token
    Login(commands::login::Args),
    /// Sign out
    Logout(commands::logout::Args),
    /// Who the server takes us for
    Whoami(commands::whoami::Args),
    /// Print the version
    Version(commands::version::Args),
    /// Make machines of a pool, as the server asks
    #[command(subcommand, hide = true)]
    Provider(commands::provider::Command),
    #[command(flatten)]
    Offline(Offline),
}

/// The verbs of the inventory.
#[derive(Debug, clap::Subcommand)]
pub enum Recorded {
    /// What a host is in full, as its agent finds it
    Facts(commands::facts::Args),
    /// Find things by a filter, as they are or as they were
    Find(commands::find::Args),
    /// Write things for other programs: CSV, JSON or manifests
    Export(commands::find::Export),
    /// Import items from CSV, JSON or YAML, planned first
    Import(commands::import::Args),
    /// Say what a source has seen of items
    Observe(commands::import::Source),
    /// Where what is recorded is not so, and mending it either way
    Drift(commands::drift::Args),
    /// Who suffers when something is lost
    Impact(commands::relation::Impact),
    /// The way from one thing to another
    Path(commands::relation::Path),
    /// How good the inventory is; hosts for Ansible
    Inventory(commands::inventory::Args),
    /// Say that two items are one
    Merge(commands::inventory::Merge),
    /// Let a merged item stand for itself again
    Split(commands::inventory::Split),
    /// Networks: what is free next, and taking it
    #[command(subcommand)]
    Network(commands::network::Command),
}

/// What needs no server.
#[derive(Debug, clap::Subcommand)]
pub enum Offline {
    /// Print a script that completes commands in a shell
    Completion(commands::completion::Args),
    /// Print the JSON Schema of a kind, for editors
    Schema(commands::schema::Args),
    /// The web application the demo runs
    #[command(hide = true)]
    Sample(commands::sample::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_documented_is_taken() {
        let lines = [
            "atoll up --data d --listen 127.0.0.1:1",
            "atoll server --data d --advertise http://a:1",
            "atoll server --store postgres://x --listen 0.0.0.0:1",
            "atoll server --store postgres://x --metrics-dir m --metrics-remote http://vm:8428",
            "atoll up --metrics-retention 30d --metrics-series-per-source 1000",
            "atoll agent --server http://a:1 --token t --name h --labels zone=a,x=y",
            "atoll apply -f a.yaml -f dir -f - --dry-run --wait --timeout 90s",
            "atoll plan -f a.yaml -o json",
            "atoll get deployments -l tier=core -o wide --watch",
            "atoll get deployment/shop.prod -ojson --server http://a:1,http://b:2 --token x",
            "atoll why deployment/shop.prod",
            "atoll diff deployment/shop.prod --from 3 --to 4",
            "atoll rollback deployment/shop.prod --to 3 --wait --override-freeze fire",
            "atoll scale deployment/shop.prod 5 --wait",
            "atoll deploy shop --env prod --release shop-42 --wait",
            "atoll deploy shop --env prod --package shop:2",
            "atoll deploy shop --env prod --release shop-42 --override-budget fire",
            "atoll promote deployment/shop.prod",
            "atoll promote shop-42 --to prod",
            "atoll promote shop-42 --to prod --emergency --reason fire",
            "atoll approve promotion/shop-42.prod --comment fine",
            "atoll veto release/shop-42 --reason leaks --rollback",
            "atoll veto release/shop-42 --withdraw",
            "atoll pin deployment/shop.prod --reason audit",
            "atoll unpin deployment/shop.prod",
            "atoll delivery --window 7d --by team -o json",
            "atoll package sbom shop:1",
            "atoll package provenance shop:1",
            "atoll package push shop:1 dir",
            "atoll logs deployment/shop.prod -f --since 10m --tail 5",
            "atoll logs deployment/shop.prod --grep --->",
            "atoll logs deployment/shop.prod --since 1h --grep timeout --field code=500 --level error",
            "atoll exec instance/shop.prod.3 -t -- sh -c true",
            "atoll drain host/h1 --wait",
            "atoll audit --actor user/anna --since 1h",
            "atoll token create --role viewer --for user --ttl 24h",
            "atoll login --server http://a:1 --token t",
            "atoll completion bash",
            "atoll label deployment/shop.prod a=b c-",
            "atoll query up",
            "atoll query up --at 2026-11-11T00:00:00Z -o json",
            "atoll query rate(x[5m]) --range 1h --step 15s",
            "atoll silence alert/rules.1a2b --for 2h --reason known",
            "atoll silence alertname=Down deployment=shop.prod --reason known",
            "atoll config get shop-switches checkout --env prod",
            "atoll config set shop-switches checkout=false --env prod --wait",
            "atoll config set config/shop-switches a=1 b- --gray 10% --soak 5m",
            "atoll config set shop-switches a=1 --now --override-freeze fire",
            "atoll config set shop-switches a=1 --draft --note why",
            "atoll config push shop-switches -f values.yaml --env prod",
            "atoll config promote shop-switches --wait",
            "atoll config rollback shop-switches --to 7 --wait",
            "atoll guard replay cases -o json",
            "atoll guard generate cases --seed 7 --count 20",
            "atoll pipeline run . -p level=3 --no-follow",
            "atoll pipeline logs shop.12 unit -f",
            "atoll pipeline artifacts shop.12 bin --to -",
            "atoll secret set token --from-file f",
            "atoll logs task/shop.12.unit.0 -f",
            "atoll guard feedback analysis/shop.prod.shop-42 wrong --comment spike",
        ];
        for line in lines {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_is_documented_of_access_is_taken() {
        for line in [
            "atoll audit --refused --kind audit",
            "atoll audit verify --head 12:ab",
            "atoll user add anna --team trade --role viewer",
            "atoll user password anna",
            "atoll token create --user anna",
            "atoll login --server http://a:1 --user anna",
            "atoll logout",
            "atoll server --data d --oidc-issuer https://id --oidc-client-id atoll",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_is_documented_of_the_inventory_is_taken() {
        let lines = [
            "atoll facts host/h1 packages -o json",
            "atoll find 'kind=host' --at 2h",
            "atoll find x --facets zone,os.name -o json",
            "atoll export type=rack -o csv --columns name,units --at 2026-11-11T00:00:00Z",
            "atoll import -f racks.csv --type rack --key id --source dc --apply",
            "atoll observe -f - --type rack --source scan",
            "atoll drift --of host/h1 -o json",
            "atoll drift accept host.h1.os-version --dry-run",
            "atoll drift mend drift/host.h1.os-version",
            "atoll drift report host/h1 address 10.0.0.1 --failed refused --consumer job/x",
            "atoll impact zone/a",
            "atoll path application/shop host/h1",
            "atoll inventory --list",
            "atoll inventory --host h1",
            "atoll merge item/a --into item/b",
            "atoll split item/a --dry-run",
            "atoll network next office --length 28 --for floor-2",
            "atoll migrate off host/h1 host/h2 --to disk=ssd --wave 5 --retire --wait",
            "atoll migrate off --hosts kernel~5.10* --dry-run -o json",
            "atoll migrate balance --pause 1m",
            "atoll migrate back migration/h1-17 --waves 2",
            "atoll capacity",
            "atoll rehearse peak.yaml",
            "atoll rehearse deployment/shop.prod -o json",
            "atoll rehearse peak/sale",
            "atoll peak list",
            "atoll peak show sale -o json",
            "atoll peak calendar sale",
            "atoll schema rehearsal",
            "atoll budget",
            "atoll budget trade -o json",
            "atoll budget --by team --currency EUR",
            "atoll approve budget/trade --comment peak",
            "atoll capacity shop --times 2.5 --without zone/a --peak -o json",
            "atoll capacity --demand orders=500 --demand returns=20",
        ];
        for line in lines {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for line in [
            "atoll",
            "atoll frobnicate",
            "atoll apply",
            "atoll deploy shop --env prod",
            "atoll deploy shop --env prod --release a --package b:1",
            "atoll server",
            "atoll server --data d --store postgres://x",
            "atoll scale deployment/shop.prod many",
            "atoll scale shop.prod 5",
            "atoll diff deployment/shop.prod",
            "atoll exec instance/shop.prod.3",
            "atoll apply -f x --timeout soon",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
