//! Times of a calendar somewhere: a clock on a wall and the zone it hangs in, or a point in time.
//! The zones are those compiled in, so that the same text means the same on every machine.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::time::{Span, Timestamp};

/// What is due less than this before it matters is told to the second.
const CLOSE: Span = Span::seconds(3_600);

/// A time zone with its rules.
pub type Zone = TimeZone;

/// The zone of that name, as `Asia/Shanghai`; UTC without one.
///
/// # Errors
/// There is none of that name.
pub fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    let found = TimeZoneDatabase::bundled().get(name);
    found.map_err(|_| format!("{name:?} is no time zone; write it like Asia/Shanghai"))
}

/// A time as it is written: with an offset or `Z` it is what it says; without, it is read on the
/// clocks of the zone.
///
/// # Errors
/// It is no time, is skipped there, is there twice, or no zone is given.
pub fn read(text: &str, name: Option<&str>) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || format!("{text:?} is not a time like 2026-11-11T00:00:00");
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    let Some(name) = name else {
        return Err(format!("{text:?} is of no zone: give timeZone, or end it with Z"));
    };
    let zoned = zone(Some(name))?.into_ambiguous_zoned(civil);
    match zoned.offset() {
        AmbiguousOffset::Gap { .. } => {
            Err(format!("clocks are put forward over {text} in {name}: there is no such time"))
        }
        AmbiguousOffset::Fold { before, after } => Err(format!(
            "clocks are put back over {text} in {name}: it is there twice; end it with {before} \
             or {after}"
        )),
        AmbiguousOffset::Unambiguous { .. } => {
            let zoned = zoned.compatible().map_err(|_| wrong())?;
            Ok(Timestamp(zoned.timestamp().as_millisecond()))
        }
    }
}

/// The same time of day on the clocks of a zone, so many days before.
pub fn days_before(at: Timestamp, days: u32, zone: &TimeZone) -> Timestamp {
    let plain = at - Span(u64::from(days) * 86_400_000);
    let Ok(time) = jiff::Timestamp::from_millisecond(at.0) else { return plain };
    let span = jiff::Span::new().try_days(i64::from(days));
    let back = span.and_then(|span| time.to_zoned(zone.clone()).checked_sub(span));
    back.map_or(plain, |zoned| Timestamp(zoned.timestamp().as_millisecond()))
}

/// A time as the clocks of a zone show it: `2026-11-11 00:00 +08:00`.
pub fn shown(at: Timestamp, name: Option<&str>) -> String {
    with_format(at, name, "%Y-%m-%d %H:%M %:z")
}

/// By when something is due for what starts at another time, as the clocks of a zone show it. Where
/// it is close, seconds matter, and are told unless there are none.
pub fn due(at: Timestamp, starts: Timestamp, name: Option<&str>) -> String {
    let seconds = at.0.div_euclid(1_000).rem_euclid(60);
    match starts.since(at) < CLOSE && seconds != 0 {
        true => with_format(at, name, "%Y-%m-%d %H:%M:%S %:z"),
        false => shown(at, name),
    }
}

fn with_format(at: Timestamp, name: Option<&str>, format: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(at.0);
    match (time, zone(name)) {
        (Ok(time), Ok(zone)) => time.to_zoned(zone).strftime(format).to_string(),
        _ => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_read_on_the_clocks_of_its_zone() {
        let east = Some("Asia/Shanghai");
        assert_eq!(read("2026-11-11T00:00:00", east), Ok(at("2026-11-10T16:00:00Z")));
        assert_eq!(read("2026-11-11T00:00:00Z", east), Ok(at("2026-11-11T00:00:00Z")));
        assert_eq!(read("2026-11-11T00:00:00+02:00", None), Ok(at("2026-11-10T22:00:00Z")));
        assert_eq!(shown(at("2026-11-10T16:00:00Z"), east), "2026-11-11 00:00 +08:00");
        assert!(read("2026-11-11T00:00:00", None).unwrap_err().contains("timeZone"));
        assert!(read("soon", east).unwrap_err().contains("not a time"));
        assert!(read("2026-11-11T00:00:00", Some("Mars/Base")).unwrap_err().contains("no time"));
    }

    #[test]
    fn what_is_due_shortly_before_is_told_to_the_second() {
        let starts = at("2026-11-10T16:00:00Z");
        let told = |due_at: &str| due(at(due_at), starts, Some("Asia/Shanghai"));
        assert_eq!(told("2026-11-10T15:58:30Z"), "2026-11-10 23:58:30 +08:00");
        assert_eq!(told("2026-11-10T15:58:00Z"), "2026-11-10 23:58 +08:00");
        assert_eq!(told("2026-11-10T14:58:30Z"), "2026-11-10 22:58 +08:00");
    }

    #[test]
    fn what_clocks_skip_or_show_twice_is_not_guessed() {
        let berlin = Some("Europe/Berlin");
        let skipped = read("2026-03-29T02:30:00", berlin).unwrap_err();
        assert!(skipped.contains("there is no such time"), "{skipped}");
        let twice = read("2026-10-25T02:30:00", berlin).unwrap_err();
        assert!(twice.contains("it is there twice; end it with +02 or +01"), "{twice}");
        assert_eq!(read("2026-10-25T02:30:00+01:00", berlin), Ok(at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn a_week_before_is_the_same_time_of_day_over_a_change_of_clocks() {
        let berlin = zone(Some("Europe/Berlin")).unwrap();
        // 20:00 in winter, and 20:00 in summer.
        let winter = at("2026-10-27T19:00:00Z");
        assert_eq!(days_before(winter, 7, &berlin), at("2026-10-20T18:00:00Z"));
        assert_eq!(days_before(winter, 7, &TimeZone::UTC), at("2026-10-20T19:00:00Z"));
    }
}
