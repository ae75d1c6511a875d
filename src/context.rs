//! Which server is talked to and as whom: flags, then environment, then the context file. Not
//! the talking, which is the client's.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Where a server listens that was started without saying otherwise.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7411";

/// The context file, `atoll/config.toml` in the user's configuration directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    /// Addresses of servers, any of which will do.
    #[serde(default, alias = "server", deserialize_with = "one_or_many")]
    pub servers: Vec<String>,
    /// The secret sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The authority that signed the servers' certificates, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Servers {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Servers::deserialize(from)? {
        Servers::One(server) => split(&[server]),
        Servers::Many(servers) => servers,
    })
}

/// What flags or the environment say.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Addresses, each possibly several with commas.
    pub servers: Vec<String>,
    /// The secret.
    pub token: Option<String>,
}

impl Said {
    /// What the environment says.
    pub fn environment() -> Said {
        let var = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        Said { servers: var("ATOLL_SERVER").into_iter().collect(), token: var("ATOLL_TOKEN") }
    }
}

/// What holds in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Addresses of servers, at least one.
    pub servers: Vec<String>,
    /// The secret, if there is one.
    pub token: Option<String>,
    /// The authority, in PEM.
    pub ca: Option<String>,
    /// Where the addresses come from, for people.
    pub origin: &'static str,
}

/// Flags before environment before file, field by field.
pub fn resolve(flags: Said, environment: Said, file: ContextFile) -> Resolved {
    let origins = [
        (split(&flags.servers), "--server"),
        (split(&environment.servers), "ATOLL_SERVER"),
        (split(&file.servers), "the context file"),
    ];
    let (servers, origin) = origins
        .into_iter()
        .find(|(servers, _)| !servers.is_empty())
        .unwrap_or_else(|| (vec![DEFAULT_SERVER.to_owned()], "the default"));
    let token = flags.token.or(environment.token).or(file.token);
    let token = token.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    Resolved { servers, token, ca: file.ca, origin }
}

/// Takes comma lists apart, leaves out what is empty, and adds the scheme where it is missing.
fn split(servers: &[String]) -> Vec<String> {
    servers
        .iter()
        .flat_map(|s| s.split(','))
        .map(|s| s.trim().trim_end_matches('/'))
        .filter(|s| !s.is_empty())
        .map(|s| if s.contains("://") { s.to_owned() } else { format!("http://{s}") })
        .collect()
}

/// Where the context file is: below `XDG_CONFIG_HOME`, or `~/.config`.
pub fn path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME")
        .filter(|p| p.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(base.join("atoll").join("config.toml"))
}

/// Reads the context file; an absent one says nothing.
///
/// # Errors
/// It is there and cannot be read, or holds something else.
pub fn read(path: &Path) -> anyhow::Result<ContextFile> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(ContextFile::default()),
        Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
    };
    let mut file: ContextFile = toml::from_str(&text)
        .map_err(|e| Failure::usage(format!("{}: {}", path.display(), e.to_string().trim_end())))?;
    // An authority may also be given as the path of its file.
    if let Some(ca) = file.ca.take() {
        let pem = if ca.contains("-----BEGIN") {
            ca
        } else {
            std::fs::read_to_string(&ca).with_context(|| format!("reading the CA in {ca}"))?
        };
        file.ca = Some(pem);
    }
    Ok(file)
}

/// Writes the context file, readable by its owner only, all or nothing.
///
/// # Errors
/// The file system's.
pub fn write(path: &Path, file: &ContextFile) -> anyhow::Result<()> {
    let text = toml::to_string(file).context("writing the context as TOML")?;
    let parent = path.parent().context("the context file has no directory")?;
    std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    // Temporary files are made with mode 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(parent)
        .with_context(|| format!("writing in {}", parent.display()))?;
    temporary.write_all(text.as_bytes()).context("writing the context")?;
    temporary.persist(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn said(server: &str, token: &str) -> Said {
        let token = (!token.is_empty()).then(|| token.to_owned());
        Said { servers: vec![server.to_owned()], token }
    }

    fn file() -> ContextFile {
        ContextFile {
            servers: vec!["https://c:1".into(), "https://d:1".into()],
            token: Some("file".into()),
            ca: Some("-----BEGIN".into()),
        }
    }

    #[test]
    fn flags_come_before_environment_before_file() {
        let all = resolve(said("a:1,http://b:2/", "flag"), said("https://e", "env"), file());
        assert_eq!(all.servers, ["http://a:1", "http://b:2"]);
        assert_eq!(all.token.as_deref(), Some("flag"));
        let two = resolve(Said::default(), said("https://e", ""), file());
        assert_eq!((two.servers, two.token), (vec!["https://e".to_owned()], Some("file".into())));
        let one = resolve(Said::default(), Said::default(), file());
        assert_eq!(one.servers, ["https://c:1", "https://d:1"]);
        let none = resolve(Said::default(), Said::default(), ContextFile::default());
        assert_eq!((none.servers, none.token), (vec![DEFAULT_SERVER.to_owned()], None));
    }

    #[test]
    fn the_file_is_written_for_its_owner_only_and_read_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("atoll/config.toml");
        assert_eq!(read(&path).unwrap(), ContextFile::default());
        write(&path, &file()).unwrap();
        assert_eq!(read(&path).unwrap(), file());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "server = \"x:1, y:2\"\n").unwrap();
        assert_eq!(read(&path).unwrap().servers, ["http://x:1", "http://y:2"]);
        std::fs::write(&path, "sever = \"x\"\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("sever"));
    }
}
