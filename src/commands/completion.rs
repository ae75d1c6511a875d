//! `atoll completion`: a script that completes commands in a shell.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output;

/// What `atoll completion` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: For,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    /// source <(atoll completion bash)
    Bash,
    /// source <(atoll completion zsh)
    Zsh,
    /// atoll completion fish | source
    Fish,
}

/// Prints the script.
///
/// # Errors
/// Standard output's.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let shell = match args.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "atoll", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
