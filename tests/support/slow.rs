//! A slow network between workers and the gate. Each connection has a way of its own that stands still now and then, in
//! one direction at a time, while the worker's other connections go on: what a worker did first may be heard last.
//!
//! Each worker comes in by an entrance of its own, from an address of its own (said by a header of the PROXY protocol), as
//! workers in containers do: their processes cannot be seen from the gate.

use super::story::random;
use super::{eventually, secs};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How slow.
#[derive(Clone, Copy)]
pub(crate) struct Slowness {
    /// The longest standstill, in seconds. It must be less than the job system's own patience: a client that gives up on
    /// an answer that is under way loses what is in it, with a gate or without.
    pub(crate) longest: f64,
    /// From one standstill to the next, in seconds, on average.
    pub(crate) every: f64,
}

/// No standstill but those that the test wants.
pub(crate) const STEADY: Slowness = Slowness { longest: 0.0, every: 3600.0 };

/// What each of Celery's heartbeats has in it, on Redis and on RabbitMQ.
const HEARTBEAT: &[u8] = b"worker.heartbeat";

/// Whether the ways of heartbeats stand still, and how many of them have been kept back.
#[derive(Default)]
struct Valve {
    shut: AtomicBool,
    kept: AtomicUsize,
}

/// See the module. The threads end with the connections that they serve, or with the test.
pub(crate) struct SlowNetwork {
    gate: SocketAddr,
    slowness: Slowness,
    random: Mutex<fastrand::Rng>,
    entrances: AtomicU8,
    valve: Arc<Valve>,
}

impl SlowNetwork {
    /// To a gate that expects headers of the PROXY protocol.
    pub(crate) fn before(gate: &str, slowness: Slowness) -> SlowNetwork {
        let gate = gate.parse().expect("the gate's address");
        SlowNetwork { gate, slowness, random: Mutex::new(random()), entrances: AtomicU8::new(0), valve: Arc::default() }
    }

    /// From now on no heartbeat of a Celery worker gets through. Returns when so many have been sent meanwhile.
    pub(crate) fn keep_heartbeats(&self, number: usize) {
        self.valve.shut.store(true, Ordering::SeqCst);
        eventually("heartbeats are kept back", secs(60), || {
            (self.valve.kept.load(Ordering::SeqCst) >= number).then_some(())
        });
    }

    /// They come, all together.
    pub(crate) fn let_heartbeats_go(&self) {
        self.valve.shut.store(false, Ordering::SeqCst);
    }

    /// Where the next worker finds the broker, and the address that the gate knows it by.
    pub(crate) fn enter(&self) -> (String, Ipv4Addr) {
        let from = Ipv4Addr::new(10, 0, 0, 1 + self.entrances.fetch_add(1, Ordering::Relaxed));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let (gate, slowness, valve) = (self.gate, self.slowness, self.valve.clone());
        let mut random = self.random.lock().expect("nobody panicked").fork();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // a gate that is away refuses, and so does the network
                let Ok(mut broker) = TcpStream::connect(gate) else { continue };
                let _ = (client.set_nodelay(true), broker.set_nodelay(true));
                let port = client.peer_addr().map_or(0, |peer| peer.port());
                let header = format!("PROXY TCP4 {from} 127.0.0.1 {port} {}\r\n", gate.port());
                if broker.write_all(header.as_bytes()).is_err() {
                    continue;
                }
                let mut way = |from: &TcpStream, to: &TcpStream, valve: Option<&Arc<Valve>>| {
                    let way = Way { standstills: Standstills::new(slowness, random.fork()), valve: valve.cloned() };
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        std::thread::spawn(move || way.carry(from, to));
                    }
                };
                way(&client, &broker, Some(&valve));
                way(&broker, &client, None);
            }
        });
        (address, from)
    }
}

/// One direction of a connection.
struct Way {
    standstills: Standstills,
    /// For what the worker sends.
    valve: Option<Arc<Valve>>,
}

impl Way {
    /// From the first byte to the end.
    fn carry(mut self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 65_536];
        loop {
            let read = match from.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.unwrap_or(0),
            };
            if read == 0 {
                break;
            }
            self.standstills.pass();
            let kept = self.keep(&bytes[..read], &mut from);
            if to.write_all(&bytes[..read]).is_err() || to.write_all(&kept).is_err() {
                break;
            }
        }
        // an end of one side's writing is passed on as such; who resets, or is gone, ends both ways soon
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }

    /// If there is a heartbeat in these bytes and none may pass: what is sent behind them until they may.
    fn keep(&self, first: &[u8], from: &mut TcpStream) -> Vec<u8> {
        let beats = |bytes: &[u8]| bytes.windows(HEARTBEAT.len()).filter(|word| *word == HEARTBEAT).count();
        let mut more = Vec::new();
        let Some(valve) = self.valve.as_ref().filter(|_| beats(first) > 0) else { return more };
        let mut counted = 0;
        let mut bytes = [0; 4096];
        let _ = from.set_read_timeout(Some(Duration::from_millis(20)));
        while valve.shut.load(Ordering::SeqCst) {
            if let Ok(read) = from.read(&mut bytes) {
                more.extend_from_slice(&bytes[..read]);
            }
            let kept = beats(first) + beats(&more);
            valve.kept.fetch_add(kept - counted, Ordering::SeqCst);
            counted = kept;
        }
        let _ = from.set_read_timeout(None);
        more
    }
}

/// When a way stands still.
struct Standstills {
    slowness: Slowness,
    random: fastrand::Rng,
    begin: Instant,
    end: Instant,
}

impl Standstills {
    fn new(slowness: Slowness, random: fastrand::Rng) -> Standstills {
        let now = Instant::now();
        let mut standstills = Standstills { slowness, random, begin: now, end: now };
        standstills.next();
        standstills
    }

    fn next(&mut self) {
        let random = &mut self.random;
        self.begin = self.end + Duration::from_secs_f64(2.0 * self.slowness.every * random.f64());
        self.end = self.begin + Duration::from_secs_f64(self.slowness.longest * random.f64());
    }

    /// Returns when what is at the way's beginning now has come to its end.
    fn pass(&mut self) {
        let now = Instant::now();
        while self.end <= now {
            self.next();
        }
        if self.begin <= now {
            std::thread::sleep(self.end - now);
        }
    }
}
