//! The server's certificates: an own CA made on first start and kept, and a certificate signed by
//! it for the names the server goes by; or those an operator gives. Not who may connect.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A CA: its certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The certificate; public.
    pub certificate: String,
    /// The key; never leaves the server.
    pub key: String,
}

/// Certificates an operator gives instead of the own CA's.
#[derive(Clone, Debug)]
pub struct Given {
    /// The chain, in PEM.
    pub chain: String,
    /// The key, in PEM.
    pub key: String,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
#[error("could not prepare TLS: {0}")]
pub struct TlsError(String);

fn wrong(error: impl std::fmt::Display) -> TlsError {
    TlsError(error.to_string())
}

impl Authority {
    /// Makes a new CA.
    ///
    /// # Errors
    /// When keys cannot be made.
    pub fn create() -> Result<Authority, TlsError> {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Atoll CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = rcgen::date_time_ymd(2126, 1, 1);
        let certificate = params.self_signed(&key).map_err(wrong)?;
        Ok(Authority { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// BLAKE3 of the certificate, in hex: what join tokens carry.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// Signs a certificate for a server of these names and addresses.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue(&self, names: &[String]) -> Result<Given, TlsError> {
        let ca_key = KeyPair::from_pem(&self.key).map_err(wrong)?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, ca_key).map_err(wrong)?;
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
        params.distinguished_name = named("Atoll server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_after = rcgen::date_time_ymd(2126, 1, 1);
        let certificate = params.signed_by(&key, &issuer).map_err(wrong)?;
        let chain = format!("{}{}", certificate.pem(), self.certificate);
        Ok(Given { chain, key: key.serialize_pem() })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// BLAKE3 of a certificate's PEM text without its white space, in hex.
pub fn fingerprint(pem: &str) -> String {
    let text: String = pem.split_ascii_whitespace().collect();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The names a server listening on this address goes by.
pub fn names(listen: IpAddr, advertise: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Some(host) = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()) {
        names.push(host);
    }
    if listen.is_unspecified() {
        let addresses = nix::ifaddrs::getifaddrs().into_iter().flatten();
        names.extend(addresses.filter_map(|a| {
            let address = a.address?;
            let v4 = address.as_sockaddr_in().map(|a| a.ip().to_string());
            v4.or_else(|| address.as_sockaddr_in6().map(|a| a.ip().to_string()))
        }));
    } else {
        names.push(listen.to_string());
    }
    if let Some(url) = advertise {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    names.sort();
    names.dedup();
    names
}

/// Makes the configuration of a TLS server.
///
/// # Errors
/// When certificate and key do not fit together.
pub fn server_config(given: &Given) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(given.chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_slice(given.key.as_bytes()).map_err(wrong)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_signs_for_the_names_a_server_goes_by() {
        let authority = Authority::create().unwrap();
        let names = names("10.1.2.3".parse().unwrap(), Some("https://ops.example:7411/x"));
        for name in ["localhost", "127.0.0.1", "10.1.2.3", "ops.example"] {
            assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
        }
        server_config(&authority.issue(&names).unwrap()).unwrap();
        assert_ne!(authority.fingerprint(), Authority::create().unwrap().fingerprint());
    }
}
