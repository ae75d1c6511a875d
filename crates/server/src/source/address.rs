//! Addresses of repositories: which there may be, how git is let speak to one, and where redirects
//! may lead. An address that a person configured is taken as it is; where it is redirected to, is
//! not known to anybody, so it must not be a private place.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use reqwest::Url;
use reqwest::header::LOCATION;

use crate::abroad;
use crate::metrics::remote::chain;

/// Redirects that are followed at most.
const MOST_REDIRECTS: usize = 5;
/// A server of repositories answers within this time.
const PATIENCE: Duration = Duration::from_secs(15);
/// How ssh is run: it never asks, and remembers nothing.
pub(super) const SSH: &str =
    "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=15";

/// An address git may speak to.
#[derive(Clone, Debug)]
pub struct Address {
    /// As git is told it.
    pub url: String,
    protocol: &'static str,
    /// The host's name, its port, and the address it was found to have.
    pinned: Option<(String, u16, IpAddr)>,
    credential: Option<String>,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AddressError {
    /// It is none git may speak to, whoever tries.
    #[error("{0}")]
    Refused(String),
    /// It did not answer; it may later.
    #[error("{0}")]
    Unreachable(String),
}

impl Address {
    /// Reads an address, and follows where it redirects to. One of this machine is below one of
    /// the directories in `local`.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub async fn find(
        git: &str,
        credential: Option<String>,
        local: &[PathBuf],
    ) -> Result<Address, AddressError> {
        let refused = |why: String| AddressError::Refused(why);
        let url = match Url::parse(git) {
            Ok(url) => url,
            // `git@host:path` is how people write an address of ssh.
            Err(_) if is_scp(git) => {
                let host = git.split(['@', ':']).nth(1).unwrap_or_default();
                if let Ok(url) = Url::parse(&format!("ssh://{host}")) {
                    abroad::check(&url).map_err(refused)?;
                }
                let url = git.to_owned();
                return Ok(Address { url, protocol: "ssh", pinned: None, credential: None });
            }
            Err(e) => return Err(refused(format!("{git:?} is no address: {e}"))),
        };
        match url.scheme() {
            "file" => Address::file(&url, local),
            "ssh" => {
                abroad::check(&url).map_err(refused)?;
                Ok(Address { url: url.into(), protocol: "ssh", pinned: None, credential: None })
            }
            "http" | "https" => Address::redirected(url, credential).await,
            other => {
                Err(refused(format!("{other}: is not spoken; use https://, ssh:// or file://")))
            }
        }
    }

    /// A repository of this machine, named by a person, where they may be.
    fn file(url: &Url, local: &[PathBuf]) -> Result<Address, AddressError> {
        let refused = |why: &str| Err(AddressError::Refused(format!("{url}: {why}")));
        let Ok(path) = url.to_file_path() else { return refused("is no path of this machine") };
        // Where links lead is what counts; what is not there is told as outside, too.
        let real = |path: &Path| path.canonicalize().ok();
        let found = real(&path).filter(|path| {
            local.iter().filter_map(|dir| real(dir)).any(|dir| path.starts_with(dir))
        });
        match found {
            Some(found) => Ok(Address::here(&found)),
            None => refused("is not below a directory the server was given with --repositories"),
        }
    }

    /// A repository in a directory of this machine.
    pub fn here(dir: &Path) -> Address {
        let url = format!("file://{}", dir.display());
        Address { url, protocol: "file", pinned: None, credential: None }
    }

    /// Asks as git would, and follows redirects as long as they lead to public places.
    async fn redirected(first: Url, credential: Option<String>) -> Result<Address, AddressError> {
        let host = first.host_str().unwrap_or_default().to_owned();
        let mut url = first;
        let mut pinned = None;
        for _ in 0..=MOST_REDIRECTS {
            let ours = url.host_str() == Some(&host);
            let found = resolve(&url).await?;
            if found.iter().any(|at| abroad::is_forbidden(at.ip())) {
                let host = url.host_str().unwrap_or_default();
                return Err(AddressError::Refused(abroad::refusal(host)));
            }
            if !ours && let Some(private) = found.iter().find(|at| !is_public(at.ip())) {
                let (to, at) = (url.host_str().unwrap_or_default(), private.ip().to_string());
                let message = match to.trim_matches(['[', ']']) == at {
                    true => format!("{host} redirects to {at}, which is a private address"),
                    false => format!("{host} redirects to {to}, which is the private address {at}"),
                };
                return Err(AddressError::Refused(message));
            }
            let at = found.first().copied();
            // A secret goes to the host it was meant for, and to no other.
            let secret = credential.clone().filter(|_| ours);
            let next = probe(&url, &found, secret.as_deref()).await?;
            let named = url.host_str().unwrap_or_default().to_owned();
            pinned = at.map(|at| (named, at.port(), at.ip())).or(pinned);
            let Some(next) = next else {
                let protocol = if url.scheme() == "https" { "https" } else { "http" };
                let url = url.as_str().trim_end_matches('/').to_owned();
                return Ok(Address { url, protocol, pinned, credential: secret });
            };
            url = next;
        }
        Err(AddressError::Refused(format!("{host} redirects more than {MOST_REDIRECTS} times")))
    }

    /// What git is set to for this address.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let mut all = vec![(format!("protocol.{}.allow", self.protocol), "always".to_owned())];
        if let Some((host, port, ip)) = &self.pinned {
            // The name may point elsewhere by the time git asks.
            let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            all.push(("http.curloptResolve".to_owned(), format!("{host}:{port}:{ip}")));
        }
        if let Some(credential) = &self.credential {
            let header = format!("Authorization: {}", basic(credential));
            all.push(("http.extraHeader".to_owned(), header));
        }
        all
    }
}

/// `user:password`, or a token alone, which every forge takes with whatever user.
fn basic(credential: &str) -> String {
    let credential = credential.trim();
    let pair = match credential.contains(':') {
        true => credential.to_owned(),
        false => format!("atoll:{credential}"),
    };
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn is_scp(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !host.starts_with('-') && !path.is_empty()
    })
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, AddressError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let wrong = |why: String| AddressError::Unreachable(format!("could not find {host}: {why}"));
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), port)));
    let found = found.await.map_err(|_| wrong(format!("no answer in {} s", PATIENCE.as_secs())))?;
    let all: Vec<SocketAddr> = found.map_err(|e| wrong(e.to_string()))?.collect();
    if all.is_empty() { Err(wrong("it has no address".to_owned())) } else { Ok(all) }
}

/// Where the repository is redirected to, if it is.
async fn probe(
    url: &Url,
    found: &[SocketAddr],
    credential: Option<&str>,
) -> Result<Option<Url>, AddressError> {
    let host = url.host_str().unwrap_or_default();
    let wrong = |why: String| AddressError::Unreachable(format!("could not ask {host}: {why}"));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .resolve_to_addrs(host, found)
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let refs = format!("{}/info/refs?service=git-upload-pack", trimmed(url));
    let mut ask = client.get(&refs);
    if let Some(credential) = credential {
        ask = ask.header(reqwest::header::AUTHORIZATION, basic(credential));
    }
    let answer = ask.send().await.map_err(|e| wrong(chain(&e.without_url())))?;
    if !answer.status().is_redirection() {
        return Ok(None);
    }
    let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let to = to.ok_or_else(|| wrong("it redirects to nowhere".to_owned()))?;
    let refs = Url::parse(&refs).map_err(|e| wrong(e.to_string()))?;
    let next = refs.join(to).map_err(|e| wrong(format!("it redirects to {to:?}: {e}")))?;
    if !matches!(next.scheme(), "http" | "https") {
        let message = format!("{host} redirects to {}:, which is refused", next.scheme());
        return Err(AddressError::Refused(message));
    }
    let base = next.as_str().split("/info/refs").next().unwrap_or_default();
    Url::parse(base).map(Some).map_err(|e| wrong(e.to_string()))
}

fn trimmed(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Whether an address is one of the public network.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (b & 0xfe) == 18;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || shared
                || benchmark)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_public(IpAddr::V4(mapped)),
            None => {
                let first = ip.segments()[0];
                let unique_local = (first & 0xfe00) == 0xfc00;
                let link_local = (first & 0xffc0) == 0xfe80;
                let wraps_v4 = first == 0x64 || first == 0x2002;
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || unique_local
                    || link_local
                    || wraps_v4)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_are_known() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["140.82.121.3", "2606:50c0:8000::153"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn only_known_protocols_are_spoken() {
        let metadata = ["ssh://169.254.169.254/x", "git@169.254.169.254:x"];
        for bad in ["ext::sh -c x", "ftp://a/b", "-oProxyCommand=x", "x"].iter().chain(&metadata) {
            let wrong = Address::find(bad, None, &[]).await;
            assert!(matches!(wrong, Err(AddressError::Refused(_))), "{bad}");
        }
        let ssh = Address::find("git@example.org:shop.git", None, &[]).await.unwrap();
        assert_eq!(ssh.settings(), [("protocol.ssh.allow".to_owned(), "always".to_owned())]);
    }

    #[tokio::test]
    async fn of_this_machine_only_what_the_server_was_given_is_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let (given, other) = (dir.path().join("given"), dir.path().join("other"));
        std::fs::create_dir_all(given.join("shop.git")).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, given.join("out.git")).unwrap();
        let local = [given.clone()];
        let find = async |path: &Path| {
            Address::find(&format!("file://{}", path.display()), None, &local).await
        };
        let file = find(&given.join("shop.git")).await.unwrap();
        assert_eq!(file.settings()[0].0, "protocol.file.allow");
        for outside in [other, given.join("../other"), given.join("out.git"), given.join("none")] {
            let wrong = find(&outside).await;
            assert!(matches!(wrong, Err(AddressError::Refused(_))), "{}", outside.display());
        }
    }
}
