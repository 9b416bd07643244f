//! Job systems whose workers tell the broker of each job's end (RQ, BullMQ, Dramatiq, arq ...): delivered minus confirmed
//! ends, exact as long as the ledger is whole. After a gap the worker's own state has to answer first ([`idle`]).

use super::{Doubt, FIRST_WORD, Verdict, cut_mid_job};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::ledger::{Entry, Stage};
use crate::fleet::whole::{Adopted, Whole};
use crate::fleet::worker::{Key, Worker};
use crate::job::{ConnId, Evidence, Millis, System};

/// A lock is renewed when half of its time is over: so much later than that it is not.
const LATE: Millis = 2_000;

/// The locks of a worker's jobs, which are renewed as long as these run.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::fleet) struct Lease {
    /// How long they last, the longest that was told.
    lasts: Option<Millis>,
    /// When one was renewed last, or may have been.
    renewed_at: Millis,
}

impl Lease {
    /// The worker has said how long they last, or has renewed one.
    pub(in crate::fleet) fn told(&mut self, now: Millis, lasts: Millis, renewed: bool) {
        if self.lasts.is_none() || renewed {
            self.renewed_at = now;
        }
        self.lasts = self.lasts.max(Some(lasts));
    }

    /// One may have been renewed unseen.
    pub(in crate::fleet) fn renewed(&mut self, now: Millis) {
        self.renewed_at = self.renewed_at.max(now);
    }

    /// Another worker has turned out to be this one.
    pub(in crate::fleet) fn join(&mut self, other: Lease) {
        self.lasts = self.lasts.max(other.lasts);
        self.renewed(other.renewed_at);
    }

    /// From then on it is known that none is renewed.
    fn quiet_at(self) -> Option<Millis> {
        self.lasts.map(|lasts| self.renewed_at.saturating_add(lasts).saturating_add(LATE))
    }
}

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let silent = worker.system == System::Taskiq && worker.past.undeclared > 0 && worker.past.acks == 0;
    if silent {
        return Verdict::idle(Evidence::Unknown).doubt(Doubt::NoResults);
    }
    // which of them have begun is the worker's secret: all that are due may have
    let mut verdict = Verdict::of_ledger(worker, settings, now, worker.ledger.len());
    verdict.doubts.extend(cut_mid_job(worker, now));
    if worker.past.gave_up {
        verdict.evidence = Evidence::Reported;
    }
    if worker.past.runs_twice {
        return verdict.doubt(Doubt::Twice);
    }
    let unseen = (worker.past.untracked > 0).then_some(Adopted::Unseen);
    let Some(why) = worker.not_whole().or(unseen) else { return verdict };
    if let Some(within) = worker.may_share(now).filter(|_| worker.awaits_others()) {
        return verdict.doubt(Doubt::Others { within });
    }
    if quiet_at(worker).is_none_or(|at| now < at || !is_heard(worker, at)) {
        return verdict.doubt(Doubt::Adopted(why, worker.system));
    }
    // jobs from before the gap would have renewed their locks
    let over = |entry: &Entry| entry.restored && entry.stage != Stage::Taken;
    verdict.drop_running(worker.ledger.iter().filter(|(_, entry)| over(entry)).count());
    verdict.evidence = Evidence::Reported;
    verdict
}

/// When it is known that no job is being worked on that the gate has not seen: none has renewed its lock.
pub(in crate::fleet) fn quiet_at(worker: &Worker) -> Option<Millis> {
    let known = matches!(worker.system, System::Bullmq | System::Bull | System::Asynq);
    worker.past.lease.quiet_at().filter(|_| known && !worker.is_whole())
}

/// Only time is missing: if nobody renews a lock until then, nothing is left, and if nobody else turns up at its address,
/// nobody else is there.
pub(in crate::fleet) fn time_will_tell(worker: &Worker, verdict: &Verdict, now: Millis) -> bool {
    let passes = |doubt: &Doubt| matches!(doubt, Doubt::Adopted(..) | Doubt::Others { .. });
    let awaits_others = verdict.doubts.iter().any(|doubt| matches!(doubt, Doubt::Others { .. }));
    let alone_at = awaits_others.then_some(worker.shared_until);
    let known_at = quiet_at(worker).into_iter().chain(alone_at).max();
    !worker.is_blocked() && known_at.is_some_and(|at| now < at) && verdict.doubts.iter().all(passes)
}

/// Whether what is known at that time is the processes' own word: one that stands still renews nothing either.
fn is_heard(worker: &Worker, at: Millis) -> bool {
    worker.system != System::Asynq || worker.live().all(|life| life.last_seen >= at)
}

/// A process has said on `conn` that it does nothing now: the entries that are over. The word of the only process that
/// there is tells of the whole ledger, and what was before does not matter any more. Behind an address that the gate met
/// in mid-life there may be others that have not spoken yet.
pub(in crate::fleet) fn idle(worker: &mut Worker, conn: ConnId, now: Millis) -> Vec<u64> {
    // one that is at a long job says nothing of itself meanwhile: whoever was ever here may still be
    let alone = worker.lives.len() < 2;
    let known = matches!(worker.key, Key::Process { .. }) || worker.adopted() == Some(Adopted::Restart);
    // several of Resque's workers can be one process; each of them speaks every few seconds
    let resque = worker.system == System::Resque;
    let known = known && (!resque || now >= worker.since.saturating_add(FIRST_WORD));
    if alone && known && !worker.is_blocked() {
        worker.whole = Whole::Yes;
        worker.past.untracked = 0;
    }
    let others = alone && (known || !resque);
    worker.ledger.select(|entry| entry.conn == Some(conn) || (others && (!resque || entry.conn.is_none())))
}
