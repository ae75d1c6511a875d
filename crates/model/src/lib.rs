//! The nouns of operations: every kind of object, its validation, and its one form for manifest,
//! wire and store. Nothing here knows the time of day, a network or a database.

pub mod access;
pub mod agent;
pub mod alerting;
pub mod api;
pub mod budget;
pub mod capacity;
pub mod centre;
pub mod ci;
pub mod cmdb;
pub mod config;
pub mod cron;
pub mod decision;
pub mod delivery;
pub mod deployment;
pub mod elasticity;
pub mod figures;
pub mod guard;
pub mod image;
pub mod job;
pub mod manifest;
pub mod matcher;
pub mod message;
pub mod migration;
pub mod monitoring;
pub mod name;
pub mod notification;
pub mod object;
pub mod peak;
pub mod policy;
pub mod pool;
pub mod promotion;
pub mod provenance;
pub mod quantity;
pub mod rehearsal;
pub mod rollout;
pub mod run;
pub mod schema;
pub mod selector;
pub mod snapshot;
pub mod template;
pub mod time;
pub mod upgrade;
pub mod write;

mod kinds;

pub use access::role::Role;
pub use access::team::Team;
pub use access::user::User;
pub use access::{Level, Token};
pub use alerting::{Alert, Rule, Silence};
pub use budget::Budget;
pub use budget::price::Price;
pub use capacity::Capacity;
pub use centre::Policy;
pub use centre::decision::Decision;
pub use ci::pipeline::Pipeline;
pub use ci::run::Run;
pub use ci::secret::Secret;
pub use ci::task::Task;
pub use cmdb::drift::Drift;
pub use cmdb::facts::Facts;
pub use cmdb::item::{Item, ItemType};
pub use cmdb::network::Network;
pub use cmdb::{Application, Host, Zone};
pub use config::Config;
pub use decision::Freeze;
pub use delivery::{Environment, Package, Release};
pub use deployment::{Deployment, Instance};
pub use elasticity::Autoscaler;
pub use guard::Analysis;
pub use job::{Job, Runbook};
pub use migration::{Migration, MigrationStatus};
pub use monitoring::{Monitor, Objective};
pub use name::{Invalid, Problem};
pub use notification::{Notification, Receiver};
pub use object::{Meta, Object, Reason, Spec};
pub use peak::Peak;
pub use policy::{Scorecard, Standard, Waiver};
pub use pool::Pool;
pub use promotion::{Approval, Promotion};
pub use quantity::{Cpu, Memory, Portion, many};
pub use selector::Selector;
pub use snapshot::Snapshot;
pub use time::{Span, Timestamp};
pub use write::{Intent, Write};

kinds::kinds! {
    /// What a team builds and declares: how it runs, its health, goals and needs.
    Application "applications" ["app"],
    /// A place applications are deployed to: which hosts, after which other environment.
    Environment "environments" ["env"],
    /// The files of one version of a program, addressed by their content.
    Package "packages" ["pkg"],
    /// One immutable combination of application, package and static configuration.
    Release "releases" ["rel"],
    /// The target of one application in one environment, edited by operators.
    Deployment "deployments" ["deploy"],
    /// Keeps the number of instances of one deployment.
    Autoscaler "autoscalers" ["scaler"],
    /// What one deployment can carry, and will have to.
    Capacity "capacities" ["cap"],
    /// What some hosts cost for a time.
    Price "prices" [],
    /// How much may be spent or used on what is of a team, an application or an environment.
    Budget "budgets" [],
    /// One running copy of an application on one host.
    Instance "instances" ["inst"],
    /// A machine with an agent.
    Host "hosts" [],
    /// Hosts that are made and let go as they are needed.
    Pool "pools" [],
    /// A failure domain of hosts.
    Zone "zones" [],
    /// Moves what runs on some hosts to others.
    Migration "migrations" ["mig"],
    /// A time with so many times the usual load, and what is made ready for it.
    Peak "peaks" [],
    /// One part of what a host is, as its agent finds it.
    Facts "facts" [],
    /// Prefixes of addresses, and to whom they were given.
    Network "networks" ["net"],
    /// A class of things of users' own.
    ItemType "itemtypes" ["class"],
    /// One thing of such a class.
    Item "items" [],
    /// What is recorded of something and not so.
    Drift "drifts" [],
    /// A time in which changes are held.
    Freeze "freezes" [],
    /// Something outside the fleet that is looked at: scraped, or probed.
    Monitor "monitors" ["mon"],
    /// A promise of one deployment, and how much of its error budget is left.
    Objective "objectives" ["slo"],
    /// Recording and alerting rules, as Prometheus reads them.
    Rule "rules" [],
    /// Something that needs attention.
    Alert "alerts" [],
    /// Keeps alerts quiet, for a time or while another alert fires.
    Silence "silences" [],
    /// Somebody who is told of alerts.
    Receiver "receivers" ["recv"],
    /// One message to one receiver.
    Notification "notifications" ["notif"],
    /// How one rollout was judged.
    Analysis "analyses" [],
    /// People who answer for something together.
    Team "teams" [],
    /// Somebody who signs in.
    User "users" [],
    /// What may be done, and by whom.
    Role "roles" [],
    /// A credential and the role it grants.
    Token "tokens" [],
    /// What is done with each commit of a repository.
    Pipeline "pipelines" ["pipe"],
    /// One time a pipeline is run.
    Run "runs" [],
    /// One piece of work on one host.
    Task "tasks" [],
    /// One command on many hosts.
    Job "jobs" [],
    /// What jobs are made of: a command with parameters.
    Runbook "runbooks" [],
    /// Something that must not be seen: the object only says that it is there.
    Secret "secrets" [],
    /// Values that are pushed to running instances, switches among them.
    Config "configs" ["cfg"],
    /// One release's entry into one environment: whether it may, and what became of it.
    Promotion "promotions" ["promo"],
    /// One person's consent.
    Approval "approvals" [],
    /// What is asked of objects of some kinds.
    Standard "standards" ["std"],
    /// Excuses objects from a standard, for a time.
    Waiver "waivers" [],
    /// How one application keeps the standards.
    Scorecard "scorecards" ["card"],
    /// Something that may be done by itself, and when.
    Policy "policies" ["pol"],
    /// What the decision centre decided about one thing at one time.
    Decision "decisions" ["dec"],
}
