//! Hearing from PostgreSQL that another replica has committed, and telling the others.
//!
//! All of it is a hint that makes a poll come early. Nothing depends on a notification arriving,
//! so none is sent within a commit, where it would make the committers wait for each other.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_postgres::{AsyncMessage, Config, NoTls};

use crate::types::{Error, Result};

/// How long to wait before the first attempt to connect again, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// No more than one notification is sent in this time.
const THROTTLE: Duration = Duration::from_millis(5);

/// Listens for ever, connecting again whenever the connection is lost.
pub(crate) async fn listen(config: Config, news: watch::Sender<()>, committed: Arc<Notify>) {
    let mut pause = PAUSE.0;
    loop {
        let mut connected = false;
        let lost = listen_once(&config, &news, &committed, &mut connected).await;
        if connected {
            pause = PAUSE.0;
        }
        if let Err(error) = lost {
            tracing::warn!(%error, "lost touch with the other replicas, polling meanwhile");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn listen_once(
    config: &Config,
    news: &watch::Sender<()>,
    committed: &Notify,
    connected: &mut bool,
) -> Result<()> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let (heard, mut notifications) = mpsc::channel(64);
    // Ends with the connection, which ends when the client is dropped.
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message
                && heard.send(notification.process_id()).await.is_err()
            {
                break;
            }
        }
    });
    client.batch_execute("LISTEN atoll_commits").await?;
    let ourselves: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
    *connected = true;
    // Whatever was said before is unknown.
    news.send_replace(());
    loop {
        tokio::select! {
            heard = notifications.recv() => match heard {
                Some(process) if process == ourselves => {}
                Some(_) => { news.send_replace(()); }
                None => return Err(Error::Unavailable("the connection was closed".to_owned())),
            },
            () = committed.notified() => {
                client.batch_execute("NOTIFY atoll_commits").await?;
                tokio::time::sleep(THROTTLE).await;
            }
        }
    }
}
