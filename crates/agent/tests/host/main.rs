//! An agent with a real shim and real processes, told by a small server what to do.

mod beside;
mod duty;
mod life;
mod metrics;
mod sessions;
mod stage;
mod task;
