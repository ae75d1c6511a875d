//! The whole, end to end: the real binary, real processes, real PostgreSQL.

#[path = "e2e/access.rs"]
mod access;
#[path = "../crates/store/tests/support/cluster.rs"]
mod cluster;
#[path = "e2e/config.rs"]
mod config;
#[path = "e2e/contained.rs"]
mod contained;
#[path = "e2e/containers.rs"]
mod containers;
#[path = "e2e/decisions.rs"]
mod decisions;
#[path = "e2e/delivery.rs"]
mod delivery;
#[path = "e2e/dock.rs"]
mod dock;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/hosts.rs"]
mod hosts;
#[path = "e2e/input.rs"]
mod input;
#[path = "e2e/jobs.rs"]
mod jobs;
#[path = "e2e/life.rs"]
mod life;
#[path = "e2e/monitoring.rs"]
mod monitoring;
#[path = "e2e/packages.rs"]
mod packages;
#[path = "e2e/pipelines.rs"]
mod pipelines;
#[path = "e2e/pools.rs"]
mod pools;
#[path = "e2e/replicas.rs"]
mod replicas;
#[path = "e2e/site.rs"]
mod site;
