//! Tables and the words in them. Plain columns without lines; colour only on a terminal.

use crate::api::model::{Drain, DrainWorker, Estimate, InFlight, Job, Queue, Time, Word, Worker};
use crate::fleet::view::{QueueState, WorkerState};
use crate::job::Evidence;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

/// The workers, or a line that there are none.
pub(super) fn workers(workers: &[Worker], wide: bool) -> String {
    if workers.is_empty() {
        return "no workers".to_owned();
    }
    let mut headings = vec!["NAME", "SYSTEM", "STATE", "IN FLIGHT", "OLDEST", "EVIDENCE", "QUEUES", "DRAINS"];
    if wide {
        headings.extend(["ID", "IDENTITY", "ADDRESS", "LISTENER", "CONNECTIONS", "HELD", "SAFE UNTIL", "SINCE"]);
    }
    let mut table = table(&headings);
    for worker in workers {
        let mut row = vec![
            Cell::new(&worker.name),
            Cell::new(&worker.system),
            state(worker.state.0),
            Cell::new(in_flight(worker.in_flight, worker.evidence)),
            Cell::new(seconds(worker.oldest_job_seconds)),
            Cell::new(evidence(worker.evidence, worker.declared)),
            Cell::new(list(&worker.queues)),
            Cell::new(list(&worker.drains)),
        ];
        if wide {
            row.extend([
                Cell::new(&worker.id),
                Cell::new(&worker.identity),
                Cell::new(&worker.address),
                Cell::new(&worker.listener),
                Cell::new(worker.connections),
                Cell::new(worker.held),
                Cell::new(worker.safe_until.map_or_else(|| "-".to_owned(), |time| time.to_string())),
                Cell::new(worker.since),
            ]);
        }
        table.add_row(row);
    }
    let blocked = workers.iter().flat_map(|w| w.blocked.iter().map(move |why| format!("{}: {why}", w.name)));
    with_lines(&table, blocked)
}

/// The workers of a drain.
pub(super) fn drain_workers(drain: &Drain) -> String {
    if drain.workers.is_empty() {
        return "no workers".to_owned();
    }
    let mut table = table(&["NAME", "STATE", "IN FLIGHT", "OLDEST", "EVIDENCE", "ID"]);
    for worker in &drain.workers {
        table.add_row(vec![
            Cell::new(&worker.name),
            state(worker.state.0),
            Cell::new(in_flight(worker.in_flight, worker.evidence)),
            Cell::new(seconds(worker.oldest_job_seconds)),
            Cell::new(worker.evidence),
            Cell::new(&worker.id),
        ]);
    }
    let lines = |w: &'_ DrainWorker| {
        let why = w.blocked.iter().map(|why| format!("{}: {why}", w.name));
        why.chain(w.hint.iter().map(|hint| format!("{}: what helps: {hint}", w.name))).collect::<Vec<_>>()
    };
    with_lines(&table, drain.workers.iter().flat_map(lines))
}

/// The jobs in flight of these workers, a line each.
pub(super) fn jobs<'a>(workers: impl Iterator<Item = &'a DrainWorker>) -> Vec<String> {
    let line = |worker: &DrainWorker, job: &Job| {
        let name = if job.name.is_empty() { "(unnamed)" } else { &job.name };
        let since = since(job.delivered_at);
        format!("  {}: {name}[{}] {} from {}, delivered {since} ago", worker.name, job.id, job.kind, job.queue)
    };
    let lines = workers.flat_map(|worker| {
        let listed: Vec<String> = worker.jobs.iter().map(|job| line(worker, job)).collect();
        let unlisted = (worker.in_flight.total() as usize).saturating_sub(listed.len());
        let rest =
            (unlisted > 0).then(|| format!("  {}: {} the gate cannot name", worker.name, count(unlisted, "job")));
        listed.into_iter().chain(rest)
    });
    lines.collect()
}

/// The drains, or a line that there are none.
pub(super) fn drains(drains: &[Drain]) -> String {
    if drains.is_empty() {
        return "no drains".to_owned();
    }
    let mut table = table(&["NAME", "STATE", "WORKERS", "IN FLIGHT", "SELECTOR", "AGE", "EXPIRES", "REASON"]);
    for drain in drains {
        let in_flight: u32 = drain.workers.iter().map(|worker| worker.in_flight.total()).sum();
        let expires = match drain.expires_at {
            _ if !drain.in_force => "ended".to_owned(),
            Some(at) => format!("in {}", until(at)),
            None => "never".to_owned(),
        };
        table.add_row(vec![
            Cell::new(&drain.name),
            Cell::new(drain.state),
            Cell::new(drain.workers.len()),
            Cell::new(in_flight),
            Cell::new(drain.selector.join(" ")),
            Cell::new(since(drain.created_at)),
            Cell::new(expires),
            Cell::new(drain.reason.as_deref().unwrap_or("-")),
        ]);
    }
    table.trim_fmt()
}

/// The queues, or a line that there are none.
pub(super) fn queues(queues: &[Queue]) -> String {
    if queues.is_empty() {
        return "no queues".to_owned();
    }
    let mut table = table(&["NAME", "SYSTEM", "STATE", "CONSUMERS", "HELD", "RESUMES", "REASON"]);
    for queue in queues {
        let state = Cell::new(queue.state);
        let resumes = queue.paused.as_ref().map(|paused| match paused.until {
            Some(until) => format!("in {}", self::until(until)),
            None => "never".to_owned(),
        });
        table.add_row(vec![
            Cell::new(&queue.name),
            Cell::new(list(&queue.systems)),
            if queue.state.0 == QueueState::Open { state } else { state.fg(Color::Yellow) },
            Cell::new(queue.consumers),
            Cell::new(queue.held),
            Cell::new(resumes.as_deref().unwrap_or("-")),
            Cell::new(queue.paused.as_ref().and_then(|paused| paused.reason.as_deref()).unwrap_or("-")),
        ]);
    }
    let blocked = queues.iter().flat_map(|q| q.blocked.iter().map(move |why| format!("{}: {why}", q.name)));
    with_lines(&table, blocked)
}

/// `2 running, 1 delayed`; nothing known is only nothing if the evidence says so.
pub(super) fn in_flight(jobs: InFlight, evidence: Word<Evidence>) -> String {
    let kinds = [(jobs.running, "running"), (jobs.prefetched, "prefetched"), (jobs.delayed, "delayed")];
    let parts: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    match evidence.0 {
        _ if !parts.is_empty() => parts.join(", "),
        Evidence::Unknown => "unknown".to_owned(),
        _ => "-".to_owned(),
    }
}

/// A line for each name.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// `1 job`, `2 jobs`.
pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Seconds in words.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()) {
        Some(duration) => words(duration),
        None => "-".to_owned(),
    }
}

/// How long from now until a moment.
pub(super) fn until(time: Time) -> String {
    words(Duration::from_millis(time.0.saturating_sub(now())))
}

fn since(time: Time) -> String {
    words(Duration::from_millis(now().saturating_sub(time.0)))
}

/// From one moment to a later one, in words.
pub(super) fn between(from: Time, to: Time) -> String {
    words(Duration::from_millis(to.0.saturating_sub(from.0)))
}

/// `about 4m (p95 9m)`.
pub(super) fn estimate(estimate: Estimate) -> String {
    format!("about {} (p95 {})", seconds(Some(estimate.p50_seconds)), seconds(Some(estimate.p95_seconds)))
}

/// The two largest units are enough.
pub(super) fn words(duration: Duration) -> String {
    let whole = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    whole.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn evidence(evidence: Word<Evidence>, declared: bool) -> String {
    if declared { format!("{evidence} (declared)") } else { evidence.to_string() }
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(",") }
}

fn state(state: WorkerState) -> Cell {
    let cell = Cell::new(state.as_str());
    match state {
        WorkerState::Active | WorkerState::Gone => cell,
        WorkerState::Draining => cell.fg(Color::Yellow),
        WorkerState::Sealed => cell.fg(Color::Cyan),
        WorkerState::Drained => cell.fg(Color::Green),
        WorkerState::Lost => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(headings.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn with_lines(table: &Table, lines: impl Iterator<Item = String>) -> String {
    [table.trim_fmt()].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_is_not_nothing() {
        assert_eq!(in_flight(InFlight::default(), Word(Evidence::Unknown)), "unknown");
        assert_eq!(in_flight(InFlight::default(), Word(Evidence::Exact)), "-");
        let some = InFlight { running: 2, prefetched: 0, delayed: 1 };
        assert_eq!(in_flight(some, Word(Evidence::Unknown)), "2 running, 1 delayed");
    }

    #[test]
    fn durations_in_words() {
        assert_eq!(words(Duration::from_millis(90_900)), "1m 30s");
        assert_eq!(words(Duration::from_secs(3_600 * 50 + 61)), "2days 2h");
        assert_eq!(seconds(Some(0.4)), "0s");
        assert_eq!(seconds(None), "-");
        assert_eq!(seconds(Some(f64::MAX)), "-");
    }

    #[test]
    fn empty_lists_say_so() {
        assert_eq!(workers(&[], false), "no workers");
        assert_eq!(drains(&[]), "no drains");
    }
}
