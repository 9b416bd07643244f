//! The way to the broker, over the network or a Unix socket: names are looked up for every connection, addresses tried in
//! their order. A Sentinel is asked where it is.

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
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// For one address.
const CONNECT: Duration = Duration::from_secs(10);
const NO_ANSWER: &str = "it did not answer within 10 s";
/// Until a broker with a full queue is asked again.
const FULL: Duration = Duration::from_millis(5);
/// A peer that vanished without a word is noticed after about two minutes. Nobody else sees these probes.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// Connects to the first address that answers; fails with what the last one said. `told`: the broker is told by a header
/// of the PROXY protocol that the connection is of these.
pub(super) async fn connect(
    upstream: &Upstream,
    certificates: &Certificates,
    masters: &Masters,
    told: Option<Ends>,
) -> Result<Wire, (BrokerAddress, io::Error)> {
    let mut failed = None;
    for address in &upstream.addresses {
        let connected = match address {
            BrokerAddress::Tcp(address) => connect_to(address, certificates, told).await,
            BrokerAddress::Unix(path) => connect_on_host(path, told).await,
            BrokerAddress::Sentinel(sentinel) => match masters.find(sentinel).await {
                Ok(master) => connect_to(&master, certificates, told).await.map_err(|error| at(&master, &error)),
                Err(error) => Err(error),
            },
        };
        match connected {
            Ok(wire) => return Ok(wire),
            Err(error) => failed = Some((address.clone(), error)),
        }
    }
    let none = || (BrokerAddress::Tcp(HostPort::new("", 0)), io::ErrorKind::InvalidInput.into());
    Err(failed.unwrap_or_else(none))
}

/// Of a master that only its Sentinel has named.
fn at(master: &HostPort, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the master at {master}: {error}"))
}

async fn connect_to(address: &HostPort, certificates: &Certificates, told: Option<Ends>) -> io::Result<Wire> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in resolve(address).await? {
        match tokio::time::timeout(CONNECT, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                prepare(SockRef::from(&stream));
                match agreed::greet(certificates, stream, &address.host, told).await {
                    Ok(wire) => return Ok(wire),
                    Err(error) => failed = error,
                }
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::Error::new(io::ErrorKind::TimedOut, NO_ANSWER),
        }
    }
    Err(failed)
}

/// Over a Unix socket. While the broker's queue is full the kernel refuses instead of waiting, as it would over TCP: it is
/// asked again until there is room.
async fn connect_on_host(path: &Path, told: Option<Ends>) -> io::Result<Wire> {
    let end = Instant::now() + CONNECT;
    let stream = loop {
        match UnixStream::connect(path).await {
            Ok(stream) => break stream,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() >= end => return Err(io::Error::new(io::ErrorKind::TimedOut, NO_ANSWER)),
            Err(_) => tokio::time::sleep(FULL).await,
        }
    };
    agreed::greet_on_host(stream, told).await
}

async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((address.host.as_str(), address.port)));
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
