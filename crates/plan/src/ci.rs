//! Pipelines: when a run begins (`begin.rs`, `pipeline.rs`), what it is of (`sourced.rs`), how its
//! steps go on (`run.rs`), and which host does what waits (`queue.rs`). Not the doing, which is the
//! agents'.

pub mod begin;
pub mod pipeline;
pub mod queue;
pub mod run;
pub mod sourced;
