//! Reads a password: from a person without showing it, or from standard input. Never from the
//! command line, which others can see.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context as _;
use nix::sys::termios::{self, LocalFlags, SetArg};

use crate::exit::Failure;

/// Asks for a password once.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn ask(what: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let mut err = std::io::stderr();
    write!(err, "{what}: ").and_then(|()| err.flush()).context("asking for a password")?;
    let shown = termios::tcgetattr(&stdin).context("reading the terminal's settings")?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(&stdin, SetArg::TCSANOW, &hidden).context("hiding what is typed")?;
    let read = line();
    termios::tcsetattr(&stdin, SetArg::TCSANOW, &shown).context("showing what is typed again")?;
    let _ = writeln!(err);
    read
}

/// Asks for a new password, of a person twice.
///
/// # Errors
/// It cannot be read, is empty, or was not the same twice.
pub fn ask_new(what: &str) -> anyhow::Result<String> {
    let first = ask(what)?;
    if std::io::stdin().is_terminal() && ask("once more")? != first {
        return Err(Failure::usage("the two are not the same").into());
    }
    Ok(first)
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("reading the password")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        return Err(Failure::usage("the password is empty; write it to standard input").into());
    }
    Ok(password)
}
