//! Continuous integration: what is done with each commit (`pipeline.rs`, `step.rs`), one time it is
//! done (`run.rs`), and one piece of work on one host (`task.rs`). Not what comes out of it, which
//! is `delivery.rs`.

pub mod fill;
pub mod pipeline;
pub mod run;
pub mod secret;
pub mod step;
pub mod task;
