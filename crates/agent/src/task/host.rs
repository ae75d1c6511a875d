//! A task that is done on the host itself: whom it is done as, and what it finds there. It has no
//! sandbox, no workspace, and leaves nothing but what it has said.

use std::path::PathBuf;

use atoll_model::Reason;
use atoll_model::agent::AssignedTask;
use nix::unistd::{Uid, User, geteuid, getgrouplist};

use super::prepare::{Program, mark, orders, own_variable};
use crate::machine::Machine;
use crate::runtime::launch::{Launch, PATH};
use crate::runtime::orders::Orders;

/// A user of this host.
pub(super) struct Person {
    user: User,
    /// None, where the agent is that user anyway.
    becomes: Option<Vec<u32>>,
}

impl Person {
    /// The user of that name.
    ///
    /// # Errors
    /// There is none, or the agent may not become it.
    pub(super) fn of(name: &str) -> Result<Person, Reason> {
        let unknown =
            |why: String| Reason::new("no-such-user", why).hint("name a user of the host in runAs");
        let user = User::from_name(name)
            .map_err(|e| unknown(format!("user {name} cannot be looked up: {e}")))?
            .ok_or_else(|| unknown(format!("this host has no user {name}")))?;
        let own = geteuid();
        if own == user.uid {
            return Ok(Person { user, becomes: None });
        }
        if own != Uid::from_raw(0) {
            let message = format!("the agent is not root and cannot become {name}");
            return Err(Reason::new("not-root", message).hint("run the agent as root"));
        }
        let entry = std::ffi::CString::new(name).unwrap_or_default();
        let groups = getgrouplist(&entry, user.gid)
            .map_err(|e| unknown(format!("the groups of {name} cannot be looked up: {e}")))?;
        // Its own first; see `Launch::groups`.
        let others = groups.into_iter().filter(|group| *group != user.gid);
        let groups = std::iter::once(user.gid).chain(others).map(|group| group.as_raw()).collect();
        Ok(Person { user, becomes: Some(groups) })
    }

    fn home(&self) -> PathBuf {
        if self.user.dir.is_dir() { self.user.dir.clone() } else { PathBuf::from("/") }
    }
}

/// The orders of the shim of such a task.
pub(super) fn draft(
    machine: &Machine,
    task: &AssignedTask,
    program: &Program<'_>,
    person: &Person,
) -> Orders {
    let group = machine.group(&program.group);
    let home = person.home().to_string_lossy().into_owned();
    let name = &person.user.name;
    let facts = [
        ("HOME", home.as_str()),
        ("USER", name),
        ("LOGNAME", name),
        ("ATOLL_TASK", &task.name),
        ("ATOLL_HOST", &machine.host),
    ];
    let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let usual = [own_variable("PATH", PATH), own_variable("LANG", "C.UTF-8")];
    let told = usual.into_iter().chain(facts).chain(program.env.clone());
    let launch = Launch {
        command: program.command.to_vec(),
        env: told.chain(mark(&group, program.place)).collect(),
        dir: person.home(),
        user: person.becomes.as_ref().map(|_| person.user.uid.as_raw()),
        groups: person.becomes.clone().unwrap_or_default(),
        cgroups: group.entrances(),
    };
    orders(task, launch, group, None, program)
}
