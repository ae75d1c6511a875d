//! Encrypted connections of probes: whom they trust, and when the certificates shown to them end,
//! those of no value included.

use std::sync::{Arc, Mutex, PoisonError};

use atoll_model::{Span, Timestamp};
use rustls::client::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::Authority;

/// Says who is trusted.
pub(super) type Trust = Arc<dyn ServerCertVerifier>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What the machine trusts, and our own CA where there is one.
pub(super) fn trust(own: Option<&str>) -> Result<Trust, String> {
    let own: Vec<CertificateDer<'static>> = match own {
        Some(pem) => CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| format!("the own CA cannot be read: {e}"))?,
        None => Vec::new(),
    };
    let found = Verifier::new_with_extra_roots(own, provider());
    let verifier = found.or_else(|error| {
        // A machine without any certificates can still look at what is not encrypted. A CA whose
        // key is thrown away stands for nobody, as there must be one.
        tracing::warn!("monitors trust no certificate: {error}");
        let nobody = Authority::create().map_err(|e| e.to_string())?;
        let nobody = CertificateDer::from_pem_slice(nobody.certificate.as_bytes());
        let nobody = nobody.map_err(|e| e.to_string())?;
        Verifier::new_with_extra_roots([nobody], provider()).map_err(|e| e.to_string())
    })?;
    Ok(Arc::new(verifier))
}

/// The configuration of a connection that trusts as told.
pub(super) fn config(trust: Trust) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(trust);
    Ok(builder.with_no_client_auth())
}

/// Connects and looks at the certificates: when the first of them ends, in seconds since 1970, if
/// any was shown, and whether all is well.
pub(super) async fn look(
    trust: &Trust,
    address: &str,
    name: Option<&str>,
    valid_for: Span,
    now: Timestamp,
) -> (Option<i64>, Result<(), String>) {
    let seen = Arc::new(Seen { trust: trust.clone(), ends: Mutex::new(None) });
    let outcome = connect(seen.clone(), address, name).await;
    let ends = *seen.ends.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = outcome.and_then(|()| match ends {
        Some(end) => {
            let end = Timestamp(end.saturating_mul(1000));
            if end >= now + valid_for {
                return Ok(());
            }
            let left = Span::seconds(end.since(now).0 / 1000);
            Err(format!("its certificate ends in {left}, sooner than {valid_for}"))
        }
        None => Err("no certificate that can be read was shown".to_owned()),
    });
    (ends, outcome)
}

async fn connect(seen: Arc<Seen>, address: &str, name: Option<&str>) -> Result<(), String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = name.unwrap_or(host.trim_matches(['[', ']'])).to_owned();
    let wrong = |_| format!("{name:?} is not a name a certificate can be for");
    let server = ServerName::try_from(name.clone()).map_err(wrong)?;
    let stream = TcpStream::connect(address).await.map_err(|e| format!("connecting: {e}"))?;
    let connector = TlsConnector::from(Arc::new(config(seen)?));
    let connected = connector.connect(server, stream).await;
    connected.map(drop).map_err(|error| match in_words(&error) {
        Some(said) => format!("TLS as {name}: {said}"),
        None => format!("TLS as {name}: {error}"),
    })
}

/// What is wrong with the certificate that was shown, in words for people, where an error comes of
/// one of the usual causes.
pub(super) fn in_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // What an error of input and output holds is not among its sources.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let held = held.and_then(|held| held.downcast_ref::<Error>());
        if let Some(Error::InvalidCertificate(wrong)) = held.or(error.downcast_ref::<Error>()) {
            return of_certificate(wrong);
        }
        next = error.source();
    }
    None
}

fn of_certificate(wrong: &CertificateError) -> Option<String> {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, Other, UnknownIssuer,
    };
    let at = |time: &UnixTime| {
        Timestamp(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
    };
    Some(match wrong {
        Expired => "its certificate has expired".to_owned(),
        ExpiredContext { not_after, .. } => format!("its certificate expired at {}", at(not_after)),
        NotValidYet => "its certificate is not valid yet".to_owned(),
        NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", at(not_before))
        }
        UnknownIssuer => {
            "its certificate was issued by somebody whom this machine does not trust".to_owned()
        }
        NotValidForName => "its certificate is for another name".to_owned(),
        NotValidForNameContext { expected, presented } => {
            let names = presented.join(", ");
            format!("its certificate is for {names} and not for {}", expected.to_str())
        }
        // A self-signed certificate is usually made as one of an authority.
        Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is one for issuing others, as self-signed ones are, and not a server's"
                .to_owned()
        }
        _ => return None,
    })
}

/// When a certificate ends, in seconds since 1970.
pub(super) fn end(certificate: &[u8]) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// Notes when the certificates end, and leaves it to another to trust them.
#[derive(Debug)]
struct Seen {
    trust: Trust,
    ends: Mutex<Option<i64>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let earliest = all.filter_map(|certificate| end(certificate)).min();
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = earliest;
        self.trust.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::OtherError;

    use super::*;

    #[test]
    fn usual_causes_are_said_in_words() {
        let bare = |wrong| in_words(&Error::InvalidCertificate(wrong));
        let held = |wrong| in_words(&std::io::Error::other(Error::InvalidCertificate(wrong)));
        assert_eq!(held(CertificateError::Expired).as_deref(), Some("its certificate has expired"));
        let other = std::io::Error::other("CaUsedAsEndEntity");
        let ca = held(CertificateError::Other(OtherError(Arc::new(other)))).unwrap();
        assert!(ca.contains("for issuing others"), "{ca}");
        let name = bare(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("a.example").unwrap(),
            presented: vec!["b.example".to_owned()],
        });
        let expected = "its certificate is for b.example and not for a.example";
        assert_eq!(name.as_deref(), Some(expected));
        assert_eq!(bare(CertificateError::BadEncoding), None);
    }
}
