//! What a configuration says: its values and overlays, and what they come to for somebody. Not
//! whether it fits a schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Config, FileFormat, Overlay};
use crate::selector::Selector;
use crate::time::Timestamp;

/// Values by name.
pub type Values = BTreeMap<String, Value>;

/// What an instance, or a program that watches, is known by.
pub type Labels = BTreeMap<String, String>;

/// Values with the overlays over them: all that makes one version differ from another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The values, with the defaults of switches nobody has set.
    #[serde(default)]
    pub values: Values,
    /// Other values for some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<Overlay>,
}

/// A version that went live, and for whom it was another than the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WentLive {
    /// The version.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// The values of all were changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Else for these: overlays that came, went or were changed, without their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub some: Vec<Overlay>,
}

impl WentLive {
    /// Whether it may have changed a value of whoever has these labels.
    pub fn concerns(&self, labels: &Labels) -> bool {
        self.all || self.some.iter().any(|overlay| overlay.is_for(labels))
    }
}

impl Content {
    /// The values for whoever has these labels.
    pub fn for_labels(&self, labels: &Labels) -> Values {
        let mut values = self.values.clone();
        for overlay in self.overlays.iter().filter(|overlay| overlay.is_for(labels)) {
            merge(&mut values, &overlay.values);
        }
        values
    }

    /// Whether the values of all are others than before, and else the overlays that are, without
    /// what they say.
    pub fn whom(&self, before: &Content) -> (bool, Vec<Overlay>) {
        if self.values != before.values {
            return (true, Vec::new());
        }
        let gone = before.overlays.iter().filter(|old| !self.overlays.contains(old));
        let come = self.overlays.iter().filter(|new| !before.overlays.contains(new));
        let mut whom: Vec<Overlay> = Vec::new();
        for overlay in gone.chain(come) {
            if !whom.iter().any(|it| it.is_exactly(&overlay.environments, &overlay.labels)) {
                whom.push(Overlay { values: Values::new(), ..overlay.clone() });
            }
        }
        // The same ones in another order may come to something else for anybody.
        let moved = whom.is_empty() && self.overlays != before.overlays;
        (moved, whom)
    }

    /// Edits the values, or where some are meant, those of the overlay for exactly these, which is
    /// made where there is none, after all others, and goes once it says nothing.
    pub fn edit_for(
        &mut self,
        environments: &[String],
        labels: &Selector,
        edit: impl FnOnce(&mut Values),
    ) {
        if environments.is_empty() && labels.0.is_empty() {
            return edit(&mut self.values);
        }
        let place = self.overlays.iter().position(|it| it.is_exactly(environments, labels));
        let at = place.unwrap_or_else(|| {
            let (environments, labels) = (environments.to_vec(), labels.clone());
            self.overlays.push(Overlay { environments, labels, values: Values::new() });
            self.overlays.len() - 1
        });
        edit(&mut self.overlays[at].values);
        if self.overlays[at].values.is_empty() {
            self.overlays.remove(at);
        }
    }
}

impl Config {
    /// What the values say, or where some are meant, those of the overlay for exactly these.
    pub fn value_for(
        &self,
        environments: &[String],
        labels: &Selector,
        key: &str,
    ) -> Option<&Value> {
        if environments.is_empty() && labels.0.is_empty() {
            return self.values.get(key);
        }
        let overlay = self.overlays.iter().find(|it| it.is_exactly(environments, labels))?;
        overlay.values.get(key)
    }

    /// What it says now.
    pub fn content(&self) -> Content {
        self.complete(&self.values, &self.overlays)
    }

    /// What its draft says.
    pub fn draft_content(&self) -> Option<Content> {
        self.draft.as_ref().map(|draft| self.complete(&draft.values, &draft.overlays))
    }

    fn complete(&self, values: &Values, overlays: &[Overlay]) -> Content {
        let defaults = self.switches.iter().map(|(name, s)| (name.clone(), s.default.clone()));
        let mut all: Values = defaults.collect();
        all.extend(values.clone());
        Content { values: all, overlays: overlays.to_vec() }
    }

    /// The same configuration saying something else, without draft, promotion or abort.
    #[must_use]
    pub fn with_content(&self, content: &Content) -> Config {
        let mut changed = self.clone();
        let is_default = |name: &str, value: &Value| {
            self.switches.get(name).is_some_and(|switch| switch.default == *value)
                && !self.values.contains_key(name)
        };
        let said = content.values.iter().filter(|(name, value)| !is_default(name, value));
        changed.values = said.map(|(name, value)| (name.clone(), value.clone())).collect();
        changed.overlays = content.overlays.clone();
        (changed.draft, changed.promoted, changed.aborted) = (None, None, None);
        changed
    }
}

/// Merges values over others: objects by key, everything else as a whole; null takes a key away.
pub fn merge(into: &mut Values, over: &Values) {
    for (key, value) in over {
        match (into.get_mut(key), value) {
            (_, Value::Null) => drop(into.remove(key)),
            (Some(Value::Object(old)), Value::Object(new)) => {
                let mut merged: Values = std::mem::take(old).into_iter().collect();
                let new: Values = new.clone().into_iter().collect();
                merge(&mut merged, &new);
                *old = merged.into_iter().collect();
            }
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

impl FileFormat {
    /// Values as the text of a file.
    ///
    /// # Errors
    /// What the format has no way to say.
    pub fn write(self, values: &Values) -> Result<String, String> {
        match self {
            FileFormat::Json => {
                let text = serde_json::to_string_pretty(values).map_err(|e| e.to_string())?;
                Ok(text + "\n")
            }
            FileFormat::Yaml => serde_saphyr::to_string(values).map_err(|e| e.to_string()),
            FileFormat::Env => values.iter().map(|(name, value)| variable(name, value)).collect(),
        }
    }
}

/// One line that shells and systemd read alike.
fn variable(name: &str, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => {
            return Err(format!("{name} is a list or an object, which format env cannot write"));
        }
    };
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let named = name.bytes().all(good) && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit();
    if !named {
        return Err(format!("{name:?} is no name of a variable, which format env needs"));
    }
    if text.contains(['\n', '\0']) {
        return Err(format!("{name} holds a line break, which format env cannot write"));
    }
    let mut line = format!("{name}=\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            line.push('\\');
        }
        line.push(c);
    }
    Ok(line + "\"\n")
}
