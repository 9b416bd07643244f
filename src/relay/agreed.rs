//! What comes before a connection's first byte, on the runtime: headers of the PROXY protocol and the handshakes of TLS.
//! After that a side is a [`Wire`], for the thread that it lives on.

use super::header::{self, Ends};
use super::secure::SecureSocket;
use super::socket::Socket;
use super::wire::Wire;
use crate::tls::Certificates;
use rustls::Connection;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// For what has to come before the first byte, on either side.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client's side of a connection.
pub(super) struct Caller {
    pub(super) wire: Wire,
    /// Whose connection it is, and where it was made to.
    pub(super) ends: Ends,
    /// A header said so. Who is at its other end is not to be seen from here.
    pub(super) is_proxied: bool,
}

/// Hears whose connection it is, if a header has to say so (`proxied`), and agrees on TLS.
pub(super) async fn meet(
    certificates: &Certificates,
    stream: std::net::TcpStream,
    ends: Ends,
    proxied: bool,
) -> io::Result<Caller> {
    let server = certificates.server();
    if !proxied && server.is_none() {
        return Ok(Caller { wire: Wire::Plain(Socket::new(stream)), ends, is_proxied: false });
    }
    let mut stream = TcpStream::from_std(stream)?;
    let told = if proxied { in_time(header::read(&mut stream)).await? } else { None };
    let wire = match server {
        None => plain(stream)?,
        Some(server) => {
            let agreed = in_time(TlsAcceptor::from(server).accept(stream)).await.map_err(in_tls)?;
            let (stream, session) = agreed.into_inner();
            secure(stream, session.into())?
        }
    };
    Ok(Caller { wire, ends: told.unwrap_or(ends), is_proxied: told.is_some() })
}

/// Tells the broker, which is called by this name, whose connection it is, and agrees on TLS with it.
pub(super) async fn greet(
    certificates: &Certificates,
    mut stream: TcpStream,
    host: &str,
    told: Option<Ends>,
) -> io::Result<Wire> {
    if let Some(ends) = told {
        in_time(stream.write_all(&header::of(ends)?)).await?;
    }
    let Some((client, name)) = certificates.client(host).map_err(io::Error::other)? else { return plain(stream) };
    let agreed = in_time(TlsConnector::from(client).connect(name, stream)).await.map_err(in_tls)?;
    let (stream, session) = agreed.into_inner();
    secure(stream, session.into())
}

/// The same over a Unix socket, where TLS would hide nothing from anybody.
pub(super) async fn greet_on_host(mut stream: UnixStream, told: Option<Ends>) -> io::Result<Wire> {
    if let Some(ends) = told {
        in_time(stream.write_all(&header::of(ends)?)).await?;
    }
    Ok(Wire::Plain(Socket::new(stream.into_std()?)))
}

fn plain(stream: TcpStream) -> io::Result<Wire> {
    Ok(Wire::Plain(Socket::new(stream.into_std()?)))
}

fn secure(stream: TcpStream, session: Connection) -> io::Result<Wire> {
    Ok(Wire::Secure(Box::new(SecureSocket::new(Socket::new(stream.into_std()?), session))))
}

async fn in_time<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("nothing came within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, what).await.unwrap_or_else(|_| Err(late()))
}

fn in_tls(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("TLS: {error}"))
}

/// Where a connection was made from and to.
pub(super) fn ends(stream: &std::net::TcpStream, peer: SocketAddr) -> io::Result<Ends> {
    Ok((peer, stream.local_addr()?))
}
