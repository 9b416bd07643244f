//! What can be said of a worker at a moment: how much is in flight, how the gate knows, and what stands in the way of
//! knowing. One file per job system; each reads the ledger, the fetch pattern and the reports, and changes nothing.
//!
//! The rule above all: a wrong "not yet" is acceptable, a wrong "drained" is not. So every branch that is not sure ends
//! in [`Evidence::Unknown`].

pub(super) mod acks;
pub(super) mod celery;
pub(super) mod consumer;
mod doubt;
pub(super) mod generic;
pub(super) mod sidekiq;
pub(super) mod voice;

pub(super) use doubt::Doubt;

use super::boundary::FleetSettings;
use super::ledger::{Entry, Stage};
use super::view::InFlight;
use super::whole::Adopted;
use super::worker::Worker;
use crate::job::{Evidence, Millis, Protocol, System};

/// So long after a cut the worker should have acknowledged or given back what it had.
const AFTER_CUT: Millis = 10_000;
/// So long after its first sight every worker that reports at all has done so.
pub(super) const FIRST_WORD: Millis = 12_000;

impl Worker {
    /// All its jobs were put into lists of its own, and the gate has seen them all.
    fn keeps_jobs(&self) -> bool {
        self.is_whole() && self.past.deliveries > 0 && !self.past.unkept
    }

    /// What it did before it came may not be over, and its first report is still due.
    pub(super) fn is_unheard(&self, now: Millis) -> bool {
        // what an AMQP consumer had on another connection the broker took back with it
        self.unvouched && !self.is_consumer() && now < self.since.saturating_add(FIRST_WORD)
    }

    /// See [`Worker::shared_until`]: for so long.
    fn may_share(&self, now: Millis) -> Option<Millis> {
        self.shared_until.checked_sub(now).filter(|within| *within > 0 && !self.is_consumer())
    }

    /// See [`consumer`].
    fn is_consumer(&self) -> bool {
        self.protocol == Protocol::Amqp && self.system != System::Celery
    }

    /// It had a connection to the gate before this one, and none to this one yet.
    fn is_waited_for(&self) -> bool {
        let restarted = self.adopted() == Some(Adopted::Restart) && self.ended.is_none();
        restarted && self.conns.is_empty() && self.is_awaited() && self.rests().is_none()
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Known to be in flight.
    pub(super) in_flight: InFlight,
    /// How many of them stand in the way of `drained` when delayed jobs are ignored.
    pub(super) waiting: usize,
    /// How many when they are not.
    pub(super) waiting_all: usize,
    /// What it had given back when it went is not among them.
    pub(super) without_returned: bool,
    pub(super) evidence: Evidence,
    pub(super) declared: bool,
    /// When the first ignored job comes due.
    pub(super) safe_until: Option<Millis>,
    pub(super) doubts: Vec<Doubt>,
}

impl Verdict {
    /// Nothing in flight.
    pub(super) fn idle(evidence: Evidence) -> Verdict {
        Verdict {
            in_flight: InFlight::default(),
            waiting: 0,
            waiting_all: 0,
            without_returned: false,
            evidence,
            declared: false,
            safe_until: None,
            doubts: Vec::new(),
        }
    }

    /// Whatever is in the ledger is in flight; `active` of them have begun, as far as they are due.
    pub(super) fn of_ledger(worker: &Worker, settings: &FleetSettings, now: Millis, active: usize) -> Verdict {
        let ledger = &worker.ledger;
        let limit = now.saturating_add(settings.delayed_margin);
        Verdict {
            in_flight: ledger.in_flight(now, active),
            waiting: ledger.len() - ledger.due_after(limit),
            waiting_all: ledger.len(),
            safe_until: ledger.first_due_after(limit),
            ..Verdict::idle(Evidence::Exact)
        }
    }

    /// `running` jobs in flight.
    pub(super) fn running(running: usize, evidence: Evidence) -> Verdict {
        let mut verdict = Verdict::idle(evidence);
        verdict.add_running(running);
        verdict
    }

    /// So many more run.
    fn add_running(&mut self, jobs: usize) {
        let running = u32::try_from(jobs).unwrap_or(u32::MAX);
        self.in_flight.running = self.in_flight.running.saturating_add(running);
        self.waiting += jobs;
        self.waiting_all += jobs;
    }

    /// So many of those that were taken to run are not in flight.
    fn drop_running(&mut self, jobs: usize) {
        let running = u32::try_from(jobs).unwrap_or(u32::MAX);
        self.in_flight.running = self.in_flight.running.saturating_sub(running);
        self.waiting = self.waiting.saturating_sub(jobs);
        self.waiting_all = self.waiting_all.saturating_sub(jobs);
    }

    /// Nobody can tell, because of `doubt`.
    pub(super) fn doubt(mut self, doubt: Doubt) -> Verdict {
        self.evidence = Evidence::Unknown;
        self.doubts.push(doubt);
        self
    }

    /// Whether nothing that counts is in flight.
    pub(super) fn is_clear(&self, delayed_wait: bool) -> bool {
        0 == if delayed_wait { self.waiting_all } else { self.waiting }
    }

    /// What the operator can do, if anything.
    pub(super) fn hint(&self) -> Option<String> {
        self.doubts.iter().find_map(|doubt| doubt.hint()).map(str::to_owned)
    }
}

/// Judges a worker as of `now`; one without a connection as of the moment it went: what comes due later is no business
/// of its any more.
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let left = worker.ended.map(|ended| ended.at).or(worker.away.map(|away| away.since));
    let mut verdict = judge_present(worker, settings, left.map_or(now, |left| left.min(now)));
    if let Some(within) = worker.may_share(now)
        && verdict.is_clear(false)
        && verdict.evidence > Evidence::Unknown
    {
        // whoever else is there has not gone with it
        verdict = verdict.doubt(Doubt::Others { within });
    }
    if let Some(left) = left.filter(|_| worker.is_consumer() && worker.is_waited_for())
        && now < left.saturating_add(settings.forget_after)
    {
        let (since, until) = (now.saturating_sub(left), settings.forget_after);
        return verdict.doubt(Doubt::TakenBack { since, until });
    }
    let open = verdict.evidence == Evidence::Unknown || !verdict.is_clear(false);
    if let Some(left) = left.filter(|_| worker.ended.is_none() && open) {
        // it is not there to be asked
        verdict.doubts.retain(|doubt| !matches!(doubt, Doubt::NoHeartbeat | Doubt::Silent { .. }));
        let (since, until) = (now.saturating_sub(left), settings.forget_after);
        verdict.doubts.insert(0, Doubt::Away { since, until, jobs: verdict.waiting_all });
    }
    verdict
}

fn judge_present(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let mut verdict = match worker.system {
        System::Celery => celery::judge(worker, settings, now),
        System::Sidekiq if worker.keeps_jobs() => acks::judge(worker, settings, now),
        System::Sidekiq => sidekiq::judge(worker, now),
        _ if worker.is_consumer() => consumer::judge(worker, settings, now),
        system if system.tells_nothing() => generic::judge(worker, settings, now),
        _ => acks::judge(worker, settings, now),
    };
    if let Some(evidence) = worker.rests().filter(|_| verdict.is_clear(false)) {
        verdict.evidence = verdict.evidence.max(evidence);
        verdict.doubts.clear();
        return verdict;
    }
    if worker.ledger.refused() > 0 && worker.system != System::Sidekiq {
        verdict.doubts.push(Doubt::EndRefused(worker.ledger.refused()));
    }
    if worker.is_unheard(now) && verdict.is_clear(false) && verdict.evidence > Evidence::Unknown {
        return verdict.doubt(Doubt::ReportDue);
    }
    if worker.mixed && !(worker.is_whole() && worker.past.deliveries == 0) {
        return verdict.doubt(Doubt::Mixed);
    }
    verdict
}

/// Unacknowledged, due jobs that came over connections which are gone. (If the way to the client was cut, its gate hears of the
/// client's end.)
fn cut_mid_job(worker: &Worker, now: Millis) -> Option<Doubt> {
    let cut = worker.last_cut.max(worker.last_parted).filter(|cut| now >= cut.saturating_add(AFTER_CUT))?;
    let hangs = |entry: &&Entry| {
        entry.stage == Stage::Delivered
            && entry.conn.is_none_or(|conn| !worker.conns.contains(&conn))
            && entry.job.eta.is_none_or(|eta| eta <= now)
    };
    // the oldest come first
    let before = worker.ledger.iter().map(|(_, entry)| entry).take_while(|entry| entry.at <= cut);
    Some(before.filter(hangs).count()).filter(|hang| *hang > 0).map(Doubt::CutMidJob)
}
