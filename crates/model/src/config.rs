//! Dynamic configuration: values with a schema that are pushed to running instances, how a change
//! of them goes out, and who has taken it up. Not static configuration, which is part of a release;
//! not who gets which value when, which is the planner of the same name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::cmdb::explained;
use crate::guard::{GuardMode, GuardStatus};
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::quantity::Portion;
use crate::selector::Selector;
use crate::time::{Span, Timestamp};

mod content;
mod schema;

pub use content::{Content, Labels, Values, WentLive};

/// The most bytes the values of one configuration may have as JSON, overlays included.
pub const LARGEST: usize = 256 << 10;

/// Values that are delivered to running instances of every application that names it in
/// `config.dynamic`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Who answers for it, as `team/NAME` or `user/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The JSON Schema that the values of every instance must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Switches by name, in place of a schema: each has a type, a default and an owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub switches: BTreeMap<String, Switch>,
    /// The values.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
    /// Other values for some, merged over `values` in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
    /// The file an instance finds them in.
    #[serde(default)]
    pub file: FileRule,
    /// What is done to an instance once its file has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Notice>,
    /// How a change goes out; to all at once, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gray: Option<Gray>,
    /// A change that is prepared and not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    /// The version whose remaining steps are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<u64>,
    /// The version that is given up; its instances go back to the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<u64>,
}

/// One switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Switch {
    /// What its values are.
    #[serde(default, rename = "type")]
    pub of: SwitchType,
    /// Its value where nobody set another.
    pub default: Value,
    /// Who may be asked about it, as `team/NAME` or `user/NAME`.
    pub owner: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The values it may have; any of its type, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Value>,
}

/// What the values of a switch are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SwitchType {
    /// On or off.
    #[default]
    Boolean,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
}

/// Other values for some instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Overlay {
    /// In these environments; in all, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Where these labels are: those of the application and of the host, and `application`,
    /// `environment`, `deployment`, `instance` and `host`.
    #[serde(default, rename = "where", skip_serializing_if = "Overlay::has_no_labels")]
    pub labels: Selector,
    /// Merged over what comes before: objects by key, everything else as a whole; `null` takes a
    /// key away.
    pub values: Values,
}

impl Overlay {
    fn has_no_labels(labels: &Selector) -> bool {
        labels.0.is_empty()
    }

    /// Whether it is meant for exactly these environments and labels.
    pub fn is_exactly(&self, environments: &[String], labels: &Selector) -> bool {
        self.environments == environments && self.labels == *labels
    }

    /// Whether it is meant for whoever has these labels.
    pub fn is_for(&self, labels: &Labels) -> bool {
        let environment = labels.get("environment");
        let here = self.environments.is_empty()
            || environment.is_some_and(|here| self.environments.contains(here));
        here && self.labels.matches(labels)
    }
}

/// The file an instance finds its values in, below `$ATOLL_CONFIG_DIR`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileRule {
    /// How it is written.
    #[serde(default)]
    pub format: FileFormat,
    /// What it is called; the configuration's name with the ending of the format, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a file of values is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// `KEY="value"` lines as shells read them; values are no lists or objects.
    Env,
}

/// What is done to an instance once its file has changed. At most one is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Notice {
    /// Its process is sent this signal: `HUP`, `USR1`, `USR2`.
    Signal(String),
    /// This command is run as the instance; the version is taken up once it ends with 0.
    Command(Vec<String>),
}

impl Notice {
    /// The signals a program may be sent.
    pub const SIGNALS: [&'static str; 3] = ["HUP", "USR1", "USR2"];
}

/// How a change goes out: to more and more instances, each step watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gray {
    /// Who has the new version at each step; after the last, all have.
    pub steps: Vec<GrayStep>,
    /// What the guard's verdict does.
    #[serde(default)]
    pub guard: GuardMode,
}

/// One step of a gray release. Exactly one of `instances`, `names` and `where` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrayStep {
    /// So many of the instances the change makes a difference to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Portion>,
    /// These instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Instances with these labels; see [`Overlay::labels`].
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub labels: Option<Selector>,
    /// How long it is watched before the next step.
    #[serde(default)]
    pub soak: Span,
}

/// A change that is prepared, to be read and made live by somebody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Draft {
    /// The values as they are to be.
    #[serde(default)]
    pub values: Values,
    /// The overlays as they are to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
    /// What for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What has become of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigStatus {
    /// The generation this speaks of.
    #[serde(default)]
    pub observed_generation: u64,
    /// In one word.
    #[serde(default)]
    pub phase: ConfigPhase,
    /// What was wanted when the draft was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drafted_on: Option<Content>,
    /// The version all have that have no newer one: the generation that brought its content.
    #[serde(default)]
    pub version: u64,
    /// Since when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The content of that version.
    #[serde(default)]
    pub live: Content,
    /// The content before; going back to it takes no steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Content>,
    /// The versions that went live in the last hours, the latest first: whom each concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lately: Vec<WentLive>,
    /// The gray release under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gray: Option<GrayStatus>,
    /// The version that was given up; not tried again until the content is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedVersion>,
    /// Instances it is delivered to.
    #[serde(default)]
    pub instances: u32,
    /// Of them, those that have acknowledged the version meant for them.
    #[serde(default)]
    pub acknowledged: u32,
    /// Some of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub laggards: Vec<Laggard>,
    /// Why it is as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a configuration in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConfigPhase {
    /// Nothing is live yet.
    #[default]
    Waiting,
    /// On its way to instances.
    Delivering,
    /// Some have a newer version, which is watched.
    Gray,
    /// A gray release goes on when somebody says so.
    Paused,
    /// Every instance has acknowledged what is meant for it.
    Settled,
}

/// How far a gray release is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrayStatus {
    /// The newer version.
    pub version: u64,
    /// Its content.
    pub content: Content,
    /// The index of the step it is at.
    #[serde(default)]
    pub step: u32,
    /// The instances that have it, and since when.
    #[serde(default)]
    pub instances: BTreeMap<String, Timestamp>,
    /// Instances the change makes a difference to.
    #[serde(default)]
    pub affected: u32,
    /// When it began.
    pub since: Timestamp,
    /// When all of this step had acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soaking_since: Option<Timestamp>,
    /// What the guard says of the step it is at, by deployment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guard: BTreeMap<String, GuardStatus>,
}

/// A version that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedVersion {
    /// The version.
    pub version: u64,
    /// Its content.
    pub content: Content,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// An instance that has not acknowledged what is meant for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Laggard {
    /// The instance.
    pub instance: String,
    /// The host it is on.
    pub host: String,
    /// The version meant for it.
    pub wanted: u64,
    /// The version it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<u64>,
    /// Why, as far as that is known.
    pub why: String,
}

/// One configuration as an agent delivers it to one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedConfig {
    /// Its name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// The values meant for this instance.
    pub values: Values,
    /// Where they are written.
    #[serde(default)]
    pub file: FileRule,
    /// What is done then.
    #[serde(default)]
    pub then: Option<Notice>,
}

/// What an instance has of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigAck {
    /// The version in its file.
    pub version: u64,
    /// The version its program last took from the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<u64>,
    /// Its program waits at the agent for newer versions: what it has fetched is what it uses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Why a newer version could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ConfigAck {
    /// Whether the version is in use.
    pub fn acknowledges(&self, version: u64) -> bool {
        self.version == version
            && self.error.is_none()
            && (!self.follows || self.fetched == Some(version))
    }
}

impl FileRule {
    /// The name of the file of a configuration.
    pub fn file_name(&self, config: &str) -> String {
        let ending = match self.format {
            FileFormat::Json => "json",
            FileFormat::Yaml => "yaml",
            FileFormat::Env => "env",
        };
        self.name.clone().unwrap_or_else(|| format!("{config}.{ending}"))
    }

    fn validate(&self) -> Result<(), Invalid> {
        let Some(name) = &self.name else { return Ok(()) };
        let good = !name.starts_with('.')
            && !name.is_empty()
            && name.len() <= name::LONGEST
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if good {
            return Ok(());
        }
        let why = format!("{name:?} may hold letters, digits and ._- and starts with no dot");
        Err(Invalid::one("name", why))
    }
}

impl GrayStep {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let ways = usize::from(self.instances.is_some())
            + usize::from(!self.names.is_empty())
            + usize::from(self.labels.is_some());
        invalid.add_if(ways != 1, "", "give exactly one of instances, names and where");
        invalid.add_if(
            matches!(self.instances, Some(Portion::Count(0) | Portion::Percent(0))),
            "instances",
            "is 0; a step reaches at least one instance",
        );
        for (i, name) in self.names.iter().enumerate() {
            invalid.nest(&format!("names[{i}]"), name::check_derived(name));
        }
        invalid.into_result()
    }
}

impl Config {
    fn validate_delivery(&self, invalid: &mut Invalid) {
        invalid.nest("file", self.file.validate());
        match &self.then {
            Some(Notice::Signal(signal)) => invalid.add_if(
                !Notice::SIGNALS.contains(&signal.as_str()),
                "then.signal",
                format!("{signal:?} is not one of {}", Notice::SIGNALS.join(", ")),
            ),
            Some(Notice::Command(words)) => {
                let none = words.first().is_none_or(String::is_empty);
                invalid.add_if(none, "then.command", "is empty; give program and arguments");
                let nul = words.iter().any(|word| word.contains('\0'));
                invalid.add_if(nul, "then.command", "holds a NUL character");
            }
            None => {}
        }
        if let Some(gray) = &self.gray {
            invalid.add_if(gray.steps.is_empty(), "gray.steps", "is empty; leave gray out");
            invalid.add_if(gray.steps.len() > 50, "gray.steps", "are more than 50");
            for (i, step) in gray.steps.iter().enumerate() {
                invalid.nest(&format!("gray.steps[{i}]"), step.validate());
            }
        }
    }
}

explained!(ConfigStatus);

impl Spec for Config {
    const KIND: Kind = Kind::Config;
    type Status = ConfigStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        self.validate_delivery(&mut invalid);
        invalid.add_if(
            self.schema.is_some() && !self.switches.is_empty(),
            "switches",
            "are a schema of their own; leave schema out, or write them into it",
        );
        for (name, switch) in &self.switches {
            let path = format!("switches.{name}");
            invalid.add_if(name.is_empty(), &path, "has no name");
            invalid.add_if(
                switch.owner.trim().is_empty(),
                &format!("{path}.owner"),
                "is empty; say who may be asked about it",
            );
        }
        schema::check(self, &mut invalid);
        invalid.into_result()
    }
}

#[cfg(test)]
mod tests;
