//! Whether values fit their schema, told with the path of the field. The schema is the user's; it
//! is never fetched from anywhere.

use serde_json::{Value, json};

use super::content::{Content, Values, merge};
use super::{Config, FileFormat, LARGEST, Switch, SwitchType};
use crate::name::Invalid;
use crate::schema::Compiled;

/// The schema that switches amount to.
fn of_switches(config: &Config) -> Value {
    let one = |switch: &Switch| {
        let of = match switch.of {
            SwitchType::Boolean => "boolean",
            SwitchType::String => "string",
            SwitchType::Integer => "integer",
            SwitchType::Number => "number",
        };
        let mut schema = json!({ "type": of });
        if !switch.options.is_empty() {
            schema["enum"] = Value::from(switch.options.clone());
        }
        schema
    };
    let properties: serde_json::Map<String, Value> =
        config.switches.iter().map(|(name, switch)| (name.clone(), one(switch))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Checks everything a configuration says against its schema and its bounds.
pub(super) fn check(config: &Config, invalid: &mut Invalid) {
    let schema = match &config.schema {
        Some(schema) => Some(schema.clone()),
        None => (!config.switches.is_empty()).then(|| of_switches(config)),
    };
    let compiled = match schema.map(Compiled::of).transpose() {
        Ok(compiled) => compiled,
        Err(why) => return invalid.add("schema", format!("is no JSON Schema: {why}")),
    };
    check_content(config, &config.content(), compiled.as_ref(), "", invalid);
    if let Some(draft) = config.draft_content() {
        check_content(config, &draft, compiled.as_ref(), "draft.", invalid);
    }
}

/// What a schema says of the parts holds of each alone, and of all together.
fn check_content(
    config: &Config,
    content: &Content,
    schema: Option<&Compiled>,
    below: &str,
    invalid: &mut Invalid,
) {
    let size = serde_json::to_vec(content).map_or(0, |text| text.len());
    if size > LARGEST {
        let why = format!("has {size} bytes with its overlays; at most {LARGEST} may be pushed");
        return invalid.add(&format!("{below}values"), why);
    }
    let mut check = |path: &str, values: &Values| {
        let found = schema.map(|schema| schema.problems(&whole(values))).unwrap_or_default();
        for (field, why) in &found {
            invalid.add(join(path, field).as_str(), hinted(config, why));
        }
        if config.file.format == FileFormat::Env
            && let Err(why) = config.file.format.write(values)
        {
            invalid.add(path, why);
        }
        found.is_empty()
    };
    if !check(&format!("{below}values"), &content.values) {
        return;
    }
    let mut together = content.values.clone();
    let mut good = true;
    for (i, overlay) in content.overlays.iter().enumerate() {
        let mut alone = content.values.clone();
        merge(&mut alone, &overlay.values);
        merge(&mut together, &overlay.values);
        good &= check(&format!("{below}overlays[{i}].values"), &alone);
    }
    if good && content.overlays.len() > 1 {
        check(&format!("{below}overlays"), &together);
    }
}

fn whole(values: &Values) -> Value {
    Value::Object(values.clone().into_iter().collect())
}

fn join(path: &str, field: &str) -> String {
    if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") }
}

/// A name that is not there is mostly a mistyped one.
fn hinted(config: &Config, why: &str) -> String {
    let Some(rest) = why.strip_prefix("additionalProperties ") else { return why.to_owned() };
    let names = rest.trim_end_matches(" not allowed");
    let word = names.trim_matches('\'');
    let properties = config.schema.as_ref().and_then(|s| s["properties"].as_object());
    let known = properties.into_iter().flat_map(|p| p.keys()).chain(config.switches.keys());
    let near = crate::name::nearest(word, known.map(String::as_str));
    let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    format!("there is no {names} in the schema{hint}")
}
