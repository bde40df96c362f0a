//! A server for HTTP and gRPC on one port, over TLS or in the clear.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;

use crate::error::ClusterError;
use crate::tls::{HANDSHAKE_TIMEOUT, Tls};

/// How long requests under way may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// A connection whose other side is silent for this long is asked whether it is still there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// A connection whose other side does not answer that within this time is closed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one request, and of all of one connection, that the other side may send before they are read. A plan has
/// megabytes: with less, its sender waits for leave to go on time and again.
const REQUEST_WINDOW_BYTES: u32 = 16 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// Bytes that come in one piece.
const FRAME_BYTES: u32 = 256 << 10;
/// Before listening again when the operating system gives no connection, as when too many files are open.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener at `address`; port 0 is any free one.
///
/// # Errors
///
/// [`ClusterError::Bind`] when nothing can listen there.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ClusterError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ClusterError::Bind { address, source })
}

/// Serves `router` on `listener` until `stop`, then ends what is under way, for five seconds at most.
///
/// gRPC services become a router by [`tonic::service::Routes::into_axum_router`]. With `tls`, whoever shows no
/// certificate of its authority gets no further than the handshake. Requests carry the other side's address as
/// [`ConnectInfo`], which Ballista's scheduler asks for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<&Tls>,
    stop: CancellationToken,
) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.server_config()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Small messages are not held back to be sent together. Where that cannot be set, they are.
        let _ = stream.set_nodelay(true);
        connections.spawn(connection(
            stream,
            peer,
            acceptor.clone(),
            router.clone(),
            stop.clone(),
        ));
    }
    drop(listener);
    // What has not ended by then is cut off when the set is dropped.
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
) {
    match acceptor {
        None => talk(stream, peer, router, stop).await,
        Some(acceptor) => {
            // Whoever is refused here is told so by TLS itself.
            let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                talk(stream, peer, router, stop).await;
            }
        }
    }
}

async fn talk<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(REQUEST_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let mut conversation =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // How it ended is the other side's to know.
    tokio::select! {
        _ = conversation.as_mut() => return,
        () = stop.cancelled() => conversation.as_mut().graceful_shutdown(),
    }
    let _ = conversation.await;
}
