//! Who is told of alerts and how, and every message to them. Not when one is made or sent, which is
//! the planner of alerts and the server that leads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::alerting::Alert;
use crate::cmdb::explained;
use crate::matcher::check_matchers;
use crate::message;
use crate::name::{self, Invalid};
use crate::object::{Explained, Reason, Spec};
use crate::time::{Span, Timestamp};

/// Somebody who is told of alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receiver {
    /// How they are told.
    pub channel: Channel,
    /// Of what they are told; the first route that matches an alert decides how.
    pub routes: Vec<AlertRoute>,
    /// Whether they are told that an alert has ended.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// The heading of a message, a minijinja template; a usual one, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The text of a message, a minijinja template; a usual one, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A dead-man's switch: a message so often, for as long as alerting works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Span>,
    /// How long an answer may take.
    #[serde(default = "Receiver::usual_timeout")]
    pub timeout: Span,
}

impl Receiver {
    fn usual_timeout() -> Span {
        Span::seconds(10)
    }
}

fn yes() -> bool {
    true
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Channel {
    /// Posts JSON, in the form of Alertmanager's webhook.
    #[serde(rename_all = "camelCase")]
    Webhook {
        /// Where to.
        url: String,
        /// A file on the server with a bearer token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<String>,
    },
    /// Sends mail.
    #[serde(rename_all = "camelCase")]
    Email {
        /// To whom.
        to: Vec<String>,
        /// From whom.
        from: String,
        /// The mail server, `HOST:PORT`.
        server: String,
        /// Whether and how the connection is encrypted.
        #[serde(default)]
        encryption: MailEncryption,
        /// The user to log in as.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// A file on the server with the password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password_file: Option<String>,
    },
    /// Posts to a Slack-compatible incoming webhook.
    #[serde(rename_all = "camelCase")]
    Slack {
        /// Where to; it holds a secret, so rather give `urlFile`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// A file on the server with the address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url_file: Option<String>,
        /// The channel, where it is not the webhook's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
    },
    /// Posts to Alertmanager's API, version 2.
    Alertmanager {
        /// Where it is, `http://…`; all of them are told.
        urls: Vec<String>,
    },
}

impl Channel {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Channel::Webhook { .. } => "webhook",
            Channel::Email { .. } => "email",
            Channel::Slack { .. } => "slack",
            Channel::Alertmanager { .. } => "alertmanager",
        }
    }
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailEncryption {
    /// It begins plain and turns to TLS, or is given up.
    #[default]
    Starttls,
    /// TLS from the start.
    Tls,
    /// Not at all.
    None,
}

/// Which alerts a receiver is told of, and how they are put together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRoute {
    /// The alerts all of these match; all alerts, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
    /// Only alerts that no other receiver is told of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub otherwise: bool,
    /// Alerts with the same values of these labels are one message; all in one, if empty.
    #[serde(default = "AlertRoute::usual_group")]
    pub group_by: Vec<String>,
    /// How long the first message waits for more.
    #[serde(default = "AlertRoute::usual_wait")]
    pub group_wait: Span,
    /// How long until the next message of a group that has changed.
    #[serde(default = "AlertRoute::usual_interval")]
    pub group_interval: Span,
    /// How long until a message is sent again although nothing has changed.
    #[serde(default = "AlertRoute::usual_repeat")]
    pub repeat_interval: Span,
}

impl AlertRoute {
    fn usual_group() -> Vec<String> {
        vec!["alertname".to_owned(), "deployment".to_owned()]
    }
    fn usual_wait() -> Span {
        Span::seconds(10)
    }
    fn usual_interval() -> Span {
        Span::seconds(300)
    }
    fn usual_repeat() -> Span {
        Span::seconds(4 * 3600)
    }
}

/// Whether a receiver can be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// When a message last got through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Timestamp>,
    /// Messages that wait or are tried again.
    #[serde(default)]
    pub waiting: u32,
    /// What stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl Spec for Receiver {
    const KIND: Kind = Kind::Receiver;
    type Status = ReceiverStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        let web = |url: &str| {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']))
        };
        match &self.channel {
            Channel::Webhook { url, .. } => {
                invalid.add_if(!web(url), "channel.webhook.url", "is not an http address");
            }
            Channel::Email { to, from, server, .. } => {
                invalid.add_if(to.is_empty(), "channel.email.to", "is empty");
                let wrong = |address: &&String| !is_mail_address(address);
                for address in to.iter().filter(wrong) {
                    let message = format!("{address:?} is not an address like ops@example.org");
                    invalid.add("channel.email.to", message);
                }
                let message = format!("{from:?} is not an address like atoll@example.org");
                invalid.add_if(!is_mail_address(from), "channel.email.from", message);
                let port = server.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
                let host = server.rsplit_once(':').is_some_and(|(host, _)| !host.is_empty());
                let message = format!("{server:?} is not HOST:PORT");
                invalid.add_if(port.is_none() || !host, "channel.email.server", message);
            }
            Channel::Slack { url, url_file, .. } => {
                let wrong = url.as_deref().is_some_and(|url| !web(url));
                invalid.add_if(wrong, "channel.slack.url", "is not an http address");
                invalid.add_if(
                    url.is_some() == url_file.is_some(),
                    "channel.slack",
                    "give one of url and urlFile",
                );
            }
            Channel::Alertmanager { urls } => {
                invalid.add_if(urls.is_empty(), "channel.alertmanager.urls", "is empty");
                let wrong = urls.iter().any(|url| !web(url));
                invalid.add_if(wrong, "channel.alertmanager.urls", "holds no http address");
            }
        }
        for (i, route) in self.routes.iter().enumerate() {
            let path = format!("routes[{i}]");
            invalid.nest(&path, check_matchers("matchers", &route.matchers));
            let short = route.group_interval.0 < 1000 || route.repeat_interval.0 < 1000;
            invalid.add_if(short, &path, "groupInterval or repeatInterval is less than 1s");
        }
        for (field, template) in [("title", &self.title), ("text", &self.text)] {
            let wrong = template.as_deref().and_then(|template| message::check(template).err());
            let wrong = wrong.map(|wrong| format!("is not a template: {wrong}"));
            invalid.add_if(wrong.is_some(), field, wrong.unwrap_or_default());
        }
        invalid.add_if(self.heartbeat.is_some_and(|h| h.0 < 1000), "heartbeat", "is less than 1s");
        invalid.into_result()
    }
}

/// `NAME@HOST`, with or without words before it in front of `<`.
fn is_mail_address(text: &str) -> bool {
    let inner = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let blank = |part: &str| part.is_empty() || part.contains(char::is_whitespace);
    inner.rsplit_once('@').is_some_and(|(name, host)| !blank(name) && !blank(host))
}

/// One message to one receiver, made by the planner and sent by the server that leads. Its object
/// is named `RECEIVER.GROUP.NUMBER`; the newest of a group is what is known to have been told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notification {
    /// To whom.
    pub receiver: String,
    /// Tells the group apart from the receiver's others.
    pub key: String,
    /// The labels its alerts have in common.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, String>,
    /// Counts the messages of a group.
    pub number: u64,
    /// Why it is sent.
    pub cause: Cause,
    /// What is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertNote>,
    /// So many alerts fire beyond those listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// So many alerts at least have ended beyond those listed: they were counted when they fired.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_ended: u32,
    /// Alerts that were told of before and are kept quiet since; they have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silenced: Vec<String>,
    /// Alerts that were told to fire before and are not listed here, as there are too many; whether
    /// they have ended is told later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<String>,
    /// A checksum of the names of all alerts that fire, listed or not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// When it was made.
    pub at: Timestamp,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The group is new.
    New,
    /// It has changed.
    Changed,
    /// It is still as it was.
    Repeat,
    /// All of it has ended.
    Resolved,
    /// Alerting works; nothing else is said.
    Heartbeat,
}

/// An alert as it was when a message was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertNote {
    /// The alert object.
    pub name: String,
    /// Whether it fires; otherwise it has ended.
    pub firing: bool,
    /// When it began to fire.
    pub since: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The alert itself.
    pub alert: Alert,
}

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationStatus {
    /// In one word.
    #[serde(default)]
    pub phase: NotificationPhase,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// When it was sent, or last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// The state of a message in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotificationPhase {
    /// It is to be sent.
    #[default]
    Pending,
    /// It got through.
    Sent,
    /// It did not, and a newer one of its group says more, or it is too late.
    Abandoned,
}

explained!(ReceiverStatus, NotificationStatus);

impl Spec for Notification {
    const KIND: Kind = Kind::Notification;
    type Status = NotificationStatus;

    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn validate_name(name: &str, _: &Notification) -> Result<(), Invalid> {
        name::check_derived(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(channel: serde_json::Value) -> String {
        let spec = serde_json::json!({ "channel": channel, "routes": [] });
        let receiver: Receiver = serde_json::from_value(spec).unwrap();
        receiver.validate().map_or_else(|wrong| wrong.to_string(), |()| String::new())
    }

    #[test]
    fn a_receiver_that_nobody_could_reach_is_refused() {
        let mail = |to: &str, from: &str, server: &str| {
            let mail = serde_json::json!({ "to": [to], "from": from, "server": server });
            wrong(serde_json::json!({ "email": mail }))
        };
        assert_eq!(mail("Ops <ops@example.org>", "a@b", "mail:25"), "");
        assert!(mail("nobody", "a@b", "mail:25").contains("channel.email.to: \"nobody\""));
        assert!(mail("a@b", "", "mail:25").contains("channel.email.from"));
        for server in ["mail", ":25", "mail:smtp"] {
            assert!(mail("a@b", "a@b", server).contains("channel.email.server"), "{server}");
        }
        let hook = |url: &str| wrong(serde_json::json!({ "webhook": { "url": url } }));
        assert_eq!(hook("http://[::1]:9095/alerts?x"), "");
        assert!(["http://", "http:///x", "ftp://x", ""].iter().all(|url| !hook(url).is_empty()));
        let slack = |url: &str| wrong(serde_json::json!({ "slack": { "url": url } }));
        assert!(slack("ftp://x").contains("channel.slack.url"));
    }
}
