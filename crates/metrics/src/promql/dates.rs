//! Calendar functions on seconds since 1970 in UTC, by the proleptic Gregorian calendar. They know
//! no time zone and not the time of day.

/// Parts of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

const DAY: i64 = 86_400;

/// Which part of a time is asked for; none where the function is no calendar function.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "year" => |t| civil(t).year as f64,
        "month" => |t| civil(t).month as f64,
        "day_of_month" => |t| civil(t).day as f64,
        "day_of_year" => |t| {
            let date = civil(t);
            let first = Civil { month: 1, day: 1, ..date };
            (day_number(date) - day_number(first) + 1) as f64
        },
        "day_of_week" => |t| (days(t) + 4).rem_euclid(7) as f64,
        "days_in_month" => |t| {
            let date = civil(t);
            let first = Civil { day: 1, ..date };
            let next = match date.month {
                12 => Civil { year: date.year + 1, month: 1, day: 1 },
                month => Civil { month: month + 1, ..first },
            };
            (day_number(next) - day_number(first)) as f64
        },
        "hour" => |t| (second_of_day(t) / 3600) as f64,
        "minute" => |t| (second_of_day(t) / 60 % 60) as f64,
        _ => return None,
    })
}

fn seconds(time: f64) -> i64 {
    // Saturates, and a NaN becomes 0; far enough from the ends for the sums below.
    (time as i64).clamp(-(1 << 60), 1 << 60)
}

fn days(time: f64) -> i64 {
    seconds(time).div_euclid(DAY)
}

fn second_of_day(time: f64) -> i64 {
    seconds(time).rem_euclid(DAY)
}

/// Years are counted from March, so that the day a leap year adds is its last.
fn civil(time: f64) -> Civil {
    let shifted = days(time) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

fn day_number(date: Civil) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (date.month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + date.day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for day in (-800_000..800_000).step_by(97) {
            assert_eq!(day_number(civil((day * DAY) as f64)), day);
        }
        let leap = civil(951_782_400.0);
        assert_eq!((leap.year, leap.month, leap.day), (2000, 2, 29));
    }
}
