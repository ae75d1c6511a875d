//! The `atoll` binary: the command line, and the processes it starts. What a verb does stands in
//! `commands/`; this file only starts it and turns its end into an exit code.

mod args;
mod caret;
mod change;
mod clock;
mod columns;
mod commands;
mod context;
mod csv;
mod exit;
mod files;
mod goal;
mod output;
mod password;
mod subject;
mod tasklog;
mod terminal;
mod wait;
mod whereabouts;

use std::process::ExitCode;

use atoll_client::{ClientError, PackageError};
use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::terminal::{Paint, Tone};

fn main() -> ExitCode {
    // The shim must begin before this process has any thread but one.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "shim") {
        return atoll_agent::shim_main(words);
    }
    atoll_client::install_crypto();
    let cli = Cli::parse();
    // Verbs that only ask start faster with one thread than with one a core.
    let serves = matches!(
        cli.command,
        Command::Up(_) | Command::Server(_) | Command::Agent(_) | Command::Demo(_)
    );
    if serves {
        // They rest most of the time.
        atoll_memory::small_pages();
    }
    let mut builder = match serves {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let ended = match builder.enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(commands::run(cli.command, cli.global));
            // A thread that reads standard input must not keep the process.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(anyhow::Error::new(error).context("starting the runtime")),
    };
    match ended {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => ExitCode::from(report(&error).code()),
    }
}

/// Says what went wrong, and how the command ends for it.
fn report(error: &anyhow::Error) -> Exit {
    // Whoever reads the output has seen enough.
    let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if error.chain().any(|e| e.downcast_ref().is_some_and(closed)) {
        return Exit::Done;
    }
    let paint = Paint::stderr();
    let head = paint.tone(Tone::Bad, "error:");
    if let Some(failure) = error.downcast_ref::<Failure>() {
        let text = output::problem(&failure.message, &failure.reasons, paint);
        match failure.message.contains('\n') {
            true => output::say(&text),
            false => output::say(&format!("{head} {text}")),
        }
        return failure.exit;
    }
    let client = error.downcast_ref::<ClientError>();
    let client = client.or_else(|| match error.downcast_ref::<PackageError>() {
        Some(PackageError::Client(client)) => Some(client),
        _ => None,
    });
    match client.and_then(ClientError::problem) {
        Some(problem) => {
            let text = output::problem(&problem.title, &problem.reasons, paint);
            output::say(&format!("{head} {text}"));
        }
        None => output::say(&format!("{head} {}", chain(error))),
    }
    match client {
        Some(ClientError::Unreachable { why, .. }) if why.contains("certificate") => {
            output::say("  trust its CA with `atoll login --ca-fingerprint HEX`, as it printed it");
        }
        Some(ClientError::Unreachable { .. }) => {
            output::say("  start one with `atoll up`, or name another with --server");
        }
        Some(ClientError::NotFound(problem)) if let Some(hint) = look(&problem.title) => {
            output::say(&format!("  {hint}"));
        }
        Some(client) if client.status() == Some(401) => {
            output::say("  log in with `atoll login`, or give --token or ATOLL_TOKEN");
        }
        _ => {}
    }
    let package = error.downcast_ref::<PackageError>().map(PackageError::exit_code);
    client.map(ClientError::exit_code).or(package).map_or(Exit::Failed, Exit::from)
}

/// Where to look for the name of what is not there.
fn look(title: &str) -> Option<String> {
    let (kind, _) = title.strip_prefix("there is no ")?.split_once('/')?;
    Some(format!("see `atoll get {}`", atoll_model::Kind::parse(kind)?.plural()))
}

/// The whole chain of an error; many an outer part says the inner one already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for part in error.chain().map(ToString::to_string).filter(|part| !part.is_empty()) {
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_to_be_looked_for() {
        let told = |title: &str| look(title);
        assert_eq!(told("there is no deployment/none").unwrap(), "see `atoll get deployments`");
        assert_eq!(told("there is no such page"), None);
        assert_eq!(told("there is no ship/none"), None);
    }
}
