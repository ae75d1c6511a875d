//! Mail, over SMTP. What it says is in `message.rs`.

use std::path::Path;

use atoll_model::notification::{Channel, MailEncryption};
use atoll_model::{Notification, Object, Receiver};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{NotSent, message};
use crate::metrics::remote::{chain, read_secret};

/// Sends one message; the caller bounds the time.
///
/// # Errors
/// See [`NotSent`].
pub async fn send(
    receiver: &Object<Receiver>,
    notification: &Object<Notification>,
    address: &str,
) -> Result<(), NotSent> {
    let Channel::Email { to, from, server, encryption, user, password_file } =
        &receiver.spec.channel
    else {
        return Err(NotSent::never("the receiver is not told by mail"));
    };
    let mail = compose(receiver, notification, address, from, to)?;
    let (host, port) = server
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(|| NotSent::never(format!("{server:?} is not HOST:PORT")))?;
    let host = host.trim_matches(['[', ']']);
    let tls =
        || TlsParameters::new(host.to_owned()).map_err(|e| NotSent::later(format!("TLS: {e}")));
    let tls = match encryption {
        MailEncryption::None => Tls::None,
        MailEncryption::Starttls => Tls::Required(tls()?),
        MailEncryption::Tls => Tls::Wrapper(tls()?),
    };
    let mut transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls);
    if let Some(user) = user {
        let password = match password_file {
            Some(file) => read_secret(&Path::new(file).to_path_buf()).await,
            None => Ok(String::new()),
        };
        let password = password.map_err(NotSent::later)?;
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    let sent = transport.timeout(Some(receiver.spec.timeout.std())).build().send(mail).await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => Err(NotSent {
            why: format!("{server}: {}", chain(&error)),
            permanent: error.is_permanent(),
        }),
    }
}

fn compose(
    receiver: &Object<Receiver>,
    notification: &Object<Notification>,
    address: &str,
    from: &str,
    to: &[String],
) -> Result<Message, NotSent> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|e| NotSent::never(format!("{text:?} is not a mail address: {e}")))
    };
    let (title, text) = message::text(&receiver.spec, notification, address)?;
    let sender = mailbox(from)?;
    // The same for every attempt, so that mail programs show one message where two arrive.
    let domain = sender.email.domain().to_owned();
    let id = format!("<{}@{domain}>", notification.name());
    let mut mail = Message::builder().from(sender).message_id(Some(id));
    for one in to {
        mail = mail.to(mailbox(one)?);
    }
    let subject: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut mail = mail
        .subject(subject)
        .body(text)
        .map_err(|e| NotSent::never(format!("could not write the mail: {e}")))?;
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(mail)
}
