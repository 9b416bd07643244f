//! Pauses: queues that are held for everyone, and what can be said of a queue.
//!
//! ```text
//! open ──pause──▶ pausing ──no fetch of it is at the broker──▶ paused ──lifted | expired──▶ open
//! ```
//! A pause names a queue by its key or by what its job system says (see [`crate::queue`]); it may be one that nobody has
//! asked for yet. The gates of all connections share the set of names, and tell when they have taken it over.

use super::Fleet;
use super::boundary::{DrainError, Effect, Ending, Notice, PauseAnswer, PauseRequest};
use super::view::{PauseView, QueueState, QueueView};
use super::worker::Worker;
use crate::job::{ConnId, Millis, Protocol, System};
use crate::queue::{PausedQueues, is_called};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// RabbitMQ's limit; no other system has longer ones.
const NAME_MAX: usize = 255;

/// A pause in force.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pause {
    pub(super) since: Millis,
    pub(super) until: Option<Millis>,
    pub(super) reason: Option<String>,
    /// Of the first set that it stood in.
    pub(super) number: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    by_name: BTreeMap<String, Pause>,
    set: Arc<PausedQueues>,
}

/// What a connection's gate has said of the set.
#[derive(Debug, Default)]
pub(super) struct Taken {
    number: u64,
    open: Vec<(String, Option<String>)>,
}

/// How far a pause has come.
#[derive(Default)]
struct Progress {
    open: bool,
    blocked: BTreeSet<String>,
}

impl Pauses {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Pause)> {
        self.by_name.iter()
    }

    pub(super) fn first_end(&self) -> Option<Millis> {
        self.by_name.values().filter_map(|pause| pause.until).min()
    }

    /// One that was saved.
    pub(super) fn restore(&mut self, name: String, since: Millis, until: Option<Millis>, reason: Option<String>) {
        let number = self.set.number() + 1;
        self.by_name.insert(name, Pause { since, until, reason, number });
        self.renumber();
    }

    fn renumber(&mut self) {
        self.set = Arc::new(PausedQueues::new(self.set.number() + 1, self.by_name.keys().cloned()));
    }
}

impl Fleet {
    pub(super) fn make_pause(&mut self, now: Millis, request: &PauseRequest) -> Result<PauseAnswer, DrainError> {
        let name = request.queue.trim().to_owned();
        if name.is_empty() || name.len() > NAME_MAX {
            let text = format!("a queue's name has 1 to {NAME_MAX} bytes");
            return Err(DrainError::BadQueue(text));
        }
        let old = self.pauses.by_name.get(&name);
        let given = request.reason.clone().filter(|reason| !reason.trim().is_empty());
        let reason = given.or_else(|| old.and_then(|old| old.reason.clone()));
        request.ttl.check("a pause", reason.as_deref())?;
        let until = request.ttl.end(now, self.settings.default_ttl);
        let created = old.is_none();
        let (since, number) = old.map_or((now, self.pauses.set.number() + 1), |old| (old.since, old.number));
        self.pauses.by_name.insert(name.clone(), Pause { since, until, reason: reason.clone(), number });
        if created {
            self.pauses_changed();
        }
        self.effects.push(Effect::Notice(Notice::QueuePaused { queue: name.clone(), until, reason }));
        self.save_drains();
        let queues: Vec<String> = self.seen(&name).map(str::to_owned).collect();
        let view = self.pause_view(&name).ok_or(DrainError::BadQueue(name))?;
        Ok(PauseAnswer { pause: view, created, queues })
    }

    /// Lifts whatever holds the queue that is called so. False if nothing does.
    pub(super) fn lift_pauses(&mut self, name: &str) -> bool {
        let name = name.trim();
        let over = |pause: &&String| self.means(pause, name) || self.means(name, pause);
        let names: Vec<String> = self.pauses.by_name.keys().filter(over).cloned().collect();
        names.iter().for_each(|name| self.end_pause(name, Ending::Lifted));
        !names.is_empty()
    }

    pub(super) fn pauses_due(&mut self, now: Millis) {
        let due = |(name, pause): (&String, &Pause)| pause.until.is_some_and(|at| at <= now).then(|| name.clone());
        let names: Vec<String> = self.pauses.by_name.iter().filter_map(due).collect();
        names.iter().for_each(|name| self.end_pause(name, Ending::Expired));
    }

    pub(super) fn end_pause(&mut self, name: &str, how: Ending) {
        if self.pauses.by_name.remove(name).is_some() {
            self.pauses_changed();
            self.effects.push(Effect::Notice(Notice::QueueResumed { queue: name.to_owned(), how }));
            self.save_drains();
        }
    }

    fn pauses_changed(&mut self) {
        self.pauses.renumber();
        self.effects.push(Effect::Pauses(Arc::clone(&self.pauses.set)));
    }

    /// The set in force.
    pub(super) fn paused_set(&self) -> &Arc<PausedQueues> {
        &self.pauses.set
    }

    /// A connection is born with the set in force.
    pub(super) fn born_with_pauses(&mut self, id: ConnId) {
        let number = self.pauses.set.number();
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.pauses = Taken { number, open: Vec::new() };
        }
    }

    /// A connection's gate has taken a set over.
    pub(super) fn pauses_taken(&mut self, id: ConnId, number: u64, open: Vec<(String, Option<String>)>) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.pauses = Taken { number, open };
        }
    }

    /// A connection takes from a queue by something that no pause refuses.
    pub(super) fn passes_pause(&mut self, id: ConnId, queue: String, why: String, sure: bool) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.passes.insert(queue, (why, sure));
        }
    }

    // ── looking ──

    pub(super) fn all_queues(&self) -> Vec<QueueView> {
        let progress: BTreeMap<&str, Progress> =
            self.pauses.by_name.iter().map(|(name, pause)| (name.as_str(), self.progress(name, pause))).collect();
        let mut systems: BTreeMap<&str, BTreeSet<System>> =
            self.open.names().map(|queue| (queue, BTreeSet::new())).collect();
        for worker in self.workers.values().filter(|worker| worker.is_listed()) {
            for queue in &worker.queues {
                systems.entry(queue).or_default().insert(worker.system);
            }
        }
        let held = self.held_by_queue();
        let view = |queue: &str, systems: &BTreeSet<System>| {
            let held = held.get(queue).copied().unwrap_or(0);
            QueueView { held, ..self.queue_view(queue, systems, &progress) }
        };
        let mut queues: Vec<QueueView> = systems.iter().map(|(queue, systems)| view(queue, systems)).collect();
        let unseen = self.pauses.by_name.keys().filter(|name| self.seen(name).next().is_none());
        queues.extend(unseen.map(|name| QueueView { seen: false, ..view(name, &BTreeSet::new()) }));
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        queues
    }

    fn queue_view(&self, queue: &str, systems: &BTreeSet<System>, progress: &BTreeMap<&str, Progress>) -> QueueView {
        let set = &self.pauses.set;
        let over: BTreeSet<&str> =
            systems.iter().chain([&System::Unknown]).flat_map(|system| set.over(queue, *system)).collect();
        let blocked = over.iter().filter_map(|name| progress.get(name)).flat_map(|p| p.blocked.iter().cloned());
        let settled = over.iter().filter_map(|name| progress.get(name)).any(|p| !p.open);
        let state = match (over.is_empty(), settled) {
            (true, _) => QueueState::Open,
            (false, false) => QueueState::Pausing,
            (false, true) => QueueState::Paused,
        };
        let longest = |pause: &PauseView| pause.until.unwrap_or(Millis::MAX);
        QueueView {
            name: queue.to_owned(),
            seen: true,
            systems: systems.iter().copied().filter(|system| *system != System::Unknown).collect(),
            consumers: self.open.of(queue),
            held: 0,
            state,
            blocked: blocked.collect::<BTreeSet<_>>().into_iter().collect(),
            pause: over.iter().filter_map(|name| self.pause_view(name)).max_by_key(longest),
        }
    }

    /// On how many connections a fetch of each queue waits at the gate. Of several consumers on one connection
    /// (RabbitMQ) those of paused queues do, or all.
    fn held_by_queue(&self) -> BTreeMap<&str, usize> {
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for conn in self.conns.values().filter(|conn| conn.fetches.held() > 0) {
            let all =
                conn.peer.protocol == Protocol::Redis || self.workers.get(&conn.worker).is_some_and(Worker::is_marked);
            let at_broker = |name: &str| conn.pauses.open.iter().any(|(open, _)| open == name);
            let paused = |queue: &str| self.pauses.set.over(queue, System::Unknown).any(|name| !at_broker(name));
            for queue in conn.asked.iter().filter(|queue| all || paused(queue)) {
                *held.entry(queue).or_default() += 1;
            }
        }
        held
    }

    fn pause_view(&self, name: &str) -> Option<PauseView> {
        let pause = self.pauses.by_name.get(name)?;
        let (since, until, reason) = (pause.since, pause.until, pause.reason.clone());
        Some(PauseView { name: name.to_owned(), since, until, reason })
    }

    /// What a pause is waiting for.
    fn progress(&self, name: &str, pause: &Pause) -> Progress {
        let mut progress = Progress::default();
        for conn in self.conns.values() {
            let open = conn.pauses.open.iter().find(|(open, _)| open == name);
            progress.open |= conn.pauses.number < pause.number || open.is_some();
            let worker = self.workers.get(&conn.worker);
            let mut say = |why: &str| {
                let who = worker.map(Worker::name).unwrap_or_default();
                progress.open = true;
                progress.blocked.insert(format!("{who}: {why}"));
            };
            if let Some((_, Some(why))) = open {
                say(why);
            }
            if conn.opaque {
                say("a connection is a blind pipe: its bytes could not be followed");
            }
            if worker.is_some_and(|worker| !conn.ways.blocked.is_empty() && asks_for(worker, name)) {
                conn.ways.blocked.iter().for_each(|why| say(why));
            }
            let system = worker.map_or(System::Unknown, |worker| worker.system);
            let may_take = worker.is_none_or(Worker::may_take);
            let takes =
                |(queue, (_, sure)): &(&String, &(String, bool))| (*sure || may_take) && is_called(name, queue, system);
            conn.passes.iter().filter(takes).for_each(|(_, (why, _))| say(why));
        }
        progress
    }

    /// The queues that have been asked for and that `name` means.
    fn seen<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.open.names().filter(move |queue| self.means(name, queue))
    }

    /// Whether a pause is over it, settled or not.
    pub(super) fn is_paused(&self, queue: &str) -> bool {
        self.pauses.by_name.keys().any(|name| self.means(name, queue))
    }

    /// Whether who says `name` means this queue. Whose it is, is looked up only if it matters.
    fn means(&self, name: &str, queue: &str) -> bool {
        let reads = |worker: &Worker| is_called(name, queue, worker.system) && worker.queues.contains(queue);
        let any = |system| is_called(name, queue, system);
        any(System::Unknown) || (System::ALL.into_iter().any(any) && self.workers.values().any(reads))
    }
}

fn asks_for(worker: &Worker, name: &str) -> bool {
    worker.queues.iter().any(|queue| is_called(name, queue, worker.system))
}
