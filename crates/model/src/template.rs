//! The `{{…}}` in commands, environments and paths: which names there are, and how they are
//! filled in. Not a language for users to program in: a name nobody defined is an error.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

/// What a template may name.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Names {
    /// `{{ports.http}}`: the port given to the instance.
    pub ports: BTreeMap<String, u16>,
    /// `{{config.REGION}}`: static configuration of the release.
    pub config: BTreeMap<String, String>,
    /// `{{instance.name}}`, `{{instance.ordinal}}`.
    pub instance: BTreeMap<String, String>,
    /// `{{host.name}}`, `{{host.address}}`, `{{host.zone}}`.
    pub host: BTreeMap<String, String>,
    /// `{{dirs.package}}`, `{{dirs.data}}`, `{{dirs.config}}`: the instance's own directories.
    pub dirs: BTreeMap<String, String>,
    /// `{{application}}`.
    pub application: String,
    /// `{{environment}}`.
    pub environment: String,
    /// `{{release}}`.
    pub release: String,
}

impl Names {
    /// Names with a value for everything that is always defined, to check templates against.
    pub fn sample(ports: &[&str], config: &BTreeMap<String, String>) -> Names {
        let some = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), "x".to_owned())).collect();
        Names {
            ports: ports.iter().map(|p| ((*p).to_owned(), 1)).collect(),
            config: config.clone(),
            instance: some(&["name", "ordinal"]),
            host: some(&["name", "address", "zone"]),
            dirs: some(&["package", "data", "config"]),
            application: "x".into(),
            environment: "x".into(),
            release: "x".into(),
        }
    }
}

/// Fills in a template.
///
/// # Errors
/// What is wrong with the template, naming what it may name.
pub fn render(template: &str, names: &Names) -> Result<String, String> {
    if !template.contains("{{") && !template.contains("{%") {
        return Ok(template.to_owned());
    }
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let undefined = environment
        .template_from_str(template)
        .map_err(|e| format!("template {template:?}: {}", e.detail().unwrap_or("is not valid")))?
        .undeclared_variables(true);
    if let Some(name) = unknown(&undefined.into_iter().collect(), names) {
        return Err(format!(
            "template {template:?} names {name:?}, which is not defined; defined are {}",
            defined(names).join(", ")
        ));
    }
    environment.render_str(template, Value::from(Serde(names))).map_err(|e| {
        format!("template {template:?}: {}", e.detail().unwrap_or("cannot be filled in"))
    })
}

fn defined(names: &Names) -> Vec<String> {
    let mut all = vec!["application".to_owned(), "environment".into(), "release".into()];
    all.extend(names.ports.keys().map(|k| format!("ports.{k}")));
    for (group, keys) in [
        ("config", &names.config),
        ("instance", &names.instance),
        ("host", &names.host),
        ("dirs", &names.dirs),
    ] {
        all.extend(keys.keys().map(|k| format!("{group}.{k}")));
    }
    all
}

fn unknown(wanted: &BTreeSet<String>, names: &Names) -> Option<String> {
    let defined = defined(names);
    wanted.iter().find(|name| !defined.contains(name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_strict() {
        let config = [("REGION".to_owned(), "eu".to_owned())].into();
        let names = Names::sample(&["http"], &config);
        assert_eq!(render("0:{{ports.http}} {{ config.REGION }}", &names).unwrap(), "0:1 eu");
        assert_eq!(render("plain {x}", &names).unwrap(), "plain {x}");
        let wrong = render("{{ports.grpc}}", &names).unwrap_err();
        assert!(wrong.contains("ports.grpc") && wrong.contains("ports.http"), "{wrong}");
        assert!(render("{{ports.http", &names).is_err());
    }
}
