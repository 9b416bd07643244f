//! Binds and accepts. A connection is accepted only when there is room for it; an error of `accept` (no more files, for
//! one) is waited out, never fatal.

use super::connection::{Arrival, Front};
use super::quiet::Quiet;
use super::{Relay, upstream};
use crate::config::{Config, HostPort, ListenerConfig};
use crate::hub::ListenerInfo;
use crate::tls::Certificates;
use socket2::{Domain, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections that the kernel keeps for us: all workers come at once after a restart.
const BACKLOG: i32 = 4096;
/// After a failed accept.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct BindError {
    /// As configured.
    pub address: HostPort,
    /// Why.
    pub error: io::Error,
}

/// A listener that has its address and does not accept yet.
pub struct Bound {
    config: ListenerConfig,
    certificates: Arc<Certificates>,
    socket: TcpListener,
    address: SocketAddr,
}

/// Listens on an address without accepting. A name must stand for an address of this host.
pub fn bind(address: &HostPort) -> Result<TcpListener, BindError> {
    let failed = |error| BindError { address: address.clone(), error };
    let candidates = (address.host.as_str(), address.port).to_socket_addrs().map_err(failed)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in candidates {
        match bind_to(candidate) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // whatever the host's own default is: [::] is all addresses of either kind
        socket.set_only_v6(false)?;
    }
    // what is accepted inherits it
    upstream::prepare(SockRef::from(&socket));
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Bound {
    /// Binds a configured listener.
    pub fn new(config: ListenerConfig) -> Result<Bound, BindError> {
        let socket = bind(&config.bind)?;
        let failed = |error| BindError { address: config.bind.clone(), error };
        let address = socket.local_addr().map_err(failed)?;
        let certificates = Certificates::new(config.tls.clone(), config.upstream_tls.clone());
        let certificates = certificates.map_err(|error| failed(io::Error::other(error)))?;
        Ok(Bound { config, certificates: certificates.into(), socket, address })
    }

    /// The address in force.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration.
    pub fn config(&self) -> &ListenerConfig {
        &self.config
    }

    /// To be renewed when their files have changed.
    pub fn certificates(&self) -> Arc<Certificates> {
        self.certificates.clone()
    }

    /// As the API shows it.
    pub fn info(&self) -> ListenerInfo {
        ListenerInfo {
            name: self.config.name.clone(),
            protocol: self.config.protocol,
            address: self.address.to_string(),
            upstream: self.config.upstream.to_string(),
        }
    }

    /// Accepts until `stop`; then the address is free for another gate. To be called on a runtime with IO.
    pub async fn accept(self, relay: Relay, config: &Config, index: usize, stop: CancellationToken) -> io::Result<()> {
        let (wanted, most) = (self.config.max_connections, relay.max_connections.min(Semaphore::MAX_PERMITS));
        if wanted > most {
            let listener = &self.config.name;
            tracing::info!(listener, wanted, most, "max_connections is lowered to what the limit of open files allows");
        }
        let room = Arc::new(Semaphore::new(wanted.min(most)));
        let front = Arc::new(Front::new(relay.clone(), config, self.config, self.certificates, index));
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        let full = Quiet::default();
        loop {
            let permit = match room.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    if let Some(times) = full.turn(relay.hub.now()) {
                        let listener = &front.config.name;
                        tracing::warn!(listener, times, "max_connections is reached; new connections wait");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        permit = room.clone().acquire_owned() => match permit {
                            Ok(permit) => permit,
                            Err(_) => return Ok(()),
                        },
                    }
                }
            };
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = accept(&socket, &front) => accepted,
            };
            let arrival = Arrival { stream, peer, permit };
            tokio::spawn(front.clone().serve(arrival));
        }
    }
}

/// The next connection. Errors are logged and waited out.
async fn accept(socket: &tokio::net::TcpListener, front: &Front) -> (TcpStream, SocketAddr) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        // it leaves this runtime for the thread that it will live on
        let accepted = socket.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
        match accepted {
            Ok(accepted) => return accepted,
            // the client went away in the queue
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => (),
            Err(error) => {
                tracing::warn!(listener = front.config.name, %error, "a connection could not be accepted");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_has_the_options_of_the_listener() {
        let listener = bind(&HostPort::new("127.0.0.1", 0)).expect("bound");
        listener.set_nonblocking(false).expect("set");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (accepted, _) = listener.accept().expect("accepted");
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().expect("asked") && socket.keepalive().expect("asked"));
        assert_eq!(socket.tcp_keepalive_time().expect("asked"), Duration::from_secs(60));
    }
}
