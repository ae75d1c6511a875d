//! Who asks: secrets, tokens, the console's cookie, and the local user of a loopback server. What
//! they may do is the gate's to say.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use atoll_model::access::Actor;
use atoll_model::{Level, Object, Snapshot, Span, Timestamp, Token};
use atoll_plan::permission::is_good;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST};

/// The cookie of a console session.
pub const COOKIE_NAME: &str = "atoll_session";
/// How long a session of the local user holds without use.
const SESSION: Span = Span::seconds(12 * 3600);

/// Sessions of the local user in the console, in memory: a restart of the server ends them, and
/// its next page opens another. Whoever signs in has a token for a session.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, (Actor, Timestamp)>>,
}

impl Sessions {
    /// Opens a session; returns the secret for the cookie.
    pub fn open(&self, actor: Actor, now: Timestamp) -> String {
        let secret = secret();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, until)| *until > now);
        open.insert(hash(&secret), (actor, now + SESSION));
        secret
    }

    /// Closes a session.
    pub fn close(&self, secret: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret));
    }

    fn find(&self, secret: &str, now: Timestamp) -> Option<Actor> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (actor, until) = open.get_mut(&hash(secret))?;
        if *until <= now {
            return None;
        }
        *until = now + SESSION;
        Some(actor.clone())
    }
}

/// A new secret of 256 random bits, in hex.
///
/// # Panics
/// When the operating system has no randomness: nothing can be done safely then.
pub fn secret() -> String {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What is stored of a secret.
pub fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// The name of the object that holds a secret's token: the start of its hash, so that it is found
/// without a search.
pub fn token_name(hash: &str) -> String {
    format!("t-{}", &hash[..16])
}

/// Makes a token object for a secret.
pub fn token(
    secret: &str,
    level: Level,
    owner: Option<String>,
    expires: Option<Timestamp>,
) -> Object<Token> {
    let hash = hash(secret);
    Object::new(token_name(&hash), Token { owner, expires, ..Token::new(level, hash) })
}

/// Finds who bears a secret.
pub fn bearer(world: &Snapshot, secret: &str, now: Timestamp) -> Option<Actor> {
    // A join token carries the fingerprint of the CA behind its secret, for the agent only.
    let secret = secret.split('.').next().unwrap_or(secret);
    let hash = hash(secret);
    let token = world.get::<Token>(&token_name(&hash))?;
    // What is compared are hashes of random secrets, so timing tells nothing of a secret.
    if token.spec.hash != hash || !is_good(world, token, now) {
        return None;
    }
    let spec = &token.spec;
    // A token that joins one host is not that host's.
    let host = spec.host.as_ref().filter(|_| spec.level == Level::Host);
    let name = match (host, &spec.user, &spec.owner) {
        (Some(host), ..) => format!("host/{host}"),
        (None, Some(user), _) => format!("user/{user}"),
        (None, None, Some(owner)) => format!("user/{owner}"),
        (None, None, None) => format!("token/{}", token.name()),
    };
    Some(Actor {
        host: host.cloned(),
        user: spec.user.clone(),
        groups: spec.groups.clone(),
        roles: spec.roles.clone(),
        token: Some(token.name().to_owned()),
        ..Actor::new(name, spec.level)
    })
}

/// Whether what somebody showed when they asked is still good: a stream may outlive it.
pub fn still_good(world: &Snapshot, actor: &Actor, now: Timestamp) -> bool {
    actor
        .token
        .as_ref()
        .is_none_or(|name| world.get::<Token>(name).is_some_and(|token| is_good(world, token, now)))
}

/// Finds who asks, by the bearer token or the console's cookie. A cookie counts for writes only
/// where the request says it comes from our own pages.
pub fn authenticate(
    world: &Snapshot,
    sessions: &Sessions,
    headers: &HeaderMap,
    writes: bool,
    now: Timestamp,
) -> Option<Actor> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return bearer(world, &offered(value.to_str().ok()?)?, now);
    }
    if writes && !headers.contains_key("x-atoll-console") {
        return None;
    }
    let cookie = cookie(headers)?;
    sessions.find(cookie, now).or_else(|| bearer(world, cookie, now))
}

/// The secret in an `Authorization` header: a bearer token, or the password of Basic, which is what
/// Grafana and promtool offer; its user name says nothing.
pub fn offered(header: &str) -> Option<String> {
    use base64::Engine as _;
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(password.trim().to_owned())
}

/// The secret in the console's cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_named(headers, COOKIE_NAME)
}

/// What a cookie holds.
pub fn cookie_named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a request to a loopback server comes from the user the server runs as, or from root:
/// the operating system says who owns the other end of the connection. The `Host` header must be
/// a loopback name too, so that a page of another site cannot borrow the browser.
pub fn is_local_user(peer: SocketAddr, server: SocketAddr, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let named_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if !named_local || !peer.ip().is_loopback() || !server.ip().is_loopback() {
        return false;
    }
    let table = if peer.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let Ok(text) = std::fs::read_to_string(table) else { return false };
    let uid = owner_of(&text, peer, server);
    uid.is_some_and(|uid| uid == 0 || uid == nix::unistd::getuid().as_raw())
}

/// Finds the owner of the socket `local` that is connected to `remote` in the kernel's table.
fn owner_of(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let (local, remote) = (kernel_form(local), kernel_form(remote));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let found = fields.nth(1)? == local && fields.next()? == remote;
        if found { fields.nth(4)?.parse().ok() } else { None }
    })
}

/// An address as the kernel's table writes it: words in the machine's byte order, in hex.
fn kernel_form(address: SocketAddr) -> String {
    let words: String = match address.ip() {
        IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
        IpAddr::V6(ip) => ip
            .octets()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
            .collect(),
    };
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use atoll_model::User;

    use super::*;

    #[test]
    fn the_owner_of_a_connection_is_found() {
        let table =
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1CF3 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1
   1: 0100007F:9C40 0100007F:1CF3 01 00000000:00000000 00:00000000 00000000  1001        0 2
";
        let server: SocketAddr = "127.0.0.1:7411".parse().unwrap();
        let peer: SocketAddr = "127.0.0.1:40000".parse().unwrap();
        assert_eq!(owner_of(table, peer, server), Some(1001));
        assert_eq!(owner_of(table, "127.0.0.1:40001".parse().unwrap(), server), None);
    }

    #[test]
    fn a_secret_is_worth_what_its_token_says_until_it_ends() {
        let secret = secret();
        let mut world = Snapshot::default();
        let made = token(&secret, Level::Viewer, Some("anna".into()), Some(Timestamp(100)));
        world.put(atoll_model::Any::Token(std::sync::Arc::new(made)));
        let actor = bearer(&world, &secret, Timestamp(99)).unwrap();
        assert_eq!((actor.name.as_str(), actor.level), ("user/anna", Level::Viewer));
        assert!(bearer(&world, &secret, Timestamp(100)).is_none());
        assert!(bearer(&world, "guess", Timestamp(1)).is_none());
    }

    #[test]
    fn a_users_token_is_worth_nothing_without_them() {
        let secret = secret();
        let mut made = token(&secret, Level::Member, None, None);
        made.spec.user = Some("anna".into());
        let mut world = Snapshot::default();
        world.put(atoll_model::Any::Token(std::sync::Arc::new(made)));
        assert!(bearer(&world, &secret, Timestamp(1)).is_none());
        let mut anna = Object::new("anna", User::default());
        world.put(atoll_model::Any::User(std::sync::Arc::new(anna.clone())));
        let actor = bearer(&world, &secret, Timestamp(1)).unwrap();
        assert_eq!((actor.name.as_str(), actor.user.as_deref()), ("user/anna", Some("anna")));
        assert!(still_good(&world, &actor, Timestamp(1)));
        anna.spec.disabled = true;
        world.put(atoll_model::Any::User(std::sync::Arc::new(anna)));
        assert!(bearer(&world, &secret, Timestamp(1)).is_none());
        assert!(!still_good(&world, &actor, Timestamp(1)));
    }

    #[test]
    fn secrets_are_offered_in_two_ways() {
        assert_eq!(offered("Bearer abc ").as_deref(), Some("abc"));
        assert_eq!(offered("Basic dXNlcjpzZWNyZXQ=").as_deref(), Some("secret"));
        for bad in ["Basic ???", "Basic dXNlcg==", "Digest x", "Bearer", ""] {
            assert_eq!(offered(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cookie_alone_does_not_write() {
        let sessions = Sessions::default();
        let secret = sessions.open(Actor::local(), Timestamp(0));
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("x=1; {COOKIE_NAME}={secret}").parse().unwrap());
        let ask = |headers: &HeaderMap, writes| {
            authenticate(&Snapshot::default(), &sessions, headers, writes, Timestamp(1))
        };
        assert!(ask(&headers, false).is_some());
        assert!(ask(&headers, true).is_none());
        headers.insert("x-atoll-console", "1".parse().unwrap());
        assert!(ask(&headers, true).is_some());
    }
}
