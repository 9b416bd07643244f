//! What a thread owes those of its connections that have traffic while thousands of others are to be served at once: a drain
//! wakes them, their time is up together, or the fleet has no time to hear what they have to tell.

use crate::support::{SURELY, pair};
use draingate::hub::{Clock, Tell};
use draingate::job::{ConnId, JobEvent, Millis};
use draingate::relay::{Life, Socket, Threads, Turn};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

/// As many as are woken at once: more than have their turn between two looks at the kernel.
const CROWD: usize = 150;

type Act = Box<dyn FnMut(&mut Context<'_>) -> Turn + Send>;

/// A connection that does in its turns what the test wants.
struct Actor {
    sockets: [Socket; 2],
    act: Act,
    /// When its time is up; 0: never.
    due: Arc<AtomicU64>,
    resumed: Sender<&'static str>,
}

impl Life for Actor {
    fn sockets(&mut self) -> [&mut Socket; 2] {
        self.sockets.each_mut()
    }

    fn turn(&mut self, _now: Millis, cx: &mut Context<'_>) -> Turn {
        (self.act)(cx)
    }

    fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool {
        facts.push((ConnId(1), JobEvent::Opaque));
        true
    }

    fn resume(&mut self, _now: Millis, _cx: &mut Context<'_>, _asked: bool) -> Turn {
        self.resumed.send("resumed").expect("heard");
        Turn::Waits
    }

    fn timer(&mut self) -> Option<Millis> {
        Some(self.due.load(SeqCst)).filter(|due| *due > 0)
    }

    fn close(self: Box<Self>) {}
}

/// It, and the other end of its first socket.
async fn actor(resumed: &Sender<&'static str>, act: Act) -> (Box<Actor>, TcpStream) {
    let (client, one) = pair().await;
    let (_, other) = pair().await;
    let sockets = [one, other].map(|socket| Socket::new(socket.into_std().expect("a socket")));
    let actor = Actor { sockets, act, due: Arc::default(), resumed: resumed.clone() };
    (Box::new(actor), client.into_std().expect("a socket"))
}

/// A thread on which one connection has traffic and a crowd waits.
struct Scene {
    threads: Threads,
    clock: Clock,
    /// From here on turns count.
    begun: Arc<AtomicBool>,
    /// When the time of each of the crowd is up.
    due: Arc<AtomicU64>,
    wakers: Vec<Waker>,
    story: Sender<&'static str>,
    hear: Receiver<&'static str>,
    peers: Vec<TcpStream>,
}

impl Scene {
    /// The first of the crowd that has its turn has the peer of the busy one send something: news of the kernel that come
    /// when all of the crowd are waiting.
    async fn set() -> Scene {
        let ((story, hear), (give, wakers), clock) = (channel(), channel(), Clock::start());
        let told: Tell = Arc::new(|_, _| true);
        let threads = Threads::start(1, clock, told).expect("started");
        let (begun, due, mut peers) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicU64>::default(), Vec::new());
        let (say, ready) = (story.clone(), begun.clone());
        let busy = move |_: &mut Context<'_>| {
            if ready.load(SeqCst) {
                // the test may be over
                let _ = say.send("busy");
            }
            Turn::Waits
        };
        let (busy, peer) = actor(&story, Box::new(busy)).await;
        threads.enter(0, busy);
        let peer = Arc::new(peer);
        for _ in 0..CROWD {
            let (say, ready, peer) = (story.clone(), begun.clone(), peer.clone());
            let mut give = Some(give.clone());
            let act = move |cx: &mut Context<'_>| {
                if ready.load(SeqCst) {
                    let _ = say.send("crowd");
                    (&*peer).write_all(b"!").expect("written");
                } else if let Some(give) = give.take() {
                    give.send(cx.waker().clone()).expect("heard");
                }
                Turn::Waits
            };
            let (mut one, its_peer) = actor(&story, Box::new(act)).await;
            one.due = due.clone();
            peers.push(its_peer);
            threads.enter(0, one);
        }
        let wakers = (0..CROWD).map(|_| wakers.recv_timeout(SURELY).expect("it comes")).collect();
        Scene { threads, clock, begun, due, wakers, story, hear, peers }
    }

    /// The thread stands still until something is sent. All turns that were due before have been given.
    async fn stand(&mut self) -> Sender<()> {
        let ((go, wait), say) = (channel(), self.story.clone());
        let act = move |_: &mut Context<'_>| {
            say.send("stands").expect("heard");
            wait.recv_timeout(SURELY).expect("it comes");
            Turn::Over
        };
        let (standing, peer) = actor(&self.story, Box::new(act)).await;
        self.peers.push(peer);
        self.threads.enter(0, standing);
        assert_eq!(self.hear.recv_timeout(SURELY), Ok("stands"));
        go
    }

    fn wake_all(&self) {
        self.wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// How many of the crowd have their turn before the one with traffic has its.
    fn before_busy(&self) -> usize {
        let said = || self.hear.recv_timeout(SURELY).expect("the story goes on");
        (0..).take_while(|_| said() == "crowd").count()
    }
}

#[tokio::test]
async fn news_of_the_kernel_do_not_wait_for_all_that_are_woken() {
    let mut scene = Scene::set().await;
    let go = scene.stand().await;
    scene.begun.store(true, SeqCst);
    scene.wake_all();
    go.send(()).expect("heard");
    let before = scene.before_busy();
    assert!((1..CROWD * 2 / 3).contains(&before), "{before} of {CROWD} had their turn before");
    // and they are not forgotten
    let rest = || scene.hear.recv_timeout(SURELY).expect("all come") == "crowd";
    let mut turns = before;
    while turns < CROWD {
        turns += usize::from(rest());
    }
}

#[tokio::test]
async fn news_of_the_kernel_do_not_wait_for_all_whose_time_is_up() {
    let mut scene = Scene::set().await;
    let go = scene.stand().await;
    let due = scene.clock.now() + 500;
    scene.due.store(due, SeqCst);
    // each says its time at the end of a turn
    scene.wake_all();
    go.send(()).expect("heard");
    let go = scene.stand().await;
    scene.begun.store(true, SeqCst);
    tokio::time::sleep_until(scene.clock.instant(due + 1)).await;
    scene.due.store(0, SeqCst);
    go.send(()).expect("heard");
    let before = scene.before_busy();
    assert!((1..CROWD * 2 / 3).contains(&before), "{before} of {CROWD} had their turn before");
}

/// The fleet is busy until the test says otherwise.
#[tokio::test]
async fn while_nothing_can_be_told_only_those_wait_that_have_something_to_tell() {
    let ((story, hear), (asked, ask)) = (channel(), channel());
    let (free, is_free) = channel::<()>();
    let is_free = Mutex::new(is_free);
    let tell: Tell = Arc::new(move |facts, at_once| {
        let free = is_free.lock().expect("sound").try_recv().is_ok();
        asked.send((facts.len(), at_once)).expect("heard");
        if free {
            facts.clear();
        }
        free
    });
    let threads = Threads::start(1, Clock::start(), tell).expect("started");
    let (teller, _its_peer) = actor(&story, Box::new(|_| Turn::Parked)).await;
    threads.enter(0, teller);
    assert_eq!(ask.recv_timeout(SURELY), Ok((1, false)));
    let mut say = Some(story.clone());
    let once = move |_: &mut Context<'_>| {
        say.take().into_iter().for_each(|say| say.send("busy").expect("heard"));
        Turn::Waits
    };
    let (busy, _peer) = actor(&story, Box::new(once)).await;
    threads.enter(0, busy);
    assert_eq!(hear.recv_timeout(SURELY), Ok("busy"), "and the other is not resumed");
    let (another, _its_peer) = actor(&story, Box::new(|_| Turn::Parked)).await;
    threads.enter(0, another);
    while ask.recv_timeout(SURELY).expect("tried again") != (2, false) {}
    assert!(hear.try_recv().is_err(), "what was not told must not go on");
    free.send(()).expect("heard");
    assert_eq!([hear.recv_timeout(SURELY), hear.recv_timeout(SURELY)], [Ok("resumed"); 2]);
}

#[tokio::test]
async fn what_cannot_be_told_for_long_is_told_at_once() {
    let (story, hear) = channel();
    let tell: Tell = Arc::new(move |facts, at_once| {
        if at_once {
            facts.clear();
        }
        at_once
    });
    let threads = Threads::start(1, Clock::start(), tell).expect("started");
    let (teller, _peer) = actor(&story, Box::new(|_| Turn::Parked)).await;
    threads.enter(0, teller);
    assert_eq!(hear.recv_timeout(SURELY), Ok("resumed"));
}
