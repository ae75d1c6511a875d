//! Credentials: what has ended, or speaks for a host that is gone, is cleared away. Whether a
//! credential is good is asked at each request and not here.

use atoll_model::{Any, Host, Intent, Kind, Level, Reason, Snapshot, Token, User, Write};

use crate::{Context, Plan, pool};

/// Plans for one token.
pub fn plan(cx: &Context, name: &str) -> Plan {
    let Some(token) = cx.world.get::<Token>(name) else { return Plan::nothing() };
    let joins = token.spec.level == Level::Join;
    let host = token.spec.host.as_deref().filter(|_| !joins);
    let machine = token.spec.host.as_deref().filter(|_| joins);
    let user = token.spec.user.as_deref();
    let why = if token.spec.expired(cx.now) {
        "it has ended".to_owned()
    } else if let Some(host) = host.filter(|host| cx.world.get::<Host>(host).is_none()) {
        format!("there is no host {host} any more")
    } else if let Some(key) = machine.filter(|key| !pool::awaits(cx.world, key)) {
        format!("no pool waits for a machine {key}")
    } else if let Some(user) = user.filter(|user| cx.world.get::<User>(user).is_none()) {
        format!("there is no user {user} any more")
    } else {
        return Plan { again_at: token.spec.expires, ..Plan::nothing() };
    };
    let mut plan = Plan::new(Intent::Remove);
    plan.reasons.push(Reason::new("token-ended", format!("token {name} is removed: {why}")));
    plan.writes.push(Write::Delete {
        kind: Kind::Token,
        name: name.to_owned(),
        revision: token.meta.revision,
    });
    plan
}

/// The tokens a changed object may concern. Those of a host that has gone are found by the
/// periodic pass: they are worth nothing at once, and searching all would cost the fleet.
pub fn touched(_: &Snapshot, old: Option<&Any>, new: Option<&Any>) -> Vec<String> {
    match new.or(old) {
        Some(Any::Token(token)) => vec![token.meta.name.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_model::{Level, Object, Timestamp};

    use super::*;
    use crate::Measurements;

    #[test]
    fn what_has_ended_or_speaks_for_nobody_goes() {
        let token = |host: Option<&str>, expires: Option<i64>| Token {
            host: host.map(str::to_owned),
            expires: expires.map(Timestamp),
            ..Token::new(if host.is_some() { Level::Host } else { Level::Viewer }, "0".repeat(64))
        };
        let mut world = Snapshot::default();
        world.put(Any::Host(Arc::new(Object::new("h1", Host::default()))));
        for (name, spec) in [
            ("ended", token(None, Some(100))),
            ("good", token(None, Some(101))),
            ("here", token(Some("h1"), None)),
            ("gone", token(Some("h2"), None)),
        ] {
            world.put(Any::Token(Arc::new(Object::new(name, spec))));
        }
        let measured = Measurements::default();
        let cx = Context { world: &world, measured: &measured, now: Timestamp(100) };
        let goes = |name| !plan(&cx, name).writes.is_empty();
        assert_eq!(["ended", "good", "here", "gone"].map(goes), [true, false, false, true]);
        assert_eq!(plan(&cx, "good").again_at, Some(Timestamp(101)));
    }
}
