//! A socket with TLS around it.

use crate::certificates::Certificates;
use crate::support::{SURELY, pair, pattern};
use draingate::relay::{SecureSocket, Socket};
use draingate::tls::{self, ClientTls, KeyPair, ServerTls};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A client's end of a connection with TLS, and a relay's side of it.
pub(crate) async fn secure_pair() -> (TlsStream<TcpStream>, SecureSocket) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Certificates::make(dir.path());
    let identity = KeyPair { cert: files.path("server.crt").into(), key: files.path("server.key").into() };
    let server = tls::server(&ServerTls { identity, client_ca: None }).expect("usable");
    let client = ClientTls { ca: Some(files.path("ca.crt").into()), ..ClientTls::default() };
    let client = tls::client(&client).expect("usable");
    let (one, other) = pair().await;
    let name = tls::server_name("localhost").expect("a name");
    let (one, other) =
        tokio::join!(TlsConnector::from(client).connect(name, one), TlsAcceptor::from(server).accept(other));
    let (stream, session) = other.expect("agreed").into_inner();
    (one.expect("agreed"), SecureSocket::new(Socket::new(stream.into_std().expect("a socket")), session.into()))
}

/// The worst that can happen to a job is that it counts as handed over and was not: what is only encrypted is not written.
#[tokio::test]
async fn what_counts_as_written_arrives_even_if_nothing_is_written_any_more() {
    let (mut client, mut secure) = secure_pair().await;
    let mut cx = Context::from_waker(Waker::noop());
    let mut written = 0;
    while let Poll::Ready(taken) =
        Pin::new(&mut secure).poll_write(&mut cx, &pattern(written, 10_000)).map(|taken| taken.expect("open"))
    {
        written += taken;
    }
    assert!(written > 20_000, "the kernel takes some: {written}");
    // cut, as if the gate were killed
    drop(secure);
    let mut read = Vec::new();
    let end = timeout(SURELY, client.read_to_end(&mut read)).await.expect("in time");
    assert!(end.is_err(), "there was no farewell");
    assert!(read.len() >= written, "{} of {written} bytes", read.len());
    assert!(read == pattern(0, read.len()));
}
