//! Fetches the certificate of a server's own CA, and believes it only if its fingerprint is the one
//! a join token carries, or if a person takes the risk. Nothing else is ever asked over a
//! connection that is not verified.

use std::time::Duration;

use crate::error::ClientError;

/// A CA's certificate is small; a server that is there answers within this time.
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 64 << 10;

/// The certificate, in PEM, of the CA whose fingerprint this is; without a fingerprint, of
/// whichever the server shows now, which may be that of somebody in between.
///
/// # Errors
/// No server answered, or none has that CA.
pub async fn fetch_authority(
    servers: &[String],
    fingerprint: Option<&str>,
) -> Result<String, ClientError> {
    let unreachable = |why: String| ClientError::Unreachable { servers: servers.to_vec(), why };
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE)
        .build()
        .map_err(|e| unreachable(e.to_string()))?;
    let mut last = unreachable("no server is named".to_owned());
    for server in servers {
        let asked = async {
            let answer = http.get(format!("{server}/v1/ca")).send().await?;
            answer.error_for_status()?.text().await
        };
        match asked.await {
            Ok(pem)
                if pem.len() <= LARGEST
                    && fingerprint.is_none_or(|wanted| fingerprint_of(&pem) == wanted) =>
            {
                return Ok(pem);
            }
            Ok(_) => last = ClientError::Distrusted { server: server.clone() },
            Err(error) => last = unreachable(error.to_string()),
        }
    }
    Err(last)
}

/// BLAKE3 of a certificate's PEM text without its white space, in hex.
pub fn fingerprint_of(pem: &str) -> String {
    let text: String = pem.split_ascii_whitespace().collect();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
