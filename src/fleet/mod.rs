//! Who runs what: connections become workers, job events become a ledger, drains become marks, and out of these comes
//! the truth about `sealed` and `drained`. Pure: time is an argument, effects are returned as data.
//!
//! In reading order: [`boundary`] (what goes in and out); `conn`, `fetches`, `worker`, `past` and `life`; `identity` and `joining`
//! (connections → workers); `presence` and `incarnation` (one life or the next); `events`, `jobs`, `results` and `reports`
//! (what gates tell) and `strays` (before it is known whose it is); `ledger` and `whole` (is it all?); `evidence` (what can
//! be said of a worker) and `inquiry` (asking it); `seal` and `phase` (active → draining → sealed → drained); `drains`,
//! `members` and `selector`; `open` and `pauses`; `snapshot` and `view` (answers); `recorder`, `tally` and `durations` (what
//! was, and what it says about what is to come); `persist`. `index` and `numbers` are maps.

mod again;
pub mod boundary;
mod conn;
mod drains;
mod durations;
mod events;
mod evidence;
mod fetches;
mod identity;
mod incarnation;
mod index;
mod inquiry;
mod jobs;
mod joining;
mod ledger;
mod life;
mod members;
mod numbers;
mod open;
mod past;
mod pauses;
mod persist;
mod phase;
mod presence;
mod recorder;
mod reports;
mod results;
mod ring;
mod seal;
mod selector;
mod snapshot;
mod strays;
mod tally;
pub mod view;
mod whole;
mod worker;

pub use boundary::{ClosedBy, DrainAnswer, DrainError, DrainRequest, Effect, FleetSettings, Notice, Peer, Process};
pub use boundary::{Ending, JobCount, PauseAnswer, PauseRequest, Ttl};

use crate::job::{ConnId, JobEvent, Millis, WorkerId};
use crate::queue::PausedQueues;
use numbers::NumberMap;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use worker::{Key, Worker, WorkerNo};

/// So much memory is kept for the lines of the next call.
const JOURNAL_KEPT: usize = 64 * 1024;

/// The fleet. One lock around it in the server half; every call is short.
#[derive(Debug)]
pub struct Fleet {
    settings: FleetSettings,
    /// The gate's start.
    born: Millis,
    conns: NumberMap<ConnId, conn::Conn>,
    workers: NumberMap<WorkerNo, Worker>,
    /// Ids and aliases.
    ids: HashMap<String, WorkerNo>,
    /// All incarnations under a key, the present one last.
    keys: HashMap<Key, Vec<WorkerNo>>,
    /// The connections that have a process in their lineage.
    kin: HashMap<Key, BTreeSet<ConnId>>,
    /// Connections whose process is being looked up; `unclean` are those that could bring a job to anybody.
    pending: BTreeSet<ConnId>,
    unclean: BTreeSet<ConnId>,
    /// Marked workers that are not sealed because of `unclean`.
    awaiting: BTreeSet<WorkerNo>,
    /// Workers with events about jobs that may be in the ledger of a pending connection.
    astray: BTreeSet<WorkerNo>,
    drains: BTreeMap<u64, drains::Drain>,
    archive: VecDeque<drains::Archived>,
    pauses: pauses::Pauses,
    departures: recorder::Departures,
    /// Since when `departures` is complete.
    watched_since: Millis,
    durations: durations::Durations,
    /// For the next jobs.
    spare: ledger::Spare,
    /// What brokers hand out a second time.
    again: again::Again,
    /// Questions that wait for their answer: on which connection they were put.
    questions: HashMap<u64, ConnId>,
    /// Workers that may take jobs, by queue.
    open: open::OpenConsumers,
    timers: BTreeSet<(Millis, WorkerNo)>,
    numbers: u64,
    effects: Vec<Effect>,
    /// What has come and gone since they were taken.
    tally: tally::Tally,
    /// Lines to be appended to the journal.
    journal: persist::Lines,
    /// [`Effect::SaveDrains`] is among the effects.
    unsaved: bool,
}

impl Fleet {
    /// An empty fleet. `now` is the gate's start: processes older than it are met mid-life.
    pub fn new(settings: FleetSettings, now: Millis) -> Fleet {
        Fleet {
            settings,
            born: now,
            conns: NumberMap::default(),
            workers: NumberMap::default(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            kin: HashMap::new(),
            again: again::Again::default(),
            questions: HashMap::new(),
            pending: BTreeSet::new(),
            unclean: BTreeSet::new(),
            awaiting: BTreeSet::new(),
            astray: BTreeSet::new(),
            drains: BTreeMap::new(),
            archive: VecDeque::new(),
            pauses: pauses::Pauses::default(),
            departures: recorder::Departures::default(),
            watched_since: now,
            durations: durations::Durations::default(),
            spare: ledger::Spare::default(),
            open: open::OpenConsumers::default(),
            timers: BTreeSet::new(),
            numbers: 0,
            effects: Vec::new(),
            tally: tally::Tally::default(),
            journal: persist::Lines::default(),
            unsaved: false,
        }
    }

    /// Takes other settings over while it lives; those of queues are the same (a gate does not change its own, either).
    /// Drains in force keep what they were made with; workers are judged anew.
    pub fn reconfigure(&mut self, now: Millis, settings: FleetSettings) {
        self.settings = settings;
        let workers: Vec<WorkerNo> = self.workers.keys().copied().collect();
        for no in workers {
            self.settle(now, no);
        }
    }

    // ── connections ──

    /// A connection was accepted. Its mark is in the effects before its first byte is judged.
    pub fn connect(&mut self, now: Millis, conn: ConnId, peer: Peer) {
        self.connected(now, conn, peer);
        self.born_with_pauses(conn);
    }

    /// The look-up of a local peer's process ended: the owning process first, then its ancestors upwards; empty if it
    /// could not be found. `command` is the owner's command name for display.
    pub fn identified(&mut self, now: Millis, conn: ConnId, lineage: &[Process], command: Option<&str>) {
        self.process_found(now, conn, lineage, command);
    }

    /// A gate saw something.
    pub fn event(&mut self, now: Millis, conn: ConnId, event: JobEvent) {
        self.happened(now, conn, event);
    }

    /// A connection is closed for good (its outstanding fetches were settled by events before).
    pub fn disconnect(&mut self, now: Millis, conn: ConnId, by: ClosedBy) {
        self.closed(now, conn, by);
    }

    /// Processes on this host (pid and start) whose workers have no connection: are they over, or will they come back?
    pub fn absent_processes(&self) -> Vec<(u32, u64)> {
        let absent = |worker: &&Worker| worker.conns.is_empty() && worker.ended.is_none() && !worker.is_dead();
        let process = |worker: &Worker| match worker.key {
            Key::Process { pid, started } => Some((pid, started)),
            _ => None,
        };
        self.workers.values().filter(absent).filter_map(process).collect()
    }

    /// These processes have ended.
    pub fn processes_ended(&mut self, ended: &[(u32, u64)]) {
        for (pid, started) in ended.iter().copied() {
            for no in self.keys.get(&Key::Process { pid, started }).into_iter().flatten() {
                if let Some(away) = self.workers.get_mut(no).and_then(|worker| worker.away.as_mut()) {
                    away.dead = true;
                }
            }
        }
    }

    /// Whether any connection's process is still being looked up.
    pub fn is_looking_up(&self) -> bool {
        !self.pending.is_empty()
    }

    // ── time ──

    /// When [`Fleet::tick`] is due next, if at all.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.first_deadline()
    }

    /// Time has passed: TTLs, forgetting, evidence that depends on time.
    pub fn tick(&mut self, now: Millis) {
        self.time_passed(now);
    }

    // ── drains ──

    /// Makes a drain, or answers for the one that is in force under that name.
    pub fn drain(&mut self, now: Millis, request: &DrainRequest) -> Result<DrainAnswer, DrainError> {
        self.make_drain(now, request)
    }

    /// Lifts a drain. False if there is none of that name (idempotent).
    pub fn undrain(&mut self, now: Millis, name: &str) -> bool {
        self.lift(now, name)
    }

    // ── pauses ──

    /// Pauses a queue, or renews its pause.
    pub fn pause(&mut self, now: Millis, request: &PauseRequest) -> Result<PauseAnswer, DrainError> {
        self.make_pause(now, request)
    }

    /// Lifts the pauses of the queue that is called so. False if there is none (idempotent).
    pub fn resume(&mut self, name: &str) -> bool {
        self.lift_pauses(name)
    }

    /// A pause that was made just now could not be made durable: it is none.
    pub fn take_back(&mut self, pause: &str) {
        self.end_pause(pause, Ending::Lifted);
    }

    /// What is paused now: a connection that was entered by the same call's lock is born with it.
    pub fn paused(&self) -> &Arc<PausedQueues> {
        self.paused_set()
    }

    // ── looking ──

    /// The queues that were asked for, and those that are paused.
    pub fn queues(&self) -> Vec<view::QueueView> {
        self.all_queues()
    }

    /// The workers that match (all of them for `None`), with `gone` those of the last hour too.
    pub fn workers(
        &self,
        now: Millis,
        selector: Option<&str>,
        gone: bool,
    ) -> Result<Vec<view::WorkerView>, DrainError> {
        self.list(now, selector, gone)
    }

    /// One worker by id or alias, with its jobs and connections.
    pub fn worker(&self, now: Millis, id: &str) -> Option<view::WorkerDetail> {
        self.detail(now, id)
    }

    /// All drains in force, then those that ended within the last hour.
    pub fn drains(&self, now: Millis) -> Vec<view::DrainView> {
        self.all_drains(now)
    }

    /// The drain in force under that name, else the one that ended last.
    pub fn drain_named(&self, now: Millis, name: &str) -> Option<view::DrainView> {
        self.one_drain(now, name)
    }

    /// The present workers that a connection of `peer` would belong to if it were accepted now; `lineage` as in
    /// [`Fleet::identified`], empty for a peer on another host. Changes nothing.
    pub fn would_belong(&self, peer: &Peer, lineage: &[Process]) -> Vec<WorkerId> {
        self.owners_of(peer, lineage)
    }

    /// Which workers went away since `since`, and what those that were lost had in their hands.
    pub fn went_away(&self, now: Millis, since: Millis) -> view::ReportView {
        self.report_since(now, since)
    }

    /// Workers by queue that can get a job of it now, for the metrics: they are not marked, and it is not paused. Queues
    /// that were seen and have none are there with 0.
    pub fn open_consumers(&self) -> Vec<(String, usize)> {
        let number = |queue: &str, workers: usize| if self.is_paused(queue) { 0 } else { workers };
        let mut open: Vec<(String, usize)> =
            self.open.names().map(|queue| (queue.to_owned(), number(queue, self.open.of(queue)))).collect();
        open.sort_unstable();
        open
    }

    // ── persistence: plain text of the fleet's own ──

    /// The drains as a versioned text, for the store.
    pub fn export_drains(&self) -> String {
        self.drains_text()
    }

    /// Loads what [`Fleet::export_drains`] wrote. An error names the line and what was expected there. To be called on
    /// a fresh fleet, before or after [`Fleet::import_journal`].
    pub fn import_drains(&mut self, now: Millis, text: &str) -> Result<(), String> {
        let told = self.told();
        let read = self.read_drains(now, text);
        self.untell(told);
        self.unsaved = false;
        read
    }

    /// A fresh journal that says all that the old one said and still matters, in whole lines (called at start, after
    /// [`Fleet::import_journal`], and when the journal has grown).
    pub fn whole_journal(&self) -> Vec<u8> {
        let mut journal = persist::Lines::default();
        self.write_whole(&mut journal);
        journal.bytes
    }

    /// The same, line by line.
    pub fn export_journal(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.whole_journal()).lines().map(str::to_owned).collect()
    }

    /// Replays a journal. A torn last line is ignored, anything else unreadable is an error that names the line.
    pub fn import_journal(&mut self, now: Millis, lines: &[&str]) -> Result<(), String> {
        let told = self.told();
        let read = self.replay(now, lines);
        self.untell(told);
        self.unsaved = false;
        read
    }

    // ── effects ──

    /// What there is to do after the calls since the last time.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.unsaved = false;
        self.effects.extend(self.tally.take());
        std::mem::take(&mut self.effects)
    }

    /// When what there is to append to the journal has to be taken, if there is anything: now, before the bytes that
    /// caused it go out, if a later gate would believe too little without it.
    pub fn journal_due(&mut self, now: Millis) -> Option<Millis> {
        self.journal.due(now)
    }

    /// Hands out what there is to append to the journal: whole lines, if any.
    pub fn take_journal<R>(&mut self, write: impl FnOnce(&[u8]) -> R) -> Option<R> {
        if self.journal.bytes.is_empty() {
            return None;
        }
        let written = write(&self.journal.bytes);
        self.journal.clear(JOURNAL_KEPT);
        Some(written)
    }

    /// What has been told so far.
    fn told(&self) -> (usize, usize, tally::Tally) {
        (self.effects.len(), self.journal.bytes.len(), self.tally.clone())
    }

    /// Takes back what was told since: it is no news.
    fn untell(&mut self, (effects, journal, tally): (usize, usize, tally::Tally)) {
        self.effects.truncate(effects);
        self.journal.bytes.truncate(journal);
        self.tally = tally;
    }

    /// A connection and the worker that it belongs to.
    fn pair(&mut self, id: ConnId) -> Option<(&mut conn::Conn, &mut Worker)> {
        let conn = self.conns.get_mut(&id)?;
        let worker = self.workers.get_mut(&conn.worker)?;
        Some((conn, worker))
    }

    /// A number that was never used before.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}
