//! From accept to close, with a broker that answers `PING`.

use crate::support::SURELY;
use draingate::config::{Config, Flags, StateConfig};
use draingate::fleet::FleetSettings;
use draingate::hub::Hub;
use draingate::relay::{Bound, Relay, Resolver, Threads};
use draingate::store::Store;
use draingate::telemetry::Meter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

struct Server {
    address: SocketAddr,
    hub: Arc<Hub>,
    meter: Arc<Meter>,
    stop: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
    _state: tempfile::TempDir,
}

/// A listener in front of `upstream` (`host:port` or a list), as `server` would start it.
fn serve(upstream: &str, max_connections: usize) -> Server {
    let file =
        format!("[[listener]]\nbind = \"127.0.0.1:0\"\nupstream = [{upstream}]\nmax_connections = {max_connections}\n");
    let environment = [("HOME".to_owned(), "/nonexistent".to_owned())];
    let config = Config::parse(Some(("test", &file)), &environment, &Flags::default()).expect("valid");
    let state = tempfile::tempdir().expect("a directory");
    let (store, saved) = Store::open(&StateConfig::in_dir(state.path()), false).expect("opened");
    let hub = Hub::open(FleetSettings::default(), store, saved).expect("opened");
    let threads = Arc::new(Threads::start(2, hub.clock(), hub.teller()).expect("started"));
    let meter = Arc::new(Meter::new(["redis"].into_iter(), 2));
    let resolver = Arc::new(Resolver::start(hub.clone()).expect("started"));
    let relay = Relay { hub: hub.clone(), threads, meter: meter.clone(), resolver, max_connections: 10_000 };
    let bound = Bound::new(config.listeners[0].clone()).expect("bound");
    let address = bound.address();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let accepting = tokio::spawn(async move {
        bound.accept(relay, &config, 0, stopped).await.expect("accepts");
    });
    Server { address, hub, meter, stop, accepting, _state: state }
}

/// Answers every `PING`; the number of connections made to it.
async fn broker() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut ping = [0; PING.len()];
                while socket.read_exact(&mut ping).await.is_ok() {
                    assert_eq!(ping, PING);
                    socket.write_all(PONG).await.expect("written");
                }
            });
        }
    });
    (address, accepted)
}

async fn ping(client: &mut TcpStream) {
    client.write_all(PING).await.expect("written");
    let mut pong = [0; PONG.len()];
    timeout(SURELY, client.read_exact(&mut pong)).await.expect("in time").expect("read");
    assert_eq!(pong, PONG);
}

async fn until(reached: impl Fn() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    timeout(SURELY, wait).await.expect("it comes to that");
}

#[tokio::test]
async fn many_connections_each_have_their_own_to_the_broker() {
    const NUMBER: usize = 300;
    let (broker, accepted) = broker().await;
    let server = serve(&format!("\"redis://{broker}\""), 10_000);
    let mut clients = Vec::new();
    for _ in 0..NUMBER {
        clients.push(TcpStream::connect(server.address).await.expect("connected"));
    }
    for client in &mut clients {
        ping(client).await;
    }
    assert_eq!(accepted.load(Ordering::SeqCst), NUMBER);
    assert_eq!((server.hub.connections(), server.meter.listeners()[0].open()), (NUMBER, NUMBER));
    drop(clients);
    until(|| server.hub.connections() == 0 && server.meter.listeners()[0].open() == 0).await;
    let bytes = ((NUMBER * PING.len()) as u64, (NUMBER * PONG.len()) as u64);
    assert_eq!(server.meter.listeners()[0].bytes(), bytes);
}

#[tokio::test]
async fn a_broker_that_is_down_closes_its_clients_and_no_others() {
    // a port that was free a moment ago
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("bound");
    let (broker, _) = broker().await;
    let down = serve(&format!("\"{nobody}\""), 10);
    let up = serve(&format!("\"{broker}\""), 10);
    let mut client = TcpStream::connect(up.address).await.expect("connected");
    ping(&mut client).await;
    let mut refused = TcpStream::connect(down.address).await.expect("accepted");
    let mut got = Vec::new();
    timeout(SURELY, refused.read_to_end(&mut got)).await.expect("in time").expect("closed");
    assert!(got.is_empty());
    until(|| down.hub.connections() == 0).await;
    ping(&mut client).await;
}

#[tokio::test]
async fn the_next_address_of_a_list_is_tried() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("bound");
    let (broker, _) = broker().await;
    let server = serve(&format!("\"{nobody}\", \"redis://localhost:{}\"", broker.port()), 10);
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    ping(&mut client).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let (broker, accepted) = broker().await;
    let server = serve(&format!("\"{broker}\""), 1);
    let mut first = TcpStream::connect(server.address).await.expect("connected");
    ping(&mut first).await;
    let mut second = TcpStream::connect(server.address).await.expect("in the kernel's queue");
    second.write_all(PING).await.expect("written");
    ping(&mut first).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    drop(first);
    let mut pong = [0; PONG.len()];
    timeout(SURELY, second.read_exact(&mut pong)).await.expect("in time").expect("read");
}

#[tokio::test]
async fn a_stop_frees_the_address_and_lets_connections_be() {
    let (broker, _) = broker().await;
    let server = serve(&format!("\"{broker}\""), 10);
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    ping(&mut client).await;
    server.stop.cancel();
    timeout(SURELY, server.accepting).await.expect("in time").expect("sound");
    assert!(TcpStream::connect(server.address).await.is_err());
    TcpListener::bind(server.address).await.expect("free for another gate");
    ping(&mut client).await;
    for handle in server.hub.handles(|_| true) {
        handle.stop();
    }
    let mut got = Vec::new();
    timeout(SURELY, client.read_to_end(&mut got)).await.expect("in time").expect("closed");
    until(|| server.hub.connections() == 0).await;
}
