//! The hidden `atoll sample`: the small web application that `atoll demo` runs, so that the demo
//! needs nothing that is not on every machine. It answers `/healthz`, and tells who it is.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Context as _;

use crate::exit::Exit;

/// Flags of `sample`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// Serves until it is killed.
///
/// # Errors
/// The address is taken.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    println!("{} listens on {}", said("ATOLL_INSTANCE"), args.listen);
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        std::thread::spawn(move || {
            // A visitor who leaves early is nobody's loss.
            let _ = answer(stream);
        });
    }
    Ok(Exit::Done)
}

fn said(variable: &str) -> String {
    std::env::var(variable).unwrap_or_default()
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = BufReader::new(&stream);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let broken = said("SAMPLE_BROKEN") == "yes";
    let (status, body) = if first.starts_with("GET /healthz") && broken {
        ("500 Internal Server Error", "this release is broken on purpose\n".to_owned())
    } else if first.starts_with("GET /healthz") {
        ("200 OK", "ok\n".to_owned())
    } else {
        let text =
            format!("{} {} {}\n", said("GREETING"), said("ATOLL_RELEASE"), said("ATOLL_INSTANCE"));
        ("200 OK", text)
    };
    println!("{} -> {status}", first.trim());
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n");
    write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
