//! Configurations as people write them, good and bad.

use serde_json::json;

use super::*;

fn read(spec: &Value) -> Config {
    serde_json::from_value(spec.clone()).unwrap_or_else(|e| panic!("{e}: {spec}"))
}

fn wrong(spec: Value) -> String {
    read(&spec).validate().map_or_else(|e| e.to_string(), |()| "nothing".to_owned())
}

fn switches(values: Value) -> Value {
    json!({
        "switches": {
            "checkout": { "default": true, "owner": "team/trade" },
            "theme": { "type": "string", "default": "plain", "owner": "team/web",
                       "options": ["plain", "festive"] },
        },
        "values": values,
    })
}

#[test]
fn switches_have_defaults_and_overlays_go_over_them() {
    let mut spec = switches(json!({ "theme": "festive" }));
    spec["overlays"] = json!([
        { "environments": ["prod"], "values": { "checkout": false } },
        { "where": "zone=a", "values": { "theme": null } },
    ]);
    let config = read(&spec);
    assert_eq!(config.validate(), Ok(()));
    let content = config.content();
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let values = |pairs: &[(&str, &str)]| json!(content.for_labels(&labels(pairs)));
    let staging = values(&[("environment", "staging")]);
    assert_eq!(staging, json!({ "checkout": true, "theme": "festive" }));
    let prod = values(&[("environment", "prod"), ("zone", "a")]);
    assert_eq!(prod, json!({ "checkout": false }));
    assert_eq!(config.with_content(&content).content(), content);
}

#[test]
fn what_does_not_fit_is_told_by_its_field() {
    let of = |values| wrong(switches(values));
    assert!(of(json!({ "checkout": "off" })).starts_with("values.checkout: "), "{}", {
        of(json!({ "checkout": "off" }))
    });
    let typo = of(json!({ "chekout": false }));
    assert!(typo.contains("did you mean \"checkout\"?"), "{typo}");
    let other = of(json!({ "theme": "dark" }));
    assert!(other.starts_with("values.theme: "), "{other}");

    let mut overlaid = switches(json!({}));
    overlaid["overlays"] = json!([{ "environments": ["prod"], "values": { "checkout": 1 } }]);
    let said = wrong(overlaid);
    assert!(said.starts_with("overlays[0].values.checkout: "), "{said}");
    let mut draft = switches(json!({}));
    draft["draft"] = json!({ "values": { "checkout": 1 } });
    assert!(wrong(draft).starts_with("draft.values.checkout: "));

    let nested = json!({
        "schema": { "type": "object", "properties": { "pool": { "type": "object",
            "properties": { "size": { "type": "integer", "maximum": 100 } } } } },
        "values": { "pool": { "size": 1000 } },
    });
    let said = wrong(nested);
    assert!(said.starts_with("values.pool.size: ") && said.contains("100"), "{said}");
}

#[test]
fn a_schema_is_a_schema_and_reads_no_files() {
    let not = wrong(json!({ "schema": { "type": "flag" } }));
    assert!(not.starts_with("schema: is no JSON Schema"), "{not}");
    let outside = wrong(json!({ "schema": { "$ref": "file:///etc/passwd" } }));
    assert!(outside.contains("is outside"), "{outside}");
    let round = json!({ "schema": { "$ref": "#/$defs/a", "$defs": {
        "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }, "values": { "x": 1 } });
    assert_ne!(wrong(round), "nothing");
}

#[test]
fn how_it_is_delivered_is_checked() {
    assert!(wrong(json!({ "file": { "name": "../x" } })).starts_with("file.name: "));
    assert!(wrong(json!({ "then": { "signal": "KILL" } })).starts_with("then.signal: "));
    assert!(wrong(json!({ "then": { "command": [] } })).starts_with("then.command: "));
    assert!(wrong(json!({ "gray": { "steps": [] } })).starts_with("gray.steps: "));
    let both = json!({ "gray": { "steps": [{ "instances": 1, "names": ["shop.prod.0"] }] } });
    assert!(wrong(both).starts_with("gray.steps[0]: "));
    let lists = json!({ "file": { "format": "env" }, "values": { "A": [1] } });
    assert!(wrong(lists).starts_with("values: A is a list"));
    let large = json!({ "values": { "a": "x".repeat(LARGEST) } });
    assert!(wrong(large).contains("at most 262144"));
}

#[test]
fn files_are_written_in_their_format() {
    let values: Values = serde_json::from_value(json!({ "A": "x \"$y\"", "B": true })).unwrap();
    assert_eq!(FileFormat::Env.write(&values).unwrap(), "A=\"x \\\"\\$y\\\"\"\nB=\"true\"\n");
    assert!(FileFormat::Json.write(&values).unwrap().contains("\"B\": true"));
    assert!(FileFormat::Yaml.write(&values).unwrap().contains("B: true"));
}
