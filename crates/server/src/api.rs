//! The HTTP API: the route table, its guard, and the handlers in the modules below. Not what is
//! decided, which is the planners' and the gate's.

pub mod agents;
pub mod caches;
pub mod capacity;
pub mod configs;
pub mod costs;
pub mod decisions;
pub mod delivery;
pub mod error;
pub mod git;
pub mod history;
pub mod hooks;
pub mod inventory;
pub mod jobs;
pub mod login;
pub mod logs;
pub mod objects;
pub mod oidc;
mod onward;
pub mod openapi;
pub mod packages;
pub mod pipelines;
pub mod prometheus;
pub mod rehearsal;
pub mod routes;
pub mod secrets;
pub mod session;
pub mod sight;
pub mod standards;
pub mod state;
pub mod watch;
