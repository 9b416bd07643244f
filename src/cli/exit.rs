//! The exit codes, and what decides them.

use crate::api::goal::{self, Goal};
use crate::api::model::Drain;
use std::process::ExitCode;

/// How a command ended. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done; for a wait: all workers are there with the required evidence.
    Done = 0,
    /// None of the others.
    Failed = 1,
    /// The command line, or what it asked of the gate, is not valid.
    Usage = 2,
    /// Nothing matched, or the drain was refused because of what matched.
    Nothing = 3,
    /// The time is up and the workers are not there; the drain stays in force.
    TimeOut = 4,
    /// A worker was lost with jobs in flight.
    Lost = 5,
    /// Sealed, nothing in flight known, and the evidence has been weaker than required for 30 s.
    CannotTell = 6,
    /// The gate cannot be reached.
    Unreachable = 7,
    /// The token does not allow it, or there is none.
    NotAllowed = 8,
    /// The drain was lifted or expired while waiting.
    Ended = 9,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Whether a wait is over, and how. Where several hold, the order is: ended by someone else, lost, time-out with jobs
/// in flight, cannot tell. A lost worker is told when there is nothing left to hope for from the others, or when the
/// time is up.
pub fn verdict(drain: &Drain, goal: Goal, time_is_up: bool) -> Option<Exit> {
    if goal::ended_otherwise(drain) {
        return Some(Exit::Ended);
    }
    let lost = drain.workers.iter().any(goal::is_lost);
    if goal.lost_for_good(drain) || (time_is_up && lost) {
        return Some(Exit::Lost);
    }
    if goal.reached(drain) {
        return Some(Exit::Done);
    }
    let open: Vec<_> = drain.workers.iter().filter(|worker| !goal.reached_by(worker)).collect();
    if !open.is_empty() && open.iter().all(|worker| goal.cannot_tell(worker)) {
        return Some(Exit::CannotTell);
    }
    time_is_up.then_some(Exit::TimeOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{DrainWorker, InFlight, Time, Word};
    use crate::fleet::view::{DrainState, WorkerState};
    use crate::job::Evidence;

    /// A worker in words: its state, then `+N` for N running jobs, `?N` for N seconds of unknown evidence.
    fn worker(text: &str) -> DrainWorker {
        let (state, running, unknown) = match text.find(['+', '?']) {
            Some(at) if text[at..].starts_with('+') => (&text[..at], text[at + 1..].parse().expect("jobs"), None),
            Some(at) => (&text[..at], 0, Some(text[at + 1..].parse().expect("seconds"))),
            None => (text, 0, None),
        };
        DrainWorker {
            id: "w".to_owned(),
            name: "w".to_owned(),
            state: Word(WorkerState::ALL.into_iter().find(|s| s.as_str() == state).expect("a state")),
            in_flight: InFlight { running, ..InFlight::default() },
            evidence: Word(Evidence::Inferred),
            blocked: vec![],
            unknown_seconds: unknown,
            hint: None,
            oldest_job_seconds: None,
            estimate: None,
            jobs: vec![],
        }
    }

    fn drain(state: DrainState, workers: &str) -> Drain {
        Drain {
            name: "d".to_owned(),
            selector: vec!["all".to_owned()],
            reason: None,
            created_at: Time(0),
            expires_at: None,
            state: Word(state),
            estimate: None,
            in_force: true,
            safe_until: None,
            require: Word(Evidence::Inferred),
            standing: false,
            workers: workers.split_whitespace().map(worker).collect(),
            starving: vec![],
        }
    }

    #[test]
    fn each_row_of_the_table() {
        use DrainState::*;
        let wait: &[(DrainState, &str, bool, Option<Exit>)] = &[
            // 0
            (Drained, "drained", false, Some(Exit::Done)),
            (Drained, "drained gone", true, Some(Exit::Done)),
            (Drained, "", false, Some(Exit::Done)),
            // still waiting
            (Draining, "draining+1", false, None),
            (Sealed, "sealed+1 drained", false, None),
            (Sealed, "sealed?29.9", false, None),
            (Draining, "lost+1 draining", false, None),
            (Draining, "lost+1 sealed+1", false, None),
            // 4
            (Draining, "draining", true, Some(Exit::TimeOut)),
            (Sealed, "sealed+2", true, Some(Exit::TimeOut)),
            (Sealed, "sealed?10", true, Some(Exit::TimeOut)),
            (Sealed, "sealed+1 sealed?40", true, Some(Exit::TimeOut)),
            // 5
            (Lost, "lost+1", false, Some(Exit::Lost)),
            (Lost, "lost+1 drained gone", false, Some(Exit::Lost)),
            (Lost, "lost+1 sealed?30", false, Some(Exit::Lost)),
            (Draining, "lost+1 draining+1", true, Some(Exit::Lost)),
            // 6
            (Sealed, "sealed?30", false, Some(Exit::CannotTell)),
            (Sealed, "sealed?31 drained", true, Some(Exit::CannotTell)),
            (Sealed, "sealed?31 sealed+1", false, None),
            (Sealed, "sealed?31 sealed?5", false, None),
            // something is in the way of its seal, and nothing else can be waited for
            (Draining, "draining?31 drained", false, Some(Exit::CannotTell)),
            (Draining, "draining?5", true, Some(Exit::TimeOut)),
            // 9
            (Lifted, "active", false, Some(Exit::Ended)),
            (Expired, "active+1", true, Some(Exit::Ended)),
            (Lifted, "lost+1", true, Some(Exit::Ended)),
            (Lifted, "drained", false, Some(Exit::Ended)),
        ];
        for (state, workers, time_is_up, expected) in wait {
            let verdict = verdict(&drain(*state, workers), Goal::Drained, *time_is_up);
            assert_eq!(verdict, *expected, "{state:?} [{workers}] time is up: {time_is_up}");
        }
    }

    #[test]
    fn waiting_for_sealed() {
        use DrainState::*;
        let verdict = |state, workers, up| super::verdict(&drain(state, workers), Goal::Sealed, up);
        assert_eq!(verdict(Sealed, "sealed+3 drained", false), Some(Exit::Done));
        assert_eq!(verdict(Sealed, "sealed?90", false), Some(Exit::Done), "evidence is not asked for");
        assert_eq!(verdict(Drained, "drained", false), Some(Exit::Done));
        assert_eq!(verdict(Draining, "draining?90", false), None, "what is in the way may go");
        assert_eq!(verdict(Draining, "draining sealed", true), Some(Exit::TimeOut));
        assert_eq!(verdict(Lost, "lost+1 sealed+1", false), Some(Exit::Lost));
    }

    #[test]
    fn a_state_that_its_workers_do_not_bear_out_is_not_believed() {
        assert_eq!(verdict(&drain(DrainState::Drained, "drained sealed+1"), Goal::Drained, false), None);
        assert_eq!(verdict(&drain(DrainState::Drained, "drained lost+1"), Goal::Drained, false), Some(Exit::Lost));
    }
}
