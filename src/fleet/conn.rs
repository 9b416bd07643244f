//! One connection as the fleet sees it.

use super::boundary::{Peer, Process};
use super::fetches::Fetches;
use super::inquiry::Mailbox;
use super::life::LifeNo;
use super::open::VirtualHost;
use super::pauses::Taken;
use super::worker::WorkerNo;
use crate::job::{Found, Millis, Protocol, System};
use crate::rare::{Blank, Rare};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The jobs that came on a connection since it was last known to have none in hand. What of them is over meanwhile is not
/// followed: it says where there is nothing to be looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InHand {
    jobs: u32,
    last: u64,
}

/// What [`InHand`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayHave {
    Nothing,
    /// None but this entry.
    Only(u64),
    Several,
}

impl InHand {
    /// A job has come.
    pub(super) fn add(&mut self, seq: u64) {
        self.jobs = self.jobs.saturating_add(1);
        self.last = seq;
    }

    /// It has none in hand any more. Returned is what it may have had.
    pub(super) fn clear(&mut self) -> MayHave {
        match std::mem::take(self) {
            InHand { jobs: 0, .. } => MayHave::Nothing,
            InHand { jobs: 1, last } => MayHave::Only(last),
            _ => MayHave::Several,
        }
    }
}

/// What a connection was called by those who use it.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) client_name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) host: VirtualHost,
    /// The job system's name of the worker that passed here.
    pub(super) name: Option<String>,
}

/// The ways to get jobs that are not refused, in words. Most connections have none.
#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) blocked: Vec<String>,
    /// Consumers that the gate must not stop; what they bring is counted.
    pub(super) bound: Vec<String>,
    /// Ways in which something may have come, or may come, that is a job only if nobody knows the worker's job system.
    pub(super) unrefused: Vec<String>,
}

impl Blank for Names {
    const BLANK: &'static Names = &Names { client_name: None, user: None, tag: None, host: None, name: None };
}

impl Blank for Ways {
    const BLANK: &'static Ways = &Ways { blocked: Vec::new(), bound: Vec::new(), unrefused: Vec::new() };
}

impl Ways {
    fn is_empty(&self) -> bool {
        self.blocked.is_empty() && self.bound.is_empty() && self.unrefused.is_empty()
    }
}

/// A connection may get no new job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// From its first byte on.
    pub(super) since_birth: bool,
    /// Its gate has said that it took the mark over.
    pub(super) confirmed: bool,
}

/// See the module. There are thousands of them at a time: what few have is in a box.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) peer: Peer,
    pub(super) since: Millis,
    pub(super) worker: WorkerNo,
    /// Its process is still being looked up.
    pub(super) pending: bool,
    /// The owning process and its ancestors upwards, shared with the other connections of the process.
    pub(super) lineage: Arc<[Process]>,
    /// As last told to its gate.
    pub(super) mark: Option<Mark>,
    pub(super) fetches: Fetches,
    /// A job has been delivered whose fetch is not yet reported as answered: that fetch is no idle thread any more.
    pub(super) delivering: bool,
    pub(super) in_hand: InHand,
    /// It has asked for a job at least once.
    pub(super) fetched: bool,
    /// By a fetch that waits for one.
    pub(super) waited: bool,
    /// When a fetch on it was answered last.
    pub(super) answered: Option<Millis>,
    /// What is over when it asks once more ([`Over::Perhaps`](super::evidence::generic::Over)).
    pub(super) perhaps: Option<u64>,
    /// The queues that it asked for last; with consumers (RabbitMQ) all of them.
    pub(super) asked: Arc<[String]>,
    pub(super) pauses: Taken,
    pub(super) names: Rare<Names>,
    pub(super) ways: Rare<Ways>,
    /// What it takes from by something that no pause refuses: why, and whether that is so for every job system.
    pub(super) passes: BTreeMap<String, (String, bool)>,
    /// What has come of the unrefused ones.
    pub(super) took: Option<Found>,
    pub(super) opaque: bool,
    pub(super) life: Option<LifeNo>,
    /// Its process listens to remote control here.
    pub(super) mailbox: Option<Box<Mailbox>>,
    /// What is fetched on it is acknowledged one by one.
    pub(super) acknowledges: bool,
    pub(super) deliveries: u64,
    pub(super) acks: u64,
    /// The job system as last told to its gate.
    pub(super) system: System,
}

impl Conn {
    pub(super) fn new(peer: Peer, since: Millis) -> Conn {
        Conn {
            peer,
            since,
            worker: WorkerNo::NONE,
            pending: false,
            lineage: Arc::default(),
            mark: None,
            fetches: Fetches::default(),
            delivering: false,
            in_hand: InHand::default(),
            fetched: false,
            waited: false,
            answered: None,
            perhaps: None,
            asked: Arc::default(),
            pauses: Taken::default(),
            names: Rare::default(),
            ways: Rare::default(),
            passes: BTreeMap::new(),
            took: None,
            opaque: false,
            life: None,
            mailbox: None,
            acknowledges: false,
            deliveries: 0,
            acks: 0,
            system: System::Unknown,
        }
    }

    /// Its jobs are acknowledged one by one.
    pub(super) fn is_acknowledging(&self) -> bool {
        self.acknowledges || self.peer.protocol == Protocol::Amqp
    }

    /// A thread waits on it for its next job, and has said with that that the one before is over.
    pub(super) fn is_thread_asking(&self) -> bool {
        self.fetches.blocking() > 0 && !self.is_acknowledging()
    }

    /// Whether a pending connection could bring a job to whatever worker it turns out to belong to.
    pub(super) fn is_clean(&self) -> bool {
        self.mark.is_some_and(|mark| mark.since_birth)
            && self.fetches.at_broker() == 0
            && self.ways.is_empty()
            && !self.opaque
            && self.deliveries == 0
    }
}
