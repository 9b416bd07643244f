//! Callers that say nothing: there is room for so many connections, and they must not keep it.

use crate::fake::Fake;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CALL: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn who_does_not_finish_a_call_is_closed() {
    let gate = Fake::new().serve().await;
    let address = gate.url("");
    let address = address.strip_prefix("http://").expect("a URL");
    let mut open = Vec::new();
    for said in [&b""[..], b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", CALL] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(said).await.expect("sent");
        open.push(stream);
    }
    let mut events = TcpStream::connect(address).await.expect("connected");
    events.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    for mut stream in open {
        let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
        closed.expect("closed in time").expect("in good order");
    }
    // who listens may stay
    let mut said = Vec::new();
    let ended = timeout(Duration::from_millis(200), events.read_to_end(&mut said)).await;
    assert!(ended.is_err() && said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}
