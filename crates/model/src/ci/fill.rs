//! What a pipeline may name in `{{…}}` and in `when`, and how it is filled in. Scripts are full of
//! braces, so only what stands between `{{` and `}}` is looked at; it is an expression, and not a
//! language to program in.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::ci::pipeline::Pipeline;
use crate::ci::step::Step;
use crate::name::Invalid;

/// What an expression may name.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Names {
    /// `pipeline`: its name.
    pub pipeline: String,
    /// `application`: the one its releases are of.
    pub application: String,
    /// `branch`; empty where source was handed in.
    pub branch: String,
    /// `commit`: the full hash; empty where source was handed in.
    pub commit: String,
    /// `cause`: webhook, poll, push, schedule or manual.
    pub cause: String,
    /// `step`: its name; empty outside a step.
    pub step: String,
    /// `run.name` and `run.number`.
    pub run: RunName,
    /// `params.NAME`: what was given to the run.
    pub params: BTreeMap<String, serde_json::Value>,
    /// `matrix.NAME`: the values of the cell.
    pub matrix: BTreeMap<String, String>,
}

/// What a run is called.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RunName {
    /// `shop.12`.
    pub name: String,
    /// 12.
    pub number: u64,
}

/// The longest expression, in bytes.
const LONGEST: usize = 2_000;
/// A function only the agent can call, as it needs the workspace; what calls it is left as it is.
const LEFT: &str = "hash";

impl Names {
    /// Fills in what stands between `{{` and `}}`.
    ///
    /// # Errors
    /// What is wrong, naming what may be named.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        self.fill_but(text, false)
    }

    /// The same for keys of caches, where `{{hash("FILE")}}` is left for the agent.
    ///
    /// # Errors
    /// What is wrong, naming what may be named.
    pub fn fill_key(&self, text: &str) -> Result<String, String> {
        self.fill_but(text, true)
    }

    fn fill_but(&self, text: &str, leave: bool) -> Result<String, String> {
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inner, behind)) = after.split_once("}}") else {
                return Err(format!("{:?} is not closed by }}}}", shorten(after)));
            };
            filled.push_str(before);
            match self.evaluate(inner, leave)? {
                Some(value) => filled.push_str(&value.to_string()),
                None => filled.push_str(&format!("{{{{{inner}}}}}")),
            }
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Whether an expression is true.
    ///
    /// # Errors
    /// What is wrong, naming what may be named.
    pub fn is_true(&self, expression: &str) -> Result<bool, String> {
        Ok(self.evaluate(expression, false)?.is_some_and(|value| value.is_true()))
    }

    /// None, if it is for the agent.
    fn evaluate(&self, text: &str, leave: bool) -> Result<Option<Value>, String> {
        let text = text.trim();
        let wrong = |what: &str| format!("{:?}: {what}", shorten(text));
        if text.len() > LONGEST {
            return Err(wrong("is too long"));
        }
        if multiplies(text) {
            return Err(wrong("nothing is multiplied here"));
        }
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let expression = environment
            .compile_expression(text)
            .map_err(|e| wrong(e.detail().unwrap_or("is not an expression")))?;
        let named = expression.undeclared_variables(true);
        if leave && named.contains(LEFT) {
            return Ok(None);
        }
        if let Some(name) = named.iter().find(|name| !self.knows(name)) {
            let known = self.known().join(", ");
            let quoted = "; to mean the braces themselves write {{'{{'}}";
            return Err(wrong(&format!("there is no {name}; there are {known}{quoted}")));
        }
        let value = expression.eval(Value::from(Serde(self)));
        value.map(Some).map_err(|e| wrong(e.detail().unwrap_or("cannot be worked out")))
    }

    fn known(&self) -> Vec<String> {
        let plain = ["pipeline", "application", "branch", "commit", "cause", "step"];
        let mut known: Vec<String> = plain.map(str::to_owned).into();
        known.extend(["run.name".to_owned(), "run.number".to_owned()]);
        known.extend(self.params.keys().map(|name| format!("params.{name}")));
        known.extend(self.matrix.keys().map(|name| format!("matrix.{name}")));
        known
    }

    /// A part of what is known, `params` say, is known too, and so is what lies below.
    fn knows(&self, name: &str) -> bool {
        let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        let all = self.known();
        all.iter().any(|known| known == name || below(known, name) || below(name, known))
            || matches!(name, "params" | "matrix")
    }
}

/// What is named between `{{` and `}}` in a text.
///
/// # Errors
/// What stands there is not closed, or no expression.
pub(crate) fn named(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((inner, behind)) = after.split_once("}}") else {
            return Err(format!("{:?} is not closed by }}}}", shorten(after)));
        };
        let environment = Environment::empty();
        let expression = environment.compile_expression(inner.trim()).map_err(|e| {
            let what = e.detail().unwrap_or("is not an expression");
            format!("{:?}: {what}", shorten(inner.trim()))
        })?;
        all.extend(expression.undeclared_variables(true));
        rest = behind;
    }
    all.sort();
    Ok(all)
}

/// Whether there is a `*` outside quotes: a text times a billion is a way to fill the memory.
fn multiplies(text: &str) -> bool {
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '*' => return true,
            None => {}
        }
    }
    false
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Checks every expression of a pipeline against the names it may use.
pub(super) fn check(pipeline: &Pipeline, invalid: &mut Invalid) {
    let mut names = Names::default();
    for (name, param) in &pipeline.params {
        let some = serde_json::Value::String("x".to_owned());
        let value = param.default.clone().or_else(|| param.one_of.first().cloned());
        names.params.insert(name.clone(), value.unwrap_or(some));
    }
    if let Some(concurrency) = &pipeline.concurrency {
        check_text(invalid, "concurrency.group", names.fill(&concurrency.group));
    }
    for (i, step) in pipeline.steps.iter().enumerate() {
        let matrix = step.matrix.axes.keys().map(|axis| (axis.clone(), "x".to_owned()));
        let names = Names { matrix: matrix.collect(), ..names.clone() };
        check_step(step, &format!("steps[{i}]"), &names, invalid);
    }
}

fn check_step(step: &Step, at: &str, names: &Names, invalid: &mut Invalid) {
    let mut check = |field: &str, done: Result<String, String>| {
        check_text(invalid, &format!("{at}.{field}"), done);
    };
    check("run", names.fill(&step.run));
    for (name, value) in &step.env {
        check(&format!("env.{name}"), names.fill(value));
    }
    for cache in &step.caches {
        for key in std::iter::once(&cache.key).chain(&cache.or) {
            check("caches", names.fill_key(key));
        }
    }
    if let Some(version) = step.release.as_ref().and_then(|release| release.version.as_ref()) {
        check("release.version", names.fill(version));
    }
    if let Some(when) = &step.when {
        check("when", names.is_true(when).map(|_| String::new()));
    }
}

fn check_text(invalid: &mut Invalid, at: &str, done: Result<String, String>) {
    if let Err(wrong) = done {
        invalid.add(at, wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            branch: "main".into(),
            run: RunName { name: "shop.12".into(), number: 12 },
            params: [("level".to_owned(), serde_json::json!(3))].into(),
            matrix: [("os".to_owned(), "old".to_owned())].into(),
            ..Names::default()
        }
    }

    #[test]
    fn only_what_stands_in_braces_is_looked_at() {
        let names = names();
        let script = "n=${#x}; echo {{branch}} {{ matrix.os }} ${y%%z} {% raw %}";
        let filled = "n=${#x}; echo main old ${y%%z} {% raw %}";
        assert_eq!(names.fill(script).unwrap(), filled);
        assert_eq!(names.fill("1.{{run.number}}.{{params.level}}").unwrap(), "1.12.3");
        assert_eq!(names.fill("{{'{{'}}.Names}}").unwrap(), "{{.Names}}");
        let wrong = names.fill("{{brnach}}").unwrap_err();
        assert!(wrong.contains("there is no brnach; there are pipeline, "), "{wrong}");
        assert!(names.fill("{{branch").unwrap_err().contains("is not closed"));
        assert!(names.fill("{{hash('x')}}").is_err());
        let key = names.fill_key("deps-{{matrix.os}}-{{hash('Cargo.lock')}}").unwrap();
        assert_eq!(key, "deps-old-{{hash('Cargo.lock')}}");
    }

    #[test]
    fn conditions_compare_what_has_names() {
        let names = names();
        for (expression, expected) in [
            ("branch == 'main' and matrix.os != 'new'", true),
            ("params.level > 3", false),
            ("branch in ['a', 'main']", true),
            ("not (run.number == 12)", false),
            ("cause", false),
        ] {
            assert_eq!(names.is_true(expression), Ok(expected), "{expression}");
        }
        assert!(names.is_true("branch ==").is_err());
        assert!(names.is_true("params.lvl == 1").is_err());
        assert!(names.is_true("'a' * 1000000000").unwrap_err().contains("multiplied"));
    }
}
