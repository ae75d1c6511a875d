//! What may stand between `{{` and `}}` in a runbook: names that exist, and no free text in the
//! script of a shell, where it would be part of the program. How it is filled in is no
//! matter of this file.

use std::collections::BTreeMap;

use crate::ci::fill;
use crate::ci::pipeline::{Param, ParamKind};
use crate::job::Deed;
use crate::name::Invalid;

/// Programs that take a script behind `-c`.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "su", "runuser"];

/// Checks everything a runbook fills in.
pub(super) fn check(deed: &Deed, params: &BTreeMap<String, Param>, invalid: &mut Invalid) {
    let script = script(&deed.command);
    for (i, word) in deed.command.iter().enumerate() {
        let path = format!("do.command[{i}]");
        let named = check_text(word, &path, params, invalid);
        let given = named.iter().find(|name| is_free(name, params));
        let Some(given) = given.filter(|_| script == Some(i)) else { continue };
        let name = given.strip_prefix("params.").unwrap_or("NAME");
        let variable = variable(name.split('.').next().unwrap_or(name));
        invalid.add(
            &path,
            format!(
                "has {{{{{given}}}}} in the script of a shell, where whatever is given is run; \
                 write \"${variable}\" instead, with its quotes"
            ),
        );
    }
    for (key, value) in &deed.env {
        check_text(value, &format!("do.env.{key}"), params, invalid);
    }
}

/// Whether what is named may be any text: numbers, and what is one of a few, end no word.
fn is_free(name: &str, params: &BTreeMap<String, Param>) -> bool {
    let Some(rest) = name.strip_prefix("params") else { return false };
    let param = rest.strip_prefix('.').and_then(|rest| params.get(rest.split('.').next()?));
    param.is_none_or(|param| param.kind == ParamKind::String && param.one_of.is_empty())
}

/// The variable a parameter is told by.
pub fn variable(param: &str) -> String {
    format!("PARAM_{}", param.to_uppercase().replace(['-', '.'], "_"))
}

/// Where the script of a shell stands among the words of a command, whatever starts the shell.
fn script(command: &[String]) -> Option<usize> {
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    let shell = command.iter().position(|word| SHELLS.contains(&name(word).as_str()))?;
    let takes = |word: &String| {
        let flags = word.strip_prefix('-').filter(|flags| !flags.starts_with('-'));
        flags.is_some_and(|flags| flags.contains('c')) || word == "--command"
    };
    let flag = command.iter().skip(shell).position(takes)?;
    // Options may stand between: sh -c -e SCRIPT.
    let behind = shell + flag + 1;
    let after = command.iter().skip(behind).position(|word| !word.starts_with('-'))?;
    Some(behind + after)
}

fn check_text(
    text: &str,
    path: &str,
    params: &BTreeMap<String, Param>,
    invalid: &mut Invalid,
) -> Vec<String> {
    let named = match fill::named(text) {
        Ok(named) => named,
        Err(why) => {
            invalid.add(path, why);
            return Vec::new();
        }
    };
    for name in &named {
        let param = name.strip_prefix("params.").and_then(|rest| rest.split('.').next());
        let known = match param {
            Some(param) => params.contains_key(param),
            None => name == "params" || name == "pipeline",
        };
        if !known {
            let mut all: Vec<String> = params.keys().map(|key| format!("params.{key}")).collect();
            all.push("pipeline".to_owned());
            let quoted = "to mean the braces themselves write {{'{{'}}";
            invalid
                .add(path, format!("there is no {name}; there are {}; {quoted}", all.join(", ")));
        }
    }
    named
}
