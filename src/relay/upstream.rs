//! The way to the broker, over the network or a Unix socket: names are looked up for every connection, addresses tried in
//! their order. A Sentinel is asked where it is. An address that has kept somebody waiting for nothing is tried last for a
//! while: others would lose the same seconds there, and most clients do not wait that long.

use super::agreed;
use super::header::Ends;
use super::sentinel::Masters;
use super::wire::Wire;
use crate::config::{BrokerAddress, HostPort, Upstream};
use crate::tls::Certificates;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

/// For one address, at first.
const CONNECT: Duration = Duration::from_secs(3);
/// And if there is no other: a busy kernel answers the fourth of its attempts, after seven seconds.
const CONNECT_LAST: Duration = Duration::from_secs(10);
/// So long an address that has not answered is tried last.
const SILENT: Duration = Duration::from_secs(15);
/// Until a broker with a full queue is asked again.
const FULL: Duration = Duration::from_millis(5);
/// A peer that vanished without a word is noticed after about two minutes. Nobody else sees these probes.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// The broker of a listener.
pub(super) struct Broker {
    upstream: Upstream,
    certificates: Arc<Certificates>,
    masters: Masters,
    silent: Mutex<Vec<(SocketAddr, Instant)>>,
}

/// Which addresses are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Those of which nothing bad is known.
    First,
    /// The others.
    Last,
}

impl Broker {
    /// `certificates`: how it is spoken to.
    pub(super) fn new(upstream: Upstream, certificates: Arc<Certificates>) -> Broker {
        Broker { upstream, certificates, masters: Masters::default(), silent: Mutex::default() }
    }

    /// Connects to the first address that answers; fails with what the last one said. `told`: the broker is told by a header
    /// of the PROXY protocol that the connection is of these.
    pub(super) async fn connect(&self, told: Option<Ends>) -> Result<Wire, (BrokerAddress, io::Error)> {
        let mut failed = None;
        for round in [Round::First, Round::Last] {
            for address in &self.upstream.addresses {
                let connected = match address {
                    BrokerAddress::Unix(_) if round == Round::Last => continue,
                    BrokerAddress::Unix(path) => connect_on_host(path, told).await.map(Some),
                    BrokerAddress::Tcp(address) => self.connect_to(address, told, round).await,
                    BrokerAddress::Sentinel(sentinel) => match self.masters.find(sentinel).await {
                        Ok(master) => self.connect_to(&master, told, round).await.map_err(|error| at(&master, &error)),
                        Err(error) => Err(error),
                    },
                };
                match connected {
                    Ok(Some(wire)) => return Ok(wire),
                    Ok(None) => {}
                    Err(error) => failed = Some((address.clone(), error)),
                }
            }
        }
        let none = || (BrokerAddress::Tcp(HostPort::new("", 0)), io::ErrorKind::InvalidInput.into());
        Err(failed.unwrap_or_else(none))
    }

    /// `None` if none of its addresses is tried in this round.
    async fn connect_to(&self, address: &HostPort, told: Option<Ends>, round: Round) -> io::Result<Option<Wire>> {
        let found = resolve(address).await?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let mut failed = None;
        for socket in found.into_iter().filter(|socket| self.round(*socket) == round) {
            let connected = async {
                let stream = in_time(round, TcpStream::connect(socket)).await?;
                prepare(SockRef::from(&stream));
                agreed::greet(&self.certificates, stream, &address.host, told).await
            };
            match connected.await {
                Ok(wire) => return Ok(Some(wire)),
                Err(error) => {
                    if error.kind() == io::ErrorKind::TimedOut {
                        self.keeps_waiting(socket);
                    }
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// In which round an address is tried.
    fn round(&self, address: SocketAddr) -> Round {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|(_, until)| Instant::now() < *until);
        if silent.iter().any(|(one, _)| *one == address) { Round::Last } else { Round::First }
    }

    /// Somebody has waited there for nothing.
    pub(super) fn keeps_waiting(&self, address: SocketAddr) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|(one, _)| *one != address);
        silent.push((address, Instant::now() + SILENT));
    }
}

async fn in_time(round: Round, connects: impl Future<Output = io::Result<TcpStream>>) -> io::Result<TcpStream> {
    let patience = if round == Round::First { CONNECT } else { CONNECT_LAST };
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("it did not answer within {} s", patience.as_secs()));
    timeout(patience, connects).await.unwrap_or_else(|_| Err(late()))
}

/// Of a master that only its Sentinel has named.
fn at(master: &HostPort, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the master at {master}: {error}"))
}

/// Over a Unix socket. While the broker's queue is full the kernel refuses instead of waiting, as it would over TCP: it is
/// asked again until there is room.
async fn connect_on_host(path: &Path, told: Option<Ends>) -> io::Result<Wire> {
    let end = Instant::now() + CONNECT_LAST;
    let stream = loop {
        match UnixStream::connect(path).await {
            Ok(stream) => break stream,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() >= end => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer within 10 s"));
            }
            Err(_) => tokio::time::sleep(FULL).await,
        }
    };
    agreed::greet_on_host(stream, told).await
}

async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let found = timeout(CONNECT_LAST, tokio::net::lookup_host((address.host.as_str(), address.port)));
    match found.await {
        Ok(found) => Ok(found?.collect()),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the name was not answered within 10 s")),
    }
}

/// What both sockets of a connection get over TCP. Neither is worth a connection if the kernel refuses it.
pub(super) fn prepare(socket: SockRef<'_>) {
    if let Err(error) = socket.set_tcp_nodelay(true).and(socket.set_tcp_keepalive(&KEEPALIVE)) {
        tracing::debug!(%error, "a socket's options could not be set");
    }
}
