//! What a thread owes its connections: what several have to tell at the same time is told together and before any of
//! them goes on, and a defect ends no more than it must.

use crate::support::{SURELY, pair};
use draingate::hub::{Clock, Tell};
use draingate::job::{ConnId, JobEvent, Millis};
use draingate::relay::{Life, Socket, Threads, Turn};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Context;

/// What a thread did, in words.
type Story = Sender<String>;

/// A connection that has one thing to tell in its first turn, and is over when that has been told.
struct Teller {
    number: u64,
    sockets: [Socket; 2],
    story: Story,
    /// It must know who has left.
    wary: bool,
    /// Instead of closing.
    breaks: bool,
}

impl Life for Teller {
    fn sockets(&mut self) -> [&mut Socket; 2] {
        self.sockets.each_mut()
    }

    fn turn(&mut self, _now: Millis, _cx: &mut Context<'_>) -> Turn {
        Turn::Parked
    }

    fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool {
        facts.push((ConnId(self.number), JobEvent::Opaque));
        self.wary
    }

    fn resume(&mut self, _now: Millis, _cx: &mut Context<'_>, asked: bool) -> Turn {
        self.story.send(format!("{} goes on, asked {asked}", self.number)).expect("heard");
        Turn::Over
    }

    fn timer(&mut self) -> Option<Millis> {
        None
    }

    fn close(self: Box<Self>) {
        assert!(!self.breaks, "a defect");
        self.story.send(format!("{} closes", self.number)).expect("heard");
    }
}

async fn teller(number: u64, story: &Story) -> Box<Teller> {
    let (one, other) = pair().await;
    let sockets = [one, other].map(|socket| Socket::new(socket.into_std().expect("a socket")));
    Box::new(Teller { number, sockets, story: story.clone(), wary: true, breaks: false })
}

/// Writes down what it is told. It breaks at connection 13, and waits at connection 0 until `go` comes.
fn tell(story: Story, go: Receiver<()>) -> Tell {
    let go = Mutex::new(go);
    Arc::new(move |facts, _at_once| {
        let numbers: Vec<u64> = facts.drain(..).map(|(conn, _)| conn.0).collect();
        story.send(format!("told {numbers:?}")).expect("heard");
        assert!(!numbers.contains(&13), "a defect");
        if numbers.contains(&0) {
            go.lock().expect("sound").recv_timeout(SURELY).expect("it comes");
        }
        true
    })
}

/// What happened until `last` did.
fn heard(story: &Receiver<String>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        lines.push(story.recv_timeout(SURELY).unwrap_or_else(|_| panic!("no {last} behind {lines:?}")));
    }
    lines
}

#[tokio::test]
async fn what_several_have_to_tell_is_told_together_before_they_go_on() {
    let ((story, hear), (go, wait)) = (channel(), channel());
    let threads = Threads::start(1, Clock::start(), tell(story.clone(), wait)).expect("started");
    threads.enter(0, teller(0, &story).await);
    heard(&hear, "told [0]");
    let [one, two] = [teller(1, &story).await, teller(2, &story).await];
    // both arrive while the thread is busy
    threads.enter(0, one);
    threads.enter(0, two);
    go.send(()).expect("heard");
    heard(&hear, "0 closes");
    let story = heard(&hear, "2 closes");
    assert_eq!(story[..2], ["told [1, 2]", "1 goes on, asked true"]);
}

#[tokio::test]
async fn the_kernel_is_asked_who_has_left_only_for_one_that_must_know() {
    let ((story, hear), (go, wait)) = (channel(), channel());
    let threads = Threads::start(1, Clock::start(), tell(story.clone(), wait)).expect("started");
    let careless = async |number| {
        let mut teller = teller(number, &story).await;
        teller.wary = false;
        teller
    };
    threads.enter(0, careless(0).await);
    heard(&hear, "told [0]");
    threads.enter(0, careless(1).await);
    threads.enter(0, teller(2, &story).await);
    go.send(()).expect("heard");
    assert_eq!(heard(&hear, "0 closes"), ["0 goes on, asked false", "0 closes"]);
    assert_eq!(heard(&hear, "2 closes")[..2], ["told [1, 2]", "1 goes on, asked true"]);
}

/// What was not told must not go on: a job would reach its worker and stand in no ledger.
#[tokio::test]
async fn a_defect_while_facts_are_told_ends_those_who_told_them_and_not_the_thread() {
    let ((story, hear), (_go, wait)) = (channel(), channel());
    let threads = Threads::start(1, Clock::start(), tell(story.clone(), wait)).expect("started");
    threads.enter(0, teller(13, &story).await);
    heard(&hear, "told [13]");
    threads.enter(0, teller(1, &story).await);
    assert_eq!(heard(&hear, "1 closes"), ["told [1]", "1 goes on, asked true", "1 closes"]);
}

#[tokio::test]
async fn a_thread_outlives_a_panic_at_a_connections_end() {
    let ((story, hear), (_go, wait)) = (channel(), channel());
    let threads = Threads::start(1, Clock::start(), tell(story.clone(), wait)).expect("started");
    let mut broken = teller(1, &story).await;
    broken.breaks = true;
    threads.enter(0, broken);
    threads.enter(0, teller(2, &story).await);
    heard(&hear, "2 closes");
}
