//! A pump is driven by a task, or by a thread that knows what the kernel has reported, with or without TLS, to a broker on the
//! network or behind a Unix socket: either way what a gate orders is carried out, all of it, in its order and once.

use crate::gate::{TestGate, pass};
use crate::secure::secure_pair;
use crate::support::{Facts, SURELY, Sink, pair, pattern, pump_on};
use draingate::gate::{Action, Side};
use draingate::hub::{Clock, Handle, Tell};
use draingate::job::{ConnId, Job, JobEvent, JobKey, Millis, Place};
use draingate::relay::pump::{Closed, Parts, Pump};
use draingate::relay::{Life, Socket, Threads, Turn, Wire};
use draingate::telemetry::Meter;
use fastrand::Rng;
use std::any::Any;
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Sent by each side.
const SENT: usize = 400_000;

/// What the gate was given and has ordered, and what came of it.
#[derive(Default)]
struct Story {
    /// By the side that sent it.
    seen: [usize; 2],
    consumed: [usize; 2],
    /// What was left of the client's bytes when the gate stopped hearing it is still to come again.
    again: bool,
    /// By the side that it is for.
    ordered: [Vec<u8>; 2],
    got: [Vec<u8>; 2],
    facts: Vec<JobEvent>,
    told: Vec<JobEvent>,
}

type Shared = Arc<Mutex<Story>>;

impl Story {
    fn is_over(&self) -> bool {
        self.seen == [SENT; 2]
            && !self.again
            && self.got[0].len() == self.ordered[0].len()
            && self.got[1].len() == self.ordered[1].len()
    }
}

fn fact(rng: &mut Rng) -> JobEvent {
    let name = rng.u32(..).to_string();
    match rng.u8(..3) {
        0 => JobEvent::ClientNamed(name),
        1 => JobEvent::FetchAsked { place: Place::Broker, queues: vec![name].into(), blocking: true },
        _ => {
            let key = JobKey::Text(name.clone());
            JobEvent::Delivered(Job { key, id: name, name: String::new(), queue: "q".into(), eta: None })
        }
    }
}

/// Passes on what it is given, in pieces, with facts and words of its own in between; leaves some of it for later, and does not
/// hear the client for a moment now and then.
fn whimsical(seed: u64, story: Shared) -> TestGate {
    let (mut gate, mut rng) = (pass(), Rng::with_seed(seed));
    gate.input = Box::new(move |state, from, input, out| {
        if from == Side::Client && rng.u8(..8) == 0 {
            state.wants[0] = false;
            state.next_timeout = Some(state.now + 1);
        }
        let story = &mut *story.lock().expect("sound");
        let whole = rng.u8(..8) > 0;
        let take = if whole { input.len() } else { rng.usize(..=input.len()) };
        if from == Side::Client {
            story.again = !state.wants[0] && take < input.len();
        }
        let mut at = 0;
        while at < take {
            let end = if rng.bool() { take } else { rng.usize(at + 1..=take) };
            out.push(Action::Forward(at..end));
            story.ordered[from.other() as usize].extend(&input[at..end]);
            at = end;
            match rng.u8(..6) {
                0 | 1 => {
                    let fact = fact(&mut rng);
                    story.facts.push(fact.clone());
                    out.push(Action::Event(fact));
                }
                2 | 3 => {
                    let to = if rng.bool() { Side::Client } else { Side::Broker };
                    out.push(Action::Send { to, bytes: "own".into() });
                    story.ordered[to as usize].extend(b"own");
                }
                _ => (),
            }
        }
        story.seen[from as usize] = story.consumed[from as usize] + input.len();
        story.consumed[from as usize] += take;
        take
    });
    gate.timeout = Box::new(|state, _| (state.wants[0], state.next_timeout) = (true, None));
    gate
}

/// What drives it, and what is around its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Task,
    Thread,
    ThreadWithTls,
    /// The broker's is a Unix socket.
    ThreadOnHost,
}

/// A side's own end.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

type End = Box<dyn Duplex>;

/// A pump on a thread of the relay's.
struct Driven(Pump<Wire, Wire, TestGate, Sink>);

impl Driven {
    fn outcome(&self, closed: Option<Box<Closed>>) -> Turn {
        match closed {
            Some(_) => Turn::Over,
            None if self.0.is_parked() => Turn::Parked,
            None => Turn::Waits,
        }
    }
}

impl Life for Driven {
    fn sockets(&mut self) -> [&mut Socket; 2] {
        self.0.streams().map(Wire::socket)
    }

    fn turn(&mut self, now: Millis, cx: &mut Context<'_>) -> Turn {
        let closed = self.0.turn(now, cx);
        self.outcome(closed)
    }

    fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool {
        self.0.hand_over(facts)
    }

    fn resume(&mut self, now: Millis, cx: &mut Context<'_>, asked: bool) -> Turn {
        let closed = self.0.resume(now, cx, asked);
        self.outcome(closed)
    }

    fn timer(&mut self) -> Option<Millis> {
        self.0.timer()
    }

    fn close(self: Box<Self>) {}
}

/// An end, and a relay's side of it.
async fn side(way: Way, side: Side) -> (End, Wire) {
    if (way, side) == (Way::ThreadOnHost, Side::Broker) {
        let (end, socket) = UnixStream::pair().expect("two ends");
        return (Box::new(end), Wire::Plain(Socket::new(socket.into_std().expect("a socket"))));
    }
    if way == Way::ThreadWithTls {
        let (end, secure) = secure_pair().await;
        return (Box::new(end), Wire::Secure(Box::new(secure)));
    }
    let (end, socket) = pair().await;
    (Box::new(end), Wire::Plain(Socket::new(socket.into_std().expect("a socket"))))
}

/// The ends of a pump, and what drives it as long as it lives.
async fn drive(seed: u64, way: Way, story: &Shared) -> (End, End, Box<dyn Any>) {
    let (gate, told) = (whimsical(seed, story.clone()), story.clone());
    let tell: Facts = Box::new(move |fact| told.lock().expect("sound").told.push(fact));
    if way == Way::Task {
        let ((client, one), (broker, other)) = (pair().await, pair().await);
        return (Box::new(client), Box::new(broker), Box::new(pump_on(one, other, gate, tell)));
    }
    let ((client, one), (broker, other)) = (side(way, Side::Client).await, side(way, Side::Broker).await);
    let told = story.clone();
    let (facts, handle) = (Sink(tell, gate.state.clone()), Arc::new(Handle::default()));
    let tell: Tell = Arc::new(move |facts, _| {
        told.lock().expect("sound").told.extend(facts.drain(..).map(|(_, fact)| fact));
        true
    });
    let clock = Clock::start();
    let threads = Threads::start(1, clock, tell).expect("started");
    let meter = Meter::new(["test"].into_iter(), 1).listeners()[0].thread(0);
    threads
        .enter(0, Box::new(Driven(Pump::new(Parts { client: one, broker: other, gate, facts, handle, clock, meter }))));
    (client, broker, Box::new(threads))
}

/// One side: sends a pattern in pieces and reads all that comes. Its halves must live until the other side is done, too.
async fn play(end: End, side: Side, seed: u64, story: Shared) -> (ReadHalf<End>, WriteHalf<End>) {
    let (mut from, mut to) = tokio::io::split(end);
    let mut rng = Rng::with_seed(seed ^ (side as u64 + 1));
    let send = async {
        let (mut sent, all) = (0, pattern(side as usize, SENT));
        while sent < SENT {
            let largest = [40, 40, 40, 3_000, 20_000][rng.usize(..5)];
            let end = (sent + rng.usize(1..=largest)).min(SENT);
            to.write_all(&all[sent..end]).await.expect("written");
            to.flush().await.expect("written");
            sent = end;
            if rng.bool() {
                tokio::task::yield_now().await;
            }
        }
    };
    let read = async {
        // slower than what is sent: some of it has to wait
        let mut buffer = vec![0; 2 * 1024];
        while !story.lock().expect("sound").is_over() {
            // the other side may be the last
            let Ok(number) = timeout(Duration::from_millis(20), from.read(&mut buffer)).await else { continue };
            let number = number.expect("read");
            assert!(number > 0, "nobody closes");
            story.lock().expect("sound").got[side as usize].extend(&buffer[..number]);
        }
    };
    tokio::join!(send, read);
    (from, to)
}

async fn tell_story(seed: u64, by: Way) {
    let story = Shared::default();
    let (client, broker, way) = drive(seed, by, &story).await;
    let [client, broker] = [(client, Side::Client), (broker, Side::Broker)]
        .map(|(socket, side)| tokio::spawn(play(socket, side, seed, story.clone())));
    let played = timeout(SURELY, async { (client.await, broker.await) }).await;
    let story = story.lock().expect("sound");
    let lengths = |of: &[Vec<u8>; 2]| [of[0].len(), of[1].len()];
    let told =
        format!("{:?} of {SENT} seen, {:?} of {:?} got", story.seen, lengths(&story.got), lengths(&story.ordered));
    assert!(matches!(played, Ok((Ok(_), Ok(_)))), "seed {seed}: {told}");
    for side in [Side::Client, Side::Broker] {
        assert!(
            story.got[side as usize] == story.ordered[side as usize],
            "seed {seed}: not what was ordered for {side:?}"
        );
    }
    assert!(story.told == story.facts, "seed {seed}: not the facts in their order");
    drop(way);
}

#[tokio::test]
async fn a_task_carries_out_what_is_ordered() {
    for seed in 0..4 {
        tell_story(seed, Way::Task).await;
    }
}

#[tokio::test]
async fn a_thread_carries_out_what_is_ordered() {
    for seed in 0..4 {
        tell_story(seed, Way::Thread).await;
    }
}

#[tokio::test]
async fn a_thread_carries_out_what_is_ordered_with_tls_on_both_sides() {
    for seed in 0..4 {
        tell_story(seed, Way::ThreadWithTls).await;
    }
}

#[tokio::test]
async fn a_thread_carries_out_what_is_ordered_with_a_broker_behind_a_unix_socket() {
    for seed in 0..4 {
        tell_story(seed, Way::ThreadOnHost).await;
    }
}
