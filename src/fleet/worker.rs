//! One worker: a set of connections with one ledger, the marks upon it and what its own reports said. One value of
//! [`Worker`] is one *incarnation*; [`Key`] says by what its connections are recognised.

use super::boundary::Process;
use super::evidence::generic::LastQueue;
use super::fetches::Sums;
use super::inquiry::Inquiry;
use super::ledger::Ledger;
use super::life::{Life, LifeNo};
use super::open::VirtualHost;
use super::past::Past;
use super::presence::{Away, Ended};
use super::recorder::Recent;
use super::seal::Seal;
use super::strays::Stray;
use super::view::{Identity, WorkerState};
use super::whole::Whole;
use crate::job::{ConnId, Evidence, Found, Millis, Protocol, System, WorkerId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The fleet's own number of a worker; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WorkerNo(pub(super) u64);

impl WorkerNo {
    /// No worker; no worker is ever numbered so.
    pub(super) const NONE: WorkerNo = WorkerNo(0);
}

/// By what the connections of a worker are recognised, strongest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// Own listener.
    Listener(String),
    /// Tag in the user name.
    Tag(String),
    /// A process on the gate's own host: one life of it, so the key is an incarnation by itself.
    Process {
        /// Process id.
        pid: u32,
        /// Start time in clock ticks.
        started: u64,
    },
    /// Peer address.
    Address(IpAddr),
    /// A connection whose process is still being looked up: a worker of its own until then.
    Pending(ConnId),
}

impl Key {
    pub(super) fn of_process(process: &Process) -> Key {
        Key::Process { pid: process.pid, started: process.started }
    }

    /// The key itself tells one incarnation from the next.
    pub(super) fn is_incarnation(&self) -> bool {
        matches!(self, Key::Process { .. } | Key::Pending(_))
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Key::Pending(_))
    }
}

/// A life that has been silent for so long beside others is over.
const LIFE_SILENCE: Millis = 60_000;

/// Counts the events that could start a job: a report is worth something only if it came after the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) no: u64,
    pub(super) at: Millis,
}

/// Since when what can be said of a worker has not changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Steady {
    pub(super) sealed: bool,
    pub(super) clear: bool,
    pub(super) clear_of_delayed: bool,
    pub(super) evidence: Option<Evidence>,
    pub(super) since: Millis,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) no: WorkerNo,
    pub(super) id: WorkerId,
    /// Ids of workers that turned out to be this one.
    pub(super) aliases: Vec<WorkerId>,
    pub(super) key: Key,
    /// Which incarnation under its key it is, from 1.
    pub(super) generation: u32,
    /// First seen.
    pub(super) since: Millis,
    /// When it was first seen, in the fleet's own count.
    pub(super) born: u64,
    pub(super) system: System,
    /// A second job system was recognised behind the same key.
    pub(super) mixed: bool,
    /// The processes that have named themselves.
    pub(super) lives: Vec<Life>,

    pub(super) conns: BTreeSet<ConnId>,
    pub(super) sums: Sums,
    /// It has asked for a job, or a job system named it.
    pub(super) fetching: bool,
    /// Those that it has asked for.
    pub(super) queues: BTreeSet<String>,
    /// Where they are.
    pub(super) host: VirtualHost,
    /// Counted among the open consumers of its queues.
    pub(super) open: bool,

    pub(super) ledger: Ledger,
    pub(super) past: Past,
    pub(super) last_queue: LastQueue,
    pub(super) epoch: Epoch,
    /// It asks for jobs where the operator declared that there are some.
    pub(super) asks_declared: bool,
    pub(super) whole: Whole,
    /// The connection on which a process without a name has said that it had just begun, before anybody else was there.
    pub(super) begun: Option<ConnId>,
    /// Until then others may turn up behind the same address: their connections went with the gate before this one, and
    /// they may be at work and have nothing to say. 0: nobody was there before.
    pub(super) shared_until: Millis,
    /// It may have worked elsewhere before (behind another gate, say) and has not said yet what it is doing.
    pub(super) unvouched: bool,
    /// How it is known that nothing was in flight at a moment since the last delivery. That stands until the next one:
    /// threads that stop asking later (a process that shuts down) have nothing new to run.
    pub(super) proof: Option<Evidence>,
    pub(super) inquiry: Inquiry,
    /// All its connections were closed with something in flight, and nobody has said since that it is still the same
    /// process: the fetches of a newcomer must not stand for the threads of the one that was killed.
    pub(super) gap: bool,
    /// Events about jobs that a connection which has not found its worker yet could not place.
    pub(super) strays: Vec<Stray>,
    /// The drains that mark it, by their numbers.
    pub(super) drains: Vec<u64>,
    pub(super) marked_at: Option<Millis>,
    pub(super) seal: Seal,
    /// It was drained, and nothing has been in flight since.
    pub(super) was_drained: bool,
    pub(super) steady: Steady,
    /// The state as last told.
    pub(super) state: WorkerState,
    /// `None` while it has a connection.
    pub(super) away: Option<Away>,
    /// When it last had a connection again after it had none.
    pub(super) came_back: Option<Millis>,
    /// When the broker or the gate last closed a connection of it.
    pub(super) last_cut: Option<Millis>,
    /// When the client last closed a connection over which jobs had come that were not over.
    pub(super) last_parted: Option<Millis>,
    pub(super) ended: Option<Ended>,
    /// When it has to be judged anew although nothing happens.
    pub(super) timer: Option<Millis>,
    /// Its records as last written (of one that was read back: not yet); `None`: it is not in the journal.
    pub(super) journalled: Option<String>,
    /// It was at rest when the gate went away, and has not come back since.
    pub(super) rested: Option<Evidence>,
    /// The name as last told.
    pub(super) told_name: String,
    pub(super) recent: Recent,

    /// Of the connection that came last.
    pub(super) ip: IpAddr,
    /// Where it was first met.
    pub(super) listener: Arc<str>,
    /// The same, or in which it gets jobs that it acknowledges.
    pub(super) protocol: Protocol,
    pub(super) client_name: Option<String>,
    pub(super) user: Option<String>,
    /// Its process's command name.
    pub(super) command: Option<String>,
}

/// Where a worker was first met.
pub(super) struct Origin {
    pub(super) ip: IpAddr,
    pub(super) listener: Arc<str>,
    pub(super) protocol: Protocol,
}

impl Worker {
    pub(super) fn new(no: WorkerNo, id: WorkerId, key: Key, generation: u32, now: Millis, origin: Origin) -> Worker {
        Worker {
            no,
            id,
            aliases: Vec::new(),
            key,
            generation,
            since: now,
            born: no.0,
            system: System::Unknown,
            mixed: false,
            lives: Vec::new(),
            conns: BTreeSet::new(),
            sums: Sums::default(),
            fetching: false,
            queues: BTreeSet::new(),
            host: None,
            open: false,
            ledger: Ledger::default(),
            past: Past::default(),
            last_queue: LastQueue::default(),
            epoch: Epoch { no: 0, at: now },
            asks_declared: false,
            whole: Whole::Yes,
            begun: None,
            shared_until: 0,
            unvouched: false,
            proof: None,
            inquiry: Inquiry::default(),
            gap: false,
            strays: Vec::new(),
            drains: Vec::new(),
            marked_at: None,
            seal: Seal::default(),
            was_drained: false,
            steady: Steady::default(),
            state: WorkerState::Active,
            away: None,
            came_back: None,
            last_cut: None,
            last_parted: None,
            ended: None,
            timer: None,
            journalled: None,
            rested: None,
            told_name: String::new(),
            recent: Recent::default(),
            ip: origin.ip,
            listener: origin.listener,
            protocol: origin.protocol,
            client_name: None,
            user: None,
            command: None,
        }
    }

    pub(super) fn is_marked(&self) -> bool {
        !self.drains.is_empty()
    }

    /// Whether the fleet speaks of it: a pure producer stays unmentioned. Somebody who pops elements that the gate does
    /// not hold is no pure producer: a drain of `all` that passed over it would say `drained` of jobs.
    pub(super) fn is_listed(&self) -> bool {
        let takes = self.past.took == Some(Found::Job) && self.may_take();
        let known = self.fetching || self.client_name.is_some() || takes || !self.ledger.is_empty();
        known && !self.key.is_pending()
    }

    /// The fetch pattern or the reports have shown it idle.
    pub(super) fn prove(&mut self, evidence: Evidence) {
        self.proof = self.proof.max(Some(evidence));
    }

    /// Something happened that could start a job: what was reported before is void.
    pub(super) fn bump(&mut self, now: Millis) {
        self.epoch = Epoch { no: self.epoch.no + 1, at: now };
    }

    /// Threads that are known to be idle: those with a fetch outstanding anywhere, and for a short while those whose
    /// fetch ended empty.
    pub(super) fn idle_threads(&self, now: Millis) -> usize {
        // of an unknown system it is the safe side to take who asks again for one more
        let fetches = &self.sums.fetches;
        let asked = if self.system.tells_nothing() { fetches.blocking() } else { fetches.awaited() };
        asked.saturating_sub(self.sums.delivering) + self.past.nils.count(now)
    }

    /// The lives that are not over. Needs no clock: a life is over when others spoke long after its last word.
    pub(super) fn live(&self) -> impl Iterator<Item = &Life> {
        let newest = self.lives.iter().map(|life| life.last_seen).max().unwrap_or(0);
        self.lives.iter().filter(move |life| life.last_seen.saturating_add(LIFE_SILENCE) >= newest)
    }

    pub(super) fn life_mut(&mut self, no: LifeNo) -> Option<&mut Life> {
        self.lives.iter_mut().find(|life| life.no == no)
    }

    /// The names of its live processes, each once.
    pub(super) fn dialect_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.live().map(|life| life.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the job system calls it, else its client name, else the process, the tag, the listener or the address.
    pub(super) fn name(&self) -> String {
        let names = self.dialect_names();
        if !names.is_empty() {
            return names.join(" + ");
        }
        if let Some(name) = &self.client_name {
            return name.clone();
        }
        match &self.key {
            Key::Listener(name) | Key::Tag(name) => name.clone(),
            Key::Process { pid, .. } => {
                format!("{}[{pid}]@{}", self.command.as_deref().unwrap_or("process"), self.ip)
            }
            Key::Address(_) | Key::Pending(_) => self.ip.to_string(),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        match self.key {
            Key::Listener(_) | Key::Tag(_) => Identity::Strong,
            Key::Process { .. } => Identity::Learned,
            Key::Address(_) | Key::Pending(_) if self.lives.is_empty() && self.client_name.is_none() => {
                Identity::Address
            }
            Key::Address(_) | Key::Pending(_) => Identity::Learned,
        }
    }
}
