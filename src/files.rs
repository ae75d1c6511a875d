//! Manifests named by `-f`: files, directories and standard input, all read before anything is
//! sent. Not what a manifest means, which is the model's.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use atoll_model::manifest::texts::Texts;
use atoll_model::manifest::{self, ManifestError};
use atoll_model::name::Problem;
use atoll_model::rehearsal::Scenario;
use atoll_model::{Any, Kind};

use crate::caret;
use crate::exit::{Exit, Failure};
use crate::terminal::Paint;

/// Reads every object of every file, in the order in which they are applied: by kind, then as
/// they were written.
///
/// # Errors
/// A usage failure whose message holds every error of every file.
pub fn read(named: &[PathBuf]) -> Result<Vec<Any>, Failure> {
    read_with_texts(named).map(|(objects, _)| objects)
}

/// The same, with the texts they were read from.
///
/// # Errors
/// As [`read`].
pub fn read_with_texts(named: &[PathBuf]) -> Result<(Vec<Any>, Texts), Failure> {
    let (mut objects, mut errors, mut sources) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut texts = Texts::default();
    for (file, bytes) in open(named)? {
        match documents(&file, &bytes) {
            Ok(read) => objects.extend(read.into_iter().map(|any| (file.clone(), any))),
            Err(mut wrong) => errors.append(&mut wrong),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        texts.add(&file, &text);
        sources.insert(file, text);
    }
    errors.extend(twice(&objects, &texts));
    if !errors.is_empty() {
        let text = caret::render(&errors, &sources, Paint::stderr());
        let count = errors.len();
        let message = match count {
            1 => format!("{text}nothing was sent: 1 error"),
            _ => format!("{text}nothing was sent: {count} errors"),
        };
        return Err(Failure { exit: Exit::Usage, message, reasons: Vec::new() });
    }
    let mut objects: Vec<Any> = objects.into_iter().map(|(_, any)| any).collect();
    // Kinds are declared in the order they are applied in.
    objects.sort_by_key(Any::kind);
    Ok((objects, texts))
}

/// Reads the scenario of a rehearsal, with the text it was read from.
///
/// # Errors
/// A usage failure whose message holds every error of it.
pub fn scenario(named: &Path) -> Result<(Scenario, Texts), Failure> {
    let mut files = open(&[named.to_owned()])?;
    let Some((file, bytes)) = files.pop().filter(|_| files.is_empty()) else {
        let message = format!("{} is not one file with a scenario", named.display());
        return Err(Failure::usage(message));
    };
    let mut texts = Texts::default();
    texts.add(&file, &String::from_utf8_lossy(&bytes));
    let read = manifest::read_scenario(&file, &bytes).map(|scenario| (scenario, texts));
    read.map_err(|errors| {
        let sources = BTreeMap::from([(file, String::from_utf8_lossy(&bytes).into_owned())]);
        let text = caret::render(&errors, &sources, Paint::stderr());
        let count = if errors.len() == 1 { "error" } else { "errors" };
        let message = format!("{text}nothing was sent: {} {count}", errors.len());
        Failure { exit: Exit::Usage, message, reasons: Vec::new() }
    })
}

/// The contents of everything named, by the name errors are told under.
fn open(named: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    for path in named {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            let most = manifest::LARGEST as u64 + 1;
            let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
            read.map_err(|e| Failure::usage(format!("reading standard input: {e}")))?;
            files.push(("standard input".to_owned(), bytes));
            continue;
        }
        let wrong = |e: std::io::Error| Failure::usage(format!("reading {}: {e}", path.display()));
        let mut found = Vec::new();
        if std::fs::metadata(path).map_err(wrong)?.is_dir() {
            walk(path, &mut found).map_err(wrong)?;
            if found.is_empty() {
                let message = format!("{} holds no .yaml, .yml or .json file", path.display());
                return Err(Failure::usage(message));
            }
        } else {
            found.push(path.clone());
        }
        for file in found {
            let bytes = std::fs::read(&file)
                .map_err(|e| Failure::usage(format!("reading {}: {e}", file.display())))?;
            files.push((file.display().to_string(), bytes));
        }
    }
    Ok(files)
}

/// The manifests below a directory, sorted. Links to directories and what begins with a dot are
/// passed over.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<std::fs::DirEntry> =
        std::fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
            && path.is_file()
        {
            found.push(path);
        }
    }
    Ok(())
}

/// The objects of one text; a list as `get -o json` writes it stands for its items.
fn documents(file: &str, bytes: &[u8]) -> Result<Vec<Any>, Vec<ManifestError>> {
    if !bytes.trim_ascii_start().starts_with(b"{") || bytes.len() > manifest::LARGEST {
        return manifest::read(file, bytes);
    }
    let value: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => return manifest::read(file, bytes),
    };
    let items = match (value.get("kind"), value.get("items")) {
        (Some(kind), Some(serde_json::Value::Array(items))) if kind == "List" => items,
        _ => return manifest::read(file, bytes),
    };
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    for (i, item) in items.iter().enumerate() {
        let read = Any::from_value(item.clone()).and_then(|any| any.validate().map(|()| any));
        match read {
            Ok(any) => objects.push(any),
            Err(invalid) => errors.extend(invalid.0.into_iter().map(|problem| {
                let path = format!("items[{i}].{}", problem.path);
                let path = path.trim_end_matches('.').to_owned();
                ManifestError {
                    file: file.to_owned(),
                    line: 0,
                    column: 0,
                    problem: Problem { path, message: problem.message },
                }
            })),
        }
    }
    if errors.is_empty() { Ok(objects) } else { Err(errors) }
}

/// An object given twice: which of the two is meant?
fn twice(objects: &[(String, Any)], texts: &Texts) -> Vec<ManifestError> {
    let mut seen: BTreeMap<(Kind, &str), usize> = BTreeMap::new();
    let mut all = Vec::new();
    for (file, any) in objects {
        let times = seen.entry((any.kind(), any.name())).or_default();
        *times += 1;
        if *times == 1 {
            continue;
        }
        // Of a list it is not known where its items stand.
        let spots = texts.of(&any.id());
        let first = spots.first().map(|spot| format!(", first at {spot}")).unwrap_or_default();
        let spot = spots.get(*times - 1).filter(|spot| spot.file == *file);
        all.push(ManifestError {
            file: file.clone(),
            line: spot.map_or(0, |spot| spot.line),
            column: spot.map_or(0, |spot| spot.column),
            problem: Problem {
                path: String::new(),
                message: format!("{} is given twice{first}; keep one of them", any.id()),
            },
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "apiVersion: atoll/v1\nkind: Zone\nmetadata: { name: a }\nspec: {}\n";

    fn app(name: &str) -> String {
        format!(
            "apiVersion: atoll/v1\nkind: Application\nmetadata: {{ name: {name} }}\nspec:\n  run: \
             {{ command: [sleep, \"1\"] }}\n"
        )
    }

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        directory
    }

    fn ids(objects: &[Any]) -> Vec<String> {
        objects.iter().map(Any::id).collect()
    }

    #[test]
    fn directories_are_read_whole_and_applied_by_kind() {
        let files = [
            ("b.yml", ZONE),
            ("a/x.yaml", &app("two")),
            ("a.yaml", &app("one")),
            ("a/readme.md", "no: manifest"),
            (".git/z.yaml", "no: manifest"),
        ];
        let directory = directory(&files);
        let objects = read(&[directory.path().to_owned()]).unwrap();
        assert_eq!(ids(&objects), ["application/two", "application/one", "zone/a"]);
    }

    #[test]
    fn all_errors_of_all_files_are_told_and_nothing_is_returned() {
        let files = [
            ("a.yaml", app("one").replace("run", "runs")),
            ("b.yaml", ZONE.replace("name: a", "name: A")),
            ("c.yaml", ZONE.to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let directory = directory(&files);
        let wrong = read(&[directory.path().to_owned()]).unwrap_err();
        assert_eq!(wrong.exit, Exit::Usage);
        for part in ["a.yaml:5:", "b.yaml:3:", "did you mean \"run\"?", "nothing was sent: 2"] {
            assert!(wrong.message.contains(part), "{part} is not in {}", wrong.message);
        }
    }

    #[test]
    fn what_is_given_twice_or_not_there_is_refused() {
        let directory = directory(&[("a.yaml", ZONE), ("b.yaml", ZONE)]);
        let wrong = read(&[directory.path().to_owned()]).unwrap_err();
        assert!(wrong.message.contains("zone/a is given twice"), "{}", wrong.message);
        for part in ["b.yaml:3:19:", "first at", "a.yaml:3:19;"] {
            assert!(wrong.message.contains(part), "{part}: {}", wrong.message);
        }
        assert_eq!(read(&[directory.path().join("c.yaml")]).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn lists_stand_for_their_items() {
        let zone = read_one(ZONE).to_json();
        let list = format!(r#"{{"apiVersion":"atoll/v1","kind":"List","items":[{zone}]}}"#);
        assert_eq!(ids(&documents("x", list.as_bytes()).unwrap()), ["zone/a"]);
        let wrong = list.replace("\"spec\":{", "\"spec\":{\"x\":1,");
        let errors = documents("x", wrong.as_bytes()).unwrap_err();
        assert!(errors[0].to_string().contains("items[0].spec"), "{}", errors[0]);
    }

    fn read_one(text: &str) -> Any {
        manifest::read("x", text.as_bytes()).unwrap().remove(0)
    }
}
