//! The fleet of a rehearsal: which of the two it is, and what is wrong with one that is made up.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{MOST_HOSTS, MOST_INSTANCES, MadeApplication, MadeFleet, NO_AMOUNT, is_amount};
use crate::elasticity;
use crate::name::{self, Invalid};
use crate::quantity::{Cpu, Memory};
use crate::run::Resources;

/// The word for the fleet there is.
const TODAY: &str = "today";

/// Which fleet is rehearsed with.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fleet {
    /// The one the server knows, as it is now.
    #[default]
    Today,
    /// One that is made up.
    Made(Box<MadeFleet>),
}

impl Serialize for Fleet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Fleet::Today => to.serialize_str(TODAY),
            Fleet::Made(made) => made.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Fleet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fleet, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Fleet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("today, or a fleet with zones and applications")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fleet, E> {
                match text {
                    TODAY => Ok(Fleet::Today),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Fleet, A::Error> {
                let made = MadeFleet::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Fleet::Made(Box::new(made)))
            }
        }
        from.deserialize_any(Either)
    }
}

impl JsonSchema for Fleet {
    fn schema_name() -> Cow<'static, str> {
        "Fleet".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let made = generator.subschema_for::<MadeFleet>();
        schemars::json_schema!({ "anyOf": [{ "const": TODAY }, made] })
    }
}

impl MadeFleet {
    pub(super) fn usual_host() -> Resources {
        Resources { cpu: Cpu(8_000), memory: Memory(32 << 30) }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        for zone in self.zones.keys() {
            invalid.nest("zones", name::check_simple(zone));
        }
        let hosts: u64 = self.zones.values().map(|count| u64::from(*count)).sum();
        let many = format!("are {hosts} hosts together; at most {MOST_HOSTS} hosts are rehearsed");
        invalid.add_if(hosts > u64::from(MOST_HOSTS), "zones", many);
        for (name, application) in &self.applications {
            invalid.nest(&format!("applications.{name}"), application.validate(name));
            for called in application.calls.keys() {
                let known = self.applications.contains_key(called) || !self.objects.is_empty();
                let path = format!("applications.{name}.calls");
                invalid.add_if(!known, &path, format!("there is no application {called}"));
            }
        }
        let most = |application: &MadeApplication| {
            u64::from(application.instances.unwrap_or(application.min))
        };
        let instances: u64 = self.applications.values().map(most).sum();
        let many =
            format!("have {instances} instances together; at most {MOST_INSTANCES} are rehearsed");
        invalid.add_if(instances > u64::from(MOST_INSTANCES), "applications", many);
        invalid.into_result()
    }
}

impl MadeApplication {
    fn validate(&self, name: &str) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("", name::check_simple(name));
        invalid.add_if(self.min > self.max, "min", "is more than max");
        for (field, amount) in [("capacity", Some(self.capacity)), ("target", self.target)] {
            let wrong = amount.is_some_and(|amount| !elasticity::is_amount(amount));
            invalid.add_if(wrong, field, elasticity::NO_AMOUNT);
        }
        for (called, each) in &self.calls {
            let path = format!("calls.{called}");
            invalid.add_if(!is_amount(*each), &path, NO_AMOUNT);
        }
        if let Some(rollout) = &self.rollout {
            invalid.nest("rollout", rollout.validate());
        }
        invalid.into_result()
    }
}
