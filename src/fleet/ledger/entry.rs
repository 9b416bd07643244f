//! One job in a ledger.

use crate::fleet::view::{JobKind, JobView};
use crate::job::{ConnId, Job, JobKey, Millis};

/// ```text
/// Delivered ──ack──▶ Started ──report──▶ (struck out)
///     └── end, or ack declared to be late ──▶ (struck out)
/// Taken ──the scheduler asks again──▶ (struck out)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Stage {
    /// In the worker's hands, not acknowledged.
    Delivered,
    /// Acknowledged when it was started (Celery's early ack): the broker will not say when it ends.
    Started,
    /// Taken out of a set by the worker's scheduler, not pushed on yet.
    Taken,
}

/// One job.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Entry {
    pub(in crate::fleet) job: Job,
    pub(in crate::fleet) at: Millis,
    /// The connection it came on; `None` after a restart of the gate.
    pub(in crate::fleet) conn: Option<ConnId>,
    pub(in crate::fleet) stage: Stage,
    /// When it was acknowledged, for [`Stage::Started`].
    pub(in crate::fleet) acked_at: Millis,
    /// Its terminal result has passed.
    pub(in crate::fleet) result: bool,
    /// Delivered before a gap in what the gate saw: the worker may have dropped it meanwhile.
    pub(in crate::fleet) restored: bool,
    /// It stands in its queue again, as well: the worker may have dropped it, or is still at it.
    pub(in crate::fleet) given_back: bool,
    /// It came as the answer to a poll.
    pub(in crate::fleet) polled: bool,
    /// The worker wanted to end it or to give it back, and the broker refused.
    pub(in crate::fleet) refused: bool,
    /// It came on a connection whose jobs are acknowledged.
    pub(in crate::fleet) acknowledged: bool,
}

/// So many are kept.
const SPARE: usize = 1_024;

/// The room of entries that are forgotten, for the next ones: those of a read come together, and go together.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "each goes into a ledger and comes back as it is")]
pub(in crate::fleet) struct Spare(Vec<Box<Entry>>);

impl Spare {
    /// Gives an entry its place.
    #[inline(always)]
    pub(in crate::fleet) fn place(&mut self, entry: Entry) -> Box<Entry> {
        let Some(mut place) = self.0.pop() else { return Box::new(entry) };
        *place = entry;
        place
    }

    /// Nobody speaks of it any more.
    pub(in crate::fleet) fn keep(&mut self, forgotten: Box<Entry>) {
        if self.0.len() < SPARE {
            self.0.push(forgotten);
        }
    }
}

impl Entry {
    /// A job that has just been delivered.
    pub(in crate::fleet) fn new(job: Job, at: Millis, conn: Option<ConnId>) -> Entry {
        Entry {
            job,
            at,
            conn,
            stage: Stage::Delivered,
            acked_at: 0,
            result: false,
            restored: false,
            given_back: false,
            polled: false,
            refused: false,
            acknowledged: false,
        }
    }

    /// `name[id]`, as lists of jobs show it.
    pub(in crate::fleet) fn label(&self) -> String {
        let name = if self.job.name.is_empty() { "job" } else { &self.job.name };
        format!("{name}[{}]", shown_id(&self.job))
    }

    pub(in crate::fleet) fn is_delayed(&self, now: Millis) -> bool {
        self.stage == Stage::Delivered && self.job.eta.is_some_and(|eta| eta > now)
    }

    /// RabbitMQ takes it back when the gate's connections go, for it was not acknowledged: a later gate does not count it.
    pub(in crate::fleet) fn goes_with_connection(&self) -> bool {
        self.stage == Stage::Delivered && self.is_delivery()
    }

    /// It came from RabbitMQ, to this gate.
    pub(in crate::fleet) fn is_delivery(&self) -> bool {
        matches!(self.job.key, JobKey::Delivery { .. })
    }

    pub(super) fn view(&self, now: Millis, running: bool, keeps: bool) -> JobView {
        let kind = match self.stage {
            Stage::Started | Stage::Taken => JobKind::Running,
            Stage::Delivered if self.is_delayed(now) => JobKind::Delayed,
            Stage::Delivered if running => JobKind::Running,
            Stage::Delivered => JobKind::Prefetched,
        };
        JobView {
            id: shown_id(&self.job),
            name: self.job.name.clone(),
            queue: self.job.queue.to_string(),
            kind,
            delivered_at: self.at,
            kept_by_broker: (keeps || self.acknowledged) && self.stage == Stage::Delivered,
        }
    }
}

/// What a job is called before people: one without an id by its key.
pub(in crate::fleet) fn shown_id(job: &Job) -> String {
    if job.id.is_empty() { job.key.to_string() } else { job.id.clone() }
}
