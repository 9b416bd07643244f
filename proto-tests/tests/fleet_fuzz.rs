//! Any order of anything: what must hold whatever gates, operators and restarts do.
//!
//! After every step the marks that were told are those that the drains ask for, nobody is sealed with a fetch at the
//! broker or drained with a job in hand, and the journal as it was appended says the same about every ledger as the
//! fleet itself.

use draingate::fleet::view::WorkerState;
use draingate::fleet::{ClosedBy, DrainRequest, Effect, Fleet, FleetSettings, Peer, Process, Ttl};
use draingate::job::{
    ConnId, Evidence, FetchEnd, Found, Job, JobEvent, JobKey, Millis, Outcome, Place, Protocol, Report, Settling,
    System,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const START: Millis = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Connect { address: u8, local: bool, own: bool },
    Identify { conn: usize, lineage: Vec<u8> },
    Close { conn: usize, by: u8 },
    Event { conn: usize, event: JobEvent },
    Wait(Millis),
    Drain { name: u8, selector: &'static str, standing: bool, ttl: Option<Millis> },
    Undrain(u8),
    Restart,
}

fn job() -> impl Strategy<Value = Job> {
    (0_u8..6, prop_oneof![3 => Just(None), 1 => (0_u64..3_000_000).prop_map(|eta| Some(START + eta))]).prop_map(
        |(n, eta)| Job {
            key: JobKey::Text(format!("k{n}")),
            id: format!("i{n}"),
            name: "t\twith\ttabs\\".into(),
            queue: "q".into(),
            eta,
        },
    )
}

fn settling() -> impl Strategy<Value = Settling> {
    let ended = [Outcome::Finished, Outcome::Requeued].map(Settling::Ended);
    prop_oneof![Just(Settling::Acked), Just(ended[0]), Just(ended[1])]
}

fn event() -> impl Strategy<Value = JobEvent> {
    let system = prop_oneof![Just(System::Celery), Just(System::Sidekiq)];
    let key = (0_u8..6).prop_map(|n| JobKey::Text(format!("k{n}")));
    let place = prop_oneof![Just(Place::Broker), Just(Place::Gate)];
    let end = prop_oneof![Just(FetchEnd::Empty), Just(FetchEnd::Job), Just(FetchEnd::Error), Just(FetchEnd::Vanished)];
    prop_oneof![
        8 => (place.clone(), any::<bool>(), 0_u8..4).prop_map(|(place, blocking, q)| JobEvent::FetchAsked {
            place, blocking, queues: [format!("q{q}")].into()
        }),
        2 => place.clone().prop_map(|to| JobEvent::FetchMoved { to }),
        8 => (place, end, any::<bool>()).prop_map(|(from, end, blocking)| JobEvent::FetchAnswered {
            from, end, blocking
        }),
        8 => job().prop_map(JobEvent::Delivered),
        1 => job().prop_map(JobEvent::Taken),
        1 => job().prop_map(JobEvent::Redelivered),
        1 => Just(JobEvent::SchedulerReturned),
        1 => key.clone().prop_map(JobEvent::Returned),
        1 => Just(JobEvent::FetchOrphaned),
        1 => key.clone().prop_map(JobEvent::GivenBack),
        6 => key.clone().prop_map(JobEvent::Acked),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, requeued)| JobEvent::Ended {
            key, outcome: if requeued { Outcome::Requeued } else { Outcome::Finished }
        }),
        2 => (prop::collection::btree_set(key.clone(), 1..4), settling()).prop_map(|(keys, how)| JobEvent::Settled {
            keys: keys.into_iter().collect(), how
        }),
        1 => key.clone().prop_map(JobEvent::Popped),
        1 => prop_oneof![Just(Found::Nothing), Just(Found::Something), Just(Found::Job)]
            .prop_map(|found| JobEvent::Unrefused { why: "x".into(), found }),
        2 => (0_u8..6).prop_map(|n| JobEvent::Result { id: format!("i{n}") }),
        1 => system.clone().prop_map(JobEvent::Recognised),
        2 => (system, 0_u8..3).prop_map(|(system, n)| JobEvent::Named { system, name: format!("w{n}\n@a") }),
        1 => Just(JobEvent::Begun),
        1 => (0_u8..3).prop_map(|n| JobEvent::ClientNamed(format!("c{n}"))),
        1 => Just(JobEvent::User("app".into())),
        1 => (0_u8..2).prop_map(|n| JobEvent::Tagged(format!("tag{n}"))),
        6 => (0_u32..3, 0_u64..5, 0_u32..3).prop_map(|(active, processed, pid)| JobEvent::Report(Report::Celery {
            pid: Some(pid),
            active: Some(active),
            processed: Some(processed),
            timestamp: None,
            period: Some(2_000),
        })),
        4 => (0_u32..3, 0_u32..2).prop_map(|(c, busy)| JobEvent::Report(Report::Sidekiq {
            concurrency: Some(c), busy: Some(busy), beat: None
        })),
        2 => any::<bool>().prop_map(|busy| JobEvent::Report(Report::SidekiqWork {
            running: if busy { vec!["i1".into()] } else { vec![] }
        })),
        1 => key.clone().prop_map(|key| JobEvent::PushedOn(vec![key])),
        1 => key.clone().prop_map(|key| JobEvent::Refused(vec![key])),
        1 => (0_u8..3).prop_map(|n| JobEvent::Report(Report::SidekiqLeft { name: format!("w{n}\n@a") })),
        1 => Just(JobEvent::Blocked("reason".into())),
        1 => Just(JobEvent::Opaque),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let selector = prop_oneof![
        Just("all"),
        Just("ip=10.0.0.1"),
        Just("worker=w1*"),
        Just("client=c1"),
        Just("system=celery"),
        Just("tag1"),
        Just("listener=l0"),
        Just("before=now"),
    ];
    prop_oneof![
        6 => (0_u8..3, any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(address, local, own)| Step::Connect {
            address, local, own
        }),
        4 => (0_usize..12, prop::collection::vec(0_u8..6, 0..4)).prop_map(|(conn, lineage)| Step::Identify {
            conn, lineage
        }),
        4 => (0_usize..12, 0_u8..3).prop_map(|(conn, by)| Step::Close { conn, by }),
        40 => (0_usize..12, event()).prop_map(|(conn, event)| Step::Event { conn, event }),
        4 => prop_oneof![0_u64..3_000, 10_000_u64..70_000, 3_500_000_u64..3_700_000].prop_map(Step::Wait),
        3 => (0_u8..3, selector, any::<bool>(), prop_oneof![Just(None), (1_u64..100_000).prop_map(Some)])
            .prop_map(|(name, selector, standing, ttl)| Step::Drain { name, selector, standing, ttl }),
        2 => (0_u8..3).prop_map(Step::Undrain),
        1 => Just(Step::Restart),
    ]
}

fn drain_request(name: u8, selector: &str, standing: bool, ttl: Option<Millis>) -> DrainRequest {
    DrainRequest {
        selector: vec![selector.to_owned()],
        name: Some(format!("d{name}")),
        ttl: ttl.map_or(Ttl::Usual, Ttl::For),
        reason: Some("a\treason\n".into()),
        delayed_wait: standing,
        standing,
        allow_empty: standing,
        ..DrainRequest::default()
    }
}

struct Chaos {
    fleet: Fleet,
    now: Millis,
    conns: Vec<ConnId>,
    next: u64,
    marks: BTreeMap<ConnId, bool>,
    journal: Vec<String>,
    drains: String,
}

impl Chaos {
    fn new() -> Chaos {
        let fleet = Fleet::new(FleetSettings::default(), START);
        let journal = fleet.export_journal();
        let drains = fleet.export_drains();
        Chaos { fleet, now: START, conns: vec![], next: 0, marks: BTreeMap::new(), journal, drains }
    }

    fn conn(&self, n: usize) -> Option<ConnId> {
        self.conns.get(n.checked_rem(self.conns.len())?).copied()
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Connect { address, local, own } => {
                self.next += 1;
                self.conns.push(ConnId(self.next));
                let peer = Peer {
                    listener: format!("l{address}").into(),
                    listener_is_identity: own,
                    protocol: Protocol::Redis,
                    ip: [10, 0, 0, address].into(),
                    port: 1,
                    local,
                };
                self.fleet.connect(self.now, ConnId(self.next), peer);
            }
            Step::Identify { conn, lineage } => {
                let Some(id) = self.conn(conn) else { return Ok(()) };
                let process = |pid: &u8| Process { pid: u32::from(*pid), started: 1, started_at: START };
                let lineage: Vec<Process> = lineage.iter().map(process).collect();
                self.fleet.identified(self.now, id, &lineage, Some("cmd"));
            }
            Step::Close { conn, by } => {
                let Some(id) = self.conn(conn) else { return Ok(()) };
                self.conns.retain(|conn| *conn != id);
                self.marks.remove(&id);
                let by = [ClosedBy::Client, ClosedBy::Broker, ClosedBy::Gate][usize::from(by)];
                self.fleet.disconnect(self.now, id, by);
            }
            Step::Event { conn, mut event } => {
                let Some(id) = self.conn(conn) else { return Ok(()) };
                if let JobEvent::Report(Report::Celery { timestamp, .. }) = &mut event {
                    *timestamp = Some(self.now);
                }
                self.fleet.event(self.now, id, event);
            }
            Step::Wait(span) => {
                self.now += span;
                for _ in 0..1_000 {
                    let Some(due) = self.fleet.next_timeout().filter(|due| *due <= self.now) else { break };
                    self.fleet.tick(due.max(START));
                }
                let due = self.fleet.next_timeout();
                prop_assert!(due.is_none_or(|due| due > self.now), "wants to be woken for ever");
            }
            Step::Drain { name, selector, standing, ttl } => {
                let _ = self.fleet.drain(self.now, &drain_request(name, selector, standing, ttl));
            }
            Step::Undrain(name) => {
                self.fleet.undrain(self.now, &format!("d{name}"));
            }
            Step::Restart => self.restart()?,
        }
        self.effects();
        self.check()
    }

    fn effects(&mut self) {
        for effect in self.fleet.take_effects() {
            match effect {
                Effect::Pauses(_) | Effect::Ask(..) => {}
                Effect::Mark(id, marked) => {
                    self.marks.insert(id, marked);
                }
                Effect::SaveDrains => self.drains = self.fleet.export_drains(),
                Effect::System(..) | Effect::Wait(..) | Effect::Jobs(_) | Effect::Notice(_) => {}
            }
        }
        self.fleet.take_journal(|lines| self.journal.extend(String::from_utf8_lossy(lines).lines().map(str::to_owned)));
    }

    /// What was saved is what there is: the drains as last saved, the journal as appended.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let fleet = load(self.now, &self.journal, &self.drains)?;
        prop_assert_eq!(ledgers(&fleet, self.now), ledgers(&self.fleet, self.now), "the journal forgot something");
        let marked = |fleet: &Fleet, now| -> BTreeSet<String> {
            let all = fleet.workers(now, None, true).unwrap_or_default();
            let marked = all.iter().filter(|worker| !worker.drains.is_empty());
            marked.map(|worker| format!("{} {:?}", worker.id, BTreeSet::from_iter(&worker.drains))).collect()
        };
        prop_assert_eq!(
            marked(&fleet, self.now),
            marked(&self.fleet, self.now),
            "marks were forgotten\n{}\n{}",
            self.journal.join("\n"),
            self.drains
        );

        // a fresh journal says the same again
        let journal = fleet.export_journal();
        let again = load(self.now, &journal, &fleet.export_drains())?;
        prop_assert_eq!(again.export_journal(), journal.clone());
        prop_assert_eq!(again.export_drains(), fleet.export_drains());
        self.fleet = fleet;
        self.journal = journal;
        self.conns.clear();
        self.marks.clear();
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut ids = BTreeSet::new();
        for worker in self.fleet.workers(self.now, None, true).unwrap_or_default() {
            prop_assert!(ids.insert(worker.id.clone()), "two workers are called {}", worker.id);
            let detail = self.fleet.worker(self.now, &worker.id.0).expect("a listed worker has a detail");
            let at_broker: usize = detail.connections.iter().map(|conn| conn.at_broker).sum();
            let held: usize = detail.connections.iter().map(|conn| conn.held).sum();
            prop_assert_eq!(held, worker.held, "held fetches add up");
            if worker.connections > 0 {
                let marked = worker.drains.is_empty();
                prop_assert_eq!(marked, worker.state == WorkerState::Active, "{:?}", worker);
            }
            for conn in &detail.connections {
                let told = self.marks.get(&conn.id).copied().unwrap_or(false);
                prop_assert_eq!(told, !worker.drains.is_empty(), "mark of {:?} in {:?}", conn.id, worker);
            }
            if matches!(worker.state, WorkerState::Sealed | WorkerState::Drained) {
                prop_assert_eq!(at_broker, 0, "sealed with a fetch at the broker: {:?}", worker);
            }
            if worker.state == WorkerState::Drained {
                let jobs = worker.in_flight.running + worker.in_flight.prefetched;
                prop_assert!(jobs == 0 && worker.evidence > Evidence::Unknown, "{:?}", worker);
            }
        }
        Ok(())
    }
}

fn load(now: Millis, journal: &[String], drains: &str) -> Result<Fleet, TestCaseError> {
    let mut fleet = Fleet::new(FleetSettings::default(), now);
    let lines: Vec<&str> = journal.iter().map(String::as_str).collect();
    fleet.import_drains(now, drains).map_err(TestCaseError::fail)?;
    fleet.import_journal(now, &lines).map_err(TestCaseError::fail)?;
    Ok(fleet)
}

/// Every job of every worker, as far as ledgers are displayed alike before and after a restart.
fn ledgers(fleet: &Fleet, _now: Millis) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in fleet.export_journal().iter().filter(|line| line.starts_with("D\t")) {
        let id = line.split('\t').nth(1).unwrap_or_default().to_owned();
        all.entry(id).or_default().push(line.clone());
    }
    for jobs in all.values_mut() {
        jobs.sort();
    }
    all
}

fn cases(n: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(n), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        let mut chaos = Chaos::new();
        for step in steps {
            chaos.step(step)?;
        }
        chaos.step(Step::Restart)?;
    }
}

/// Once found: the fetch pattern said `gone`, the ledger had a job. Read back, the rest must not stand against the job,
/// and reading back twice must say the same as once.
#[test]
fn a_rest_that_the_ledger_contradicts_is_none() {
    let fetch = || JobEvent::FetchAsked { place: Place::Broker, blocking: true, queues: ["q0".into()].into() };
    let beat = Report::Sidekiq { concurrency: Some(2), busy: Some(0), beat: None };
    let job = Job { key: JobKey::Text("k0".into()), id: "i0".into(), name: "t".into(), queue: "q".into(), eta: None };
    let connect = || Step::Connect { address: 0, local: false, own: false };
    let event = |conn, event| Step::Event { conn, event };
    let steps = [
        connect(),
        connect(),
        event(2, fetch()),
        Step::Close { conn: 5, by: 0 },
        event(0, fetch()),
        event(0, fetch()),
        event(0, JobEvent::Named { system: System::Sidekiq, name: "w0".into() }),
        event(0, JobEvent::Report(beat)),
        event(0, JobEvent::Delivered(job)),
        Step::Identify { conn: 0, lineage: vec![] },
        Step::Close { conn: 0, by: 0 },
        Step::Restart,
    ];
    let mut chaos = Chaos::new();
    for step in steps {
        chaos.step(step).expect("an invariant");
    }
}

/// Once found: a nameless client that pops from undeclared keys is listed, and counted among the selected; when its job
/// system becomes known it is no worker before it asks for a job. A restart must see it as it was seen.
#[test]
fn one_that_pops_and_becomes_known_is_the_same_after_a_restart() {
    let connect = || Step::Connect { address: 0, local: false, own: false };
    let steps = [
        connect(),
        connect(),
        Step::Event { conn: 0, event: JobEvent::Popped(JobKey::Text("k0".into())) },
        Step::Drain { name: 0, selector: "listener=l0", standing: false, ttl: None },
        Step::Event { conn: 0, event: JobEvent::Recognised(System::Celery) },
        Step::Restart,
    ];
    let mut chaos = Chaos::new();
    for step in steps {
        chaos.step(step).expect("an invariant");
    }
}
