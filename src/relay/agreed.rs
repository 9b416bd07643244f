//! What comes before a connection's first byte, on the runtime: headers of the PROXY protocol and the handshakes of TLS.
//! Behind that a side is a [`Wire`], for the thread that it lives on.

use super::header::{self, Ends};
use super::secure::SecureSocket;
use super::socket::Socket;
use super::wire::Wire;
use crate::tls::{self, ClientTls, ServerTls, TlsError};
use rustls::{ClientConfig, Connection, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// For what has to come before the first byte, on either side.
const PATIENCE: Duration = Duration::from_secs(10);

/// The certificates of a listener, or of the admin address, as they were last read. Connections that are there keep those that they began with.
#[derive(Debug)]
pub struct Certificates {
    tls: Option<ServerTls>,
    upstream_tls: Option<ClientTls>,
    read: RwLock<Read>,
}

#[derive(Clone, Debug)]
struct Read {
    server: Option<Arc<ServerConfig>>,
    client: Option<Arc<ClientConfig>>,
}

/// The client's side of a connection.
pub(super) struct Caller {
    pub(super) wire: Wire,
    /// Whose connection it is, and where it was made to.
    pub(super) ends: Ends,
    /// A header said so. Who is at its other end is not to be seen from here.
    pub(super) is_proxied: bool,
}

impl Certificates {
    /// Reads what the configuration names.
    pub fn new(tls: Option<ServerTls>, upstream_tls: Option<ClientTls>) -> Result<Certificates, TlsError> {
        let read = RwLock::new(read(tls.as_ref(), upstream_tls.as_ref())?);
        Ok(Certificates { tls, upstream_tls, read })
    }

    /// Whether there are any.
    pub fn are_there(&self) -> bool {
        self.tls.is_some() || self.upstream_tls.is_some()
    }

    /// Reads the same files again. If one of them cannot be used all stays as it was.
    pub fn renew(&self) -> Result<(), TlsError> {
        let new = read(self.tls.as_ref(), self.upstream_tls.as_ref())?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// How callers are met from now on; `None`: without TLS.
    pub fn server(&self) -> Option<Arc<ServerConfig>> {
        self.read().server
    }

    fn read(&self) -> Read {
        self.read.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hears whose connection it is and agrees on TLS, as the listener is configured.
    pub(super) async fn meet(&self, stream: std::net::TcpStream, ends: Ends, proxied: bool) -> io::Result<Caller> {
        let server = self.server();
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

    /// Tells the broker whose connection it is, and agrees on TLS with it.
    pub(super) async fn greet(&self, mut stream: TcpStream, host: &str, told: Option<Ends>) -> io::Result<Wire> {
        if let Some(ends) = told {
            in_time(stream.write_all(&header::of(ends)?)).await?;
        }
        let Some(client) = self.read().client else { return plain(stream) };
        let name = self.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_deref()).unwrap_or(host);
        let name = tls::server_name(name).map_err(io::Error::other)?;
        let agreed = in_time(TlsConnector::from(client).connect(name, stream)).await.map_err(in_tls)?;
        let (stream, session) = agreed.into_inner();
        secure(stream, session.into())
    }
}

fn read(tls: Option<&ServerTls>, upstream_tls: Option<&ClientTls>) -> Result<Read, TlsError> {
    let server = tls.map(tls::server).transpose()?;
    let client = upstream_tls.map(tls::client).transpose()?;
    Ok(Read { server, client })
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
