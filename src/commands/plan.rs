//! `atoll plan`: what applying manifests would change, why, what it costs, and what the gate
//! says. Changes nothing.

use atoll_model::Any;
use atoll_model::api::{FieldDiff, Outcome, VerdictWord, WriteView};
use atoll_model::manifest::texts::Texts;
use serde_json::Value;

use crate::args::{Files, Global, Output, Override};
use crate::change;
use crate::exit::Exit;
use crate::files;
use crate::output::{self, Format};
use crate::terminal::{Paint, Tone, plain};
use crate::whereabouts;

/// What `atoll plan` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    over: Override,
    #[command(flatten)]
    output: Output,
}

/// Shows the plan. It ends with 3 where the gate would refuse.
///
/// # Errors
/// A wrong manifest; the client's.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let read = files::read_with_texts(&args.files.files)?;
    show(read, args.output.output, &args.over, global).await
}

/// Shows what applying these objects would do.
///
/// # Errors
/// The client's.
pub async fn show(
    (mut objects, texts): (Vec<Any>, Texts),
    format: Format,
    over: &Override,
    global: &Global,
) -> anyhow::Result<Exit> {
    objects.iter_mut().for_each(|any| change::annotate(any, over));
    let values = objects.iter().map(Any::to_value).collect();
    let done = global.client()?.apply(values, true).await;
    let mut outcome = whereabouts::placed(&texts, done.map_err(anyhow::Error::from))?;
    if matches!(format, Format::Table | Format::Wide) {
        for reason in &mut outcome.reasons {
            texts.place(reason);
        }
    }
    let text = output::value(&outcome, format, || match format {
        Format::Name => {
            outcome.writes.iter().map(|w| format!("{}/{}\n", w.kind.lower(), w.name)).collect()
        }
        _ => render(&outcome, Paint::stdout()),
    });
    output::print(&text?)?;
    Ok(match outcome.verdict {
        VerdictWord::Commit => Exit::Done,
        VerdictWord::Hold | VerdictWord::Deny => Exit::Refused,
    })
}

/// A plan to be read by people.
pub fn render(outcome: &Outcome, paint: Paint) -> String {
    let mut text = String::new();
    let changes = |w: &&WriteView| w.op != "unchanged";
    for write in outcome.writes.iter().filter(changes) {
        let (sign, tone) = match write.op.as_str() {
            "create" => ("+", Tone::Good),
            "delete" => ("-", Tone::Bad),
            _ => ("~", Tone::Busy),
        };
        let fields = fields(write);
        if write.op == "update" && fields.is_empty() {
            // Only how things are changes, not what is wanted.
            continue;
        }
        let by = if write.by == "you" { String::new() } else { format!("   by {}", write.by) };
        let head = format!("{sign} {} {}/{}", write.op, write.kind.lower(), write.name);
        text.push_str(&format!("{}{}\n", paint.tone(tone, &head), paint.tone(Tone::Dim, &by)));
        for field in fields {
            text.push_str(&format!("    {}\n", change_of(field)));
        }
    }
    let unchanged = outcome.writes.len() - outcome.writes.iter().filter(changes).count();
    if unchanged > 0 {
        text.push_str(&format!("= {unchanged} unchanged\n"));
    }
    if let Some(cost) = &outcome.cost {
        text.push_str(&format!("cost: {cost}\n"));
    }
    let (verdict, tone) = match outcome.verdict {
        VerdictWord::Commit => ("the gate would let it pass", Tone::Good),
        VerdictWord::Hold => ("the gate would hold it: not now", Tone::Busy),
        VerdictWord::Deny => ("the gate would deny it", Tone::Bad),
    };
    text.push_str(&output::problem(&paint.tone(tone, verdict), &outcome.reasons, paint));
    text.push('\n');
    text
}

/// The fields worth reading: of the target, and of what a planner makes only the few that say
/// what it is.
pub fn fields(write: &WriteView) -> Vec<&FieldDiff> {
    const TELLING: [&str; 4] =
        ["spec.host", "spec.instances", "spec.package.version", "spec.release"];
    let made = write.op == "create" && write.by != "you";
    let shown = write.diff.iter().filter(|field| match made {
        true => TELLING.contains(&field.path.as_str()),
        false => write.op != "delete" && !field.path.starts_with("status."),
    });
    shown.collect()
}

/// A field and how it changes: `spec.instances: 3 -> 5`.
pub fn change_of(field: &FieldDiff) -> String {
    let show = |value: &Value| match value {
        Value::String(text) => plain(text),
        other => other.to_string(),
    };
    match (&field.from, &field.to) {
        (Some(from), Some(to)) => format!("{}: {} -> {}", field.path, show(from), show(to)),
        (None, Some(to)) => format!("{}: {}", field.path, show(to)),
        (Some(from), None) => format!("{}: {} -> (none)", field.path, show(from)),
        (None, None) => field.path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_as_a_list_of_changes() {
        let outcome: Outcome = serde_json::from_str(
            r#"{"verdict":"hold","cost":"+2.40 a day","writes":[
                {"op":"update","kind":"Deployment","name":"shop.prod","by":"you","diff":[
                    {"path":"spec.instances","from":3,"to":5},
                    {"path":"spec.release","from":"shop-1"}]},
                {"op":"create","kind":"Instance","name":"shop.prod.3","by":"deployment",
                    "diff":[{"path":"spec.host","to":"h1"},{"path":"spec.ordinal","to":3}]},
                {"op":"update","kind":"Deployment","name":"shop.prod","by":"deployment",
                    "diff":[{"path":"status.phase","to":"rolling"}]},
                {"op":"unchanged","kind":"Zone","name":"a","by":"you","diff":[]}],
                "reasons":[{"code":"frozen","message":"peak week","hint":"wait until Monday"}]}"#,
        )
        .unwrap();
        let wanted = "\
~ update deployment/shop.prod
    spec.instances: 3 -> 5
    spec.release: shop-1 -> (none)
+ create instance/shop.prod.3   by deployment
    spec.host: h1
= 1 unchanged
cost: +2.40 a day
the gate would hold it: not now
  frozen: peak week
    -> wait until Monday
";
        assert_eq!(render(&outcome, Paint::OFF), wanted);
    }
}
