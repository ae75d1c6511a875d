//! A lean HTTP/1.1 client: one kept connection, one request at a time, plain text on loopback.
//! Not a client for anything else: no TLS, no redirects, no compression. It is lean because it
//! shares the cores with the server it measures.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest a request may take; the longest long poll is well below it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest head of a response.
const LONGEST_HEAD: usize = 64 << 10;
/// A body up to this size is written together with the head.
const ONE_WRITE: usize = 16 << 10;

/// Where the server is, and who asks.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// The secret sent along.
    pub token: String,
}

/// One kept connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    token: String,
    buffer: Vec<u8>,
    /// How much of the start of the buffer has been used up.
    used: usize,
    /// A body that came in chunks, put together.
    joined: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body of a good answer.
    ///
    /// # Errors
    /// The answer was not 200 to 299; the error carries its body.
    pub fn good(&self) -> anyhow::Result<&[u8]> {
        if !(200..300).contains(&self.status) {
            bail!("the server answered {}: {}", self.status, String::from_utf8_lossy(self.body));
        }
        Ok(self.body)
    }
}

/// How the length of a body is told.
enum Length {
    Known(usize),
    Chunked,
}

struct Head {
    status: u16,
    length: Length,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The system's.
    pub async fn open(target: &Target) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(target.address)
            .await
            .with_context(|| format!("connecting to {}", target.address))?;
        stream.set_nodelay(true)?;
        let token = target.token.clone();
        Ok(Connection {
            stream,
            token,
            buffer: Vec::with_capacity(2048),
            used: 0,
            joined: Vec::new(),
        })
    }

    /// Sends a request, its body JSON, and reads the whole answer.
    ///
    /// # Errors
    /// The connection broke, the answer is not HTTP, or took too long.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer<'_>> {
        self.ask_with(method, path, &[("content-type", "application/json")], body).await
    }

    /// Sends a request whose body is what the fields say, and reads the whole answer.
    ///
    /// # Errors
    /// The connection broke, the answer is not HTTP, or took too long.
    pub async fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer<'_>> {
        let asked = async {
            self.send(method, path, fields, body).await?;
            let head = self.head().await?;
            match head.length {
                Length::Known(length) => {
                    while self.rest().len() < length {
                        self.read().await?;
                    }
                    let body = self.used..self.used + length;
                    self.used += length;
                    Ok((head.status, Some(body)))
                }
                Length::Chunked => {
                    self.join_chunks().await?;
                    Ok((head.status, None))
                }
            }
        };
        let answered: anyhow::Result<_> = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answered) => answered,
            Err(_) => bail!("{method} {path}: no answer within {} s", PATIENCE.as_secs()),
        };
        let (status, body) = answered.with_context(|| format!("{method} {path}"))?;
        let body = body.map_or(self.joined.as_slice(), |body| &self.buffer[body]);
        Ok(Answer { status, body })
    }

    async fn join_chunks(&mut self) -> anyhow::Result<()> {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        loop {
            let chunk = self.any_chunk().await?;
            if chunk.is_empty() {
                break;
            }
            joined.extend_from_slice(chunk);
        }
        self.joined = joined;
        Ok(())
    }

    /// Sends a request whose answer is a stream of server-sent events, to be read with
    /// [`Connection::event`].
    ///
    /// # Errors
    /// The connection broke, or the answer is no stream.
    pub async fn listen(&mut self, path: &str) -> anyhow::Result<()> {
        self.send("GET", path, &[], b"").await?;
        let head = self.head().await?;
        ensure!(head.status == 200, "GET {path}: the server answered {}", head.status);
        ensure!(matches!(head.length, Length::Chunked), "GET {path}: the answer is no stream");
        // From here on `buffer` holds what is left of a chunk, `used` is where it begins.
        Ok(())
    }

    /// Reads one chunk of a stream, as the server flushed it.
    ///
    /// # Errors
    /// The stream ended or broke.
    pub async fn chunk(&mut self) -> anyhow::Result<&[u8]> {
        let chunk = self.any_chunk().await?;
        ensure!(!chunk.is_empty(), "the stream ended");
        Ok(chunk)
    }

    /// Reads one chunk; the last one is empty.
    async fn any_chunk(&mut self) -> anyhow::Result<&[u8]> {
        let line_end = loop {
            if let Some(at) = self.rest().windows(2).position(|pair| pair == b"\r\n") {
                break at;
            }
            self.read().await?;
        };
        let line = std::str::from_utf8(&self.rest()[..line_end])?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("the size of a chunk")?;
        while self.rest().len() < line_end + 2 + size + 2 {
            self.read().await?;
        }
        let from = self.used + line_end + 2;
        self.used = from + size + 2;
        Ok(&self.buffer[from..from + size])
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<()> {
        self.forget_used();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        if !self.token.is_empty() {
            head += &format!("authorization: Bearer {}\r\n", self.token);
        }
        if !body.is_empty() {
            for (name, value) in fields {
                head += &format!("{name}: {value}\r\n");
            }
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut request = head.into_bytes();
        if body.len() > ONE_WRITE {
            self.stream.write_all(&request).await?;
            return Ok(self.stream.write_all(body).await?);
        }
        request.extend_from_slice(body);
        Ok(self.stream.write_all(&request).await?)
    }

    async fn head(&mut self) -> anyhow::Result<Head> {
        let end = loop {
            if let Some(at) = self.rest().windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            ensure!(self.rest().len() < LONGEST_HEAD, "the head of the answer has no end");
            self.read().await?;
        };
        let head = parse_head(&self.rest()[..end])?;
        self.used += end + 4;
        Ok(head)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.buffer.capacity() - self.buffer.len() < 1024 {
            self.forget_used();
            self.buffer.reserve(2048);
        }
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }

    fn forget_used(&mut self) {
        self.buffer.drain(..self.used);
        self.used = 0;
    }
}

fn parse_head(head: &[u8]) -> anyhow::Result<Head> {
    let text = std::str::from_utf8(head)?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.with_context(|| format!("not an answer: {first:?}"))?;
    let mut length = Length::Known(0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = Length::Known(value.trim().parse().context("content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        }
    }
    Ok(Head { status, length })
}
