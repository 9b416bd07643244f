//! Consumers on AMQP that acknowledge what is done (all but Celery's): the broker takes back what was not acknowledged
//! when the client goes. So the ledger is exact by itself, whatever was before. When the *broker* goes, what was in the
//! worker's hands stays in the ledger, until it is handed out again: it may be the only copy.

use super::{Doubt, Verdict};
use crate::fleet::boundary::FleetSettings;
use crate::fleet::whole::Adopted;
use crate::fleet::worker::Worker;
use crate::job::{Millis, System};

/// See [`super::judge`].
pub(super) fn judge(worker: &Worker, settings: &FleetSettings, now: Millis) -> Verdict {
    let verdict = Verdict::of_ledger(worker, settings, now, worker.ledger.len());
    if worker.past.polled > 0 || worker.past.undeclared > 0 {
        return verdict.doubt(Doubt::Mixed); // it takes jobs from Redis as well
    }
    if worker.adopted() == Some(Adopted::Unseen) {
        return verdict.doubt(Doubt::Adopted(Adopted::Unseen, System::Unknown));
    }
    let cut = worker.ledger.unknown();
    if cut > 0 {
        return verdict.doubt(Doubt::CutMidJob(cut));
    }
    verdict
}
