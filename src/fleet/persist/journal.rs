//! Writing the journal.
//!
//! | record | says |
//! |---|---|
//! | `V` | the version |
//! | `W`, `N`, `L`, `Q` | a worker, an alias of it, a life of it, a queue of it |
//! | `D`, `A`, `R`, `E`, `Z` | a job in its hands, acknowledged at its start, its result seen, its end; all its jobs gone |
//! | `T`, `U` | it got something in a way that is no fetch; it works on a job twice |
//! | `S`, `G`, `X` | the state changed; the worker is over; the worker is forgotten |
//! | `B`, `P`, `J` | since when the recorder runs; a worker departed; a job that was in its hands |
//!
//! What RabbitMQ has delivered is in it from its acknowledgement on, if it is not over with that.

use super::line::Lines;
use super::text::{flag, maybe, optional, record};
use super::{VERSION, key_text};
use crate::fleet::Fleet;
use crate::fleet::ledger::{Entry, Stage};
use crate::fleet::life::Life;
use crate::fleet::view::{Departure, WorkerState};
use crate::fleet::whole::{Adopted, Whole};
use crate::fleet::worker::{Worker, WorkerNo};
use crate::job::{Evidence, Found, Millis, WorkerId};

/// What becomes of a job, for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Fact {
    /// It is in the ledger.
    Job,
    /// It was acknowledged when it was started.
    Acked,
    /// Its terminal result passed.
    Result,
    /// It has left the ledger.
    End,
}

impl Fact {
    /// The record about the job of this worker under that number. (A worker's id has nothing to be escaped.)
    fn write(self, into: &mut Lines, id: &WorkerId, seq: u64, entry: &Entry) {
        let letter = match self {
            Fact::Job => b'D',
            Fact::Acked => b'A',
            Fact::Result => b'R',
            Fact::End => b'E',
        };
        let mut record = into.begin(letter);
        record.plain(&id.0);
        record.number(seq);
        match self {
            Fact::Job => {
                let job = &entry.job;
                into.key(&job.key);
                let mut record = into.record();
                match entry.stage {
                    Stage::Delivered => record.constant(b"\tdelivered"),
                    Stage::Started => record.constant(b"\tstarted"),
                    Stage::Taken => record.constant(b"\ttaken"),
                }
                record.text(&job.id);
                record.text(&job.name);
                record.text(&job.queue);
                record.optional(job.eta);
                into.moment(entry.at);
                let mut record = into.record();
                if (entry.acked_at, entry.result, entry.polled) == (0, false, false) {
                    record.constant(b"\t0\t0\t0");
                } else {
                    record.number(entry.acked_at);
                    record.plain(flag(entry.result));
                    record.plain(flag(entry.polled));
                }
            }
            Fact::Acked => into.moment(entry.acked_at),
            Fact::Result | Fact::End => {}
        }
        into.record().end();
    }

    /// Appends a line with it, unless the worker is not in the journal. What puts a job into the worker's hands is
    /// written before the worker hears of it. All else can wait: if this gate is killed meanwhile, that is for the next
    /// one as if it had been killed before the broker's answer. (What it means for the worker's state does not wait,
    /// see [`state_line`].)
    pub(in crate::fleet) fn append(self, journal: &mut Lines, worker: &Worker, seq: u64, entry: &Entry) -> bool {
        let written = worker.journalled.is_some() && !worker.key.is_pending();
        if written && !entry.goes_with_connection() {
            let is_new = self == Fact::Acked && entry.is_delivery();
            let fact = if is_new { Fact::Job } else { self };
            fact.write(journal, &worker.id, seq, entry);
            journal.end_line(self == Fact::Job);
        }
        written
    }
}

/// A line of a job takes so much.
const JOB_LINE: usize = 160;

/// Appends a line for each queue of a worker.
fn write_queues(worker: &Worker, into: &mut Lines) {
    for queue in &worker.queues {
        into.line(&record('Q', &[&worker.id.0, queue]));
    }
}

/// Appends a line for each job in its hands.
fn write_ledger(worker: &Worker, into: &mut Lines) {
    let jobs = || worker.ledger.iter().filter(|(_, entry)| !entry.goes_with_connection());
    into.bytes.reserve(JOB_LINE * jobs().count());
    for (seq, entry) in jobs() {
        Fact::Job.write(into, &worker.id, seq, entry);
        into.end_line(true);
    }
}

fn worker_lines(worker: &Worker) -> Vec<String> {
    let whole = match worker.whole {
        Whole::Yes => "whole",
        Whole::Doubtful => "suspect",
        Whole::No(Adopted::MidLife) => "midlife",
        Whole::No(Adopted::Restart) => "restart",
        Whole::No(Adopted::Unseen) => "unseen",
    };
    let key = key_text(&worker.key);
    let fields = [
        worker.id.0.as_str(),
        &key,
        &worker.generation.to_string(),
        &worker.since.to_string(),
        worker.system.as_str(),
        flag(worker.mixed),
        flag(worker.fetching),
        whole,
        flag(worker.past.ever_started),
        flag(worker.past.declared),
        &worker.past.deliveries.to_string(),
        &worker.past.undeclared.to_string(),
        &worker.past.polled.to_string(),
        &worker.past.untracked.to_string(),
        &worker.past.peak.to_string(),
        &maybe(worker.client_name.as_deref()),
        &maybe(worker.user.as_deref()),
        &maybe(worker.command.as_deref()),
        &worker.ip.to_string(),
        &worker.listener,
        worker.protocol.as_str(),
    ];
    let mut lines = vec![record('W', &fields)];
    let took = worker.past.took.filter(|took| *took > Found::Nothing);
    lines.extend(took.map(|took| record('T', &[&worker.id.0, flag(took == Found::Job)])));
    lines.extend(worker.past.runs_twice.then(|| record('U', &[&worker.id.0])));
    lines.extend(worker.aliases.iter().map(|alias| record('N', &[&worker.id.0, &alias.0])));
    lines.extend(worker.lives.iter().map(|life| life_line(&worker.id, life)));
    lines
}

fn life_line(id: &WorkerId, life: &Life) -> String {
    let pid = life.celery().and_then(|voice| voice.pid);
    let processed = life.celery().and_then(|voice| voice.processed);
    let concurrency = life.sidekiq().and_then(|voice| voice.concurrency);
    let fields =
        [id.0.as_str(), life.system.as_str(), &life.name, &optional(pid), &optional(processed), &optional(concurrency)];
    record('L', &fields)
}

fn ended_line(worker: &Worker) -> Option<String> {
    let ended = worker.ended?;
    Some(record('G', &[&worker.id.0, &ended.at.to_string(), flag(ended.lost)]))
}

fn departure_lines(departure: &Departure) -> Vec<String> {
    let (at, more) = (departure.at.to_string(), departure.more.to_string());
    let worker = departure.worker.0.as_str();
    let fields = [worker, &departure.name, departure.system.as_str(), &at, flag(departure.lost), &more];
    let mut lines = vec![record('P', &fields)];
    for job in &departure.jobs {
        let at = job.delivered_at.to_string();
        let fields = [job.id.as_str(), &job.name, &job.queue, job.kind.as_str(), &at, flag(job.kept_by_broker)];
        lines.push(record('J', &fields));
    }
    lines
}

fn state_line(worker: &Worker, state: WorkerState, evidence: Evidence) -> String {
    // cut off by the gate's own stop, it comes back to the next gate
    let state = match state {
        WorkerState::Gone if worker.is_awaited() && (worker.is_marked() || worker.rested.is_some()) => {
            WorkerState::Drained
        }
        WorkerState::Gone if worker.is_awaited() => WorkerState::Active,
        state => state,
    };
    record('S', &[&worker.id.0, state.as_str(), evidence.as_str()])
}

impl Fleet {
    fn journal(&mut self, line: String) {
        self.journal.line(&line);
    }

    /// A line about a job; the worker's own comes first, and then its ledger as it is now goes out with it.
    pub(in crate::fleet) fn journal_job(&mut self, no: WorkerNo, seq: u64, fact: Fact) {
        let Some(worker) = self.workers.get(&no) else { return };
        let Some(entry) = worker.ledger.entry(seq) else { return };
        if !fact.append(&mut self.journal, worker, seq, entry) {
            self.journal_worker(no);
        }
    }

    /// What is known of a worker, if it is worth remembering and has changed.
    pub(in crate::fleet) fn journal_worker(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let mentioned = worker.is_listed() || worker.is_marked() || worker.journalled.is_some();
        if worker.key.is_pending() || worker.ended.is_some() || !mentioned {
            return;
        }
        let lines = worker_lines(worker);
        let text = lines.join("\n");
        if worker.journalled.as_ref() == Some(&text) {
            return;
        }
        let first = worker.journalled.replace(text).is_none();
        for line in lines {
            self.journal(line);
        }
        if first {
            self.journal_ledger(no);
        }
    }

    /// A queue that a worker fetches from.
    pub(in crate::fleet) fn journal_queue(&mut self, no: WorkerNo, queue: &str) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.journalled.is_some()) else { return };
        let line = record('Q', &[&worker.id.0, queue]);
        self.journal(line);
    }

    /// A ledger as a whole, in place of what was written before.
    fn journal_ledger(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.journalled.is_some()) else { return };
        write_queues(worker, &mut self.journal);
        self.journal.line(&record('Z', &[&worker.id.0]));
        write_ledger(worker, &mut self.journal);
    }

    /// Jobs have gone from one worker to another; the former may be forgotten already.
    pub(in crate::fleet) fn journal_moved(&mut self, from: WorkerNo, to: WorkerNo) {
        let jobs = self.workers.get(&to).is_some_and(|worker| !worker.ledger.is_empty());
        if jobs {
            self.journal_worker(to);
            self.journal_ledger(from);
            self.journal_ledger(to);
        }
    }

    pub(in crate::fleet) fn journal_forgotten(&mut self, worker: &Worker) {
        if worker.journalled.is_some() {
            self.journal(record('X', &[&worker.id.0]));
        }
    }

    pub(in crate::fleet) fn journal_ended(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.journalled.is_some()) else { return };
        if let Some(line) = ended_line(worker) {
            self.journal(line);
        }
    }

    pub(in crate::fleet) fn journal_departure(&mut self, departure: &Departure) {
        for line in departure_lines(departure) {
            self.journal(line);
        }
    }

    pub(in crate::fleet) fn journal_state(&mut self, now: Millis, no: WorkerNo, state: WorkerState) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.journalled.is_some()) else { return };
        let evidence = crate::fleet::evidence::judge(worker, &self.settings, now).evidence;
        let line = state_line(worker, state, evidence);
        self.journal(line);
    }

    /// The journal anew, with what still matters.
    pub(in crate::fleet) fn write_whole(&self, into: &mut Lines) {
        let head = [record('V', &[VERSION]), record('B', &[&self.watched_since.to_string()])];
        let departures = self.departures.iter().flat_map(departure_lines);
        head.into_iter().chain(departures).for_each(|line| into.line(&line));
        let mut workers: Vec<&Worker> = self.workers.values().filter(|worker| worker.is_remembered()).collect();
        workers.sort_by(|a, b| (a.born, &a.id).cmp(&(b.born, &b.id)));
        for worker in workers {
            worker_lines(worker).iter().for_each(|line| into.line(line));
            write_queues(worker, into);
            write_ledger(worker, into);
            let evidence = worker.rested.or(worker.steady.evidence).unwrap_or(Evidence::Unknown);
            into.line(&state_line(worker, worker.state, evidence));
            ended_line(worker).iter().for_each(|line| into.line(line));
        }
    }
}

impl Worker {
    fn is_remembered(&self) -> bool {
        // what was written down once may be referred to again
        !self.key.is_pending() && (self.journalled.is_some() || self.is_listed() || self.is_marked())
    }
}
