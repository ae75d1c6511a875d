//! The lines of tokens, users, teams and roles.

use atoll_model::{Level, Object, Role, Team, Timestamp, Token, User};

use super::{Cell, aged, cell, name, text};
use crate::clock::short;
use crate::terminal::Tone;

pub(super) fn token(o: &Object<Token>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let (ends, tone) = match spec.expires {
        None => ("never".to_owned(), Tone::Plain),
        Some(end) if end <= now => (format!("{} ago", short(now.since(end))), Tone::Dim),
        Some(end) => (format!("in {}", short(end.since(now))), Tone::Plain),
    };
    let role = match spec.roles.is_empty() {
        true => spec.level.name().to_owned(),
        false => spec.roles.join(","),
    };
    vec![
        name(&o.meta),
        cell("ROLE", role),
        cell("USER", text(&spec.user)),
        cell("OWNER", text(&spec.owner)),
        cell("HOST", text(&spec.host)),
        cell("SESSION", if spec.session { "yes" } else { "" }).wide(),
        cell("EXPIRES", ends).tone(tone),
        aged(&o.meta, now),
    ]
}

pub(super) fn user(o: &Object<User>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let (state, tone) = match spec.disabled {
        true => ("disabled", Tone::Bad),
        false => ("", Tone::Plain),
    };
    vec![
        name(&o.meta),
        cell("CALLED", spec.display_name.clone()),
        cell("EMAIL", spec.email.clone()),
        cell("PASSWORD", if spec.password.is_some() { "set" } else { "" }),
        cell("PROVIDER", if spec.subject.is_some() { "known" } else { "" }),
        cell("STATE", state).tone(tone),
        aged(&o.meta, now),
    ]
}

pub(super) fn team(o: &Object<Team>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    vec![
        name(&o.meta),
        cell("MEMBERS", spec.members.join(",")),
        cell("GROUPS", spec.groups.join(",")),
        cell("CONTACT", spec.contact.clone()),
        cell("DESCRIPTION", spec.description.clone()).wide(),
        aged(&o.meta, now),
    ]
}

pub(super) fn role(o: &Object<Role>, now: Timestamp) -> Vec<Cell> {
    let spec = &o.spec;
    let rules = match Level::of_role(&o.meta.name) {
        Some(_) => "built in".to_owned(),
        None => spec.rules.len().to_string(),
    };
    vec![
        name(&o.meta),
        cell("TO", spec.to.join(",")),
        cell("RULES", rules),
        cell("DESCRIPTION", spec.description.clone()).wide(),
        aged(&o.meta, now),
    ]
}
