//! The nouns of operations: every kind of object, its validation, and its one form for manifest,
//! wire and store. Nothing here knows the time of day, a network or a database.

pub mod access;
pub mod agent;
pub mod api;
pub mod cmdb;
pub mod decision;
pub mod delivery;
pub mod deployment;
pub mod manifest;
pub mod name;
pub mod object;
pub mod quantity;
pub mod run;
pub mod selector;
pub mod snapshot;
pub mod template;
pub mod time;
pub mod upgrade;
pub mod write;

mod kinds;

pub use access::{Role, Token};
pub use cmdb::{Application, Host, Zone};
pub use decision::Freeze;
pub use delivery::{Environment, Package, Release};
pub use deployment::{Deployment, Instance};
pub use name::{Invalid, Problem};
pub use object::{Meta, Object, Reason, Spec};
pub use quantity::{Cpu, Memory, Portion};
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
    /// One running copy of an application on one host.
    Instance "instances" ["inst"],
    /// A machine with an agent.
    Host "hosts" [],
    /// A failure domain of hosts.
    Zone "zones" [],
    /// A time in which changes are held.
    Freeze "freezes" [],
    /// A credential and the role it grants.
    Token "tokens" [],
}
