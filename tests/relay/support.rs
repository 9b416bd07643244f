//! A pump between two sockets of the test's own.

use crate::gate::{State, TestGate};
use draingate::hub::{Clock, Handle};
use draingate::job::{ConnId, JobEvent};
use draingate::relay::pump::{Closed, FactSink, Parts, Pump, Stream};
use draingate::telemetry::{ListenerMeter, Meter};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything takes that is going to happen.
pub(crate) const SURELY: Duration = Duration::from_secs(20);

/// Facts go into a list, or wherever a test wants them.
pub(crate) type Facts = Box<dyn FnMut(JobEvent) + Send>;

pub(crate) struct Sink(pub(crate) Facts, pub(crate) Arc<Mutex<State>>);

impl FactSink for Sink {
    fn events(&mut self, events: impl Iterator<Item = JobEvent>) {
        for event in events {
            match event {
                JobEvent::MarkTaken => self.1.lock().expect("no panic before").calls.push("mark taken".into()),
                event => (self.0)(event),
            }
        }
    }

    fn hand_over(&mut self, event: JobEvent, facts: &mut Vec<(ConnId, JobEvent)>) {
        facts.push((ConnId(0), event));
    }
}

/// A running pump.
pub(crate) struct Running {
    pub(crate) handle: Arc<Handle>,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) meter: Arc<ListenerMeter>,
    task: JoinHandle<Closed>,
}

impl Running {
    /// How it ended.
    pub(crate) async fn closed(self) -> Closed {
        timeout(SURELY, self.task).await.expect("it ends").expect("it does not panic")
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.task.is_finished()
    }

    /// The calls to the gate so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().expect("no panic before").calls.clone()
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&State) -> bool) {
        let reached = async {
            while !wanted(&self.state.lock().expect("no panic before")) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SURELY, reached).await.expect("it comes to that");
    }
}

/// Starts a pump whose sides are these streams.
pub(crate) fn pump_on<C: Stream, B: Stream>(client: C, broker: B, gate: TestGate, facts: Facts) -> Running {
    let handle = Arc::new(Handle::default());
    let meter = Meter::new(["test"].into_iter(), 1).listeners()[0].clone();
    let state = gate.state.clone();
    let mut pump = Pump::new(Parts {
        client,
        broker,
        gate,
        facts: Sink(facts, state.clone()),
        handle: handle.clone(),
        clock: Clock::start(),
        meter: meter.thread(0),
    });
    let task = tokio::spawn(async move {
        let closed = pump.run().await;
        pump.part().await;
        closed
    });
    Running { handle, state, meter, task }
}

/// The test's ends of a pump over TCP.
pub(crate) struct Ends {
    pub(crate) client: TcpStream,
    pub(crate) broker: TcpStream,
    pub(crate) pump: Running,
}

/// Starts a pump over TCP.
pub(crate) async fn pump(gate: TestGate) -> Ends {
    pump_telling(gate, Box::new(|_| ())).await
}

/// The same, with the facts going somewhere.
pub(crate) async fn pump_telling(gate: TestGate, facts: Facts) -> Ends {
    let (client, inner_client) = pair().await;
    let (broker, inner_broker) = pair().await;
    Ends { client, broker, pump: pump_on(inner_client, inner_broker, gate, facts) }
}

/// Two ends of a TCP connection with small buffers of a fixed size.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (one, (other, _)) = (one.expect("connected"), other.expect("accepted"));
    for socket in [&one, &other] {
        let socket = socket2::SockRef::from(socket);
        socket.set_send_buffer_size(64 * 1024).expect("set");
        socket.set_recv_buffer_size(64 * 1024).expect("set");
    }
    (one, other)
}

/// Bytes that tell their place in a stream.
pub(crate) fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(|place| (place ^ (place >> 8) ^ (place >> 16)) as u8).collect()
}

/// Writes until nothing is taken any more; what was taken.
pub(crate) async fn fill(socket: &mut TcpStream) -> usize {
    let mut sent = 0;
    loop {
        let chunk = pattern(sent, 16 * 1024);
        match timeout(Duration::from_millis(300), socket.write(&chunk)).await {
            Ok(number) => sent += number.expect("open"),
            Err(_elapsed) => return sent,
        }
    }
}
