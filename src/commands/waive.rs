//! `atoll waive`: excuses something from a standard, for a time, and says who answers for it.

use atoll_model::policy::SUBJECTS;
use atoll_model::{Any, Kind, Object, Span, Timestamp, Waiver};

use crate::args::Global;
use crate::change;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::subject::Subject;

/// What `atoll waive` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The standard
    standard: String,
    /// What is excused: application/NAME with everything of it, deployment/NAME, …
    subject: Subject,
    /// When it ends: a span such as 14d, or a time such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "SPAN|TIME")]
    until: String,
    /// Why; those who wonder are told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who answers for it [default: whoever you are]
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
}

/// Makes the waiver.
///
/// # Errors
/// A time that is none; the client's; a refusal of the gate.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let subject = args.subject.of(&SUBJECTS)?;
    let standard = args.standard.strip_prefix("standard/").unwrap_or(&args.standard).to_owned();
    let client = global.client()?;
    client.get(Kind::Standard, &standard).await?;
    let owner = match args.owner {
        Some(owner) => owner,
        None => client.whoami().await?.name,
    };
    let ends = ends(&args.until, clock::now())?;
    let name = name_of(&standard, &subject);
    let spec = Waiver {
        standard,
        subject: Some(subject.to_string()),
        applications: None,
        owner,
        reason: args.reason,
        ends,
    };
    let any = Any::Waiver(Object::new(name, spec).into());
    let made = Subject::is(&any);
    let outcome = client.apply(vec![any.to_value()], false).await?;
    change::judge(&outcome)?;
    change::tell(&outcome, &[made])?;
    Ok(Exit::Done)
}

fn ends(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let at = text.parse::<Span>().map(|span| now + span);
    let at = at.or_else(|_| text.parse::<Timestamp>()).map_err(|_| {
        let message = format!("--until {text:?} is neither a span like 14d nor a time like {now}");
        Failure::usage(message)
    })?;
    match at > now {
        true => Ok(at),
        false => Err(Failure::usage(format!("--until {text} is not ahead"))),
    }
}

/// One thing is excused from one standard once.
fn name_of(standard: &str, subject: &Subject) -> String {
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let what: String = subject.to_string().chars().map(plain).collect();
    format!("{standard}-{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waivers_end_ahead() {
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(ends("1d", now).unwrap(), now + Span::seconds(86_400));
        assert!(ends("2030-01-01T00:00:00Z", now).is_ok());
        for bad in ["soon", "2020-01-01T00:00:00Z", "0s"] {
            assert!(ends(bad, now).is_err(), "{bad}");
        }
        let subject: Subject = "deployment/shop.prod".parse().unwrap();
        assert_eq!(name_of("two-zones", &subject), "two-zones-deployment-shop-prod");
    }
}
