//! Typed HTTP over the model, and packages between a directory and a server. It plans nothing and
//! keeps nothing; the CLI, the agent and tests speak to a server through it and in no other way.

mod access;
mod agents;
mod authority;
mod backoff;
mod blobs;
mod error;
mod inventory;
mod metrics;
mod objects;
mod package;
mod pages;
mod pipelines;
mod socket;
mod sse;
mod transport;
mod unpack;
mod watch;

pub use access::AuditAsk;
pub use atoll_pack::{Bounds, PackagePlan, Refusal, check_index};
pub use authority::{fetch_authority, fingerprint_of};
pub use backoff::Backoff;
pub use error::{ClientError, PackageError};
pub use inventory::Search;
pub use metrics::{Answer, Point, QueryResult, RangeQuery, Scraped, Scraper, Series};
pub use objects::ListQuery;
pub use package::{Progress, Pushed, deposit, plan_package, push};
pub use socket::{Frame, Socket, SocketReceiver, SocketSender};
pub use transport::{Client, Endpoint};
pub use unpack::{Seeds, fetch_index, pull, unpack, verify};

/// Chooses the cryptography of this process. Called first thing in `main` and in tests; calling
/// it again does nothing.
pub fn install_crypto() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
