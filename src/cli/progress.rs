//! What a waiting command shows: on a terminal a line per worker that is kept up to date, elsewhere a plain line when
//! something changes. Always on stderr.

use crate::api::goal::Goal;
use crate::api::model::{Drain, DrainWorker};
use crate::cli::{note, table};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

/// Lines on a terminal; the workers beyond them are counted in the last.
const LINES: usize = 12;

/// See the module.
pub(super) enum Progress {
    /// A terminal.
    Terminal(Box<Bars>),
    /// A file or a pipe: what was last said of each worker, by id.
    Plain(HashMap<String, String>),
}

/// The lines on the terminal.
pub(super) struct Bars {
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Progress {
    /// For this process' stderr.
    pub(super) fn new() -> Progress {
        if std::io::stderr().is_terminal() {
            Progress::Terminal(Box::new(Bars { multi: MultiProgress::new(), bars: vec![] }))
        } else {
            Progress::Plain(HashMap::new())
        }
    }

    /// Shows the drain as it is now.
    pub(super) fn show(&mut self, drain: &Drain, goal: Goal) {
        match self {
            Progress::Terminal(bars) => bars.show(&lines(drain, goal)),
            Progress::Plain(said) => {
                for worker in &drain.workers {
                    let now = plain(worker);
                    if said.get(&worker.id) != Some(&now) {
                        note(&format!("{}: {}", drain.name, with_age(worker, &now)));
                        said.insert(worker.id.clone(), now);
                    }
                }
            }
        }
    }

    /// Something to know beside the workers' states.
    pub(super) fn note(&self, text: &str) {
        match self {
            Progress::Terminal(bars) => bars.multi.suspend(|| note(text)),
            Progress::Plain(_) => note(text),
        }
    }

    /// Takes the lines off the terminal.
    pub(super) fn clear(&mut self) {
        if let Progress::Terminal(bars) = self {
            bars.show(&[]);
        }
    }
}

impl Bars {
    fn show(&mut self, lines: &[String]) {
        for bar in self.bars.drain(lines.len().min(self.bars.len())..) {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
        while self.bars.len() < lines.len() {
            let bar = self.multi.add(ProgressBar::new_spinner());
            bar.set_style(style());
            bar.enable_steady_tick(Duration::from_millis(120));
            self.bars.push(bar);
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line.clone());
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The workers that are not there yet, the oldest job first, and a line for the rest.
fn lines(drain: &Drain, goal: Goal) -> Vec<String> {
    let (done, mut open): (Vec<_>, Vec<_>) = drain.workers.iter().partition(|worker| goal.reached_by(worker));
    let age = |worker: &DrainWorker| worker.oldest_job_seconds.unwrap_or(0.0);
    open.sort_by(|a, b| age(b).total_cmp(&age(a)));
    let mut lines: Vec<String> = open.iter().take(LINES).map(|worker| with_age(worker, &plain(worker))).collect();
    let more = open.len().saturating_sub(LINES);
    let rest = if more > 0 { format!(", {more} more not yet") } else { String::new() };
    lines.push(format!("{}: {} of {} {}{rest}", drain.name, done.len(), drain.workers.len(), goal.as_str()));
    lines
}

/// What is worth a line when it changes: everything but the passing of time.
fn plain(worker: &DrainWorker) -> String {
    let mut line = format!("{} {}", worker.name, worker.state);
    if worker.in_flight.total() > 0 {
        line += &format!(", in flight {}", table::in_flight(worker.in_flight, worker.evidence));
    }
    line += &format!(", evidence {}", worker.evidence);
    for why in &worker.blocked {
        line += &format!(", {why}");
    }
    line
}

fn with_age(worker: &DrainWorker, line: &str) -> String {
    let age = match worker.oldest_job_seconds {
        Some(_) => format!(", oldest job {}", table::seconds(worker.oldest_job_seconds)),
        None => String::new(),
    };
    let left = worker.estimate.map_or_else(String::new, |estimate| format!(", {}", table::estimate(estimate)));
    format!("{line}{age}{left}")
}
