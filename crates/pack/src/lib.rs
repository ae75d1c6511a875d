//! Packages by their content: a directory or an archive becomes an index and pieces, each named by
//! its digest, and what may be in a package is held to. Nothing here knows a network or a store:
//! the client sends what it makes, and the server keeps what it fetched itself.

mod collect;
mod error;
mod plan;
mod tree;

pub use error::PackError;
pub use plan::{PackagePlan, plan_package};
pub use tree::{Bounds, LONGEST_INDEX, Refusal, check_index};
