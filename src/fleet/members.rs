//! The workers of a drain: who matches its selectors, who joins later and who leaves.
//!
//! A `once` drain marks the incarnations that are present when it is made (and those that were, but showed their name
//! only later); a `standing` one marks whoever matches.

use super::Fleet;
use super::boundary::{DrainError, Ending};
use super::drains::Drain;
use super::selector::{Facts, Hit, Selector, hit};
use super::worker::{Key, Worker, WorkerNo};
use crate::job::Millis;
use std::collections::BTreeSet;

/// So long a newcomer in the place of a worker under a standing drain is held while its name is not known.
const TRIAL: Millis = 15_000;

impl Fleet {
    /// Reads selectors. A text that is some worker's name or id means just that, whatever characters it has.
    pub(super) fn selectors(&self, texts: &[String], now: Millis) -> Result<Vec<Selector>, DrainError> {
        if texts.is_empty() {
            return Err(DrainError::BadSelector("no selector: name a worker, or say all".to_owned()));
        }
        texts.iter().map(|text| self.selector(text.trim(), now)).collect()
    }

    pub(super) fn selector(&self, text: &str, now: Millis) -> Result<Selector, DrainError> {
        let odd = text.contains([',', '=', '*', '?', '[', '{', '\\']);
        let is_name = |worker: &Worker| {
            worker.lives.iter().any(|life| life.name == text) || worker.client_name.as_deref() == Some(text)
        };
        if odd && self.workers.values().any(is_name) {
            return Ok(Selector::exactly(text));
        }
        Selector::parse(text, now)
    }

    /// The workers that the selectors match, none of them in part.
    pub(super) fn matching(&self, selectors: &[Selector]) -> Result<Vec<WorkerNo>, DrainError> {
        let mut found = BTreeSet::new();
        for worker in self.workers.values().filter(|worker| worker.ended.is_none() && !worker.key.is_pending()) {
            match hit(selectors, &self.facts(worker)) {
                Hit::No => {}
                Hit::Whole => {
                    found.insert(worker.no);
                }
                Hit::Part => return Err(DrainError::CannotTellApart(cannot_tell(&self.facts(worker), worker))),
            }
        }
        Ok(self.without_the_dead(found))
    }

    /// Leaves out earlier lives of workers that are there again: what they lost was lost before the drain. One whose
    /// process may still be alive stays, for it may come back.
    fn without_the_dead(&self, found: BTreeSet<WorkerNo>) -> Vec<WorkerNo> {
        let workers = || found.iter().filter_map(|no| self.workers.get(no));
        let names: BTreeSet<String> = workers().filter(|worker| !worker.is_dead()).map(Worker::name).collect();
        let again = |worker: &&Worker| worker.is_dead() && names.contains(&worker.name());
        workers().filter(|worker| !again(worker)).map(|worker| worker.no).collect()
    }

    pub(super) fn join(&mut self, now: Millis, drain: u64, no: WorkerNo) {
        let (Some(d), Some(worker)) = (self.drains.get_mut(&drain), self.workers.get_mut(&no)) else { return };
        if worker.drains.contains(&drain) {
            return;
        }
        d.members.push(no);
        worker.drains.push(drain);
        self.refresh_marks(now, no);
    }

    pub(super) fn leave(&mut self, now: Millis, drain: u64, no: WorkerNo) {
        if let Some(d) = self.drains.get_mut(&drain) {
            d.remove(no);
        }
        if let Some(worker) = self.workers.get_mut(&no) {
            worker.drains.retain(|d| *d != drain);
        }
        self.refresh_marks(now, no);
    }

    /// A worker is about to be dropped.
    pub(super) fn leave_drains(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        for drain in std::mem::take(&mut worker.drains) {
            if let Some(d) = self.drains.get_mut(&drain) {
                d.remove(no);
            }
            self.save_drains();
        }
    }

    /// A worker was joined into another, which takes over its marks.
    pub(super) fn join_drains(&mut self, now: Millis, old: &Worker, to: WorkerNo) {
        for drain in &old.drains {
            if let Some(d) = self.drains.get_mut(drain) {
                d.remove(old.no);
            }
            self.join(now, *drain, to);
            self.save_drains();
        }
    }

    /// A worker turns out not to be the one that its connections were taken for. A drain that found them there is meant for
    /// it, too.
    pub(super) fn keep_drains(&mut self, now: Millis, from: WorkerNo, to: WorkerNo) {
        let (Some(old), Some(new)) = (self.workers.get(&from), self.workers.get(&to)) else { return };
        let found = |drain: &&Drain| !drain.request.standing && drain.found_present(new);
        let kept: Vec<u64> =
            old.drains.iter().filter_map(|no| self.drains.get(no)).filter(found).map(|drain| drain.no).collect();
        for drain in &kept {
            self.join(now, *drain, to);
        }
        if !kept.is_empty() {
            self.save_drains();
        }
    }

    /// Something that selectors ask for has become known: does a drain concern the worker now?
    pub(super) fn facts_changed(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        if worker.key.is_pending() || worker.ended.is_some() {
            return;
        }
        let named = !worker.lives.is_empty();
        let mut joins = Vec::new();
        let mut leaves = Vec::new();
        for drain in self.drains.values() {
            let member = worker.drains.contains(&drain.no);
            let trial = drain.trials.contains_key(&no);
            if (member && !trial) || !(drain.request.standing || drain.found_present(worker)) {
                continue;
            }
            match hit(&drain.selectors, &self.facts(worker)) {
                Hit::Whole => joins.push(drain.no),
                _ if trial && named => leaves.push(drain.no),
                _ => {}
            }
        }
        for drain in &joins {
            if let Some(d) = self.drains.get_mut(drain) {
                d.trials.remove(&no);
            }
            self.join(now, *drain, no);
        }
        for drain in &leaves {
            self.leave(now, *drain, no);
        }
        if !joins.is_empty() || !leaves.is_empty() {
            self.save_drains();
        }
        self.announce(no);
    }

    /// A new worker in the place of one that a standing drain marks is held until its name is known.
    pub(super) fn put_on_trial(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        let in_place = |other: &Worker| {
            let local = matches!((&other.key, &worker.key), (Key::Process { .. }, Key::Process { .. }));
            other.no != no && (other.key == worker.key || (local && other.ip == worker.ip && other.conns.is_empty()))
        };
        let concerns = |drain: &&Drain| {
            drain.request.standing
                && drain.selectors.iter().any(Selector::needs_learning)
                && drain.members.iter().filter_map(|m| self.workers.get(m)).any(in_place)
        };
        let held: Vec<u64> = self.drains.values().filter(concerns).map(|drain| drain.no).collect();
        for drain in held {
            self.join(now, drain, no);
            if let Some(d) = self.drains.get_mut(&drain) {
                d.trials.insert(no, now.saturating_add(TRIAL));
            }
            self.save_drains();
        }
    }

    /// A member is gone for good: if it was the last one present, a `once` drain is done.
    pub(super) fn members_gone(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        for drain in worker.drains.clone() {
            let Some(d) = self.drains.get_mut(&drain).filter(|d| !d.request.standing) else { continue };
            let workers = &self.workers;
            let present = |no: &WorkerNo| workers.get(no).is_some_and(|w| w.ended.is_none() && w.is_listed());
            let count = d.members.len();
            let next = (0..count).map(|i| (d.witness + i) % count).find(|i| present(&d.members[*i]));
            match next {
                Some(witness) => d.witness = witness,
                None => self.end_drain(now, drain, Ending::Done),
            }
        }
    }
}

fn cannot_tell(facts: &Facts<'_>, worker: &Worker) -> String {
    let names = facts.parts.iter().filter_map(|part| part.name.or(part.clients.first().copied()));
    let names: BTreeSet<&str> = names.collect();
    let names = names.into_iter().collect::<Vec<_>>().join(" and ");
    let what = match &worker.key {
        Key::Process { pid, .. } => format!("are connections of one process (pid {pid})"),
        Key::Listener(name) => format!("share the listener {name}, which stands for one worker,"),
        Key::Tag(tag) => format!("share the tag {tag}"),
        Key::Address(_) | Key::Pending(_) => format!("share {}", worker.ip),
    };
    format!("{names} {what} and cannot be told apart")
}
