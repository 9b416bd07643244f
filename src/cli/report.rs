//! What a command says about a drain in the end: the drain on stdout, what went wrong on stderr. With `-o table` the
//! jobs and remarks belong to the result, else they go to stderr and stdout stays as it was asked for.

use crate::api::goal::{self, Goal};
use crate::api::model::{Drain, DrainWorker};
use crate::cli::args::Format;
use crate::cli::client::Reply;
use crate::cli::exit::Exit;
use crate::cli::{complain, note, print, table};
use crate::fleet::view::{DrainState, WorkerState};
use std::time::Duration;

/// How a wait ended.
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// The drain as it was last seen.
    pub(super) drain: Reply<Drain>,
    /// Why it is over, where the drain does not say so itself.
    pub(super) why: Option<String>,
}

/// The end of a wait.
pub(super) fn ended(ended: &Ended, goal: Goal, waited: Duration, output: Format) {
    let drain = &ended.drain.value;
    result(&ended.drain, output);
    let jobs = match ended.exit {
        Exit::TimeOut => table::jobs(drain.workers.iter()),
        Exit::Lost => table::jobs(drain.workers.iter().filter(|worker| goal::is_lost(worker))),
        _ => vec![],
    };
    if !jobs.is_empty() {
        let heading = if ended.exit == Exit::Lost { "lost:" } else { "still in flight:" };
        aside(output, heading);
        jobs.iter().for_each(|job| aside(output, job));
    }
    let text = match (&ended.why, ended.exit) {
        (Some(why), _) => why.clone(),
        (None, Exit::TimeOut) => time_out(drain, goal, waited),
        (None, Exit::Lost) => lost(drain, goal),
        (None, Exit::CannotTell) => cannot_tell(drain),
        (None, Exit::Ended) => lifted(drain),
        (None, _) => return,
    };
    complain(&text);
}

/// The drain and what there is to remark.
pub(super) fn result(reply: &Reply<Drain>, output: Format) {
    let drain = &reply.value;
    match output {
        Format::Json => print(&reply.text),
        Format::Name => print(&drain.name),
        Format::Table => print(&full(drain)),
    }
    if output != Format::Table {
        remarks(drain).iter().for_each(|remark| note(remark));
    }
}

/// Heading, workers and remarks.
pub(super) fn full(drain: &Drain) -> String {
    let mut lines = vec![heading(drain), table::drain_workers(drain)];
    lines.extend(remarks(drain));
    lines.join("\n")
}

/// What a dry run found.
pub(super) fn would(drain: &Drain) -> String {
    let workers = table::count(drain.workers.len(), "worker");
    let mut lines =
        vec![format!("would drain {workers}{}; nothing was changed", takes(drain)), table::drain_workers(drain)];
    lines.extend(remarks(drain));
    lines.join("\n")
}

/// What is being waited for. With the name, so that somebody else can go on if this command is killed.
pub(super) fn begins(drain: &Drain, longest: Duration) -> String {
    let workers = table::count(drain.workers.len(), "worker");
    let takes = takes(drain);
    format!("drain {} is in force; waiting for {workers}{takes}, {} at most", drain.name, table::words(longest))
}

fn takes(drain: &Drain) -> String {
    drain.estimate.map_or_else(String::new, |estimate| format!(", {}", table::estimate(estimate)))
}

/// That the drain goes on, and how to take the wait up again.
pub(super) fn stays(name: &str) -> String {
    format!("the drain {name} stays in force (go on with `draingate wait {name}`)")
}

/// The gate was away when the time was up.
pub(super) fn last_seen(drain: &Drain, waited: Duration) -> String {
    let state = drain.state;
    format!("time-out after {}; when last seen the drain {} was {state}", table::words(waited), drain.name)
}

fn heading(drain: &Drain) -> String {
    let state = drain.state;
    let expiry = match drain.expires_at {
        _ if !drain.in_force => ", ended".to_owned(),
        Some(at) => format!(", expires in {}", table::until(at)),
        None => ", never expires".to_owned(),
    };
    let reason = drain.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("drain {}: {state}{expiry}{reason}", drain.name)
}

/// What an operator has to know before killing anything.
fn remarks(drain: &Drain) -> Vec<String> {
    let mut remarks = vec![];
    if let Some(until) = drain.safe_until {
        remarks.push(format!(
            "note: delayed jobs are being ignored: killing is safe until {until} (for {}), when the first comes due. On \
             Redis they come back only after the visibility time-out when the worker is killed, on RabbitMQ at once.",
            table::until(until)
        ));
    }
    if !drain.starving.is_empty() {
        remarks.push(format!("note: nobody is left to take jobs from {}", drain.starving.join(", ")));
    }
    remarks
}

fn time_out(drain: &Drain, goal: Goal, waited: Duration) -> String {
    let open: Vec<&DrainWorker> = drain.workers.iter().filter(|worker| !goal.reached_by(worker)).collect();
    let jobs: usize = open.iter().map(|worker| worker.in_flight.total() as usize).sum();
    let unsealed = open.iter().filter(|worker| worker.state.0 < WorkerState::Sealed).count();
    let mut why = vec![];
    if jobs > 0 {
        why.push(format!("{} still in flight", table::count(jobs, "job")));
    }
    if unsealed > 0 {
        why.push(format!("{} not sealed yet", table::count(unsealed, "worker")));
    }
    if why.is_empty() {
        why.push(format!("no proof yet that {} idle", are(&open)));
    }
    why.extend(open.iter().flat_map(|worker| worker.blocked.iter().map(move |b| format!("{}: {b}", worker.name))));
    format!("time-out after {}: {}; {}", table::words(waited), why.join("; "), stays(&drain.name))
}

fn lost(drain: &Drain, goal: Goal) -> String {
    let lost: Vec<&DrainWorker> = drain.workers.iter().filter(|worker| goal::is_lost(worker)).collect();
    let (busy, unproven): (Vec<_>, Vec<_>) = lost.iter().partition(|worker| worker.in_flight.total() > 0);
    let mut who = Vec::new();
    if !busy.is_empty() || lost.is_empty() {
        let names = names(busy.into_iter());
        who.push(format!("lost with jobs in flight: {}", if names.is_empty() { "a worker" } else { &names }));
    }
    if !unproven.is_empty() {
        who.push(format!("lost without proof that nothing was in flight: {}", names(unproven.into_iter())));
    }
    let who = who.join("; ");
    let open = drain.workers.iter().filter(|worker| !goal::is_lost(worker) && !goal.reached_by(worker)).count();
    let others = match open {
        0 => String::new(),
        _ => format!("; {} not there yet, {}", table::count(open, "other worker"), stays(&drain.name)),
    };
    format!("{who}{others}")
}

fn cannot_tell(drain: &Drain) -> String {
    let lines = drain.workers.iter().filter(|worker| Goal::Drained.cannot_tell(worker)).map(|worker| {
        let why = worker.blocked.iter().map(|blocked| format!(": {blocked}")).next().unwrap_or_default();
        let hint = worker.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
        let (evidence, seconds) = (worker.evidence, table::seconds(worker.unknown_seconds));
        format!(
            "{} has no job in flight that the gate knows of, but its evidence has been {evidence} for {seconds}{why}{hint}",
            worker.name
        )
    });
    let lines: Vec<String> = lines.collect();
    format!("cannot tell (at least {} is required): {}; {}", drain.require, lines.join("; "), stays(&drain.name))
}

fn lifted(drain: &Drain) -> String {
    let how = if drain.state.0 == DrainState::Expired { "expired" } else { "was lifted" };
    format!("the drain {} {how} while waiting: its workers get jobs again", drain.name)
}

fn are(workers: &[&DrainWorker]) -> String {
    let verb = if workers.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names(workers.iter().copied()))
}

fn names<'a>(workers: impl Iterator<Item = &'a DrainWorker>) -> String {
    workers.map(|worker| worker.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn aside(output: Format, text: &str) {
    if output == Format::Table { print(text) } else { note(text) }
}
