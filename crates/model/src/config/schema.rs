//! Whether values fit their schema, told with the path of the field. The schema is the user's; it
//! is never fetched from anywhere.

use std::error::Error;

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::{Value, json};

use super::content::{Content, Values, merge};
use super::{Config, FileFormat, LARGEST, Switch, SwitchType};
use crate::name::Invalid;

/// What the schema is called while it is read.
const LOCATION: &str = "atoll://config/schema.json";

/// A schema is whole: it refers to nothing outside.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url} is outside; put it into the schema's own $defs").into())
    }
}

/// A schema that has been read.
struct Compiled {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Compiled {
    fn of(schema: Value) -> Result<Compiled, String> {
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nowhere));
        compiler.enable_format_assertions();
        let mut schemas = Schemas::new();
        compiler.add_resource(LOCATION, schema).map_err(|e| e.to_string())?;
        let index = compiler.compile(LOCATION, &mut schemas).map_err(|e| format!("{e:#}"))?;
        Ok(Compiled { schemas, index })
    }

    /// What does not fit, by the path of the field below the values.
    fn problems(&self, values: &Values) -> Vec<(String, String)> {
        let value = Value::Object(values.clone().into_iter().collect());
        let mut found = Vec::new();
        if let Err(error) = self.schemas.validate(&value, self.index) {
            leaves(&error, &mut found);
        }
        found.truncate(20);
        found
    }
}

/// The innermost errors, which say what is wrong where.
fn leaves(error: &ValidationError, into: &mut Vec<(String, String)>) {
    // Where one of several schemas would do, their errors contradict each other.
    let choice = matches!(error.kind, ErrorKind::AnyOf | ErrorKind::OneOf(_));
    if error.causes.is_empty() || choice {
        let pointer = error.instance_location.to_string();
        let path =
            pointer.trim_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        into.push((path, error.kind.to_string()));
    } else {
        error.causes.iter().for_each(|cause| leaves(cause, into));
    }
}

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
        let found = schema.map(|schema| schema.problems(values)).unwrap_or_default();
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
