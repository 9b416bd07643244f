//! The gate's own question to a Celery worker: which tasks has it in its hands?
//!
//! It is put to each process of a worker that is sealed, on the connection on which that listens to remote control. An
//! answer is behind its question, whatever the network did meanwhile; of a heartbeat only clocks say when it was composed.
//! So heartbeats are believed of those alone who cannot be asked, or do not answer. What the answer is worth:
//! - It comes from the process that was asked, and was composed after the question. So it counts only if nothing could
//!   have started a job since the question was made: the seal, deliveries and acks each begin another *epoch*.
//! - A job stands in `active` before its early ack goes out, and until its pool is done with it. So one whose ack was
//!   confirmed before the question and that is not in the answer is over. A process is idle if nothing is in `active` that
//!   the gate does not know to be unacknowledged.
//! - What the gate has not seen whole may be anywhere: then the same must be so of `scheduled` and `reserved`. They are asked
//!   first: a task goes from there to `active`, never back. (A task that waits for its rate limit is in no list. Its message
//!   is unacknowledged: the broker keeps it.)
//! - A worker of several processes is idle when all of them have said so. One that fetches and does not listen is not
//!   known to be, nor one that has closed its connections (a warm shutdown, a reconnect) with jobs in its hands.
//! - Tasks that a worker begins in a way of their own (celery-batches) stand in none of its lists, and in none of its
//!   heartbeats. Once one of a process that knows such tasks has begun any, only late acks say when its work is over. So each
//!   is asked with the first question what it knows.
//! - Under the name and address of a process another may have come up that knows nothing of its jobs. Where heartbeats tell
//!   the two apart, one must have come since the last of those who listen or fetch came.

use super::Fleet;
use super::boundary::Effect;
use super::conn::Conn;
use super::evidence::celery;
use super::ledger::{Entry, Stage};
use super::seal::Seal;
use super::view::JobEnd;
use super::worker::{Worker, WorkerNo};
use crate::job::{ConnId, Millis, System};
use crate::question::{Answer, List, Question};

/// Between two questions to a worker that has told of jobs that run.
const EVERY: Millis = 2_000;
/// The same if there is news. A result, too, is stored so long before its task is over at most, as a rule.
const SOON: Millis = 100;
/// A question that was not answered is put again after this time: the solo pool answers when its task is over.
const PATIENCE: Millis = 30_000;
/// And after this time if jobs have come or begun since, so that its answer will prove nothing.
const OVERTAKEN: Millis = 10_000;
/// So many questions are put to a process that never answers.
const UNANSWERED: u32 = 10;
/// So long after the first question a worker that has never answered is taken for one that does not.
const FIRST_ANSWER: Millis = 60_000;
/// So long the heartbeats of a worker that owes an answer are not believed.
const DEAF: Millis = 15_000;
/// Connections that have fetched side by side for so long are not one process' that has come back: its old one goes as
/// soon as the broker has answered what was outstanding on it.
const SIDE_BY_SIDE: Millis = 5_000;

/// A connection on which a process listens.
/// ```text
/// nothing asked ──question──▶ asked ──all lists answered──▶ nothing asked
///                              └──another epoch, or no answer for long──▶ asked anew
/// ```
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    asked: Option<Asked>,
    /// Questions since the last answer.
    unanswered: u32,
    /// The process has been asked what tasks it knows, and has answered.
    told: bool,
    /// When the process said that it is idle.
    idle: Option<Idle>,
}

/// The worker and its epoch in which a process said that it is idle, and whether it was asked for all lists.
#[derive(Debug)]
struct Idle {
    of: WorkerNo,
    epoch: u64,
    all: bool,
}

#[derive(Debug)]
struct Asked {
    number: u64,
    at: Millis,
    of: WorkerNo,
    epoch: u64,
    lists: &'static [List],
    answers: Vec<(List, Vec<String>)>,
}

impl Asked {
    fn is_all(&self) -> bool {
        self.lists.contains(&List::Scheduled)
    }
}

/// What the questions to one worker came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inquiry {
    first_asked: Option<Millis>,
    /// When it was asked last, and in which epoch.
    last: Option<(Millis, u64)>,
    /// Something has been heard since: a good moment for the next question.
    hint: Option<Millis>,
    /// It has answered: what it has not said to be over is at work.
    answered: bool,
    /// It knows tasks of which it does not tell.
    conceals: bool,
    /// Since when it owes answers that can be read.
    owes: Option<Millis>,
    /// The epoch in which all its processes said that they are idle.
    idle_in: Option<u64>,
    /// When one who listens or fetches came last, or went with jobs in its hands.
    widened: Millis,
    /// So many processes there were when one of them was lost from sight with jobs in its hands.
    processes: usize,
}

impl Inquiry {
    /// There is another process, or somebody else fetches: what was said is not all.
    pub(super) fn widen(&mut self, at: Millis) {
        self.idle_in = None;
        self.widened = self.widened.max(at);
    }

    /// Its jobs may be over.
    pub(super) fn suggest(&mut self, at: Millis) {
        self.hint = Some(self.hint.map_or(at, |hint| hint.min(at)));
    }

    /// A job of it has stored its result.
    pub(super) fn has_result(&mut self, now: Millis) {
        self.suggest(now.saturating_add(SOON));
    }

    /// The next question is not put before.
    fn next(&self, epoch: u64) -> Millis {
        let Some((last, of)) = self.last else { return 0 };
        let hint = if of == epoch { self.hint } else { Some(0) };
        let usual = last.saturating_add(EVERY);
        hint.map_or(usual, |hint| hint.clamp(last.saturating_add(SOON), usual))
    }
}

/// Until when a worker's first answer is waited for.
pub(super) fn patience(worker: &Worker) -> Option<Millis> {
    let Inquiry { first_asked, answered, .. } = worker.inquiry;
    first_asked.filter(|_| !answered && worker.sums.mailboxes > 0).map(|at| at.saturating_add(FIRST_ANSWER))
}

/// It answers, or is about to.
pub(super) fn speaks(worker: &Worker, now: Millis) -> bool {
    let answered = worker.inquiry.answered && worker.sums.mailboxes > 0;
    answered || patience(worker).is_some_and(|until| now < until)
}

/// An answer will say whether it is idle: no heartbeat needs to be believed.
pub(super) fn will_tell(worker: &Worker, now: Millis) -> bool {
    let deaf = worker.inquiry.owes.is_some_and(|since| now >= since.saturating_add(DEAF));
    worker.seal == Seal::Sealed && listen(worker) && !deaf
}

/// All processes of the worker have said that they are idle since the last event that could start a job.
pub(super) fn is_idle(worker: &Worker) -> bool {
    worker.inquiry.idle_in == Some(worker.epoch.no)
}

/// What it has begun may stand in none of its lists and heartbeats.
pub(super) fn conceals(worker: &Worker) -> bool {
    worker.inquiry.conceals && (worker.past.ever_started || !worker.is_whole())
}

/// When the next question is due, if there is one.
pub(super) fn due(worker: &Worker, now: Millis) -> Option<Millis> {
    let asks = worker.system == System::Celery
        && worker.seal == Seal::Sealed
        && worker.sums.mailboxes > 0
        && (worker.past.ever_started || !worker.is_whole() || worker.ledger.unknown() > 0)
        && !conceals(worker)
        && !celery::is_known_idle(worker, now);
    // unacknowledged jobs will be acknowledged: that is another epoch
    let hopeless = !needs_all(worker) && worker.ledger.started() == 0;
    let waits = hopeless && worker.ledger.unacked() > worker.ledger.due_after(worker.epoch.at);
    (asks && !waits).then(|| worker.inquiry.next(worker.epoch.no))
}

impl Fleet {
    /// The process listens on this connection, or not any more.
    pub(super) fn listens(&mut self, id: ConnId, listens: bool) {
        if self.settings.asks.is_none() {
            return;
        }
        let Some((conn, worker)) = self.pair(id) else { return };
        if conn.mailbox.is_some() == listens {
            return;
        }
        let before = std::mem::replace(&mut conn.mailbox, listens.then(Box::default));
        let mailboxes = &mut worker.sums.mailboxes;
        *mailboxes = if listens { *mailboxes + 1 } else { mailboxes.saturating_sub(1) };
        worker.inquiry.widen(conn.since);
        worker.inquiry.owes = worker.inquiry.owes.filter(|_| !listens);
        self.forget_question(before.as_deref());
    }

    /// Puts the question to a worker, if it is due.
    pub(super) fn inquire(&mut self, now: Millis, no: WorkerNo) {
        let Some(nonce) = self.settings.asks else { return };
        let Some(worker) = self.workers.get_mut(&no).filter(|worker| due(worker, now).is_some_and(|at| at <= now))
        else {
            return;
        };
        worker.inquiry.last = Some((now, worker.epoch.no));
        worker.inquiry.hint = None;
        if self.note_idle(now, no) {
            return;
        }
        let Some(worker) = self.workers.get(&no) else { return };
        let (all, epoch) = (needs_all(worker), worker.epoch.no);
        for id in worker.conns.iter().copied().collect::<Vec<_>>() {
            let number = self.number();
            let Some(mailbox) = self.conns.get_mut(&id).and_then(|conn| conn.mailbox.as_deref_mut()) else { continue };
            if mailbox.is_idle(no, epoch, all) || !mailbox.may_be_asked(now, no, epoch) {
                continue;
            }
            mailbox.unanswered += 1;
            if let Some(before) = mailbox.asked.take() {
                self.questions.remove(&before.number);
            }
            self.questions.insert(number, id);
            let lists = List::of(all, !mailbox.told);
            mailbox.asked = Some(Asked { number, at: now, of: no, epoch, lists, answers: Vec::new() });
            self.effects.push(Effect::Ask(id, Question { nonce, number, lists }));
            if let Some(worker) = self.workers.get_mut(&no) {
                worker.inquiry.first_asked.get_or_insert(now);
                worker.inquiry.owes.get_or_insert(now);
            }
        }
    }

    /// A part of an answer has passed. Whoever knows the question's number has it from the connection that was asked: on
    /// which connection the answer comes does not matter (it may be so new that nobody knows yet whose it is).
    pub(super) fn answered(&mut self, now: Millis, answer: Answer) {
        let Some(id) = self.questions.get(&answer.number).copied() else { return };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (no, asked) = (conn.worker, conn.mailbox.as_deref_mut().and_then(|mailbox| mailbox.asked.as_mut()));
        let Some(asked) = asked.filter(|asked| asked.number == answer.number && asked.of == no) else { return };
        let listed = asked.lists.contains(&answer.list) && !asked.answers.iter().any(|(list, _)| *list == answer.list);
        match answer.tasks {
            Some(tasks) if listed => asked.answers.push((answer.list, tasks)),
            // it knows more tasks than can be read
            None if listed && answer.list == List::Registered => asked.answers.push((answer.list, Vec::new())),
            // it says nothing, but that somebody is at work who answers
            _ => asked.lists = &[],
        }
        if asked.answers.len() >= asked.lists.len() {
            self.questions.remove(&answer.number);
            self.conclude(now, no, id);
            self.settle(now, no);
        }
    }

    /// A connection is closed: its question will not be answered.
    pub(super) fn forget_question(&mut self, mailbox: Option<&Mailbox>) {
        if let Some(asked) = mailbox.and_then(|mailbox| mailbox.asked.as_ref()) {
            self.questions.remove(&asked.number);
        }
    }

    /// A connection is about to be closed for good: its process may be one of several, and go on with what it has.
    pub(super) fn loses(&mut self, now: Millis, id: ConnId) {
        let Some((conn, worker)) = self.pair(id) else { return };
        // what was dropped may have come on any connection
        let may_have = worker.past.untracked > 0 || worker.ledger.find(|entry| entry.conn == Some(id)).is_some();
        if !conn.fetched || !may_have {
            return;
        }
        worker.inquiry.widen(now);
        let no = worker.no;
        let others = worker.conns.iter().filter(|other| **other != id).copied().collect::<Vec<_>>();
        let beside = |conn: &Conn| conn.fetched && conn.since.saturating_add(SIDE_BY_SIDE) <= now;
        let others = others.iter().filter(|other| self.conns.get(other).is_some_and(beside)).count();
        if let Some(worker) = self.workers.get_mut(&no).filter(|_| others > 0) {
            worker.inquiry.processes = worker.inquiry.processes.max(others + 1);
        }
    }

    /// A process has answered all that it was asked.
    fn conclude(&mut self, now: Millis, no: WorkerNo, id: ConnId) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.inquiry.answered = true;
        let mailbox = self.conns.get_mut(&id).and_then(|conn| conn.mailbox.as_deref_mut());
        let Some((mailbox, asked)) = mailbox.and_then(|mailbox| mailbox.asked.take().map(|asked| (mailbox, asked)))
        else {
            return;
        };
        mailbox.unanswered = 0;
        if asked.epoch != worker.epoch.no {
            worker.inquiry.suggest(now);
        }
        if asked.lists.is_empty() {
            return;
        }
        mailbox.told = true;
        let own_ways = asked.answers.iter().any(|(list, names)| *list == List::Registered && !names.is_empty());
        worker.inquiry.conceals |= own_ways;
        if is_idle_answer(worker, &asked, now) {
            mailbox.idle = Some(Idle { of: no, epoch: asked.epoch, all: asked.is_all() });
        }
        let enough = asked.is_all() || !needs_all(worker);
        self.all_have_answered(no);
        if !enough || self.note_idle(now, no) {
            return;
        }
        let alone = |worker: &&Worker| worker.sums.mailboxes == 1 && speak_for_it(worker);
        let Some(worker) = self.workers.get(&no).filter(alone) else { return };
        let over = not_listed(worker, &asked);
        self.strike(now, no, &over, JobEnd::Finished);
    }

    /// It owes nothing, if no other of its processes does.
    fn all_have_answered(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let mut mailboxes = worker.conns.iter().filter_map(|id| self.conns.get(id)?.mailbox.as_deref());
        if mailboxes.all(|mailbox| mailbox.asked.is_none()) {
            worker.inquiry.owes = None;
        }
    }

    /// Looks whether each process of a worker has said that it is idle in the present epoch.
    fn note_idle(&mut self, now: Millis, no: WorkerNo) -> bool {
        let Some(worker) = self.workers.get(&no) else { return false };
        let mut mailboxes = worker.conns.iter().filter_map(|id| self.conns.get(id)?.mailbox.as_deref());
        if !mailboxes.all(|mailbox| mailbox.is_idle(no, worker.epoch.no, needs_all(worker))) || !speak_for_it(worker) {
            return false;
        }
        // what is from before a gap is in no list, whenever it is due: they were asked for all if there is any
        let gone = |entry: &Entry| entry.stage == Stage::Delivered && entry.restored;
        let over = worker.ledger.select(|entry| entry.stage == Stage::Started || gone(entry));
        if let Some(worker) = self.workers.get_mut(&no) {
            worker.inquiry.idle_in = Some(worker.epoch.no);
            worker.inquiry.processes = 0;
            worker.past.untracked = 0;
        }
        self.strike_reported(now, no, &over);
        true
    }
}

/// As many listen as may run jobs of the worker.
fn listen(worker: &Worker) -> bool {
    worker.sums.mailboxes >= processes(worker).max(worker.live().count()).max(1)
}

/// Those who listen are all the processes of the worker that may run its jobs.
fn speak_for_it(worker: &Worker) -> bool {
    let heard = || worker.key.is_incarnation() || celery::are_heard_since(worker, worker.inquiry.widened);
    listen(worker) && !conceals(worker) && heard()
}

/// It has nothing in its hands but what the gate knows to be there: its ack will be another epoch. What waits for its time
/// is in `scheduled` alone: under its id another list tells of the attempt that has put it off, and is not through yet.
fn is_idle_answer(worker: &Worker, asked: &Asked, now: Millis) -> bool {
    let known = |list: List, task: &String| {
        let there = |entry: &Entry| list == List::Scheduled || !entry.is_delayed(now);
        let same = |entry: &Entry| entry.job.id == *task && entry.stage == Stage::Delivered && !entry.restored;
        worker.ledger.find(|entry| same(entry) && there(entry)).is_some()
    };
    let mut in_hand = asked.answers.iter().filter(|(list, _)| *list != List::Registered);
    in_hand.all(|(list, tasks)| tasks.iter().all(|task| known(*list, task)))
}

/// How many processes may run the jobs of the worker: one, where each has a name of its own, else as many as fetch, those
/// included that were lost from sight with jobs in their hands.
pub(super) fn processes(worker: &Worker) -> usize {
    if worker.key.is_incarnation() { 1 } else { worker.sums.fetchers.max(worker.inquiry.processes) }
}

/// To know whether it is idle more has to be asked than what runs.
fn needs_all(worker: &Worker) -> bool {
    !worker.is_whole() || worker.past.untracked > 0 || worker.ledger.unknown() > 0
}

/// The started jobs that are not in the answer. One that was acknowledged in the moment of the question may have been so
/// behind it.
fn not_listed(worker: &Worker, asked: &Asked) -> Vec<u64> {
    worker.ledger.select(|entry| {
        let listed = asked.answers.iter().any(|(_, tasks)| tasks.contains(&entry.job.id));
        entry.stage == Stage::Started && entry.acked_at < asked.at && !entry.job.id.is_empty() && !listed
    })
}

impl Mailbox {
    fn may_be_asked(&self, now: Millis, of: WorkerNo, epoch: u64) -> bool {
        let waits = |asked: &Asked| {
            let patience = if asked.epoch == epoch { PATIENCE } else { OVERTAKEN };
            asked.of == of && now < asked.at.saturating_add(patience)
        };
        self.unanswered < UNANSWERED && !self.asked.as_ref().is_some_and(waits)
    }

    /// It is so in this epoch, as far as these lists tell.
    fn is_idle(&self, of: WorkerNo, epoch: u64, all: bool) -> bool {
        let enough = |idle: &Idle| idle.of == of && idle.epoch == epoch && (idle.all || !all);
        self.idle.as_ref().is_some_and(enough)
    }
}
