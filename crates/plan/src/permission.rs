//! Who may do what: the levels of tokens and the roles bound to whoever asks, worked out on one
//! world. It judges one object at a time; which objects a change concerns is the gate's to know,
//! and whose an object is stands in `permission/belongs.rs`.

use std::collections::BTreeSet;

use atoll_model::access::role::{OF_ACCESS, OWN, Permission, Verb};
use atoll_model::access::{Actor, Level};
use atoll_model::{Any, Kind, Reason, Role, Snapshot, Team, Token};

mod author;
mod belongs;

pub use author::is_good;
pub(crate) use belongs::owner;

/// So many of those who could give a right are named.
const MOST_GIVERS: usize = 4;

/// Everything somebody may do.
#[derive(Clone, Debug)]
pub struct Permissions {
    name: String,
    level: Level,
    host: Option<String>,
    user: Option<String>,
    teams: BTreeSet<String>,
    roles: Vec<String>,
    rules: Vec<Permission>,
}

impl Permissions {
    /// What an actor may in this world: what their token's level gives, and every role that is
    /// bound to the token, its user, or a team they are in. Nothing else.
    ///
    /// **Invariant:** this type is the only place where a level or a role is turned into
    /// permission.
    pub fn of(world: &Snapshot, actor: &Actor) -> Permissions {
        let mut it = Permissions {
            name: actor.name.clone(),
            level: actor.level,
            host: actor.host.clone(),
            user: actor.user.clone(),
            teams: BTreeSet::new(),
            roles: Vec::new(),
            rules: Vec::new(),
        };
        if actor.level >= Level::Viewer {
            it.roles.push(actor.level.name().to_owned());
        }
        if actor.level != Level::Member {
            return it;
        }
        let user = actor.user.as_deref();
        let teams = world.all::<Team>().filter(|team| team.spec.has(user, &actor.groups));
        it.teams = teams.map(|team| team.name().to_owned()).collect();
        for role in world.all::<Role>() {
            let named = role.spec.to.iter().any(|subject| it.is(actor, subject));
            if named || actor.roles.iter().any(|given| given == role.name()) {
                it.take(role.name(), &role.spec);
            }
        }
        // A built-in role may be given to a token without an object that binds it.
        for given in &actor.roles {
            if Level::of_role(given).is_some() && !it.roles.contains(given) {
                it.take(given, &Role::default());
            }
        }
        it
    }

    fn is(&self, actor: &Actor, subject: &str) -> bool {
        match subject.split_once('/') {
            Some(("user", name)) => actor.user.as_deref() == Some(name),
            Some(("team", name)) => self.teams.contains(name),
            Some(("token", name)) => actor.token.as_deref() == Some(name),
            _ => false,
        }
    }

    fn take(&mut self, name: &str, role: &Role) {
        self.roles.push(name.to_owned());
        match Level::of_role(name) {
            Some(level) => self.level = self.level.max(level),
            None => self.rules.extend(role.rules.iter().cloned()),
        }
    }

    /// The greatest built-in role they have.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The names of all roles they have.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The teams they are in.
    pub fn teams(&self) -> impl Iterator<Item = &str> {
        self.teams.iter().map(String::as_str)
    }

    /// Whether they may do everything.
    pub fn is_admin(&self) -> bool {
        self.level == Level::Admin
    }

    /// Whether they may join a host.
    pub fn may_join(&self) -> bool {
        matches!(self.level, Level::Join | Level::Admin)
    }

    /// Whether they may act as a host.
    pub fn may_be(&self, host: &str) -> bool {
        self.is_admin() || (self.level == Level::Host && self.host.as_deref() == Some(host))
    }

    /// Whether they are the agent of some host.
    pub fn is_agent(&self) -> bool {
        self.level == Level::Host
    }

    /// Whether they may commit what a host reports.
    pub fn may_report(&self) -> bool {
        matches!(self.level, Level::Host | Level::Admin)
    }

    /// What their level alone gives for every object of a kind.
    fn by_level(&self, verb: Verb, kind: Kind) -> bool {
        let changes = !matches!(verb, Verb::Read | Verb::Logs);
        match self.level {
            Level::Admin => true,
            Level::Operator => kind != Kind::Token && !(changes && OF_ACCESS.contains(&kind)),
            Level::Viewer => kind != Kind::Token && !changes,
            Level::Join | Level::Host | Level::Member => false,
        }
    }

    /// Whether they may do something to every object of a kind.
    pub fn always(&self, verb: Verb, kind: Kind) -> bool {
        let unlimited = |rule: &Permission| {
            rule.is_unlimited() && rule.is_of(kind) && rule.verbs.contains(&verb)
        };
        self.by_level(verb, kind) || self.rules.iter().any(unlimited)
    }

    /// Whether they may read every object of every kind that is no credential.
    pub fn reads_everything(&self) -> bool {
        let secret = |kind: &Kind| OF_ACCESS.contains(kind);
        Kind::ALL.iter().filter(|kind| !secret(kind)).all(|kind| self.always(Verb::Read, *kind))
    }

    /// Whether there may be an object, of that kind where one is named, to which they may do it.
    pub fn somewhere(&self, verb: Verb, kind: Option<Kind>) -> bool {
        let by_level = match kind {
            Some(kind) => self.by_level(verb, kind),
            None => self.by_level(verb, Kind::Application),
        };
        let of = |rule: &Permission| kind.is_none_or(|kind| rule.is_of(kind));
        by_level || self.rules.iter().any(|rule| of(rule) && rule.verbs.contains(&verb))
    }

    /// Whether there may be an object, of that kind where one is named, that they may change.
    pub fn changes_somewhere(&self, kind: Option<Kind>) -> bool {
        let verbs = [Verb::Write, Verb::Delete];
        verbs.iter().any(|verb| self.somewhere(*verb, kind))
            || matches!(kind, None | Some(Kind::Approval))
                && [Kind::Promotion, Kind::Budget, Kind::Decision]
                    .iter()
                    .any(|kind| self.somewhere(Verb::Approve, Some(*kind)))
            || matches!(kind, None | Some(Kind::Run))
                && self.somewhere(Verb::Run, Some(Kind::Pipeline))
            || matches!(kind, None | Some(Kind::Job)) && self.somewhere(Verb::Run, Some(Kind::Job))
    }

    /// Every verb they have for something.
    pub fn verbs(&self) -> Vec<Verb> {
        Verb::ALL.into_iter().filter(|verb| self.somewhere(*verb, None)).collect()
    }

    /// Whether they may do something to an object of this world.
    pub fn allows(&self, world: &Snapshot, verb: Verb, any: &Any) -> bool {
        if self.by_level(verb, any.kind()) {
            return true;
        }
        let covers = |rule: &Permission| {
            rule.verbs.contains(&verb)
                && rule.is_of(any.kind())
                && (rule.is_unlimited() || self.covers(world, rule, any))
        };
        self.rules.iter().any(covers)
    }

    fn covers(&self, world: &Snapshot, rule: &Permission, any: &Any) -> bool {
        let here = rule.environments.is_empty() || {
            let of = belongs::environments(world, any);
            !of.is_empty() && of.iter().all(|name| rule.environments.contains(name))
        };
        here && (rule.teams.is_empty() || self.is_of(world, &rule.teams, any))
            && rule.labels.matches(&belongs::labels(world, any))
    }

    /// Whether one of these teams answers for an object.
    fn is_of(&self, world: &Snapshot, teams: &[String], any: &Any) -> bool {
        let Some(owner) = belongs::owner(world, any) else { return false };
        teams.iter().any(|team| match (team.as_str(), owner.split_once('/')) {
            (OWN, Some(("team", name))) => self.teams.contains(name),
            (OWN, Some(("user", name))) => self.user.as_deref() == Some(name),
            (team, Some(("team", name))) => team == name,
            _ => false,
        })
    }

    /// Whether they may, and if not, what is missing and who gives it.
    ///
    /// # Errors
    /// That they may not.
    pub fn check(&self, world: &Snapshot, verb: Verb, any: &Any) -> Result<(), Reason> {
        if self.allows(world, verb, any) {
            return Ok(());
        }
        let mut whose: Vec<String> = Vec::new();
        let of = belongs::environments(world, any);
        if any.kind() != Kind::Environment && !of.is_empty() {
            whose.push(format!("in {}", of.join(", ")));
        }
        let owner = belongs::owner(world, any).filter(|owner| *owner != any.id());
        whose.extend(owner.map(|owner| format!("of {owner}")));
        let whose = match whose.is_empty() {
            true => String::new(),
            false => format!(" ({})", whose.join(", ")),
        };
        let message = format!("{} may not {} {}{whose}", self.called(), verb.words(), any.id());
        Err(Reason::new("denied", message).hint(self.missing(world, verb, Some(any.kind()))))
    }

    /// The same of a kind as a whole.
    ///
    /// # Errors
    /// That they may do it to nothing.
    pub fn check_kind(&self, world: &Snapshot, verb: Verb, kind: Kind) -> Result<(), Reason> {
        if self.somewhere(verb, Some(kind)) {
            return Ok(());
        }
        let message = format!("{} may not {} {}", self.called(), verb.words(), kind.plural());
        Err(Reason::new("denied", message).hint(self.missing(world, verb, Some(kind))))
    }

    /// Who they are and what they have, for a sentence.
    pub fn called(&self) -> String {
        match self.roles.is_empty() {
            true if self.level == Level::Member => format!("{} with no role", self.name),
            true => format!("{} with role {}", self.name, self.level.name()),
            false => format!("{} with role {}", self.name, self.roles.join(", ")),
        }
    }

    /// What would have to be given, and by whom.
    pub fn missing(&self, world: &Snapshot, verb: Verb, kind: Option<Kind>) -> String {
        let admins_only = kind.is_some_and(|kind| {
            kind == Kind::Token
                || matches!(verb, Verb::Write | Verb::Delete)
                    && matches!(kind, Kind::User | Kind::Role)
        });
        let what = match kind {
            _ if admins_only => "the role admin".to_owned(),
            Some(kind) => format!("a role with {} on {kind} here", verb.name()),
            None => format!("a role with {}", verb.name()),
        };
        let whom = self.name.strip_prefix("token/").map_or(self.name.as_str(), |_| "this token");
        format!("it takes {what}; {} may bind one to {whom}", givers(world).join(", "))
    }

    /// The world without what they may not read. Costs all objects, but for those who read all.
    pub fn seen(&self, world: &Snapshot) -> Snapshot {
        let mut seen = world.clone();
        for kind in Kind::ALL.iter().filter(|kind| !self.always(Verb::Read, **kind)) {
            let hidden: Vec<String> = world
                .after(*kind, "")
                .filter(|any| !self.allows(world, Verb::Read, any))
                .map(|any| any.name().to_owned())
                .collect();
            for name in hidden {
                seen.remove(*kind, &name);
            }
        }
        seen
    }
}

/// Who may give rights: those the role admin is bound to, and owners of tokens of that level.
pub fn givers(world: &Snapshot) -> Vec<String> {
    let bound = world.get::<Role>(Level::Admin.name());
    let bound = bound.into_iter().flat_map(|role| role.spec.to.iter().cloned());
    let tokens = world.all::<Token>().filter(|token| token.spec.level == Level::Admin);
    let owners = tokens.filter_map(|token| Some(format!("user/{}", token.spec.owner.as_ref()?)));
    let mut all: Vec<String> = Vec::new();
    for giver in bound.chain(owners) {
        if !all.contains(&giver) && all.len() < MOST_GIVERS {
            all.push(giver);
        }
    }
    if all.is_empty() {
        all.push("an admin".to_owned());
    }
    all
}
