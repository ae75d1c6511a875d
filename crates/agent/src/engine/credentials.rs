//! Who we are to registries: what `docker login` has written into `config.json`. Programs that
//! keep secrets for it are not called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// What Docker's own registry is called in the file.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize, Default)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for a registry, if there are any; read anew each time, as people log in while
/// we run.
pub fn credentials(registry: Option<&str>) -> Option<DockerCredentials> {
    let text = std::fs::read_to_string(path()?).ok()?;
    find(&text, registry)
}

/// Every registry with its credentials, as a build wants them.
pub fn all() -> std::collections::HashMap<String, DockerCredentials> {
    let text = path().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let file: File = serde_json::from_str(&text).unwrap_or_default();
    file.auths.iter().map(|(name, entry)| (name.clone(), entry.read(name))).collect()
}

fn path() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    dir.or_else(home).map(|dir| dir.join("config.json"))
}

fn find(text: &str, registry: Option<&str>) -> Option<DockerCredentials> {
    let file: File = serde_json::from_str(text).ok()?;
    let wanted = registry.unwrap_or(HUB);
    let bare = |name: &str| {
        let name = name.split_once("://").map_or(name, |(_, rest)| rest);
        name.split('/').next().unwrap_or_default().to_owned()
    };
    let entry = file.auths.iter().find(|(name, _)| bare(name) == bare(wanted));
    entry.map(|(_, entry)| entry.read(wanted))
}

impl Entry {
    fn read(&self, registry: &str) -> DockerCredentials {
        let decoded = self.auth.as_ref().and_then(|auth| STANDARD.decode(auth).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = decoded.as_deref().and_then(|d| d.split_once(':')).unzip();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        DockerCredentials {
            username: self.username.clone().or_else(|| owned(user)),
            password: self.password.clone().or_else(|| owned(password)),
            identitytoken: self.identitytoken.clone(),
            serveraddress: Some(registry.to_owned()),
            ..DockerCredentials::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_login_writes_is_read() {
        let text = r#"{"auths": {
            "127.0.0.1:5000": {"auth": "bWU6c2VjcmV0"},
            "https://index.docker.io/v1/": {"auth": "aHViOng="}}}"#;
        let of = |registry| find(text, registry).map(|c| (c.username, c.password));
        let pair = |a: &str, b: &str| Some((Some(a.to_owned()), Some(b.to_owned())));
        assert_eq!(of(Some("127.0.0.1:5000")), pair("me", "secret"));
        assert_eq!(of(None), pair("hub", "x"));
        assert_eq!(of(Some("elsewhere")), None);
        assert!(find("{", None).is_none());
    }
}
