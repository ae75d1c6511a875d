//! Signs what the pipelines here have made, on the replica that leads, with a key made on first
//! start and kept as the CA's is. What is signed, and whether it may be, is the planners' business.

use std::fmt;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Reason, provenance};
use atoll_plan::Context;
use atoll_plan::delivery::package;
use atoll_store::Store;

use crate::App;
use crate::commit::Refusal;

/// Where the key is kept.
const NAME: &str = "pki/provenance";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// It is looked at least this often, whatever signals were lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The secret key packages are signed with. It never leaves the server, nor stands in a log.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads the key kept with the state, or makes it. Replicas that start at once agree on one:
    /// the name is given once, and who comes second reads what came first.
    ///
    /// # Errors
    /// The store's; a kept key that is damaged.
    pub async fn kept(store: &Store) -> Result<SigningKey, String> {
        let wrong = |error: atoll_store::Error| error.to_string();
        if store.get_blob(NAME).await.map_err(wrong)?.is_none() {
            let mut made = [0; 32];
            getrandom::fill(&mut made).map_err(|e| format!("no random bytes for a key: {e}"))?;
            store.put_blob(NAME, &made).await.map_err(wrong)?;
        }
        let bytes = store.get_blob(NAME).await.map_err(wrong)?.unwrap_or_default();
        let key = <[u8; 32]>::try_from(&bytes[..]);
        key.map(SigningKey).map_err(|_| "the kept key of packages is damaged".to_owned())
    }

    /// The public key that belongs to it, in hex.
    pub fn public(&self) -> String {
        provenance::public_key(&self.0)
    }
}

/// Signs until the server stops.
pub async fn run(app: App) {
    let mut follow = app.cache.follow();
    loop {
        tokio::select! {
            _ = follow.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Some(epoch) = app.epoch() {
            for name in package::unsigned(&app.cache.world()) {
                let make = |cx: &Context| {
                    Ok::<_, Vec<Reason>>(package::signed(cx, &name, &app.signing_key.0))
                };
                let actor = Actor::controller("provenance");
                match app.commit(&actor, Some(epoch), make).await {
                    Ok(_) | Err(Refusal::Store(atoll_store::CommitError::Fenced { .. })) => {}
                    Err(error) => tracing::warn!("could not sign package/{name}: {error}"),
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
