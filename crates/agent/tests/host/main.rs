//! An agent with a real shim and real processes, told by a small server what to do.

mod beside;
#[path = "../../../../tests/e2e/dock.rs"]
#[allow(dead_code, reason = "shared with the tests of the whole, which use more of it")]
mod dock;
mod duty;
mod images;
mod life;
mod metrics;
mod sessions;
mod site;
mod stage;
mod task;
