//! What the fleet and the gates tell, as counters and log lines.

use super::jobs;
use crate::fleet::Notice;
use crate::fleet::view::WorkerState;
use crate::gate::{GateError, Side};
use crate::job::{Fate, JobEvent, Place, System};
use metrics::{counter, gauge, histogram};

/// Makes them exist before anything has happened: an alert on one that is missing never fires.
pub(super) fn begin() {
    jobs::begin();
    counter!("draingate_workers_lost_total").increment(0);
    gauge!("draingate_opaque_connections").set(0.0);
    // to be known is enough
    let _ = (histogram!("draingate_drain_seal_seconds"), histogram!("draingate_drain_seconds"));
    for action in Fate::ALL.map(Fate::as_str) {
        counter!("draingate_orphan_replies_total", "action" => action).increment(0);
    }
    for kind in ["client_out_of_step", "broker_out_of_step", "refused_by_broker", "opaque_marked"] {
        counter!("draingate_protocol_errors_total", "kind" => kind).increment(0);
    }
    for system in System::ALL.map(System::as_str) {
        counter!("draingate_fetches_held_total", "system" => system).increment(0);
        counter!("draingate_fetches_rewritten_total", "system" => system).increment(0);
        counter!("draingate_unknown_scripts_total", "system" => system).increment(0);
    }
}

/// Counts and logs something that the fleet noticed.
pub fn notice(notice: &Notice) {
    match notice {
        Notice::WorkerSeen { worker, name, system } => {
            tracing::info!(%worker, name, system = system.as_str(), "worker seen");
        }
        Notice::WorkerState { worker, name, system, from, to, since_mark } => {
            let seconds = since_mark.map(|millis| millis as f64 / 1e3);
            if let Some(seconds) = seconds {
                // an idle worker is drained in the moment in which it is sealed
                if is_sealed(*to) && !is_sealed(*from) {
                    histogram!("draingate_drain_seal_seconds").record(seconds);
                }
                if *to == WorkerState::Drained {
                    histogram!("draingate_drain_seconds").record(seconds);
                }
            }
            let (from, to) = (from.as_str(), to.as_str());
            tracing::info!(%worker, name, system = system.as_str(), from, to, since_mark = seconds, "worker {to}");
        }
        Notice::WorkerLost { worker, name, system, jobs } => {
            counter!("draingate_workers_lost_total").increment(1);
            let how = if jobs.is_empty() { "without proof that it was idle" } else { "with jobs in flight" };
            let jobs = jobs.join(", ");
            tracing::warn!(%worker, name, system = system.as_str(), jobs, "worker lost {how}");
        }
        Notice::DrainCreated { drain, workers } => tracing::info!(drain, workers, "drain made"),
        Notice::DrainEnded { drain, how } => tracing::info!(drain, "drain {}", how.as_str()),
        Notice::QueuePaused { queue, until, reason } => {
            let until = until.and_then(|until| jiff::Timestamp::from_millisecond(i64::try_from(until).ok()?).ok());
            let until = until.map(|until| until.to_string());
            tracing::info!(queue, until, reason, "queue paused");
        }
        Notice::QueueResumed { queue, how } => tracing::info!(queue, "pause of a queue {}", how.as_str()),
    }
}

/// Whether no new job can reach a worker in this state.
fn is_sealed(state: WorkerState) -> bool {
    matches!(state, WorkerState::Sealed | WorkerState::Drained)
}

/// Counts what a gate saw and the fleet does not tell.
#[inline(always)]
pub fn connection_event(system: System, event: &JobEvent) {
    match event {
        JobEvent::FetchAsked { place: Place::Gate, .. } | JobEvent::FetchMoved { to: Place::Gate } => {
            one_more("draingate_fetches_held_total", "system", system.as_str());
        }
        JobEvent::FetchRewritten { .. } => one_more("draingate_fetches_rewritten_total", "system", system.as_str()),
        JobEvent::Orphan(fate) => {
            one_more("draingate_orphan_replies_total", "action", fate.as_str());
            if *fate == Fate::Lost {
                let system = system.as_str();
                tracing::warn!(system, "a job that came for a client that had vanished could not be put back");
            }
        }
        JobEvent::UnknownScript => one_more("draingate_unknown_scripts_total", "system", system.as_str()),
        JobEvent::Opaque => gauge!("draingate_opaque_connections").increment(1),
        _ => (),
    }
}

/// Of what hardly any event is.
#[cold]
fn one_more(name: &'static str, label: &'static str, value: &'static str) {
    counter!(name, label => value).increment(1);
}

/// Counts why a gate gave a connection up.
pub fn gate_error(error: &GateError) {
    let kind = match error {
        GateError::OutOfStep { side: Side::Client, .. } => "client_out_of_step",
        GateError::OutOfStep { side: Side::Broker, .. } => "broker_out_of_step",
        GateError::Refused(_) => "refused_by_broker",
        GateError::OpaqueMarked => "opaque_marked",
    };
    counter!("draingate_protocol_errors_total", "kind" => kind).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The broker was full, or the user may only pop: nobody else will tell.
    #[test]
    fn a_job_that_is_lost_on_its_way_back_has_a_line_in_the_log() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for fate in Fate::ALL {
                connection_event(System::Rq, &JobEvent::Orphan(fate));
            }
        });
        let text = String::from_utf8(lines.0.lock().expect("sound").clone()).expect("text");
        assert!(text.lines().count() == 1 && text.contains("WARN") && text.contains("could not be put back"), "{text}");
    }
}
