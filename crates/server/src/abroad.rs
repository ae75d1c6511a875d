//! Whom the server never asks, whoever names the address: link-local places and the other addresses
//! where clouds keep the credentials of their machines. Private and loopback addresses are asked,
//! as that is where people run their forges and receivers; what those answer is shown to nobody.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};

/// Metadata services that are not at a link-local address: those of Alibaba and AWS.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether an address is never asked.
pub fn is_forbidden(ip: IpAddr) -> bool {
    match ip {
        _ if METADATA.contains(&ip) => true,
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            let link_local = (ip.segments()[0] & 0xffc0) == 0xfe80;
            link_local || inside(ip).is_some_and(|ip| is_forbidden(IpAddr::V4(ip)))
        }
    }
}

/// The address of version 4 that one of version 6 stands for: mapped, or behind NAT64.
fn inside(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = ip.octets();
    let nat64 = ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    ip.to_ipv4_mapped().or_else(|| nat64.then(|| Ipv4Addr::new(a, b, c, d)))
}

/// Checks an address as it is written; names are looked at when they are resolved.
///
/// # Errors
/// It is one that is never asked.
pub fn check(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(ip) if is_forbidden(ip) => Err(refusal(host)),
        _ => Ok(()),
    }
}

/// What is said of one that is never asked.
pub fn refusal(host: &str) -> String {
    format!("{host} is link-local or a metadata service, which is never asked")
}

/// A client that asks none of them, itself or by a redirect; at most so many are followed. The
/// first address is for the caller to [`check`].
pub fn guarded(builder: ClientBuilder, redirects: usize) -> ClientBuilder {
    let policy = Policy::custom(move |attempt| match check(attempt.url()) {
        _ if redirects == 0 => attempt.stop(),
        _ if attempt.previous().len() > redirects => attempt.error("it redirects too often"),
        Err(why) => attempt.error(why),
        Ok(()) => attempt.follow(),
    });
    builder.redirect(policy).dns_resolver(Arc::new(Names))
}

/// Names as the system knows them, but for those of forbidden places.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|at| is_forbidden(at.ip())) {
                return Err(io::Error::other(refusal(name.as_str())).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_never_asked() {
        for text in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
        ] {
            assert!(check(&Url::parse(text).unwrap()).is_err(), "{text}");
        }
        for text in ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://h/"] {
            assert!(check(&Url::parse(text).unwrap()).is_ok(), "{text}");
        }
    }
}
