//! The calendar of a peak that has ended: what was said of it while it was to come or there, as one
//! tells what was.

use atoll_model::peak::{PeakCheck, State};

use super::freeze_name;

/// What was said of a peak while it was to come or there, and of one that has ended.
const ENDED: [(&str, &str); 29] = [
    ("all that it takes serve", "all that it took served when it began"),
    (" take it", " took it"),
    (" takes it", " took it"),
    ("it is not known how many it takes", "it was not known how many it took"),
    ("so what breaks is seen", "so what broke was seen"),
    ("nothing is promised by", "nothing was promised by"),
    ("nobody sees what breaks", "nobody saw what broke"),
    ("no autoscaler acts for", "no autoscaler acted for"),
    ("no number is planned yet for", "no number was planned for"),
    ("what it goes by is not measured", "what it goes by was not measured"),
    ("all act, and their most is enough", "all acted, and their most was enough"),
    ("it takes ", "it took "),
    (" may have ", " might have "),
    ("no budget is of it", "no budget was of it"),
    ("the hosts there are have room for all of it", "the hosts there were had room for all of it"),
    ("pools may make", "pools might make"),
    ("no pool may make", "no pool might make"),
    ("carries is proven of all", "carries was proven of all"),
    ("carries is only declared of", "carries was only declared of"),
    ("no kill switch is named", "no kill switch was named"),
    (" reaches ", " reached "),
    ("room for it on", "it had room on"),
    ("find no room yet", "found no room"),
    ("finds no room yet", "found no room"),
    ("they are on", "they were on"),
    (" are lacking", " were lacking"),
    (" is lacking", " was lacking"),
    ("no freeze is there yet", "there was no freeze"),
    ("there is no ", "there was no "),
];

/// The calendar of a peak that has ended: as it was, and nothing is to be done any more.
pub(super) fn past(checks: &mut [PeakCheck], peak: &str) {
    for check in checks {
        check.hint.clear();
        if check.name == "freeze" && check.state == State::Done {
            check.message = format!("freeze/{} held releases until it ended", freeze_name(peak));
            continue;
        }
        for (is, was) in ENDED {
            check.message = check.message.replace(is, was);
        }
    }
}
