//! A Celery worker: prefetch, early and late acks, countdowns, heartbeats that say what was true when they were
//! composed.

use super::{Course, Gate, START};
use draingate::fleet::view::WorkerState;
use draingate::job::{ConnId, FetchEnd, Job, JobEvent, JobKey, Millis, Place, Report, System};
use draingate::question::{Answer, List, Question};
use proptest::test_runner::TestCaseError;
use std::collections::{BTreeSet, VecDeque};

/// A task: when it is queued, how long it runs, and how it is acknowledged.
#[derive(Clone, Debug)]
pub struct Task {
    pub at: Millis,
    pub lasts: Millis,
    pub late: bool,
    pub eta: Option<Millis>,
}

/// By what it says that it is idle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speaks {
    /// Its remote control is off.
    Heartbeats,
    /// `--without-heartbeat`.
    Answers,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Queued,
    Delivered,
    Running,
    Over,
    /// A late one whose ack the broker has confirmed, or an early one that is over.
    Done,
}

#[derive(Clone, Debug)]
enum Event {
    Queue(usize),
    /// The worker's fetch arrives at the gate, on the connection that it was sent on.
    Fetch(u64),
    /// The fetch's slice at the broker is over.
    Slice(u64),
    /// The job arrives at the worker.
    Receive(usize),
    Nil,
    Due(usize),
    End(usize),
    LateAck(usize),
    Compose,
    /// Something else arrives at the gate on a connection.
    Arrive(u64, JobEvent),
    AckArrives(usize),
    Reconnect,
    /// A question arrives at the worker.
    Asked(u64, Question),
}

const FETCHER: u64 = 1;
const ACKS: u64 = 2;
const BEATS: u64 = 4;
const MAILBOX: u64 = 7;
const REPLIES: u64 = 6;
const CHILD: u64 = 11;
/// The ways back to the worker.
const BACK: u64 = 1_000;

/// See the module.
pub struct Celery {
    course: Course<Event>,
    gate: Gate,
    tasks: Vec<Task>,
    stages: Vec<Stage>,
    waiting: VecDeque<usize>,
    slots: usize,
    prefetched: VecDeque<usize>,
    /// Received ahead of their time.
    scheduled: BTreeSet<usize>,
    speaks: Speaks,
    processed: u64,
    /// The fetch at the gate: where it is, and its number.
    fetch: Option<(Place, u64)>,
    fetches: u64,
    fetching: bool,
    /// Connections are numbered anew after a restart of the gate.
    base: u64,
    log: Vec<String>,
}

impl Celery {
    pub fn new(tasks: Vec<Task>, latencies: Vec<Millis>, slots: usize, speaks: Speaks) -> Celery {
        let mut world = Celery {
            course: Course::new(latencies),
            gate: Gate::new(),
            stages: vec![Stage::Queued; tasks.len()],
            waiting: VecDeque::new(),
            slots,
            prefetched: VecDeque::new(),
            scheduled: BTreeSet::new(),
            speaks,
            processed: 0,
            fetch: None,
            fetches: 0,
            fetching: false,
            base: 0,
            log: Vec::new(),
            tasks,
        };
        world.connect();
        for (index, task) in world.tasks.clone().iter().enumerate() {
            world.course.after(task.at, Event::Queue(index));
        }
        world.course.after(0, Event::Compose);
        world.ask();
        world
    }

    fn connect(&mut self) {
        for conn in [FETCHER, ACKS, BEATS, MAILBOX, REPLIES, CHILD] {
            self.gate.connect(self.course.now, self.base + conn);
        }
        let named = JobEvent::Named { system: System::Celery, name: "w1@a".to_owned() };
        self.gate.event(self.course.now, self.base + BEATS, named);
        if self.speaks != Speaks::Heartbeats {
            self.gate.event(self.course.now, self.base + MAILBOX, JobEvent::Listens(true));
        }
    }

    /// Plays until `until`, with a drain and perhaps a restart of the gate on the way, and checks at every step.
    pub fn run(&mut self, drain_at: Millis, restart_at: Option<Millis>, until: Millis) -> Result<(), TestCaseError> {
        let (mut drained, mut restarted) = (false, restart_at.is_none());
        while let Some(event) = self.course.next(START + until) {
            if !restarted && self.course.now >= START + restart_at.unwrap_or(0) {
                restarted = true;
                self.restart();
            }
            if !drained && self.course.now >= START + drain_at {
                drained = true;
                self.gate.drain(self.course.now);
                self.log.push(format!("{:>6} drain", self.course.now - START));
            }
            self.log.push(format!("{:>6} {event:?}", self.course.now - START));
            self.step(event);
            self.gate.tick(self.course.now);
            for (conn, question) in std::mem::take(&mut self.gate.asked) {
                self.course.send(BACK + conn.0, Event::Asked(conn.0, question));
            }
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let flying = self.stages.iter().any(|stage| ![Stage::Queued, Stage::Done].contains(stage));
        if flying && self.gate.says_drained(self.course.now) {
            let why = format!("drained with a job in flight {:?}\n{}", self.stages, self.story());
            return Err(TestCaseError::fail(why));
        }
        Ok(())
    }

    /// The gate goes away and comes back; the worker drops what it had prefetched, as kombu does, and reconnects.
    fn restart(&mut self) {
        if self.stages.iter().zip(&self.tasks).any(|(stage, task)| task.late && *stage != Stage::Done) {
            // a late-ack worker does not survive this (or never acknowledges): another story
            return;
        }
        self.log.push(format!("{:>6} restart", self.course.now - START));
        self.gate.restart(self.course.now);
        self.fetch = None;
        // it asks for nothing before it is back
        self.fetching = true;
        self.base += 100;
        self.scheduled.clear();
        for index in self.prefetched.drain(..) {
            self.stages[index] = Stage::Queued;
        }
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if *stage == Stage::Delivered {
                *stage = Stage::Queued;
                self.waiting.push_back(index);
            }
        }
        self.course.after(1_500, Event::Reconnect);
    }

    fn step(&mut self, event: Event) {
        let now = self.course.now;
        let known = |conn: u64, base: u64| conn > base && conn < base + 100;
        match event {
            Event::Queue(index) => {
                self.waiting.push_back(index);
                self.serve();
            }
            Event::Reconnect => {
                self.connect();
                self.fetching = false;
                self.ask();
            }
            Event::Fetch(conn) if !known(conn, self.base) => {}
            Event::Fetch(_) if self.gate.fleet.workers(now, None, true).is_ok_and(|w| w[0].connections == 0) => {}
            Event::Fetch(_) => {
                let place = if self.gate.is_marked(self.base + FETCHER) { Place::Gate } else { Place::Broker };
                self.fetches += 1;
                self.fetch = Some((place, self.fetches));
                let queues = ["celery".to_owned()].into();
                self.gate.event(now, self.base + FETCHER, JobEvent::FetchAsked { place, queues, blocking: true });
                self.course.after(1_000, Event::Slice(self.fetches));
                self.serve();
            }
            Event::Slice(number) => self.slice(number),
            Event::Nil => {
                self.fetching = false;
                self.ask();
            }
            Event::Receive(index) if self.stages[index] == Stage::Delivered => {
                self.fetching = false;
                match self.tasks[index].eta {
                    Some(eta) => {
                        self.scheduled.insert(index);
                        self.course.after(eta, Event::Due(index));
                    }
                    None => self.prefetched.push_back(index),
                }
                self.start();
                self.ask();
            }
            Event::Receive(_) => {}
            Event::Due(index) => {
                // what it had before it lost its connections is forgotten
                if self.stages[index] == Stage::Delivered && self.scheduled.remove(&index) {
                    self.prefetched.push_back(index);
                    self.start();
                }
            }
            Event::End(index) => self.end(index),
            Event::LateAck(index) => self.course.send(self.base + ACKS, Event::AckArrives(index)),
            Event::AckArrives(index) => {
                self.gate.event(now, self.base + ACKS, JobEvent::Acked(key(index)));
                if self.stages[index] == Stage::Over {
                    self.stages[index] = Stage::Done;
                }
            }
            Event::Compose => self.compose(),
            Event::Arrive(conn, event) if known(conn, self.base) => self.gate.event(now, conn, event),
            Event::Arrive(..) => {}
            Event::Asked(conn, question) if known(conn, self.base) => self.reply(&question),
            Event::Asked(..) => {}
        }
    }

    /// The worker asks for a job if it has room.
    fn ask(&mut self) {
        let held = self.prefetched.len() + self.active();
        if !self.fetching && held < self.slots * 4 {
            self.fetching = true;
            self.course.send(self.base + FETCHER, Event::Fetch(self.base + FETCHER));
        }
    }

    fn active(&self) -> usize {
        self.stages.iter().filter(|stage| **stage == Stage::Running).count()
    }

    /// The broker answers a fetch that waits there.
    fn serve(&mut self) {
        let Some((Place::Broker, _)) = self.fetch else { return };
        let Some(index) = self.waiting.pop_front() else { return };
        let now = self.course.now;
        let eta = self.tasks[index].eta.map(|eta| now + eta);
        let job = Job { key: key(index), id: format!("id{index}"), name: "t".into(), queue: "celery".into(), eta };
        self.stages[index] = Stage::Delivered;
        self.gate.event(now, self.base + FETCHER, JobEvent::Delivered(job));
        self.answer(FetchEnd::Job);
        self.course.send(BACK + self.base + FETCHER, Event::Receive(index));
    }

    fn answer(&mut self, end: FetchEnd) {
        let Some((from, _)) = self.fetch.take() else { return };
        let event = JobEvent::FetchAnswered { from, end, blocking: true };
        self.gate.event(self.course.now, self.base + FETCHER, event);
    }

    fn slice(&mut self, number: u64) {
        let Some((place, current)) = self.fetch.filter(|fetch| fetch.1 == number) else { return };
        if place == Place::Broker && self.gate.is_marked(self.base + FETCHER) {
            self.fetch = Some((Place::Gate, current));
            self.gate.event(self.course.now, self.base + FETCHER, JobEvent::FetchMoved { to: Place::Gate });
            self.course.after(1_000, Event::Slice(number));
            return;
        }
        self.answer(FetchEnd::Empty);
        self.course.send(BACK + self.base + FETCHER, Event::Nil);
    }

    fn start(&mut self) {
        while self.active() < self.slots {
            let Some(index) = self.prefetched.pop_front() else { return };
            self.stages[index] = Stage::Running;
            self.processed += 1;
            if !self.tasks[index].late {
                self.course.send(self.base + ACKS, Event::AckArrives(index));
            }
            self.course.after(self.tasks[index].lasts, Event::End(index));
        }
    }

    fn end(&mut self, index: usize) {
        let task = &self.tasks[index];
        self.stages[index] = if task.late { Stage::Over } else { Stage::Done };
        let late = task.late;
        let result = JobEvent::Result { id: format!("id{index}") };
        self.course.send(self.base + CHILD, Event::Arrive(self.base + CHILD, result));
        if late {
            self.course.after(index as u64 * 97 % 900, Event::LateAck(index));
        }
        self.start();
        self.ask();
    }

    /// The worker answers: what it has in its hands now.
    fn reply(&mut self, question: &Question) {
        let running = || (0..self.stages.len()).filter(|index| self.stages[*index] == Stage::Running);
        for list in question.lists.iter().copied() {
            let tasks: Vec<usize> = match list {
                List::Scheduled => self.scheduled.iter().copied().collect(),
                List::Reserved => self.prefetched.iter().copied().collect(),
                List::Active => running().collect(),
                List::Registered => Vec::new(),
            };
            let tasks = Some(tasks.into_iter().map(|index| format!("id{index}")).collect());
            let answer = JobEvent::Answered(Answer { number: question.number, list, tasks });
            self.course.send(self.base + REPLIES, Event::Arrive(self.base + REPLIES, answer));
        }
    }

    fn compose(&mut self) {
        if self.speaks == Speaks::Answers {
            return;
        }
        let report = Report::Celery {
            pid: Some(1),
            active: Some(self.active() as u32),
            processed: Some(self.processed),
            timestamp: Some(self.course.now),
            period: Some(2_000),
        };
        let conn = self.base + BEATS;
        self.course.send(conn, Event::Arrive(conn, JobEvent::Report(report)));
        self.course.after(2_000 + self.course.now % 90, Event::Compose);
    }

    pub fn state(&self) -> Option<WorkerState> {
        self.gate.worker(self.course.now).map(|worker| worker.state)
    }

    /// What happened, for a failure.
    pub fn story(&self) -> String {
        let conns: Vec<ConnId> = self
            .gate
            .worker(self.course.now)
            .and_then(|worker| self.gate.fleet.worker(self.course.now, &worker.id.0))
            .map(|detail| detail.connections.iter().map(|conn| conn.id).collect())
            .unwrap_or_default();
        format!("{}\n{:?}\n{conns:?}", self.log.join("\n"), self.gate.worker(self.course.now))
    }
}

fn key(index: usize) -> JobKey {
    JobKey::Text(format!("tag{index}"))
}
