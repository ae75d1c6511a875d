//! The commands of the text cases about who may do what.

use std::sync::Arc;

use atoll_model::access::Actor;
use atoll_model::access::role::{Permission, Verb};
use atoll_model::{Any, Application, Deployment, Host, Kind, Level, Object, Role, Team, User};
use atoll_plan::edit;
use atoll_plan::permission::Permissions;
use atoll_plan::sim::Sim;

use super::{Done, Options, Script};

impl Script {
    /// `user NAME`, `disable NAME`, `team NAME MEMBER,…`, `role NAME to=… verbs=… kinds=…
    /// environments=… teams=… labels=…` (once more: another rule), `as NAME` (`as local`: the
    /// admin), `may NAME VERB KIND/NAME`, `label-host NAME KEY:VALUE`, `own KIND/NAME OWNER`,
    /// `rename-env DEPLOYMENT ENVIRONMENT`; false, where it is something else.
    pub(super) fn grant(&mut self, words: &[String]) -> Result<bool, String> {
        let name = words.get(1).map_or("", String::as_str);
        let third = words.get(2).map_or("", String::as_str);
        match words[0].as_str() {
            "user" => {
                let user = Object::new(name, User::default());
                self.apply(Any::User(Arc::new(user)));
            }
            "team" => {
                let members = third.split(',').map(str::to_owned).collect();
                let team = Team { members, ..Team::default() };
                self.apply(Any::Team(Arc::new(Object::new(name, team))));
            }
            "disable" => {
                let user = User { disabled: true, ..User::default() };
                self.apply(Any::User(Arc::new(Object::new(name, user))));
            }
            "role" => self.role(name, &mut Options::of(&words[1..]))?,
            "as" => {
                self.who = match name {
                    "local" => Sim::person(),
                    name => named(name),
                };
            }
            "may" => {
                let verb = Verb::ALL.into_iter().find(|verb| verb.name() == third);
                let verb = verb.ok_or("no such verb")?;
                let id = words.get(3).ok_or("may NAME VERB KIND/NAME")?;
                let (kind, object) = id.split_once('/').ok_or("KIND/NAME")?;
                let world = &self.sim.world;
                let any = world.find(kind.parse::<Kind>()?, object).ok_or("no such object")?;
                let said = match Permissions::of(world, &named(name)).check(world, verb, &any) {
                    Ok(()) => "yes".to_owned(),
                    Err(reason) => reason.to_string(),
                };
                self.said.push(said);
            }
            "label-host" => {
                let stored = self.sim.world.get::<Host>(name).ok_or("no host")?;
                let mut new = Object::clone(stored);
                let (key, value) = third.split_once(':').ok_or("label-host NAME KEY:VALUE")?;
                new.meta.labels.insert(key.to_owned(), value.to_owned());
                self.apply(Any::Host(Arc::new(new)));
            }
            "own" => {
                let stored = self.sim.world.get::<Application>(name).ok_or("no application")?;
                let mut new = Object::clone(stored);
                new.spec.owner = Some(third.to_owned());
                self.apply(Any::Application(Arc::new(new)));
            }
            "tag" => {
                let stored = self.sim.world.get::<Deployment>(name).ok_or("no deployment")?;
                let mut new = Object::clone(stored);
                let (key, value) = third.split_once(':').ok_or("tag NAME KEY:VALUE")?;
                new.meta.labels.insert(key.to_owned(), value.to_owned());
                let plan = edit::apply(&self.sim.context(), vec![Any::Deployment(Arc::new(new))]);
                self.commit(plan);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn role(&mut self, name: &str, options: &mut Options) -> Done {
        let stored = self.sim.world.get::<Role>(name).map(|role| Object::clone(role));
        let mut role = stored.unwrap_or_else(|| Object::new(name, Role::default()));
        role.spec.to.extend(options.list("to").unwrap_or_default());
        let verbs = options.list("verbs").unwrap_or_default();
        let verbs = verbs.iter().map(|word| {
            let found = Verb::ALL.into_iter().find(|verb| verb.name() == word);
            found.ok_or_else(|| format!("no verb {word}"))
        });
        let kinds = options.list("kinds").unwrap_or_default();
        let rule = Permission {
            verbs: verbs.collect::<Result<_, _>>()?,
            kinds: kinds.iter().map(|kind| kind.parse()).collect::<Result<_, _>>()?,
            environments: options.list("environments").unwrap_or_default(),
            teams: options.list("teams").unwrap_or_default(),
            labels: options.take("labels")?.unwrap_or_default(),
        };
        if !rule.verbs.is_empty() {
            role.spec.rules.push(rule);
        }
        self.apply(Any::Role(Arc::new(role)));
        Ok(())
    }
}

fn named(name: &str) -> Actor {
    let user = Some(name.to_owned());
    Actor { user, ..Actor::new(format!("user/{name}"), Level::Member) }
}
