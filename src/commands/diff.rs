//! `atoll diff`: how an object differs between two revisions.

use atoll_model::api;

use crate::args::{Global, Output};
use crate::commands::plan::change_of;
use crate::exit::Exit;
use crate::output;
use crate::subject::Subject;

/// What `atoll diff` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// KIND/NAME
    #[arg(value_name = "KIND/NAME")]
    what: Subject,
    /// As it was at this revision; see `atoll history`
    #[arg(long, value_name = "REV")]
    from: u64,
    /// As it was at that revision; as it is now, if absent
    #[arg(long, value_name = "REV")]
    to: Option<u64>,
    /// Also how it is, not only what is wanted
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    output: Output,
}

/// Shows each field that differs.
///
/// # Errors
/// The client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let Subject { kind, name } = &args.what;
    let client = global.client()?;
    let from = client.at_revision(*kind, name, args.from).await?;
    let to = match args.to {
        Some(to) => client.at_revision(*kind, name, to).await?,
        None => client.get(*kind, name).await?,
    };
    let mut fields = api::diff(Some(&from), Some(&to));
    if !args.status {
        fields.retain(|field| !field.path.starts_with("status."));
    }
    if fields.is_empty() {
        let hint = if args.status { "" } else { " in what is wanted; see --status" };
        output::say(&format!("they do not differ{hint}"));
    }
    let text = output::value(&fields, args.output.output, || {
        fields.iter().map(|field| change_of(field) + "\n").collect()
    });
    output::print(&text?)?;
    Ok(Exit::Done)
}
