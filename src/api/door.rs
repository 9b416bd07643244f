//! The ways into the API: a TCP address, perhaps with TLS, and a Unix socket. What comes in is the same on both. Who calls is
//! known from what the kernel says of the other end.

use super::auth::Caller;
use super::limit::Limited;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most connections at a time through one door: the descriptors belong to the workers.
const CONNECTIONS: usize = 512;
/// So long a connection may wait for a call, or for the rest of its head: callers that say nothing must not keep others
/// out.
const SILENCE: Duration = Duration::from_secs(5);

/// So long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How callers are met just now; `None`: without TLS.
pub type Meeting = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

/// Where the API is served.
pub struct Doors {
    /// The address.
    pub tcp: TcpListener,
    /// TLS there.
    pub tls: Meeting,
    /// The socket beside it.
    pub unix: Option<UnixListener>,
}

/// A listener that knows who is at the other end of what it has accepted.
pub(super) trait Door: Listener {
    fn caller(stream: &Self::Io, peer: &Self::Addr) -> Caller;
}

impl Door for TcpListener {
    fn caller(stream: &Self::Io, peer: &SocketAddr) -> Caller {
        // Without the gate's own end of the connection nothing proves that it is a loopback one, nor that it is not:
        // the unspecified address equals no peer's.
        let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        Caller::Tcp { peer: *peer, local: stream.local_addr().unwrap_or(unknown) }
    }
}

impl Door for UnixListener {
    fn caller(stream: &Self::Io, _: &Self::Addr) -> Caller {
        let peer = stream.peer_cred().ok();
        let pid = peer.and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
        // the kernel writes the process as 0 if it cannot be seen from here, and an unknown user likewise
        Caller::Unix { pid: pid.filter(|pid| *pid > 0), uid: peer.map_or(u32::MAX, |peer| peer.uid()) }
    }
}

/// What is behind the doors.
#[derive(Clone)]
pub(super) struct House {
    pub(super) router: Router,
    pub(super) connections: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl House {
    /// Lets callers in until the stop.
    pub(super) async fn open(&self, door: impl Door, tls: Option<Meeting>) {
        let mut door = Limited::new(door, CONNECTIONS);
        loop {
            let (stream, caller) = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = door.accept() => accepted,
            };
            match tls.as_ref().and_then(|tls| tls()) {
                None => self.connections.spawn(self.clone().serve(stream, caller)),
                Some(tls) => self.connections.spawn(self.clone().agree(stream, tls, caller)),
            };
        }
    }

    /// Who does not come to an agreement is closed.
    async fn agree(self, stream: impl AsyncRead + AsyncWrite + Unpin, tls: Arc<ServerConfig>, caller: Caller) {
        let agreed = tokio::select! {
            () = self.stop.cancelled() => return,
            agreed = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)) => agreed,
        };
        match agreed {
            Ok(Ok(stream)) => self.serve(stream, caller).await,
            Ok(Err(error)) => tracing::debug!(%caller, %error, "the handshake with a caller of the admin API failed"),
            Err(_) => tracing::debug!(%caller, "a caller of the admin API was silent instead of speaking TLS"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin, caller: Caller) {
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(caller));
            router.call(request)
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(SILENCE)
                .serve_connection(TokioIo::new(stream), service)
        );
        // an error is the caller's: it went away, or spoke something else
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}
