//! How a server with a CA of its own is trusted the first time: by the fingerprint a person or a
//! join token brought along. Once the CA's certificate is known, it is trusted like any other.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// The time a server has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which CA is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Believed {
    /// The one with this fingerprint.
    Fingerprint(String),
    /// Whichever the server shows this first time. Somebody in between could show their own.
    First,
}

/// Asks a server for its certificates and returns that of its CA, in PEM. Blocks.
///
/// **Invariant:** nothing is sent to, or believed of, a server before its CA has been found to be
/// the one expected.
///
/// # Errors
/// The server is not reached, speaks no TLS, or does not show such a certificate.
pub fn fetch_ca(server: &str, believed: &Believed) -> anyhow::Result<String> {
    let chain = certificates(server).with_context(|| format!("asking {server} for its CA"))?;
    let mut shown = chain.iter().map(|c| pem(c));
    match believed {
        // The chain ends with the authority, or is the certificate alone.
        Believed::First => {
            shown.next_back().ok_or_else(|| anyhow!("{server} shows no certificate"))
        }
        Believed::Fingerprint(wanted) => {
            let wanted = wanted.trim().to_ascii_lowercase();
            shown.find(|pem| fingerprint(pem) == wanted).ok_or_else(|| {
                anyhow!(
                    "{server} shows no CA with the fingerprint {wanted}; \
                     it is another server than the one meant, or stands behind a proxy"
                )
            })
        }
    }
}

/// BLAKE3 of a certificate's PEM text without its white space, in hex.
pub fn fingerprint(pem: &str) -> String {
    let text: String = pem.split_ascii_whitespace().collect();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn certificates(server: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let (host, port) = address(server)?;
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Look(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.clone()).context("the name of the server")?;
    let mut tls = ClientConnection::new(Arc::new(config), name)?;
    let address = (host.as_str(), port).to_socket_addrs()?.next().context("it has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    let chain = tls.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|c| c.clone().into_owned()).collect())
}

/// Host and port of `https://host[:port]`.
fn address(server: &str) -> anyhow::Result<(String, u16)> {
    let Some(rest) = server.strip_prefix("https://") else {
        bail!("a fingerprint goes with https://, which {server} is not");
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().context("the port")?),
        _ => (authority, 443),
    };
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = base64(certificate);
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Looks at certificates without believing them: the fingerprint decides afterwards.
#[derive(Debug)]
struct Look(Arc<CryptoProvider>);

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_everybody_reads_them() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe, 0x00]), "+//+AA==");
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(address("https://a:1/").unwrap(), ("a".to_owned(), 1));
        assert_eq!(address("https://[::1]:7411").unwrap(), ("::1".to_owned(), 7411));
        assert_eq!(address("https://[::1]").unwrap(), ("::1".to_owned(), 443));
        assert!(address("http://a:1").is_err());
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_line_breaks() {
        let one = pem(&CertificateDer::from(vec![7; 100]));
        assert_eq!(fingerprint(&one), fingerprint(&one.replace('\n', "\r\n")));
    }
}
