//! Sessions over WebSockets, on the connections of the HTTP client: the same servers, TLS and
//! token. It knows frames, not what people do with them.

use std::time::Duration;

use atoll_model::agent::SessionNote;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, HeaderValue, LOCATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::error::ClientError;
use crate::transport::{Ask, Client};

/// The time a server may take to open a session, the way to the host included.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// What travels over a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Bytes of a stream: 0 is input, 1 output, 2 error output.
    Data(u8, Bytes),
    /// Anything else.
    Note(SessionNote),
}

/// An open session.
pub struct Socket {
    stream: WebSocketStream<Upgraded>,
    what: String,
}

/// Where a session is opened.
enum Opened {
    Here(Box<Socket>),
    /// At the server of this address.
    Elsewhere(String),
}

/// The sending half of a session.
pub struct SocketSender {
    sink: SplitSink<WebSocketStream<Upgraded>, Message>,
    what: String,
}

/// The receiving half of a session.
pub struct SocketReceiver {
    stream: SplitStream<WebSocketStream<Upgraded>>,
    what: String,
}

impl Socket {
    /// Opens it where the server says it is to be opened: the replica that hears the host.
    pub(crate) async fn open(client: &Client, path: String) -> Result<Socket, ClientError> {
        match Socket::open_at(client, path.clone()).await? {
            Opened::Here(socket) => Ok(*socket),
            Opened::Elsewhere(server) => {
                match Socket::open_at(&client.at(server.clone()), path).await? {
                    Opened::Here(socket) => Ok(*socket),
                    Opened::Elsewhere(_) => Err(ClientError::Strange {
                        what: server,
                        why: "it sends the session on once more".to_owned(),
                    }),
                }
            }
        }
    }

    async fn open_at(client: &Client, path: String) -> Result<Opened, ClientError> {
        let what = format!("GET {path}");
        let strange = |why: String| ClientError::Strange { what: what.clone(), why };
        let key = generate_key();
        let mut ask = Ask::get(path).timeout(None);
        // An address asked a second time may already have been answered the first time.
        ask.again = false;
        let header = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| strange("a bad key was made".to_owned()))
        };
        ask.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        ask.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        ask.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        ask.headers.insert(SEC_WEBSOCKET_KEY, header(&key)?);
        let reply =
            tokio::time::timeout(OPEN_TIMEOUT, client.open(ask)).await.map_err(|_| {
                ClientError::Unreachable {
                    servers: client.servers(),
                    why: "no answer in time".into(),
                }
            })??;
        let response = reply.stream.ok_or_else(|| strange("it is empty".to_owned()))?;
        if response.status() == StatusCode::TEMPORARY_REDIRECT {
            let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let server = place.and_then(|place| place.split("/v1/").next());
            let server = server.ok_or_else(|| strange("it sends us nowhere".to_owned()))?;
            return Ok(Opened::Elsewhere(server.to_owned()));
        }
        let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS
            || accept != Some(derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(strange(format!("no WebSocket was opened ({})", response.status())));
        }
        let upgraded = response.upgrade().await.map_err(|e| strange(e.to_string()))?;
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
        Ok(Opened::Here(Box::new(Socket { stream, what })))
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, frame: Frame) -> Result<(), ClientError> {
        let sent = self.stream.send(message(frame)).await;
        sent.map_err(|e| lost(&self.what, &e))
    }

    /// The next frame; none once the other side has closed.
    ///
    /// # Errors
    /// When the connection is lost, or a frame is not understood.
    pub async fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        receive(&mut self.stream, &self.what).await
    }

    /// Says that nothing follows, and waits until the other side has seen it.
    pub async fn close(mut self) {
        // Whoever closes has nothing left to lose.
        let _ = self.stream.close(None).await;
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }

    /// Both directions apart, for two tasks.
    pub fn split(self) -> (SocketSender, SocketReceiver) {
        let what = self.what;
        let (sink, stream) = self.stream.split();
        (SocketSender { sink, what: what.clone() }, SocketReceiver { stream, what })
    }
}

impl SocketSender {
    /// Sends one frame.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, frame: Frame) -> Result<(), ClientError> {
        self.sink.send(message(frame)).await.map_err(|e| lost(&self.what, &e))
    }

    /// Says that nothing follows.
    pub async fn close(&mut self) {
        // Whoever closes has nothing left to lose.
        let _ = self.sink.close().await;
    }
}

impl SocketReceiver {
    /// The next frame; none once the other side has closed.
    ///
    /// # Errors
    /// When the connection is lost, or a frame is not understood.
    pub async fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        receive(&mut self.stream, &self.what).await
    }
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Data(stream, data) => {
            let mut bytes = BytesMut::with_capacity(data.len() + 1);
            bytes.put_u8(stream);
            bytes.put(data);
            Message::Binary(bytes.freeze())
        }
        Frame::Note(note) => {
            let text = serde_json::to_string(&note).expect("a note has string keys only");
            Message::Text(text.into())
        }
    }
}

async fn receive(
    stream: &mut (impl StreamExt<Item = Result<Message, WsError>> + Unpin),
    what: &str,
) -> Result<Option<Frame>, ClientError> {
    let strange = |why: String| ClientError::Strange { what: what.to_owned(), why };
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Binary(mut data)) if !data.is_empty() => {
                let rest = data.split_off(1);
                return Ok(Some(Frame::Data(data[0], rest)));
            }
            Ok(Message::Text(text)) => {
                let note = serde_json::from_str(&text).map_err(|e| strange(e.to_string()))?;
                return Ok(Some(Frame::Note(note)));
            }
            Ok(Message::Close(_)) | Err(WsError::ConnectionClosed) => return Ok(None),
            // Pings are answered while reading.
            Ok(_) => {}
            Err(error) => return Err(lost(what, &error)),
        }
    }
    Ok(None)
}

fn lost(what: &str, error: &WsError) -> ClientError {
    ClientError::Strange { what: what.to_owned(), why: format!("the session broke off: {error}") }
}
