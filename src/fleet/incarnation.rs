//! Names learned from traffic and what they say about incarnations (ARCHITECTURE.md, "Who is a worker").
//!
//! ```text
//! connections under one key ──last one closed by the client, drained──▶ over at once (the mark ends)
//!            │        └───────last one closed──▶ forget_after without a connection ──▶ over
//!            └── another life speaks, and the earlier ones are over ──▶ split: the newcomers are a new incarnation
//! ```
//! A *life* is a process that named itself. An earlier life is over when none of the connections that were open at its
//! last word is open any more. As long as one is, both are live and cannot be told apart. The mark stays with the old
//! incarnation; a newcomer stays marked until the split.

use super::Fleet;
use super::boundary::{ClosedBy, Effect, Notice};
use super::evidence::judge;
use super::life::{Life, LifeNo};
use super::presence::Ended;
use super::view::JobEnd;
use super::whole::{Adopted, Whole};
use super::worker::{Key, Origin, Worker, WorkerNo};
use crate::job::{ConnId, Evidence, Millis, System};

/// A life whose connections were cut by the broker or the gate may come back within this time.
const CUT_SILENCE: Millis = 30_000;

impl Fleet {
    /// A job system's own name of the worker passed on a connection.
    pub(super) fn named(&mut self, now: Millis, id: ConnId, system: System, name: String) {
        let number = self.number();
        let Some((conn, worker)) = self.pair(id) else { return };
        let no = worker.no;
        if conn.names.name.as_ref() != Some(&name) {
            conn.names.name = Some(name.clone());
        }
        let reports = system == System::Celery;
        let same = worker.lives.iter_mut().filter(|life| life.system == system && life.name == name);
        let mut same: Vec<&mut Life> = same.collect();
        let (fresh, alone) = (same.is_empty(), same.len() == 1);
        match same.last_mut() {
            None => {
                conn.life = Some(LifeNo(number));
                worker.lives.push(Life::new(LifeNo(number), system, name, now));
            }
            // which of them speaks, its reports tell
            Some(_) if reports && !alone => {}
            // after another birth under the same name the youngest is meant
            Some(youngest) => {
                conn.life = Some(youngest.no);
                if !reports {
                    youngest.last_seen = now;
                }
                worker.gap &= !alone;
            }
        }
        let first = !worker.fetching;
        self.set_system(now, no, system);
        if first {
            self.became_fetching(now, no, id);
        } else if fresh {
            self.facts_changed(now, no);
        }
        self.vouch(now, no);
        // how many there are has to be known after a restart, too
        if fresh {
            self.journal_worker(no);
        }
        if let Some(life) = self.conns.get(&id).and_then(|conn| conn.life).filter(|_| !reports) {
            self.split_if_new(now, id, life);
        }
    }

    /// A process that has just begun its life says so: it is none of those that had the name before, and nothing of it
    /// was missed.
    pub(super) fn born_as(&mut self, now: Millis, id: ConnId, system: System, name: String) {
        let number = LifeNo(self.number());
        let Some((conn, worker)) = self.pair(id) else { return };
        conn.names.name = Some(name.clone());
        conn.life = Some(number);
        worker.lives.push(Life { born: Some(id), ..Life::new(number, system, name.clone(), now) });
        self.named(now, id, system, name);
        if let Some(no) = self.conns.get(&id).map(|conn| conn.worker) {
            self.vouch(now, no);
            self.facts_changed(now, no);
            self.journal_worker(no);
        }
    }

    /// The process on this connection has just begun its life. One without a name speaks for its worker if nobody was there
    /// before it.
    pub(super) fn begun(&mut self, now: Millis, id: ConnId) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let (no, first) = (worker.no, worker.conns.first() == Some(&id));
        if let Some(life) = conn.life.and_then(|life| worker.life_mut(life)) {
            life.born = Some(id);
        } else if first {
            worker.begun = Some(id);
        }
        self.vouch(now, no);
    }

    /// Nothing was missed of a worker all of whose processes have begun before the gate's eyes, unless there was somebody
    /// before the last of them who has not spoken yet, or others may still turn up (see [`Worker::shared_until`]).
    pub(super) fn vouch(&mut self, now: Millis, no: WorkerNo) {
        let open = |worker: &&Worker| match worker.whole {
            Whole::Doubtful => now >= worker.shared_until,
            _ => worker.unvouched,
        };
        let Some(worker) = self.workers.get(&no).filter(open).filter(|worker| worker.is_newborn()) else { return };
        let last = worker.lives.iter().filter_map(|life| life.born).chain(worker.begun).max();
        let own = |conn: &ConnId| {
            let life = self.conns.get(conn).and_then(|conn| conn.life);
            worker.lives.iter().any(|other| Some(other.no) == life)
        };
        let alone = worker.conns.iter().take_while(|conn| Some(**conn) < last).all(own);
        if let Some(worker) = self.workers.get_mut(&no).filter(|_| alone) {
            worker.clear_doubt();
            worker.unvouched = false;
            self.facts_changed(now, no);
            self.journal_worker(no);
        }
    }

    /// The life that a report on this connection belongs to; made if it is new.
    pub(super) fn reporting_life(
        &mut self,
        now: Millis,
        id: ConnId,
        pid: Option<u32>,
        processed: Option<u64>,
    ) -> Option<LifeNo> {
        let number = LifeNo(self.number());
        let (conn, worker) = self.pair(id)?;
        let name = conn.names.name.clone().unwrap_or_default();
        let (conns, one_process) = (&worker.conns, worker.key.is_incarnation());
        let fits = |life: &&Life| {
            let Some(voice) = life.celery() else { return false };
            // after a reconnect one process can report on two connections in turn
            let of_process = one_process && life.name == name && pid.is_some() && voice.pid == pid;
            if voice.reporter == Some(id) || of_process {
                return true;
            }
            let moved = voice.reporter.is_none_or(|reporter| !conns.contains(&reporter));
            let same_pid = voice.pid.is_none() || pid.is_none() || voice.pid == pid;
            let rising = processed.is_none() || processed >= voice.processed;
            life.name == name && moved && same_pid && rising
        };
        let found = worker.lives.iter().find(fits).map(|life| life.no);
        let life = found.unwrap_or(number);
        if found.is_none() {
            worker.lives.push(Life::new(life, System::Celery, name, now));
        }
        // while its old connection was open it was taken for another
        let twin = |other: &Life| other.no != life && other.celery().is_some_and(|voice| voice.reporter == Some(id));
        worker.lives.retain(|other| !twin(other));
        conn.life = Some(life);
        let life = worker.lives.iter_mut().find(|other| other.no == life)?;
        life.last_seen = now;
        if let Some(voice) = life.celery_mut() {
            voice.reported_by(id, &worker.ledger, one_process);
            voice.pid = pid.or(voice.pid);
        }
        Some(life.no)
    }

    /// Whether a life that has just spoken is a new incarnation; if so its connections leave the old one.
    pub(super) fn split_if_new(&mut self, now: Millis, id: ConnId, life: LifeNo) {
        let Some(conn) = self.conns.get(&id) else { return };
        let Some(worker) = self.workers.get(&conn.worker) else { return };
        if worker.key.is_incarnation() || worker.lives.len() < 2 {
            return;
        }
        let Some(newcomer) = worker.lives.iter().find(|l| l.no == life) else { return };
        let over = |old: &Life| {
            let newer = worker.conns.iter().filter_map(|c| self.conns.get(c)).all(|c| c.since > old.last_seen);
            let cut = worker.last_cut.is_some_and(|cut| cut >= old.last_seen);
            let replaced = newcomer.system == old.system && newcomer.name == old.name;
            let settled = !cut || replaced || now >= old.last_seen.saturating_add(CUT_SILENCE);
            newcomer.first_seen > old.last_seen && newer && settled
        };
        if worker.lives.iter().filter(|old| old.no != life).all(over) {
            self.split(now, conn.worker, life);
        }
    }

    fn split(&mut self, now: Millis, from: WorkerNo, life: LifeNo) {
        let Some(old) = self.workers.get_mut(&from) else { return };
        let Some(at) = old.lives.iter().position(|l| l.no == life) else { return };
        let mut life = old.lives.remove(at);
        life.moved();
        let origin = Origin { ip: old.ip, listener: old.listener.clone(), protocol: old.protocol };
        let (key, generation) = (old.key.clone(), old.generation + 1);
        let conns: Vec<ConnId> = old.conns.iter().copied().collect();
        let to = self.create(now, key, generation, origin);
        let first = conns.iter().filter_map(|id| self.conns.get(id)).map(|conn| conn.since).min();
        if let Some(new) = self.workers.get_mut(&to) {
            new.since = first.unwrap_or(now);
            new.system = life.system;
            new.fetching = true;
            new.lives.push(life);
        }
        for id in conns {
            self.move_conn(id, to);
        }
        let doubtful = self.workers.get(&from).is_some_and(|old| old.may_have_jobs_of_another(first));
        if let Some(new) = self.workers.get_mut(&to).filter(|_| doubtful) {
            new.adopt(Adopted::Unseen, now);
        }
        self.first_beats(now, to);
        self.facts_changed(now, to);
        self.keep_drains(now, from, to);
        self.refresh_marks(now, to);
        self.left(now, from);
    }

    /// A connection closed for good.
    pub(super) fn closed(&mut self, now: Millis, id: ConnId, by: ClosedBy) {
        let Some(conn) = self.conns.get(&id) else { return };
        let no = conn.worker;
        self.loses(now, id);
        self.detach(id);
        let Some(conn) = self.conns.remove(&id) else { return };
        self.forget_question(conn.mailbox.as_deref());
        for process in conn.lineage.iter() {
            let key = Key::of_process(process);
            if let Some(kin) = self.kin.get_mut(&key) {
                kin.remove(&id);
                if kin.is_empty() {
                    self.kin.remove(&key);
                }
            }
        }
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if conn.opaque || !conn.ways.blocked.is_empty() {
            // jobs may have come that way up to now
            worker.adopt(Adopted::Unseen, now);
        }
        let mut in_hand = Vec::new();
        if by == ClosedBy::Broker && conn.is_acknowledging() {
            in_hand = worker.ledger.cut(id);
            worker.past.runs_ahead |= !in_hand.is_empty();
        }
        if by != ClosedBy::Client {
            worker.last_cut = Some(now);
            worker.ledger.float(id);
        } else if conn.deliveries > 0 && worker.ledger.find(|entry| entry.conn == Some(id)).is_some() {
            worker.last_parted = Some(now);
        }
        if worker.conns.is_empty() {
            worker.goes_away(now).awaited = worker.is_cut_off(now);
        }
        self.await_again(now, id, no, in_hand);
        self.never_resolved(now, id);
        self.left(now, no);
    }

    /// A worker has lost a connection: is it over?
    pub(super) fn left(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if !worker.conns.is_empty() {
            return self.settle(now, no);
        }
        if worker.key.is_pending() || (!worker.is_listed() && !worker.is_marked() && worker.past.deliveries == 0) {
            return self.forget(no);
        }
        worker.goes_away(now);
        let verdict = judge(worker, &self.settings, now);
        let silent = !worker.key.is_incarnation();
        worker.gap |= silent && (verdict.waiting_all > 0 || verdict.evidence == Evidence::Unknown);
        let ended = worker.was_drained && !worker.is_cut_off(now) && !worker.key.is_incarnation();
        self.settle(now, no);
        if ended {
            self.end(now, no, false);
        }
    }

    /// It is over: `forget_after` has passed without a connection, or it was drained and has gone by itself.
    pub(super) fn end(&mut self, now: Millis, no: WorkerNo, lost: bool) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if worker.ended.is_some() {
            return;
        }
        let back = worker.ledger.select(|entry| entry.given_back);
        self.strike(now, no, &back, JobEnd::Requeued);
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.ended = Some(Ended { at: now, lost });
        if let Some(away) = &mut worker.away {
            away.awaited = false;
        }
        self.journal_ended(no);
        self.departed(now, no, lost);
        self.settle(now, no);
        self.members_gone(now, no);
        if !self.workers.get(&no).is_some_and(Worker::is_listed) {
            self.forget(no);
        }
    }

    /// Drops a worker without a trace.
    pub(super) fn forget(&mut self, no: WorkerNo) {
        self.close_open(no);
        self.leave_drains(no);
        if let Some(worker) = self.workers.remove(&no) {
            self.unlist(&worker);
            self.journal_forgotten(&worker);
        }
    }

    /// Tells of a worker when it is first listed and when its name changes.
    pub(super) fn announce(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        let name = worker.name();
        if worker.is_listed() && worker.told_name != name {
            worker.told_name = name.clone();
            let seen = Notice::WorkerSeen { worker: worker.id.clone(), name, system: worker.system };
            self.effects.push(Effect::Notice(seen));
        }
        // one that is listed no more, because its job system is known now, is remembered as what it is
        self.journal_worker(no);
    }

    /// Celery's `processed` at the first heartbeat tells whether the ledger is whole: it must not know of more jobs
    /// than the gate has delivered.
    pub(super) fn first_beats(&mut self, now: Millis, no: WorkerNo) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if worker.key.is_pending() || worker.adopted() == Some(Adopted::Restart) {
            return;
        }
        let first = worker.lives.iter().filter_map(|life| life.celery()?.first_processed).max();
        let Some(processed) = first else { return };
        if processed > worker.past.deliveries {
            worker.adopt(Adopted::MidLife, now);
        }
        for voice in worker.lives.iter_mut().filter_map(Life::celery_mut) {
            voice.first_processed = None;
        }
        worker.clear_doubt();
        worker.unvouched = false;
    }
}

impl Worker {
    /// Another process has turned out to be in its place, with connections from `first` on: whether a job that is left here
    /// may have come to that one, over a connection that is gone.
    fn may_have_jobs_of_another(&self, first: Option<Millis>) -> bool {
        let last_word = self.lives.iter().map(|life| life.last_seen).max();
        let began = self.came_back.filter(|back| Some(*back) > last_word).into_iter().chain(first).min();
        began.is_some_and(|began| self.ledger.find(|entry| entry.at >= began).is_some())
    }
}
