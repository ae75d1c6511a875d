//! `atoll login`: signs in with a password, or takes a token, and remembers server, token and CA in
//! the context file, once they have been found to work.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context as _;
use atoll_client::{Client, Endpoint};
use atoll_model::access::wire::Login;

use crate::args::Global;
use crate::context::{self, ContextFile, Said};
use crate::exit::{Exit, Failure};
use crate::output;

/// What `atoll login` takes, beside `--server` and `--token`, which every verb takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sign in as this user; the password is asked for, or read from standard input
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The certificate of the authority that signed the server's
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    ca: Option<PathBuf>,
    /// Trust the CA the server shows, if it has this fingerprint
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: Option<String>,
    /// Trust whichever CA the server shows now; only where nobody can stand in between
    #[arg(long, conflicts_with_all = ["ca", "ca_fingerprint"])]
    insecure_fetch_ca: bool,
}

/// Tries, and remembers.
///
/// # Errors
/// The client's; the context file cannot be written.
pub async fn run(global: &Global, args: Args) -> anyhow::Result<Exit> {
    let path = context::path()
        .context("finding the context file: neither HOME is set nor XDG_CONFIG_HOME")?;
    let flags = Said { servers: global.servers.clone(), token: token(global)? };
    if flags.servers.is_empty() && Said::environment().servers.is_empty() {
        return Err(Failure::usage("say where: --server http://host:7411").into());
    }
    let mut meant = context::resolve(flags, Said::environment(), ContextFile::default());
    if let Some(file) = &args.ca {
        let pem = std::fs::read_to_string(file)
            .map_err(|e| Failure::usage(format!("reading {}: {e}", file.display())))?;
        meant.ca = Some(pem);
    }
    if let Some(fingerprint) = &args.ca_fingerprint {
        let fingerprint = fingerprint.trim().to_ascii_lowercase();
        meant.ca = Some(atoll_client::fetch_authority(&meant.servers, Some(&fingerprint)).await?);
    }
    if args.insecure_fetch_ca {
        let pem = atoll_client::fetch_authority(&meant.servers, None).await?;
        let fingerprint = atoll_client::fingerprint_of(&pem);
        output::say(&format!("trusting the CA with fingerprint {fingerprint}"));
        meant.ca = Some(pem);
    }
    if let Some(user) = &args.user {
        meant.token = Some(sign_in(&meant, user).await?);
    }
    let endpoint = Endpoint {
        servers: meant.servers.clone(),
        token: meant.token.clone(),
        ca_pem: meant.ca.clone(),
    };
    let whoami = Client::new(&endpoint)?.whoami().await?;
    let file = ContextFile { servers: meant.servers, token: meant.token, ca: meant.ca };
    context::write(&path, &file)?;
    output::say(&format!(
        "logged in at {} as {} ({}); kept in {}",
        file.servers.join(", "),
        whoami.name,
        whoami.role.name(),
        path.display()
    ));
    Ok(Exit::Done)
}

/// Trades a password for a token that ends.
async fn sign_in(meant: &context::Resolved, user: &str) -> anyhow::Result<String> {
    let endpoint =
        Endpoint { servers: meant.servers.clone(), token: None, ca_pem: meant.ca.clone() };
    let password = crate::password::ask(&format!("password of {user}"))?;
    let login = Login { user: user.to_owned(), password };
    Ok(Client::new(&endpoint)?.login(&login).await?.token)
}

/// The token given; `-` stands for standard input, where no list of processes shows it.
fn token(global: &Global) -> anyhow::Result<Option<String>> {
    if global.token.as_deref() != Some("-") {
        return Ok(global.token.clone());
    }
    let mut text = String::new();
    let most = 64 << 10;
    std::io::stdin().lock().take(most).read_to_string(&mut text).context("reading the token")?;
    Ok(Some(text.trim().to_owned()))
}
