//! What credentials, users, teams and roles are worth. Not whether one may do something, which is
//! asked for each request.

use atoll_model::access::role::Permission;
use atoll_model::{Level, Object, Role, Team, Token, User, many};

use super::{Context, Told};
use crate::permission::Permissions;

/// A token.
pub(super) fn token(cx: &Context, it: &Object<Token>, told: &mut Told) {
    let ends = match it.spec.expires {
        Some(at) if it.spec.expired(cx.now) => format!("ended at {at}"),
        Some(at) => format!("ends at {at}"),
        None => "never ends".to_owned(),
    };
    let grants = match &it.spec.user {
        Some(user) => format!("speaks for user {user}"),
        None if !it.spec.roles.is_empty() => format!("grants role {}", it.spec.roles.join(", ")),
        None => format!("grants role {}", it.spec.level.name()),
    };
    told.state = format!("{} {grants} and {ends}.", it.name());
    it.spec.user.iter().for_each(|user| told.see(format!("user/{user}")));
}

/// A user: their teams and roles.
pub(super) fn user(cx: &Context, it: &Object<User>, told: &mut Told) {
    let mut actor = atoll_model::access::Actor::new(format!("user/{}", it.name()), Level::Member);
    actor.user = Some(it.name().to_owned());
    let permissions = Permissions::of(cx.world, &actor);
    let teams: Vec<&str> = permissions.teams().collect();
    let list = |all: &[&str], none: &str| match all {
        [] => none.to_owned(),
        all => all.join(", "),
    };
    let roles: Vec<&str> = permissions.roles().iter().map(String::as_str).collect();
    let ways = match (it.spec.disabled, &it.spec.password, &it.spec.subject) {
        (true, ..) => "may not sign in: it is disabled",
        (_, Some(_), Some(_)) => "signs in with a password or through the identity provider",
        (_, Some(_), None) => "signs in with a password",
        (_, None, Some(_)) => "signs in through the identity provider",
        (_, None, None) => "has no way to sign in yet",
    };
    told.state = format!(
        "{} {ways}; teams: {}; roles: {}.",
        it.name(),
        list(&teams, "none"),
        list(&roles, "none, so it may do nothing")
    );
    teams.iter().for_each(|team| told.see(format!("team/{team}")));
    roles.iter().for_each(|role| told.see(format!("role/{role}")));
}

/// A team: how many are in it, and its roles.
pub(super) fn team(cx: &Context, it: &Object<Team>, told: &mut Told) {
    let subject = format!("team/{}", it.name());
    let roles = cx.world.all::<Role>().filter(|role| role.spec.to.contains(&subject));
    let roles: Vec<&str> = roles.map(|role| role.name()).collect();
    let groups = match it.spec.groups.as_slice() {
        [] => String::new(),
        groups => format!(", and whoever is in {}", groups.join(", ")),
    };
    let bound = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
    let members = many(it.spec.members.len(), "member");
    told.state = format!("{} has {members}{groups}; roles: {bound}.", it.name());
    it.spec.members.iter().for_each(|member| told.see(format!("user/{member}")));
    roles.iter().for_each(|role| told.see(format!("role/{role}")));
}

/// A role: to whom, and what.
pub(super) fn role(it: &Object<Role>, told: &mut Told) {
    let to = match it.spec.to.as_slice() {
        [] => "nobody".to_owned(),
        to => to.join(", "),
    };
    let rules: Vec<String> = it.spec.rules.iter().map(permission).collect();
    let what = match (Level::of_role(it.name()), rules.is_empty()) {
        (Some(_), _) => "is built in".to_owned(),
        (None, true) => "permits nothing".to_owned(),
        (None, false) => format!("permits {}", rules.join("; ")),
    };
    told.state = format!("{} {what}; it is bound to {to}.", it.name());
    it.spec.to.iter().for_each(|subject| told.see(subject.clone()));
}

/// A permission in words: `write, delete of Deployment in staging of own teams`.
fn permission(rule: &Permission) -> String {
    let verbs: Vec<&str> = rule.verbs.iter().map(|verb| verb.name()).collect();
    let kinds: Vec<&str> = rule.kinds.iter().map(|kind| kind.name()).collect();
    let mut text = verbs.join(", ");
    text += &match kinds.is_empty() {
        true => " of everything".to_owned(),
        false => format!(" of {}", kinds.join(", ")),
    };
    if !rule.environments.is_empty() {
        text += &format!(" in {}", rule.environments.join(", "));
    }
    if !rule.teams.is_empty() {
        text += &format!(" of team {}", rule.teams.join(", "));
    }
    let labels = rule.labels.to_string();
    if !labels.is_empty() {
        text += &format!(" where {labels}");
    }
    text
}
