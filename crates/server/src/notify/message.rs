//! What a message says: Alertmanager's JSON, and text made from templates. Not how it is sent.

use std::collections::BTreeMap;

use atoll_model::notification::{AlertNote, Cause, Channel};
use atoll_model::{Notification, Object, Receiver, Span, Timestamp};
use serde_json::{Value, json};

use super::NotSent;

/// The heading where a receiver gives none.
const TITLE: &str = "{{ heading }}";
/// The text where a receiver gives none.
const TEXT: &str = "\
{% for a in alerts %}{{ '*' if a.status == 'firing' else '-' }} {{ a.name }}\
{% if a.subject %} — {{ a.subject }}{% endif %}\
{% if a.summary %}: {{ a.summary }}{% endif %}\n\
{% if a.suspect %}  likely cause: {{ a.suspect }}\n{% endif %}\
{% if a.owner %}  owner: {{ a.owner }}\n{% endif %}{% endfor %}\
{% if more %}and {{ more }} more\n{% endif %}\
{% if moreResolved %}and {{ moreResolved }} more have ended\n{% endif %}";
/// The same for mail, which is read later and elsewhere.
const MAIL: &str = "\
{% for a in alerts %}{{ '*' if a.status == 'firing' else '-' }} {{ a.name }}\
{% if a.subject %} — {{ a.subject }}{% endif %}\
{% if a.summary %}: {{ a.summary }}{% endif %}\n\
{% if a.ended %}  from {{ a.since }} to {{ a.ended }}{% else %}  since {{ a.since }}{% endif %}\n\
{% if a.suspect %}  likely cause: {{ a.suspect }}\n{% endif %}\
{% if a.owner %}  owner: {{ a.owner }}\n{% endif %}\
{% if a.labels %}  labels:{% for name in a.labels %} {{ name }}={{ a.labels[name] }}{% endfor %}\n\
{% endif %}{% endfor %}\
{% if more %}and {{ more }} more\n{% endif %}\
{% if moreResolved %}and {{ moreResolved }} more have ended\n{% endif %}\
{% if address %}\n{{ address }}/alerts\n{% endif %}";

/// What an Alertmanager is told holds for so long at least.
const LEAST_BELIEVED: Span = Span::seconds(600);

/// When something that has not ended ends, as Alertmanager writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Whether anything of it fires.
pub fn status(notification: &Notification) -> &'static str {
    let firing = notification.alerts.iter().any(|note| note.firing);
    let heartbeat = notification.cause == Cause::Heartbeat;
    if firing || heartbeat { "firing" } else { "resolved" }
}

/// The notes a receiver is told of.
fn told<'a>(receiver: &'a Receiver, notification: &'a Notification) -> Vec<&'a AlertNote> {
    notification.alerts.iter().filter(|note| note.firing || receiver.send_resolved).collect()
}

/// How many have ended beyond those listed.
fn ended_beyond(receiver: &Receiver, notification: &Notification) -> u32 {
    if receiver.send_resolved { notification.more_ended } else { 0 }
}

/// The body of Alertmanager's webhook, version 4.
pub fn webhook(receiver: &Receiver, message: &Object<Notification>, address: &str) -> Value {
    let notification = &message.spec;
    let notes = told(receiver, notification);
    let alerts: Vec<Value> = notes.iter().map(|note| alert(note, address, true)).collect();
    json!({
        "version": "4",
        "groupKey": notification.key,
        "truncatedAlerts": notification.more + ended_beyond(receiver, notification),
        "status": status(notification),
        "receiver": notification.receiver,
        "groupLabels": notification.group,
        "commonLabels": shared(&notes, |note| &note.alert.labels),
        "commonAnnotations": shared(&notes, |note| &note.alert.annotations),
        "externalURL": address,
        "alerts": alerts,
        "atoll": { "notification": message.name(), "cause": notification.cause },
    })
}

/// Until when an Alertmanager takes what it is told for true: well beyond the next message of the
/// same, so that nothing ends because nobody spoke; and no longer, for nobody may be left to speak.
fn believed_until(receiver: &Receiver, notification: &Notification) -> Timestamp {
    let again = match notification.cause {
        Cause::Heartbeat => receiver.heartbeat.unwrap_or_default(),
        _ => receiver.routes.iter().map(|route| route.repeat_interval).max().unwrap_or_default(),
    };
    notification.at + Span(again.0.saturating_mul(2).max(LEAST_BELIEVED.0))
}

/// The body of Alertmanager's API, version 2: a list of alerts. Each says when it ends if it is not
/// told again: without that, Alertmanager takes it for ended after minutes.
pub fn alertmanager(receiver: &Receiver, notification: &Notification, address: &str) -> Value {
    let notes = told(receiver, notification);
    let until = believed_until(receiver, notification).to_string();
    let each = |note: &&AlertNote| {
        let mut alert = alert(note, address, false);
        if note.firing {
            alert["endsAt"] = json!(until);
        }
        alert
    };
    let mut all: Vec<Value> = notes.iter().map(each).collect();
    if notification.cause == Cause::Heartbeat {
        let at = notification.at.to_string();
        all.push(json!({
            "labels": { "alertname": "Heartbeat", "receiver": notification.receiver },
            "annotations": { "summary": "alerting works" },
            "startsAt": at,
            "endsAt": until,
        }));
    }
    json!(all)
}

fn alert(note: &AlertNote, address: &str, webhook: bool) -> Value {
    let source = format!("{address}/alerts/{}", note.name);
    let ended = note.ended.map(|at| at.to_string());
    let mut all = json!({
        "labels": note.alert.labels,
        "annotations": annotations(note),
        "startsAt": note.since.to_string(),
        "generatorURL": source,
    });
    if webhook {
        all["status"] = json!(if note.firing { "firing" } else { "resolved" });
        all["endsAt"] = json!(ended.unwrap_or_else(|| NEVER.to_owned()));
        all["fingerprint"] = json!(&blake3::hash(note.name.as_bytes()).to_hex()[..16]);
    } else if let Some(ended) = ended {
        all["endsAt"] = json!(ended);
    }
    all
}

/// Its annotations, with what the platform knows beside them where they do not say it.
fn annotations(note: &AlertNote) -> BTreeMap<String, String> {
    let mut all = note.alert.annotations.clone();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            all.entry(name.to_owned()).or_insert(value);
        }
    };
    add("subject", note.alert.subject.clone());
    add("owner", note.alert.owner.clone());
    add("suspect", suspect(note));
    all
}

fn suspect(note: &AlertNote) -> Option<String> {
    let suspect = note.alert.suspect.as_ref()?;
    Some(format!("{}: {} ({})", suspect.object, suspect.change, suspect.why))
}

/// What all have in common.
fn shared<'a>(
    notes: &[&'a AlertNote],
    of: impl Fn(&'a AlertNote) -> &'a BTreeMap<String, String>,
) -> BTreeMap<&'a str, &'a str> {
    let Some((first, rest)) = notes.split_first() else { return BTreeMap::new() };
    let all = of(first)
        .iter()
        .filter(|(name, value)| rest.iter().all(|note| of(note).get(*name) == Some(value)));
    all.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Heading and text for people.
///
/// # Errors
/// What is wrong with the receiver's templates; sending again is of no use.
pub fn text(
    receiver: &Receiver,
    message: &Object<Notification>,
    address: &str,
) -> Result<(String, String), NotSent> {
    let mut names = names(receiver, message, address);
    if matches!(receiver.channel, Channel::Slack { .. }) {
        escape(&mut names);
    }
    let title = receiver.title.as_deref().unwrap_or(TITLE);
    let usual = if matches!(receiver.channel, Channel::Email { .. }) { MAIL } else { TEXT };
    let text = receiver.text.as_deref().unwrap_or(usual);
    Ok((render("title", title, &names)?, render("text", text, &names)?))
}

/// Writes what Slack takes for the beginnings of links, names and groups so that it shows them.
/// <https://api.slack.com/reference/surfaces/formatting#escaping>
fn escape(names: &mut Value) {
    match names {
        Value::String(text) => {
            *text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        }
        Value::Array(all) => all.iter_mut().for_each(escape),
        Value::Object(all) => all.values_mut().for_each(escape),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn render(field: &str, template: &str, names: &Value) -> Result<String, NotSent> {
    atoll_model::message::render(template, names)
        .map_err(|e| NotSent::never(format!("{field}: {e}; mend the receiver's template")))
}

/// The names templates may use.
fn names(receiver: &Receiver, message: &Object<Notification>, address: &str) -> Value {
    let notification = &message.spec;
    let notes = told(receiver, notification);
    let listed = notes.iter().filter(|note| note.firing).count();
    let firing = listed + notification.more as usize;
    let alerts: Vec<Value> = notes
        .iter()
        .map(|note| {
            let annotations = annotations(note);
            let summary = ["summary", "description", "message"];
            let summary = summary.into_iter().find_map(|name| annotations.get(name).cloned());
            json!({
                "name": note.alert.alertname(),
                "status": if note.firing { "firing" } else { "resolved" },
                "labels": note.alert.labels,
                "annotations": annotations,
                "summary": summary,
                "since": note.since.to_string(),
                "ended": note.ended.map(|at| at.to_string()),
                "subject": note.alert.subject,
                "owner": note.alert.owner,
                "suspect": suspect(note),
            })
        })
        .collect();
    let ended_beyond = ended_beyond(receiver, notification);
    let resolved = notes.len() - listed + ended_beyond as usize;
    json!({
        "status": status(notification),
        "cause": notification.cause,
        "receiver": notification.receiver,
        "group": notification.group,
        "labels": shared(&notes, |note| &note.alert.labels),
        "annotations": shared(&notes, |note| &note.alert.annotations),
        "firing": firing,
        "resolved": resolved,
        "alerts": alerts,
        "more": notification.more,
        "moreResolved": ended_beyond,
        "address": address,
        "notification": message.name(),
        "heading": heading(notification, firing, resolved),
    })
}

fn heading(notification: &Notification, firing: usize, resolved: usize) -> String {
    let group: Vec<&str> = notification.group.values().map(String::as_str).collect();
    let about = match group.join(" ") {
        about if about.is_empty() => notification.receiver.clone(),
        about => about,
    };
    match notification.cause {
        Cause::Heartbeat => "Alerting works".to_owned(),
        Cause::Resolved => format!("[RESOLVED] {about}"),
        Cause::Repeat => format!("[STILL FIRING:{firing}] {about}"),
        _ if resolved > 0 => format!("[FIRING:{firing}, {resolved} resolved] {about}"),
        _ => format!("[FIRING:{firing}] {about}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Receiver, Object<Notification>) {
        let receiver = serde_json::from_value(json!({
            "channel": { "webhook": { "url": "http://x" } }, "routes": [],
        }));
        let note = json!({
            "name": "web.1", "firing": true, "since": "2026-11-11T00:00:00Z",
            "alert": {
                "rule": "web", "group": "g",
                "labels": { "alertname": "Slow", "app": "shop" },
                "annotations": { "summary": "it is slow" },
                "subject": "deployment/shop.prod",
                "suspect": { "object": "release/shop-2", "change": "rolled out",
                    "at": "2026-11-11T00:00:00Z", "why": "just before" },
            },
        });
        let notification = serde_json::from_value(json!({
            "receiver": "ops", "key": "k", "group": { "alertname": "Slow" }, "number": 1,
            "cause": "new", "alerts": [note], "at": "2026-11-11T00:00:00Z",
        }));
        (receiver.unwrap(), Object::new("ops.k.1", notification.unwrap()))
    }

    #[test]
    fn slack_is_given_no_links_that_nobody_wrote() {
        let (mut receiver, mut message) = example();
        let labels = &mut message.spec.alerts[0].alert;
        labels.annotations.insert("summary".to_owned(), "<!channel> a & b".to_owned());
        let of = |receiver: &Receiver| text(receiver, &message, "http://a").unwrap().1;
        assert!(of(&receiver).contains("<!channel> a & b"));
        let slack = json!({ "slack": { "url": "http://x" } });
        receiver.channel = serde_json::from_value(slack).unwrap();
        assert!(of(&receiver).contains("&lt;!channel&gt; a &amp; b"), "{}", of(&receiver));
    }

    #[test]
    fn a_message_names_subject_and_suspect() {
        let (mut receiver, message) = example();
        let (title, text) = text(&receiver, &message, "http://a").unwrap();
        assert_eq!(title, "[FIRING:1] Slow");
        assert!(text.contains("deployment/shop.prod: it is slow"), "{text}");
        assert!(text.contains("likely cause: release/shop-2: rolled out"), "{text}");
        receiver.title = Some("{{ alerts[0].labels.app }} {{ status }}".to_owned());
        assert_eq!(super::text(&receiver, &message, "").unwrap().0, "shop firing");
        receiver.text = Some("{{ alerts | nonsense }}".to_owned());
        assert!(super::text(&receiver, &message, "").is_err_and(|not| not.permanent));
    }

    #[test]
    fn templates_are_checked_against_the_names_there_are() {
        let (receiver, message) = example();
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let (real, sample) = (names(&receiver, &message, ""), atoll_model::message::example());
        assert_eq!(keys(&real), keys(&sample));
        assert_eq!(keys(&real["alerts"][0]), keys(&sample["alerts"][0]));
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let (receiver, mut message) = example();
        message.spec.more = 9_800;
        let (title, text) = text(&receiver, &message, "http://a").unwrap();
        assert_eq!(title, "[FIRING:9801] Slow");
        assert!(text.ends_with("and 9800 more\n"), "{text}");
        assert_eq!(webhook(&receiver, &message, "")["truncatedAlerts"], json!(9_800));
        // What is not listed ends, too.
        (message.spec.more, message.spec.more_ended) = (0, 5_800);
        let (title, text) = super::text(&receiver, &message, "http://a").unwrap();
        assert_eq!(title, "[FIRING:1, 5800 resolved] Slow");
        assert!(text.ends_with("and 5800 more have ended\n"), "{text}");
        assert_eq!(webhook(&receiver, &message, "")["truncatedAlerts"], json!(5_800));
        let quiet = Receiver { send_resolved: false, ..receiver };
        assert_eq!(webhook(&quiet, &message, "")["truncatedAlerts"], json!(0));
    }

    #[test]
    fn a_mail_says_since_when_of_what_and_where_and_that_it_is_told_again() {
        let (mut receiver, mut message) = example();
        let email = json!({ "email": { "to": ["a@x"], "from": "b@x", "server": "x:25" } });
        receiver.channel = serde_json::from_value(email).unwrap();
        message.spec.cause = Cause::Repeat;
        let (title, text) = text(&receiver, &message, "http://a").unwrap();
        assert_eq!(title, "[STILL FIRING:1] Slow");
        assert_eq!(
            text,
            "* Slow — deployment/shop.prod: it is slow\n  since 2026-11-11T00:00:00.000Z\n  \
             likely cause: release/shop-2: rolled out (just before)\n  \
             labels: alertname=Slow app=shop\n\nhttp://a/alerts\n"
        );
    }

    #[test]
    fn the_webhook_is_alertmanagers() {
        let (receiver, message) = example();
        let body = webhook(&receiver, &message, "http://a");
        assert_eq!((&body["version"], &body["status"]), (&json!("4"), &json!("firing")));
        assert_eq!(body["alerts"][0]["endsAt"], json!(NEVER));
        assert_eq!(body["commonLabels"]["app"], json!("shop"));
        // Nothing ends because nobody speaks: it is told again after four hours.
        let listed = alertmanager(&receiver, &message.spec, "http://a");
        assert_eq!(listed[0]["endsAt"], json!("2026-11-11T00:10:00.000Z"));
        let route = serde_json::from_value(json!({ "repeatInterval": "4h" })).unwrap();
        let routed = Receiver { routes: vec![route], ..receiver.clone() };
        let listed = alertmanager(&routed, &message.spec, "http://a");
        assert_eq!(listed[0]["endsAt"], json!("2026-11-11T08:00:00.000Z"));
        let mut over = message.clone();
        over.spec.alerts[0].firing = false;
        over.spec.alerts[0].ended = Some(Timestamp(0));
        let listed = alertmanager(&receiver, &over.spec, "http://a");
        assert_eq!(listed[0]["endsAt"], json!("1970-01-01T00:00:00.000Z"));
        let quiet = Receiver { send_resolved: false, ..receiver };
        assert_eq!(alertmanager(&quiet, &over.spec, ""), json!([]));
    }
}
