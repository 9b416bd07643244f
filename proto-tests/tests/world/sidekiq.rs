//! A Sidekiq process: threads that fetch over pooled connections, errors with a back-off, a process that is quieted, and
//! heartbeats that say what was true when they were composed.

use super::{Course, Gate, START};
use draingate::fleet::view::WorkerState;
use draingate::job::{FetchEnd, Job, JobEvent, JobKey, Millis, Place, Report, System};
use proptest::test_runner::TestCaseError;
use std::collections::VecDeque;

/// A job: when it is queued and how long it runs.
#[derive(Clone, Debug)]
pub struct Task {
    pub at: Millis,
    pub lasts: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Thread {
    /// About to fetch.
    Idle,
    /// Its fetch is on the way to the gate or there.
    Fetching,
    /// A job is on the way to it, or runs.
    Working(usize),
    /// Quieted.
    Ended,
}

#[derive(Clone, Debug)]
enum Event {
    Queue(usize),
    /// A thread's fetch arrives over a connection.
    Fetch(usize, u64),
    Slice(usize, u64),
    Receive(usize, usize),
    Nil(usize),
    Failed(usize),
    Ask(usize),
    End(usize),
    Compose,
    Arrive(u64, Vec<JobEvent>),
}

const HEART: u64 = 50;
const BACK: u64 = 1_000;

/// See the module.
pub struct Sidekiq {
    course: Course<Event>,
    gate: Gate,
    tasks: Vec<Task>,
    waiting: VecDeque<usize>,
    threads: Vec<Thread>,
    /// What the heartbeat thread sees: set a moment after a job arrived.
    work: Vec<Option<usize>>,
    /// The fetch of each thread at the gate: where, over which connection, its number.
    fetches: Vec<Option<(Place, u64, u64)>>,
    count: u64,
    /// Connections that nobody uses at the moment.
    pool: Vec<u64>,
    errors: Vec<u8>,
    quiet_at: Option<Millis>,
    log: Vec<String>,
}

impl Sidekiq {
    pub fn new(
        tasks: Vec<Task>,
        latencies: Vec<Millis>,
        threads: usize,
        errors: Vec<u8>,
        quiet_at: Option<Millis>,
    ) -> Sidekiq {
        let mut world = Sidekiq {
            course: Course::new(latencies),
            gate: Gate::new(),
            waiting: VecDeque::new(),
            threads: vec![Thread::Idle; threads],
            work: vec![None; threads],
            fetches: vec![None; threads],
            count: 0,
            pool: (1..=threads as u64).collect(),
            errors,
            quiet_at,
            log: Vec::new(),
            tasks,
        };
        for conn in (1..=threads as u64).chain([HEART]) {
            world.gate.connect(START, conn);
        }
        let named = JobEvent::Named { system: System::Sidekiq, name: "host:1:aaaa".to_owned() };
        world.gate.event(START, HEART, named);
        for (index, task) in world.tasks.clone().iter().enumerate() {
            world.course.after(task.at, Event::Queue(index));
        }
        world.course.after(0, Event::Compose);
        for thread in 0..threads {
            world.course.after(thread as u64 * 30, Event::Ask(thread));
        }
        world
    }

    pub fn run(&mut self, drain_at: Millis, until: Millis) -> Result<(), TestCaseError> {
        let mut drained = false;
        while let Some(event) = self.course.next(START + until) {
            if !drained && self.course.now >= START + drain_at {
                drained = true;
                self.gate.drain(self.course.now);
                self.log.push(format!("{:>6} drain", self.course.now - START));
            }
            self.log.push(format!("{:>6} {event:?}", self.course.now - START));
            self.step(event);
            self.gate.tick(self.course.now);
            let flying = self.threads.iter().any(|thread| matches!(thread, Thread::Working(_)));
            if flying && self.gate.says_drained(self.course.now) {
                let why = format!("drained with a job in flight {:?}\n{}", self.threads, self.story());
                return Err(TestCaseError::fail(why));
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.quiet_at.is_some_and(|at| self.course.now >= START + at)
    }

    fn step(&mut self, event: Event) {
        let now = self.course.now;
        match event {
            Event::Queue(index) => {
                self.waiting.push_back(index);
                self.serve();
            }
            Event::Ask(thread) if self.is_quiet() => self.threads[thread] = Thread::Ended,
            Event::Ask(thread) => {
                let Some(conn) = self.pool.pop() else {
                    return self.course.after(5, Event::Ask(thread));
                };
                self.threads[thread] = Thread::Fetching;
                self.course.send(conn, Event::Fetch(thread, conn));
            }
            Event::Fetch(thread, conn) => {
                let place = if self.gate.is_marked(conn) { Place::Gate } else { Place::Broker };
                self.count += 1;
                self.fetches[thread] = Some((place, conn, self.count));
                let queues = ["default".to_owned()].into();
                self.gate.event(now, conn, JobEvent::FetchAsked { place, queues, blocking: true });
                self.course.after(1_000, Event::Slice(thread, self.count));
                self.serve();
            }
            Event::Slice(thread, number) => self.slice(thread, number),
            Event::Nil(thread) => {
                self.threads[thread] = Thread::Idle;
                self.course.after(0, Event::Ask(thread));
            }
            Event::Failed(thread) => {
                self.threads[thread] = Thread::Idle;
                self.course.after(3_000, Event::Ask(thread));
            }
            Event::Receive(thread, index) => {
                self.work[thread] = Some(index);
                self.course.after(self.tasks[index].lasts, Event::End(thread));
            }
            Event::End(thread) => {
                self.threads[thread] = Thread::Idle;
                self.work[thread] = None;
                self.course.after(1, Event::Ask(thread));
            }
            Event::Compose => self.compose(),
            Event::Arrive(conn, events) => {
                for event in events {
                    self.gate.event(now, conn, event);
                }
            }
        }
    }

    fn serve(&mut self) {
        let at_broker = |fetch: &Option<(Place, u64, u64)>| matches!(fetch, Some((Place::Broker, ..)));
        let Some(thread) = self.fetches.iter().position(at_broker) else { return };
        let Some(index) = self.waiting.pop_front() else { return };
        let Some((_, conn, _)) = self.fetches[thread] else { return };
        let jid = format!("jid{index}");
        let job = Job { key: JobKey::Text(jid.clone()), id: jid, name: "J".into(), queue: "default".into(), eta: None };
        self.threads[thread] = Thread::Working(index);
        self.gate.event(self.course.now, conn, JobEvent::Delivered(job));
        self.answer(thread, FetchEnd::Job);
        self.course.send(BACK + conn, Event::Receive(thread, index));
    }

    /// Ends the fetch of a thread; the connection goes back to the pool.
    fn answer(&mut self, thread: usize, end: FetchEnd) -> u64 {
        let Some((from, conn, _)) = self.fetches[thread].take() else { return 0 };
        self.gate.event(self.course.now, conn, JobEvent::FetchAnswered { from, end, blocking: true });
        self.pool.insert(0, conn);
        conn
    }

    fn slice(&mut self, thread: usize, number: u64) {
        let Some((place, conn, current)) = self.fetches[thread].filter(|fetch| fetch.2 == number) else { return };
        if place == Place::Broker && self.gate.is_marked(conn) {
            self.fetches[thread] = Some((Place::Gate, conn, current));
            self.gate.event(self.course.now, conn, JobEvent::FetchMoved { to: Place::Gate });
            return self.course.after(1_000, Event::Slice(thread, number));
        }
        let fails = self.errors[number as usize % self.errors.len()] == 0;
        let end = if fails { FetchEnd::Error } else { FetchEnd::Empty };
        let conn = self.answer(thread, end);
        let news = if fails { Event::Failed(thread) } else { Event::Nil(thread) };
        self.course.send(BACK + conn, news);
    }

    fn compose(&mut self) {
        let running: Vec<String> = self.work.iter().flatten().map(|index| format!("jid{index}")).collect();
        let busy = Some(running.len() as u32);
        let beat = Some(self.course.now);
        let concurrency = Some(self.threads.len() as u32);
        let report = Report::Sidekiq { concurrency, busy, beat };
        let work = JobEvent::Report(Report::SidekiqWork { running });
        self.course.send(HEART, Event::Arrive(HEART, vec![work, JobEvent::Report(report)]));
        self.course.after(5_000, Event::Compose);
    }

    pub fn state(&self) -> Option<WorkerState> {
        self.gate.worker(self.course.now).map(|worker| worker.state)
    }

    /// What happened, for a failure.
    pub fn story(&self) -> String {
        format!("{}\n{:?}", self.log.join("\n"), self.gate.worker(self.course.now))
    }
}
