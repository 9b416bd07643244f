//! Reading the journal back. Every worker in it is *adopted*: the gate was away, so nothing is known of it until its own
//! state answers; the jobs that it had count as in flight till then.

use super::text::{Fields, is_whole};
use super::{parse_key, read_origin};
use crate::fleet::Fleet;
use crate::fleet::evidence::judge;
use crate::fleet::ledger::{Entry, Stage};
use crate::fleet::life::{Life, LifeNo, Voice};
use crate::fleet::presence::{Away, Ended};
use crate::fleet::view::{Departure, JobKind, JobView, WorkerState};
use crate::fleet::whole::{Adopted, Whole};
use crate::fleet::worker::{Origin, Worker, WorkerNo};
use crate::job::{Evidence, Found, Job, JobKey, Millis, WorkerId};

impl Fleet {
    /// Replays a journal. A torn last line is ignored.
    pub(in crate::fleet) fn replay(&mut self, now: Millis, lines: &[&str]) -> Result<(), String> {
        for (index, line) in lines.iter().enumerate() {
            if line.is_empty() || (index + 1 == lines.len() && !is_whole(line)) {
                continue;
            }
            self.replay_line(now, line).map_err(|why| format!("journal line {}: {why}", index + 1))?;
        }
        let all: Vec<WorkerNo> = self.workers.keys().copied().collect();
        for no in all {
            self.restore(now, no);
        }
        Ok(())
    }

    fn replay_line(&mut self, now: Millis, line: &str) -> Result<(), String> {
        let (letter, mut fields) = Fields::of(line)?;
        match letter {
            "V" => fields.version(),
            "W" => self.replay_worker(now, &mut fields),
            "N" => self.replay_alias(&mut fields),
            "L" => self.replay_life(now, &mut fields),
            "Q" => {
                let no = self.known(&mut fields)?;
                let queue = fields.text("a queue")?;
                if let Some(no) = no {
                    self.add_queues(no, &[queue]);
                }
                Ok(())
            }
            "T" => self.replay_took(&mut fields),
            "U" => self.replay_twice(&mut fields),
            "D" | "A" | "R" | "E" | "Z" => self.replay_job(letter, &mut fields),
            "S" => self.replay_state(now, &mut fields),
            "G" => {
                let no = self.known(&mut fields)?;
                let ended = Ended { at: fields.moment("a time")?, lost: fields.flag("whether it was lost")? };
                if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
                    worker.ended = Some(ended);
                }
                Ok(())
            }
            "B" => {
                self.watched_since = fields.moment("a time")?;
                Ok(())
            }
            "P" => {
                self.departures.push(read_departure(&mut fields)?);
                Ok(())
            }
            "J" => {
                let job = read_departed_job(&mut fields)?;
                self.departures.last_mut().ok_or("expected a worker before the job in its hands")?.jobs.push(job);
                Ok(())
            }
            "X" => {
                let id = fields.text("a worker's id")?;
                // not by an alias: that is somebody else by now
                let own = self.ids.get(&id).and_then(|no| self.workers.get(no)).filter(|worker| worker.id.0 == id);
                match own.map(|worker| (worker.no, worker.is_marked())) {
                    Some((no, false)) => self.forget(no),
                    // a saved drain speaks of a later worker of that id
                    Some((no, true)) => self.blank(no),
                    None => {}
                }
                Ok(())
            }
            other => Err(format!("expected a record, found the letter {other:?}")),
        }
    }

    /// Forgets all that is known of a worker but its marks.
    fn blank(&mut self, no: WorkerNo) {
        let Some(old) = self.workers.remove(&no).map(|old| *old) else { return };
        let origin = Origin { ip: old.ip, listener: old.listener, protocol: old.protocol };
        let mut new = Worker::new(no, old.id, old.key, old.generation, old.since, origin);
        new.whole = Whole::No(Adopted::Restart);
        new.fetching = old.fetching;
        new.drains = old.drains;
        new.marked_at = old.marked_at;
        self.workers.insert(no, new);
    }

    /// The worker that a record speaks of. One that is not known has been forgotten: what is said of it is moot.
    fn known(&self, fields: &mut Fields<'_>) -> Result<Option<WorkerNo>, String> {
        let id = fields.text("a worker's id")?;
        Ok(self.ids.get(&id).copied())
    }

    fn replay_worker(&mut self, now: Millis, fields: &mut Fields<'_>) -> Result<(), String> {
        let id = WorkerId(fields.text("a worker's id")?);
        let key = parse_key(&fields.text("a key")?)?;
        let generation = fields.parse("a generation")?;
        let since = fields.moment("a time")?;
        let system = fields.system()?;
        let (mixed, fetching) = (fields.flag("mixed")?, fields.flag("fetching")?);
        let whole = fields.text("how it was met")?;
        let (ever_started, declared) = (fields.flag("started")?, fields.flag("declared")?);
        let mut counts = [0_u64; 5];
        for count in &mut counts {
            *count = fields.parse("a count")?;
        }
        let (client_name, user) = (fields.maybe("a client name")?, fields.maybe("a user")?);
        let command = fields.maybe("a command")?;
        let origin = read_origin(fields)?;

        let no = match self.ids.get(&id.0) {
            Some(no) => *no,
            None => self.create_as(now, id, key, generation, origin),
        };
        let Some(worker) = self.workers.get_mut(&no) else { return Ok(()) };
        worker.since = since;
        worker.system = system;
        worker.mixed = mixed;
        worker.fetching = fetching;
        worker.whole = Whole::No(match whole.as_str() {
            "whole" | "suspect" | "restart" => Adopted::Restart,
            "midlife" => Adopted::MidLife,
            "unseen" => Adopted::Unseen,
            other => return Err(format!("expected how it was met, found {other:?}")),
        });
        worker.past.ever_started = ever_started;
        worker.past.declared = declared;
        [worker.past.deliveries, worker.past.undeclared, worker.past.polled, worker.past.untracked, _] = counts;
        worker.past.peak = usize::try_from(counts[4]).unwrap_or(0);
        worker.client_name = client_name;
        worker.user = user;
        worker.command = command;
        worker.lives.clear();
        worker.ended = None;
        worker.journalled = Some(String::new());
        Ok(())
    }

    fn replay_alias(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        let alias = WorkerId(fields.text("an alias")?);
        if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
            self.ids.insert(alias.0.clone(), worker.no);
            if !worker.aliases.contains(&alias) {
                worker.aliases.push(alias);
            }
        }
        Ok(())
    }

    fn replay_took(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        let pops = fields.flag("whether it pops")?;
        if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
            worker.past.took = Some(if pops { Found::Job } else { Found::Something });
        }
        Ok(())
    }

    fn replay_twice(&mut self, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
            worker.past.runs_twice = true;
        }
        Ok(())
    }

    fn replay_life(&mut self, now: Millis, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        let system = fields.system()?;
        let name = fields.text("a name")?;
        let (pid, processed) = (fields.optional("a process id")?, fields.optional("a count")?);
        let concurrency = fields.optional("a number of threads")?;
        let life_no = LifeNo(self.number());
        // before any connection of this gate
        let mut life = Life::new(life_no, system, name, now.saturating_sub(1));
        match &mut life.voice {
            Voice::Celery(voice) => (voice.pid, voice.processed) = (pid, processed),
            Voice::Sidekiq(voice) => voice.concurrency = concurrency,
            Voice::Silent => {}
        }
        if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
            worker.lives.push(life);
        }
        Ok(())
    }

    fn replay_job(&mut self, letter: &str, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        if letter == "Z" {
            if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
                worker.ledger.take();
            }
            return Ok(());
        }
        let seq: u64 = fields.parse("a job's number")?;
        self.numbers = self.numbers.max(seq);
        let entry = if letter == "D" { Some(read_entry(fields)?) } else { None };
        let at = if letter == "A" { fields.moment("a time")? } else { 0 };
        let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) else { return Ok(()) };
        worker.rested = worker.rested.filter(|_| letter != "D" && letter != "A");
        match (letter, entry) {
            (_, Some(entry)) => {
                worker.past.ever_started |= entry.stage == Stage::Started;
                worker.ledger.insert(seq, entry);
            }
            ("A", _) => {
                worker.past.ever_started = true;
                worker.ledger.start(seq, at);
            }
            ("R", _) => worker.ledger.set_result(seq),
            _ => {
                worker.ledger.remove(seq);
            }
        }
        Ok(())
    }

    fn replay_state(&mut self, now: Millis, fields: &mut Fields<'_>) -> Result<(), String> {
        let no = self.known(fields)?;
        let state = fields.text("a state")?;
        let evidence = fields.evidence()?;
        if let Some(worker) = no.and_then(|no| self.workers.get_mut(&no)) {
            let rests = ["drained", "gone"].contains(&state.as_str()) && evidence > Evidence::Unknown;
            worker.rested = rests.then_some(evidence);
            worker.goes_away(now).awaited = state != "gone";
        }
        Ok(())
    }

    /// Makes ready what was read, or what a saved drain speaks of.
    pub(in crate::fleet) fn restore(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no).filter(|worker| worker.conns.is_empty()) else { return };
        worker.ledger.set_restored();
        // a rest that the ledger contradicts is none: the process may be there still, and is waited for
        if !judge(worker, &self.settings, now).is_clear(false) {
            worker.rested = None;
        }
        if worker.ended.is_none() {
            let awaited = worker.is_awaited() || worker.rested.is_none();
            worker.away = Some(Away { since: now, awaited, dead: worker.is_dead() });
            worker.last_cut = Some(now.saturating_sub(1));
            worker.gap = !worker.key.is_incarnation();
        }
        worker.told_name = worker.name();
        worker.state = WorkerState::Active;
        self.settle_quietly(now, no);
    }

    /// Judges a restored worker without telling: it is no news.
    fn settle_quietly(&mut self, now: Millis, no: WorkerNo) {
        let told = self.told();
        self.settle(now, no);
        self.untell(told);
    }
}

fn read_stage(fields: &mut Fields<'_>) -> Result<Stage, String> {
    match fields.text("a stage")?.as_str() {
        "delivered" => Ok(Stage::Delivered),
        "started" => Ok(Stage::Started),
        "taken" => Ok(Stage::Taken),
        other => Err(format!("expected a stage, found {other:?}")),
    }
}

fn read_departure(fields: &mut Fields<'_>) -> Result<Departure, String> {
    let worker = WorkerId(fields.text("a worker's id")?);
    let name = fields.text("a name")?;
    let system = fields.system()?;
    let at = fields.moment("a time")?;
    let lost = fields.flag("whether it was lost")?;
    let more = fields.parse("a count")?;
    Ok(Departure { worker, name, system, at, lost, jobs: Vec::new(), more })
}

fn read_departed_job(fields: &mut Fields<'_>) -> Result<JobView, String> {
    let (id, name, queue) = (fields.text("a job's id")?, fields.text("a job's name")?, fields.text("a queue")?);
    let kind = fields.word("a kind", &JobKind::ALL, JobKind::as_str)?;
    let delivered_at = fields.moment("a time")?;
    let kept_by_broker = fields.flag("whether the broker keeps it")?;
    Ok(JobView { id, name, queue, kind, delivered_at, kept_by_broker })
}

fn read_entry(fields: &mut Fields<'_>) -> Result<Box<Entry>, String> {
    let key = JobKey::Text(fields.text("a job's key")?);
    let stage = read_stage(fields)?;
    let (id, name, queue) = (fields.text("a job's id")?, fields.text("a job's name")?, fields.text("a queue")?);
    let eta = fields.optional("a time")?;
    let at = fields.moment("a time")?;
    let mut entry = Entry::new(Job { key, id, name, queue: queue.into(), eta }, at, None);
    entry.stage = stage;
    entry.acked_at = fields.moment("a time")?;
    entry.result = fields.flag("whether its result passed")?;
    entry.polled = fields.flag("whether it was polled")?;
    Ok(Box::new(entry))
}

impl Worker {
    /// It never came back after a restart of the gate: what was last known of it stands.
    pub(in crate::fleet) fn rests(&self) -> Option<Evidence> {
        self.rested.filter(|_| self.conns.is_empty())
    }
}
