//! Who makes the machines of a pool: nobody, a container engine, or programs. Not how they are
//! asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::name::{self, Invalid};
use crate::quantity::{Cpu, Memory};
use crate::run::check_variable;
use crate::time::Span;

/// A provider that says nothing has this long to make a container.
const DOCKER_TIMEOUT: Span = Span::seconds(120);

/// Who makes machines.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Provider {
    /// Nobody: hosts that are there, of which so many are used and the others kept empty.
    Static(Listed),
    /// The container engine of the server's machine: each host is a container that runs an agent.
    Docker(Containers),
    /// Programs of the server's machine that speak to a cloud.
    Exec(Programs),
}

/// What is to be written.
const ONE: &str = "exactly one of static, docker and exec, with its fields below it";

/// Read by hand: a reader of enums speaks of maps and variants to whoever writes none of them.
impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Provider, D::Error> {
        from.deserialize_map(OneProvider)
    }
}

struct OneProvider;

impl<'de> Visitor<'de> for OneProvider {
    type Value = Provider;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(ONE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Provider, A::Error> {
        let Some(word) = fields.next_key::<String>()? else {
            return Err(de::Error::custom(format!("names no provider; write {ONE}")));
        };
        let provider = match word.as_str() {
            "static" => Provider::Static(fields.next_value()?),
            "docker" => Provider::Docker(fields.next_value()?),
            "exec" => Provider::Exec(fields.next_value()?),
            _ => {
                let message = format!("there is no provider {word:?}; write {ONE}");
                return Err(de::Error::custom(message));
            }
        };
        match fields.next_key::<String>()? {
            None => Ok(provider),
            Some(other) => Err(de::Error::custom(format!("names {word} and {other}; write {ONE}"))),
        }
    }
}

/// Hosts that are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listed {
    /// Their names, those to use first before the others.
    pub hosts: Vec<String>,
}

/// Hosts that are containers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Containers {
    /// What they are made of; it holds the program at `/bin/atoll`. Without one, an image is made
    /// of the server's own program, the libraries it needs and a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The network they are in: `host` is the machine's own.
    #[serde(default = "Containers::usual_network")]
    pub network: String,
    /// Where the engine listens, a socket; what `DOCKER_HOST` of the server says, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The processor time of one; not bounded, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The memory of one; not bounded, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// Programs that make machines: see the guide to pools for what they are told and what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Programs {
    /// Makes one machine. The program is below a directory the server was given.
    pub create: Vec<String>,
    /// Says which machines of the pool there are.
    pub list: Vec<String>,
    /// Deletes one machine.
    pub delete: Vec<String>,
    /// Variables of their environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What each of them has to answer.
    #[serde(default = "Programs::usual_timeout")]
    pub timeout: Span,
}

impl Containers {
    fn usual_network() -> String {
        "bridge".to_owned()
    }
}

impl Programs {
    fn usual_timeout() -> Span {
        Span::seconds(60)
    }
}

impl Programs {
    /// Variables that would make a program run another than what the server was given.
    const KEPT_BACK: [&str; 6] =
        ["PATH", "BASH_ENV", "ENV", "PYTHONPATH", "PYTHONHOME", "PERL5LIB"];

    /// Whether a variable is not given to programs, whoever asks for it.
    pub fn is_kept_back(variable: &str) -> bool {
        Self::KEPT_BACK.contains(&variable) || variable.starts_with("LD_")
    }
}

impl Provider {
    /// The word it is written by.
    pub fn word(&self) -> &'static str {
        match self {
            Provider::Static(_) => "static",
            Provider::Docker(_) => "docker",
            Provider::Exec(_) => "exec",
        }
    }

    /// What one answer of it may take.
    pub fn timeout(&self) -> Span {
        match self {
            Provider::Exec(programs) => programs.timeout,
            Provider::Static(_) | Provider::Docker(_) => DOCKER_TIMEOUT,
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        match self {
            Provider::Static(Listed { hosts }) => {
                let mut seen = BTreeSet::new();
                for (i, host) in hosts.iter().enumerate() {
                    let path = format!("static.hosts[{i}]");
                    invalid.nest(&path, name::check_derived(host));
                    invalid.add_if(!seen.insert(host), &path, "names one host twice");
                }
            }
            Provider::Docker(containers) => {
                let none = containers.network.is_empty();
                invalid.add_if(none, "docker.network", "is empty; write bridge, host or a name");
                let socket = containers.socket.as_deref();
                let path = socket.map(|socket| socket.strip_prefix("unix://").unwrap_or(socket));
                let relative = path.is_some_and(|path| !path.starts_with('/'));
                invalid.add_if(relative, "docker.socket", "is no path from the root on");
            }
            Provider::Exec(programs) => {
                let all = [&programs.create, &programs.list, &programs.delete];
                for (field, command) in ["create", "list", "delete"].into_iter().zip(all) {
                    let path = format!("exec.{field}");
                    let none = command.first().is_none_or(String::is_empty);
                    invalid.add_if(none, &path, "is empty; write a program and its arguments");
                }
                for key in programs.env.keys() {
                    check_variable(&mut invalid, "exec.env", key);
                    let message = format!("the variable {key} is not given to programs");
                    invalid.add_if(Programs::is_kept_back(key), "exec.env", message);
                }
                let short = programs.timeout.0 < 1_000;
                invalid.add_if(short, "exec.timeout", "is less than 1s");
            }
        }
        invalid.into_result()
    }
}
