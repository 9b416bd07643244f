//! What the worlds have in common: a queue of things to come, connections that keep their order, and the fleet behind.

pub mod celery;
pub mod sidekiq;

use draingate::fleet::view::{WorkerState, WorkerView};
use draingate::fleet::{DrainRequest, Effect, Fleet, FleetSettings, Peer};
use draingate::job::{ConnId, JobEvent, Millis, Protocol};
use draingate::question::Question;
use std::collections::BTreeMap;

/// The worlds begin here; the gate is older than any worker.
pub const START: Millis = 1_700_000_000_000;

/// Nothing takes longer on its way, unless the way stands still.
pub const USUAL: Millis = 400;

/// Things to come, in order, and the way between the worker and the gate.
pub struct Course<E> {
    pub now: Millis,
    coming: BTreeMap<(Millis, u64), E>,
    count: u64,
    latencies: Vec<Millis>,
    drawn: usize,
    /// When the last bytes of each way arrive: later ones cannot overtake them.
    ways: BTreeMap<u64, Millis>,
}

impl<E> Course<E> {
    pub fn new(latencies: Vec<Millis>) -> Course<E> {
        Course { now: START, coming: BTreeMap::new(), count: 0, latencies, drawn: 0, ways: BTreeMap::new() }
    }

    /// `event` happens in `span` milliseconds.
    pub fn after(&mut self, span: Millis, event: E) {
        self.count += 1;
        self.coming.insert((self.now + span, self.count), event);
    }

    /// `event` arrives at the other end of `way` some time later, behind what was sent before. (Long standstills do not come
    /// again and again: else nothing would ever be known. Nor does one come before anything else: of heartbeats that have all
    /// been late, and evenly so, nobody can tell that they were.)
    pub fn send(&mut self, way: u64, event: E) {
        let latency = self.latencies[self.drawn % self.latencies.len()];
        let still = self.drawn < self.latencies.len() && self.ways.contains_key(&way);
        let latency = if still { latency } else { latency % USUAL };
        self.drawn += 1;
        let at = (self.now + latency).max(self.ways.get(&way).copied().unwrap_or(0));
        self.ways.insert(way, at);
        self.after(at - self.now, event);
    }

    /// The next thing before `end`.
    pub fn next(&mut self, end: Millis) -> Option<E> {
        let ((at, _), _) = self.coming.first_key_value()?;
        if *at > end {
            return None;
        }
        let ((at, _), event) = self.coming.pop_first()?;
        self.now = at;
        Some(event)
    }
}

/// The fleet, with its effects carried out.
pub struct Gate {
    pub fleet: Fleet,
    marked: BTreeMap<ConnId, bool>,
    journal: Vec<String>,
    drains: String,
    /// Questions to be put.
    pub asked: Vec<(ConnId, Question)>,
}

/// Workers without heartbeats are asked.
fn settings() -> FleetSettings {
    FleetSettings { asks: Some(7), ..FleetSettings::default() }
}

impl Gate {
    pub fn new() -> Gate {
        let fleet = Fleet::new(settings(), START - 3_600_000);
        let journal = fleet.export_journal();
        let drains = fleet.export_drains();
        Gate { fleet, marked: BTreeMap::new(), journal, drains, asked: Vec::new() }
    }

    pub fn connect(&mut self, now: Millis, conn: u64) {
        let peer = Peer {
            listener: "main".into(),
            listener_is_identity: false,
            protocol: Protocol::Redis,
            ip: [10, 0, 0, 5].into(),
            port: 40_000 + conn as u16,
            local: false,
        };
        self.fleet.connect(now, ConnId(conn), peer);
        self.after();
    }

    pub fn event(&mut self, now: Millis, conn: u64, event: JobEvent) {
        self.tick(now);
        self.fleet.event(now, ConnId(conn), event);
        self.after();
    }

    pub fn drain(&mut self, now: Millis) {
        let request = DrainRequest {
            selector: vec!["all".to_owned()],
            name: Some("d".to_owned()),
            delayed_wait: true,
            ..DrainRequest::default()
        };
        self.fleet.drain(now, &request).expect("the worker is there");
        self.after();
    }

    /// Killed and started again; connections are gone.
    pub fn restart(&mut self, now: Millis) {
        let mut fleet = Fleet::new(settings(), now);
        let journal: Vec<&str> = self.journal.iter().map(String::as_str).collect();
        fleet.import_journal(now, &journal).expect("its own journal");
        fleet.import_drains(now, &self.drains).expect("its own drains");
        self.journal = fleet.export_journal();
        self.fleet = fleet;
        self.marked.clear();
    }

    pub fn is_marked(&self, conn: u64) -> bool {
        self.marked.get(&ConnId(conn)).copied().unwrap_or(false)
    }

    pub fn tick(&mut self, now: Millis) {
        while let Some(due) = self.fleet.next_timeout().filter(|due| *due <= now) {
            self.fleet.tick(due);
        }
        self.after();
    }

    fn after(&mut self) {
        for effect in self.fleet.take_effects() {
            match effect {
                Effect::Pauses(_) => {}
                Effect::Ask(conn, question) => self.asked.push((conn, question)),
                Effect::Mark(conn, marked) => {
                    self.marked.insert(conn, marked);
                }
                Effect::SaveDrains => self.drains = self.fleet.export_drains(),
                Effect::System(..) | Effect::Wait(..) | Effect::Jobs(_) | Effect::Notice(_) => {}
            }
        }
        self.fleet.take_journal(|lines| self.journal.extend(String::from_utf8_lossy(lines).lines().map(str::to_owned)));
    }

    pub fn worker(&self, now: Millis) -> Option<WorkerView> {
        self.fleet.workers(now, None, true).ok()?.into_iter().next()
    }

    /// Drained by the worker's own view or by the drain's.
    pub fn says_drained(&self, now: Millis) -> bool {
        let worker = self.worker(now).is_some_and(|worker| worker.state == WorkerState::Drained);
        let drain = self.fleet.drain_named(now, "d");
        worker || drain.is_some_and(|drain| drain.workers.iter().any(|w| w.state == WorkerState::Drained))
    }
}
