//! What runs on this host and how it is kept apart: processes, users, cgroups, directories, and
//! the shim that each application is a child of, or the warden of its container. Not what should
//! run, which is `keeper.rs`.

pub mod cgroup;
pub mod container;
pub mod launch;
pub mod link;
pub mod orders;
pub mod place;
pub mod process;
pub mod sandbox;
pub mod shim;
pub mod users;
pub mod warden;
