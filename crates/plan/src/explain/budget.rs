//! How a budget stands, and what a price is of, in words.

use atoll_model::budget::{BudgetPhase, Exceed, MONTH_HOURS, Share, Take};
use atoll_model::{Budget, Host, Object, Price, Reason, many};

use super::{Told, word};
use crate::Context;
use crate::budget::{bound, scope};

pub(super) fn tell(cx: &Context, it: &Object<Budget>, told: &mut Told) {
    let (name, spec, status) = (it.name(), &it.spec, &it.status);
    let of = [("team", &spec.team), ("application", &spec.application)];
    let mut of: Vec<String> =
        of.iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?))).collect();
    of.extend(spec.environment.iter().map(|name| format!("environment {name}")));
    told.state = format!(
        "{name} is {}: {} of {}.",
        word(&status.phase),
        many(status.instances as usize, "instance"),
        of.join(" and ")
    );
    if status.is_blind() {
        told.state.push_str(" What it spends is not known: nothing of it has a price.");
    } else if let (Some(limit), Some(spend)) = (&spec.month, &status.spend) {
        let currency = &spend.currency;
        told.state.push_str(&format!(
            " {} of {} {currency} is spent in {}, at {} an hour.",
            bound::spent(it, cx.now).rounded(),
            limit.limit.rounded(),
            spend.month,
            spend.rate.fine()
        ));
        let forecast = bound::forecast(it, spend.rate, cx.now).rounded();
        let allowed = bound::allowed_rate(it, cx.now).fine();
        let ends = match status.phase {
            BudgetPhase::Unknown => "where the month ends is not known: prices are missing".into(),
            _ => format!("the month is forecast to end at {forecast} {currency}"),
        };
        let next = if bound::counts_next(cx.now) { ", with the next month in view" } else { "" };
        let message = format!("{ends}; there is money for {allowed} an hour{next}");
        told.reasons.push(Reason::new("forecast", message));
        let month = atoll_model::budget::month::Month::of(cx.now);
        if spend.counted_from > month.begins {
            let message = format!("it is counted from {} on, when it was made", spend.counted_from);
            told.reasons.push(Reason::new("counted-from", message));
        }
    }
    told.reasons.extend(status.share.map(|share| shared(&share)));
    told.reasons.push(Reason::new("exceed", exceeds(cx, it)));
    let mut all = scope::deployments(cx.world, spec);
    all.retain(|name| cx.world.get::<atoll_model::Deployment>(name).is_some());
    all.into_iter().take(super::NAMED).for_each(|name| told.see(format!("deployment/{name}")));
}

fn shared(share: &Share) -> Reason {
    let plain = |take: Take| format!("{} cpu and {} memory", take.cpu, take.memory);
    let mut message =
        format!("{} are wanted, {} may be had", plain(share.wanted), plain(share.may));
    let lends = [("more than it is guaranteed", share.borrowed), ("lent to others", share.lent)];
    for (what, take) in lends.iter().filter(|(_, take)| *take != Take::default()) {
        message.push_str(&format!("; {what}: {}", plain(*take)));
    }
    Reason::new("share", message)
}

fn exceeds(cx: &Context, it: &Object<Budget>) -> String {
    let name = it.name();
    match it.spec.exceed {
        Exceed::Warn => "a change that would break it is done, and told".to_owned(),
        Exceed::Refuse => "a change that would break it is refused".to_owned(),
        Exceed::Approve if bound::is_approved(cx.world, it, cx.now) => {
            let by = bound::approvers(cx.world, name, cx.now).join(", ");
            format!("a change may break it this month: approved by {by}")
        }
        Exceed::Approve => {
            format!("a change that would break it waits for atoll approve budget/{name}")
        }
    }
}

pub(super) fn tell_price(cx: &Context, it: &Object<Price>, told: &mut Told) {
    let spec = &it.spec;
    let state = match () {
        () if spec.holds(cx.now) => "holds",
        () if spec.from > cx.now => "does not hold yet",
        () => "holds no more",
    };
    let until = spec.until.map_or("without end".to_owned(), |until| format!("until {until}"));
    let hosts = cx.world.all::<Host>().filter(|h| spec.hosts.matches(&h.meta.labels)).count();
    told.state =
        format!("{} {state}, from {} {until}, for {}.", it.name(), spec.from, many(hosts, "host"));
    for (field, price) in spec.all() {
        let Some(price) = price else { continue };
        let month = price.times(MONTH_HOURS).rounded();
        let message = format!("{field} is {price} {}, {month} a month", spec.currency);
        told.reasons.push(Reason::new("price", message));
    }
}
