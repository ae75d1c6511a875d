//! Manifests as people write them: YAML or JSON text, several documents in one file, every error
//! with file, line, column and path. Not the reading of files.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{Invalid, Problem};
use crate::object::Unread;
use crate::rehearsal::Scenario;
use crate::{Any, Kind};

use self::place::{Fields, Place};

mod place;
pub mod texts;
mod unread;

/// The largest manifest text that is read, in bytes.
pub const LARGEST: usize = 4 << 20;

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ManifestError {
    /// The file, as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// Reads every object of a text.
///
/// # Errors
/// Every problem of every document; no object is returned unless all are good.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Any>, Vec<ManifestError>> {
    let at = |line, column, message: String| ManifestError {
        file: file.to_owned(),
        line,
        column,
        problem: Problem { path: String::new(), message },
    };
    if bytes.len() > LARGEST {
        let message = format!("is larger than {} MiB; split it", LARGEST >> 20);
        return Err(vec![at(1, 1, message)]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            return Err(vec![at(line, 1, "is not UTF-8 text; save it as UTF-8".to_owned())]);
        }
    };
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    for (start, part) in documents(text) {
        match read_document(file, start, part) {
            Ok(Some(object)) => objects.push(object),
            Ok(None) => {}
            Err(mut wrong) => errors.append(&mut wrong),
        }
    }
    if objects.is_empty() && errors.is_empty() {
        errors.push(at(1, 1, "holds no manifest".to_owned()));
    }
    if errors.is_empty() { Ok(objects) } else { Err(errors) }
}

/// Reads the one scenario of a rehearsal in a text.
///
/// # Errors
/// Every problem of it.
pub fn read_scenario(file: &str, bytes: &[u8]) -> Result<Scenario, Vec<ManifestError>> {
    let error = |(line, column): Place, problem| ManifestError {
        file: file.to_owned(),
        line,
        column,
        problem,
    };
    let plain = |at, message: String| vec![error(at, Problem { path: String::new(), message })];
    if bytes.len() > LARGEST {
        return Err(plain((1, 1), format!("is larger than {} MiB", LARGEST >> 20)));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| plain((1, 1), "is not UTF-8 text; save it as UTF-8".to_owned()))?;
    let mut parts = documents(text).into_iter().filter(|(_, part)| !is_empty(part));
    let (start, part) = parts.next().unwrap_or((1, text));
    if let Some((line, _)) = parts.next() {
        return Err(plain((line, 1), "holds more than one document; a scenario is one".to_owned()));
    }
    // Its lines stay where they are.
    let text = &("\n".repeat(start - 1) + part);
    let value: Value = serde_saphyr::from_str_with_options(text, options()).map_err(|e| {
        plain(e.location().map_or((1, 1), place::place), first_line(&e.to_string()))
    })?;
    let scenario = |value: Value| {
        let mut track = serde_path_to_error::Track::new();
        let from = serde_path_to_error::Deserializer::new(value, &mut track);
        Scenario::deserialize(from).map_err(|e| Unread::at(track, &e))
    };
    let wrong = match read_whole(&value, scenario, Scenario::validate) {
        Ok(scenario) => return Ok(scenario),
        Err(wrong) => wrong,
    };
    let fields = Fields::of(text, options());
    let at = |(path, problem): (String, Problem)| error(found(&fields, &path, &problem), problem);
    Err(in_order(wrong.into_iter().map(at).collect()))
}

/// Reads an object in its JSON form.
///
/// # Errors
/// Everything that is wrong with it, as where it is read from a text.
pub fn read_value(value: &Value) -> Result<Any, Invalid> {
    let read = read_whole(value, Any::read, Any::validate);
    read.map_err(|wrong| Invalid(wrong.into_iter().map(|(_, problem)| problem).collect()))
}

/// Reads what was written, and tells all that is wrong with it: what cannot be read, and what is
/// not valid.
fn read_whole<T: Serialize>(
    written: &Value,
    read: impl Fn(Value) -> Result<T, Unread>,
    valid: impl Fn(&T) -> Result<(), Invalid>,
) -> Result<T, Wrong> {
    match unread::read_all(written.clone(), read) {
        Ok(read) => match checked(written, &read, valid(&read)) {
            Ok(()) => Ok(read),
            Err(invalid) => Err(of_fields(invalid)),
        },
        Err(unreadable) => {
            let mut wrong = with_paths(&unreadable.all);
            wrong.extend(of_fields(Invalid(unreadable.invalid(valid))));
            Err(wrong)
        }
    }
}

/// Whether what was read is valid, and was written as it is read.
fn checked(
    written: &Value,
    read: &impl Serialize,
    valid: Result<(), Invalid>,
) -> Result<(), Invalid> {
    let read = serde_json::to_value(read).unwrap_or_default();
    let mut problems = unread::lists_for_fields(written, &read, "");
    problems.extend(valid.err().into_iter().flat_map(|Invalid(problems)| problems));
    if problems.is_empty() { Ok(()) } else { Err(Invalid(problems)) }
}

/// Problems, each with the path of what has it.
type Wrong = Vec<(String, Problem)>;

fn of_fields(Invalid(problems): Invalid) -> Wrong {
    problems.into_iter().map(|problem| (problem.path.clone(), problem)).collect()
}

/// The same of what could not be read: a field nobody knows is in the path, and not in the problem.
fn with_paths(wrong: &[Unread]) -> Wrong {
    let each = wrong
        .iter()
        .flat_map(|one| one.invalid().0.into_iter().map(|problem| (one.path.clone(), problem)));
    each.collect()
}

fn in_order(mut all: Vec<ManifestError>) -> Vec<ManifestError> {
    all.sort_by_key(|wrong| (wrong.line, wrong.column));
    all
}

/// Where a problem is: of what should not be there, the name, else what it says.
fn found(fields: &Fields, path: &str, problem: &Problem) -> Place {
    match problem.path == path {
        true => fields.value(path),
        false => fields.key(path),
    }
}

/// Splits at lines that are a document marker; a marker in column 1 is never part of a scalar.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut first_line, mut at) = (Vec::new(), 0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line.trim_end();
        if marker == "---" || marker.starts_with("--- ") {
            parts.push((first_line, &text[start..at]));
            start = at + line.len();
            first_line = number + 2;
        }
        at += line.len();
    }
    parts.push((first_line, &text[start..]));
    parts
}

/// Whether a document holds nothing, or only comments.
fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::Error;
    // `y`, `no` and `on` are text, as YAML 1.2 has it.
    options.strict_booleans = true;
    options
}

fn read_document(file: &str, start: usize, text: &str) -> Result<Option<Any>, Vec<ManifestError>> {
    if is_empty(text) {
        return Ok(None);
    }
    let error = |(line, column): Place, problem: Problem| ManifestError {
        file: file.to_owned(),
        line: start + line - 1,
        column,
        problem,
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options()).map_err(|e| {
        let message = first_line(&e.to_string());
        let at = e.location().map_or((1, 1), place::place);
        vec![error(at, Problem { path: String::new(), message })]
    })?;
    let given = value.get("kind").is_some();
    let value = rule_file(file, value);
    // A rule file is the target of its object, which is not written around it.
    let bare = !given && value.get("kind").is_some();
    let wrong = match read_whole(&value, Any::read, Any::validate) {
        Ok(any) => return Ok(Some(any)),
        Err(wrong) => wrong,
    };
    let fields = Fields::of(text, options());
    let at = |(path, problem): (String, Problem)| {
        let path = if bare { path.trim_start_matches("spec.") } else { &path };
        error(found(&fields, path, &problem), problem)
    };
    Err(in_order(wrong.into_iter().map(at).collect()))
}

/// A rule file as Prometheus reads it, with nothing but `groups`, is a Rule named as the file is.
fn rule_file(file: &str, value: Value) -> Value {
    let Value::Object(fields) = &value else { return value };
    if fields.len() != 1 || !fields.contains_key("groups") {
        return value;
    }
    let stem = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or(file);
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = stem.chars().map(letter).collect();
    let name = name.trim_matches('-');
    serde_json::json!({
        "apiVersion": crate::object::API_VERSION,
        "kind": Kind::Rule.name(),
        "metadata": { "name": if name.is_empty() { "rules" } else { name } },
        "spec": value,
    })
}

/// What a YAML reader says, without the place, which is told beside it, and without what concerns
/// only who calls the reader.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or("is not YAML");
    let line = line.trim_start_matches("error: ");
    let placed = line.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let line = placed.filter(|(at, _)| at.contains("column")).map_or(line, |(_, told)| told);
    if line.contains("recursive references") {
        return "an anchor refers to itself".to_owned();
    }
    let told = line.split_once(", set ").filter(|(_, rest)| rest.contains("Options"));
    told.map_or(line, |(told, _)| told).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "apiVersion: atoll/v1
kind: Application
metadata: { name: shop }
spec:
  run:
    command: [python3, -m, http.server, \"{{ports.http}}\"]
    ports: { http: 0 }
";

    fn wrong(text: &str) -> Vec<String> {
        read("f.yaml", text.as_bytes()).unwrap_err().iter().map(|e| e.to_string()).collect()
    }

    #[test]
    fn what_is_no_yaml_is_told_in_words_of_yaml() {
        let twice = wrong("kind: Policy\n---\nkind: Policy\nkind: Policy\n");
        assert!(twice.iter().any(|e| e == "f.yaml:4:1: duplicate mapping key: kind"), "{twice:?}");
        let round = wrong("a: &x [*x]\n");
        assert_eq!(round, ["f.yaml:1:8: an anchor refers to itself"]);
        assert_eq!(wrong("a: \"b\n"), ["f.yaml:1:4: unclosed quote"]);
    }

    #[test]
    fn documents_are_read_in_order() {
        let text = format!(
            "# first\n---\n{APP}---\napiVersion: atoll/v1\nkind: Environment\nmetadata: {{ name: prod }}\nspec: {{}}\n"
        );
        let objects = read("f.yaml", text.as_bytes()).unwrap();
        let ids: Vec<String> = objects.iter().map(Any::id).collect();
        assert_eq!(ids, ["application/shop", "environment/prod"]);
    }

    #[test]
    fn every_error_says_where_and_what_instead() {
        let deployment = |spec: &str| {
            format!(
                "apiVersion: atoll/v1\nkind: Deployment\nmetadata: {{ name: shop.prod }}\nspec:\n  application: shop\n  environment: prod\n{spec}"
            )
        };
        let cases: [(String, &[&str]); 9] = [
            (
                deployment("  replica: 3\n"),
                &["f.yaml:7:3", "unknown field \"replica\" at spec; did you mean \"instances\"?"],
            ),
            (
                deployment("  instances: three\n"),
                &["f.yaml:7:14", "spec.instances", "expected a whole number"],
            ),
            (deployment("  instances: 3\n  instances: 4\n"), &["f.yaml:8:", "duplicate"]),
            (
                APP.replace("ports.http", "ports.grpc"),
                &["f.yaml:6:41", "spec.run.command[3]", "ports.grpc"],
            ),
            (APP.replace("name: shop", "name: ../x"), &["f.yaml:3:19", "metadata.name"]),
            (APP.replace("Application", "Aplication"), &["there is no kind", "Application"]),
            (APP.replace("kind: Application\n", ""), &["kind: is missing"]),
            ("a: [".to_owned(), &["f.yaml:1:"]),
            (String::new(), &["holds no manifest"]),
        ];
        for (text, wanted) in cases {
            let got = wrong(&text).join("\n");
            for part in wanted {
                assert!(got.contains(part), "{part:?} is not in {got:?} for\n{text}");
            }
        }
        assert!(read("f", &[0xff, 0xfe]).unwrap_err()[0].to_string().contains("UTF-8"));
        assert!(read("f", &vec![b'#'; LARGEST + 1]).unwrap_err()[0].to_string().contains("larger"));
    }

    #[test]
    fn what_is_not_valid_is_told_beside_what_cannot_be_read() {
        let text = APP
            .replace("name: shop", "name: ../x")
            .replace("ports.http}", "ports.grpc}")
            .replace("    ports", "    grace: soon\n    ports")
            + "  scaling: { min: 9, max: 3, mode: slow }\n  needs: [shop]\n";
        let wrong = wrong(&text).join("\n");
        for part in ["metadata.name: \"../x\"", "unknown field \"grace\"", "mode", "needs"] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
        assert!(!wrong.contains("scaling.max"), "it may follow from what could not be read");
    }

    #[test]
    fn an_error_in_a_list_is_told_of_its_own_entry() {
        let text = "# what is built
metadata: { name: build }
spec:
  steps:
  - name: one
    needs: []
  - name: two
    # needs: nothing

    run: |
      needs: this
  -   name: three
      needs: [four]
      matrix: { os: [a, b], needs: 3 }
  timeout: 5m
  triggers:
    schedules:
      - cron: a
      - branch: x
        cron: b
  needs: x
";
        let fields = Fields::of(text, options());
        for (path, line) in [
            ("metadata.name", 2),
            ("spec.steps[0].needs", 6),
            ("spec.steps[1].needs[0]", 7),
            ("spec.steps[2]", 12),
            ("spec.steps[2].name", 12),
            ("spec.steps[2].needs[0]", 13),
            ("spec.steps[2].matrix.os", 14),
            ("spec.timeout", 15),
            ("spec.triggers.schedules[1].cron", 20),
            ("spec.needs", 21),
            ("spec.steps[1].image", 7),
            ("spec.steps[9].needs", 4),
        ] {
            assert_eq!(fields.value(path).0, line, "{path}");
        }
    }

    #[test]
    fn a_rule_file_is_taken_as_it_is() {
        let text = "groups:
- name: shop
  interval: 30s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: Down
    expr: up == 0
    for: 1h30m
    keep_firing_for: 1w
    labels: { severity: page }
    annotations: { summary: '{{ $labels.job }} is down' }
";
        let objects = read("rules/Shop_alerts.rules.yml", text.as_bytes()).unwrap();
        assert_eq!(objects[0].id(), "rule/shop-alerts");
        let Any::Rule(rule) = &objects[0] else { panic!("not a rule") };
        let down = &rule.spec.groups[0].rules[1];
        assert_eq!(down.keep_firing_for, Some(crate::Span::seconds(7 * 86_400)));
        let wrong = wrong(&text.replace("    expr: up == 0\n", ""));
        assert!(wrong[0].starts_with("f.yaml:7:") && wrong[0].contains("expr"), "{wrong:?}");
        let both = text.replace("- alert: Down", "- alert: Down\n    record: down");
        let both = read("f.yaml", both.as_bytes()).unwrap_err();
        assert!(both[0].to_string().contains("rules[1]"), "{}", both[0]);
        assert_eq!(both[0].line, 7);
        // Each is looked for in its own group and rule.
        let nested = "groups:
- name: other
  rules:
  # the first is well
  - alert: A
    expr: up
  -   alert: B
      expr: up
      for: 1h
      annotations:
        record: no
- name: shop
  rules:
    - record: 'a b'
      expr: up
";
        let lines = |text: &str| -> Vec<usize> {
            read("f.yaml", text.as_bytes()).unwrap_err().iter().map(|wrong| wrong.line).collect()
        };
        assert_eq!(lines(nested), [14]);
        assert_eq!(lines(&nested.replace("for: 1h", "fore: 1h")), [9, 14]);
    }

    #[test]
    fn what_reads_as_a_word_is_text_and_a_number_where_text_belongs_has_its_line() {
        let zone = |labels: &str| {
            format!(
                "apiVersion: atoll/v1\nkind: Zone\nmetadata:\n  name: a\n  labels:\n    {labels}\nspec: {{}}\n"
            )
        };
        let objects = read("f.yaml", zone("ready: y\n    no: on").as_bytes()).unwrap();
        let label = |name: &str| objects[0].meta().labels.get(name).map(String::as_str);
        assert_eq!((label("ready"), label("no")), (Some("y"), Some("on")));
        let wrong = wrong(&zone("ready: true"));
        assert!(wrong[0].starts_with("f.yaml:6:"), "{wrong:?}");
    }

    #[test]
    fn all_that_cannot_be_read_of_a_document_is_told() {
        let text = "apiVersion: atoll/v1
kind: Rehearsal
metadata: { name: many }
spec:
  lasts: soon
  faults:
  - { fault: loss, of: zone/a, at: 5m, color: red }
  - { fault: slow, of: shop, at: 5m }
  - { fault: loss, of: zone/b, at: never }
  - { fault: load, times: twice, at: 1m, for: 1m }
";
        let wrong = read_scenario("f.yaml", text.as_bytes()).unwrap_err();
        let lines: Vec<usize> = wrong.iter().map(|wrong| wrong.line).collect();
        let told: Vec<String> = wrong.iter().map(|wrong| wrong.to_string()).collect();
        assert_eq!(lines, [5, 7, 8, 9, 10], "{told:#?}");
        assert!(told[4].contains("expected a number"), "{told:#?}");
    }

    #[test]
    fn a_provider_that_is_none_or_two_is_told_what_to_write() {
        let one = "exactly one of static, docker and exec, with its fields below it";
        for (written, found) in [
            ("{}", "names no provider; write"),
            ("{ docker: {}, exec: {} }", "names docker and exec; write"),
            ("{ aws: {} }", "there is no provider \"aws\"; write"),
            ("docker", "invalid type: string \"docker\", expected"),
            ("", "invalid type: nothing, expected"),
            ("[docker]", "invalid type: a list, expected"),
        ] {
            let text = format!(
                "apiVersion: atoll/v1\nkind: Pool\nmetadata: {{ name: web }}\nspec:\n  count: 1\n  \
                 max: 2\n  provider: {written}\n"
            );
            let told = wrong(&text);
            assert_eq!(told.len(), 1, "{written}: {told:?}");
            assert!(told[0].starts_with("f.yaml:7:"), "{told:?}");
            let said = format!(": spec.provider: {found} {one}");
            assert!(told[0].ends_with(&said), "{written}: {told:?}");
        }
        let field = wrong(
            "apiVersion: atoll/v1\nkind: Pool\nmetadata: { name: web }\nspec:\n  count: 1\n  max: 2\n  \
             provider:\n    docker: { images: x }\n",
        );
        assert!(field[0].contains("unknown field \"images\" at spec.provider.docker"), "{field:?}");
    }

    #[test]
    fn a_list_is_not_taken_for_fields() {
        let text = APP.to_owned() + "  scaling: [1, 3]\n";
        let told = wrong(&text);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with("f.yaml:8:") && told[0].contains("a list"), "{told:#?}");
    }

    #[test]
    fn what_follows_from_a_mistake_is_not_told_beside_it() {
        let first = |text: &str| -> Vec<usize> {
            let all = read("f.yaml", text.as_bytes()).unwrap_err();
            all.iter().map(|wrong| wrong.line).collect()
        };
        assert_eq!(first(&APP.replace("Application", "Widget")), [2]);
        assert_eq!(first(&APP.replace("{ name: shop }", "q")), [3]);
        let scaling = "  scaling: { max: 3, signals: [{ name: l, query: up, below: x }] }\n";
        let spread = "  spread: [zone, rack]\n";
        assert_eq!(first(&format!("{APP}{scaling}{spread}")), [8, 8, 9]);
    }

    #[test]
    fn all_errors_of_all_documents_are_told() {
        let text = format!("{}---\n{}", APP.replace("shop", "Shop"), APP.replace("run:", "runs:"));
        assert_eq!(wrong(&text).len(), 2);
    }
}
