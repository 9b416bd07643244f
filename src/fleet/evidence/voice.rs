//! What a Celery worker's heartbeats say, and what they prove.
//!
//! A heartbeat counts only if it was composed after the last event that could start a job. Two ways show that:
//! 1. *The counts match*: Celery raises `processed` before it sends the early ack. If `processed` rose since an earlier
//!    heartbeat by at least the acks seen since one that had come before that was composed, the heartbeat knows of every
//!    job that was started. (Not once the broker has taken jobs back: the pool may begin them, and no ack tells of it.)
//! 2. *Two heartbeats*, both arrived after the last such event, their own timestamps at least one period apart. The later
//!    one must not have been under way since before: a network that stands still for a while brings several at once.
//!
//! When a heartbeat was composed is told by how much later it came than the quickest one did. That one may have been under
//! way itself, but not for a period: if the network stood still from the very first on, the last that it brought was not.
//! (One alone may have been, if what kept it kept the next one, too: so two in a row must have come equally late.)

use crate::fleet::ledger::{Entry, Ledger, Stage};
use crate::fleet::worker::Epoch;
use crate::job::{ConnId, Millis};
use std::collections::VecDeque;

/// Heartbeats kept; the match may have to reach behind the acks of the last few periods.
const BEATS: usize = 8;
/// Celery's default period.
const PERIOD: Millis = 2_000;

/// One heartbeat.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct Beat {
    pub(in crate::fleet) timestamp: Option<Millis>,
    pub(in crate::fleet) arrival: Millis,
    pub(in crate::fleet) active: Option<u32>,
    pub(in crate::fleet) processed: Option<u64>,
    /// The worker's acks at arrival.
    pub(in crate::fleet) acks: u64,
    /// And as of the arrival of the last heartbeat that had come before this one was composed: an ack that crosses a
    /// heartbeat on another connection is counted too often, never too rarely.
    pub(in crate::fleet) acks_before: u64,
    /// The worker's epoch at arrival.
    pub(in crate::fleet) epoch: u64,
}

impl Beat {
    /// How far its arrival was behind its timestamp, in milliseconds.
    fn behind(&self) -> Option<i64> {
        self.arrival.checked_signed_diff(self.timestamp?)
    }
}

/// What one life of a Celery worker said.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct CeleryVoice {
    pub(in crate::fleet) pid: Option<u32>,
    pub(in crate::fleet) processed: Option<u64>,
    pub(in crate::fleet) period: Millis,
    /// The connection its heartbeats come on.
    pub(in crate::fleet) reporter: Option<ConnId>,
    pub(in crate::fleet) beats: VecDeque<Beat>,
    /// `processed` of its first heartbeat, until it was compared with what the gate delivered.
    pub(in crate::fleet) first_processed: Option<u64>,
    /// After a reconnect: `processed` must have come so far, or it is not the process that we knew.
    must_reach: u64,
    /// The epoch in which it was last found idle.
    pub(super) idle_in: Option<u64>,
    /// The least that a heartbeat arrived behind its timestamp, in milliseconds: how far the clocks are apart, and the way.
    behind: Option<i64>,
    /// One of those so far was quick: two in a row came equally late, or as many as are kept came at their own pace.
    settled: bool,
}

impl Default for CeleryVoice {
    fn default() -> Self {
        CeleryVoice {
            pid: None,
            processed: None,
            period: PERIOD,
            reporter: None,
            beats: VecDeque::new(),
            first_processed: None,
            must_reach: 0,
            idle_in: None,
            behind: None,
            settled: false,
        }
    }
}

impl CeleryVoice {
    /// The heartbeats come on this connection now. On a new one they may be those of another process with the same pid
    /// (in containers it is often 1) and so few jobs that its count is no sign; the jobs that the old one started tell: of
    /// those that reached it behind its last heartbeat, none is in that one's count, and of others none if that was 0.
    /// `known`: the key vouches that it is the same process.
    pub(in crate::fleet) fn reported_by(&mut self, conn: ConnId, ledger: &Ledger, known: bool) {
        if !known
            && self.reporter.is_some_and(|reporter| reporter != conn)
            && let Some(last) = self.beats.back()
        {
            let counted = self.processed.unwrap_or(0);
            let behind = |entry: &Entry| entry.stage == Stage::Started && (counted == 0 || entry.at >= last.arrival);
            self.must_reach = self.must_reach.max(counted.saturating_add(ledger.select(behind).len() as u64));
        }
        self.reporter = Some(conn);
    }

    /// The life goes over to another worker, whose counts and epochs are others: what it said before is no base there.
    pub(in crate::fleet) fn moved(&mut self) {
        self.beats.clear();
        self.must_reach = 0;
        self.idle_in = None;
    }

    /// Writes a heartbeat down; `acks` and `epoch` are the worker's at this moment.
    pub(in crate::fleet) fn push(&mut self, beat: Beat, acks: u64, epoch: u64) {
        if self.beats.is_empty() {
            self.first_processed = beat.processed;
        }
        self.processed = beat.processed.or(self.processed);
        if self.beats.len() == BEATS {
            self.beats.pop_front();
        }
        self.beats.push_back(Beat { acks, epoch, ..beat });
        self.compare_clocks();
        let acks_before = self.known_to_newest().map_or(0, |beat| beat.acks);
        self.beats.back_mut().into_iter().for_each(|newest| newest.acks_before = acks_before);
    }

    /// What the newest heartbeat shows of the clocks. They may be set, or drift: then all those that are kept tell of it,
    /// unless they have been under way together.
    fn compare_clocks(&mut self) {
        let least = |beats: &VecDeque<Beat>| beats.iter().filter_map(Beat::behind).min();
        let (Some(first), Some(newest)) = (self.beats.front(), self.beats.back()) else { return };
        let span = newest.timestamp.unwrap_or(0).saturating_sub(first.timestamp.unwrap_or(0));
        let apart = newest.arrival.saturating_sub(first.arrival) >= span.saturating_sub(self.period / 2);
        let all = apart && self.beats.len() == BEATS;
        self.behind = match self.behind {
            Some(_) if all => least(&self.beats),
            known => known.into_iter().chain(newest.behind()).min(),
        };
        self.settled |= all || self.is_even();
    }

    /// The newest heartbeat and the one before it came as quickly as any.
    fn is_even(&self) -> bool {
        let two = self.newest().and_then(|(newest, mut earlier)| Some((newest, earlier.next()?)));
        let (Some(least), Some((newest, before))) = (self.behind, two) else { return false };
        let margin = i64::try_from(self.period / 8).unwrap_or(i64::MAX);
        let quick = |beat: &Beat| beat.behind().is_some_and(|behind| behind.saturating_sub(least) <= margin);
        let times = before.timestamp.zip(newest.timestamp);
        let apart = times.is_some_and(|(before, newest)| newest.saturating_sub(before) >= self.period / 2);
        quick(newest) && quick(before) && apart
    }

    /// How long the newest heartbeat was under way for longer than the quickest one.
    fn delay(&self) -> Millis {
        let newest = self.beats.back().and_then(Beat::behind);
        let delay = newest.zip(self.behind).map_or(0, |(newest, least)| newest.saturating_sub(least));
        u64::try_from(delay).unwrap_or(0)
    }

    /// The newest heartbeat was not composed before.
    fn not_before(&self) -> Option<Millis> {
        let newest = self.beats.back().filter(|newest| newest.timestamp.is_some() && self.settled)?;
        Some(newest.arrival.saturating_sub(self.delay().saturating_add(self.period)))
    }

    /// The last heartbeat that had come when the newest was composed.
    pub(super) fn known_to_newest(&self) -> Option<&Beat> {
        let composed = self.not_before()?;
        self.newest()?.1.find(|beat| beat.arrival <= composed)
    }

    /// Way 1: the newest heartbeat knows of all `acks`.
    pub(super) fn counts_match(&self, acks: u64) -> bool {
        let Some((newest, earlier)) = self.newest() else { return false };
        let Some(processed) = newest.processed else { return false };
        earlier.filter_map(|base| Some((base, base.processed?))).any(|(base, before)| {
            let risen = processed.checked_sub(before);
            risen.is_some_and(|risen| risen >= acks.saturating_sub(base.acks_before))
        })
    }

    /// Way 2: the newest heartbeat is the second idle one since the last event.
    pub(super) fn is_second_idle(&self, epoch: Epoch) -> bool {
        let Some((newest, mut earlier)) = self.newest() else { return false };
        let idle = |beat: &Beat| beat.epoch == epoch.no && beat.active == Some(0);
        let apart = |beat: &Beat| {
            let both = beat.timestamp.zip(newest.timestamp);
            both.is_some_and(|(first, second)| second >= first.saturating_add(self.period))
        };
        let late = newest.epoch == epoch.no && self.not_before().is_some_and(|at| at >= epoch.at);
        late && earlier.any(|beat| idle(beat) && apart(beat))
    }

    /// So many jobs it has begun fewer than the process that it is taken for.
    pub(super) fn behind_by(&self) -> u64 {
        self.processed.map_or(0, |processed| self.must_reach.saturating_sub(processed))
    }

    /// And those before it, the latest first.
    fn newest(&self) -> Option<(&Beat, impl Iterator<Item = &Beat>)> {
        let mut beats = self.beats.iter().rev();
        Some((beats.next()?, beats))
    }

    pub(super) fn active(&self) -> usize {
        self.beats.back().and_then(|beat| beat.active).unwrap_or(0) as usize
    }
}
