//! Accepts connections, with TLS or without, and hands them to the router. A slow or broken
//! handshake keeps nobody else waiting.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::App;
use crate::api::routes;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub async fn serve(
    app: App,
    listener: TcpListener,
    config: Option<Arc<rustls::ServerConfig>>,
    mut stop: watch::Receiver<bool>,
) {
    let local = app.listen;
    let service = routes::router(app).into_make_service_with_connect_info::<PeerAddress>();
    let (queue, accepted) = mpsc::channel(256);
    let accept = tokio::spawn(accept(listener, config.map(TlsAcceptor::from), queue));
    let incoming = Incoming { accepted, local };
    let stopped = async move {
        // Ends also when the sender is gone: the server is then gone too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        () = stopped => {}
        // It never ends by itself.
        _ = async { axum::serve(incoming, service).await } => {}
    }
    accept.abort();
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    queue: mpsc::Sender<(Stream, SocketAddr)>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that broke at once: others may go on.
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        let queue = queue.clone();
        match acceptor.clone() {
            None => {
                if queue.send((Stream::Plain(stream), peer)).await.is_err() {
                    return;
                }
            }
            Some(acceptor) => {
                tokio::spawn(async move {
                    let done = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = done {
                        // Nobody takes it any more when the server stops.
                        let _ = queue.send((Stream::Tls(Box::new(stream)), peer)).await;
                    }
                });
            }
        }
    }
}

struct Incoming {
    accepted: mpsc::Receiver<(Stream, SocketAddr)>,
    local: SocketAddr,
}

impl Listener for Incoming {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Incoming>>
    for PeerAddress
{
    fn connect_info(stream: axum::serve::IncomingStream<'_, Incoming>) -> PeerAddress {
        PeerAddress(*stream.remote_addr())
    }
}

/// The address of the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// A connection.
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
