//! Connections that change their worker, and workers that turn out to be one: with them go jobs, counts, names, marks.

use super::Fleet;
use super::boundary::Effect;
use super::conn::Conn;
use super::ledger::Stage;
use super::life::{Life, LifeNo};
use super::numbers::shrink;
use super::whole::Adopted;
use super::worker::{Worker, WorkerNo};
use crate::job::{ConnId, Millis, System};
use std::collections::HashMap;

impl Fleet {
    /// Puts a connection among a worker's: its mark and its system are told at once.
    pub(super) fn attach(&mut self, id: ConnId, no: WorkerNo) {
        let (Some(conn), Some(worker)) = (self.conns.get_mut(&id), self.workers.get_mut(&no)) else { return };
        conn.worker = no;
        worker.conns.insert(id);
        worker.sums.join(conn);
        if conn.mailbox.is_some() || conn.fetched {
            worker.inquiry.widen(conn.since);
        }
        if worker.away.take().is_some() {
            worker.came_back = Some(conn.since);
        }
        worker.rested = None;
        worker.ip = conn.peer.ip;
        worker.client_name = worker.client_name.take().or(conn.names.client_name.clone());
        let marked = if conn.pending { !self.drains.is_empty() } else { worker.is_marked() };
        let system = worker.system;
        if marked {
            // never lifted here: the worker's marks are known only when all has been joined (`refresh_marks`), and for a
            // moment without one a fetch that waits would be let through
            self.set_mark(id, true);
        }
        self.tell_system(id, system);
        self.count_open(no);
    }

    /// Takes a connection out of a worker's.
    pub(super) fn detach(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let no = conn.worker;
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.conns.remove(&id);
        worker.sums.leave(conn);
        worker.user = conn.names.user.clone().or(worker.user.take());
        self.count_open(no);
    }

    /// Moves one connection, with the jobs that came on it.
    pub(super) fn move_conn(&mut self, id: ConnId, to: WorkerNo) {
        self.detach(id);
        let Some(conn) = self.conns.get(&id) else { return };
        let (from, deliveries, acks) = (conn.worker, conn.deliveries, conn.acks);
        let Some(mut old) = self.workers.remove(&from) else { return };
        // what it was called by this connection, it is called no more
        let other = |id: &ConnId| self.conns.get(id).and_then(|conn| conn.names.client_name.clone());
        if old.client_name == conn.names.client_name {
            old.client_name = old.conns.iter().find_map(other);
        }
        let queues: Vec<String> = old.queues.iter().filter(|_| conn.fetched).cloned().collect();
        let host = conn.fetched.then(|| conn.names.host.clone());
        let unseen = conn.opaque || !conn.ways.blocked.is_empty();
        if let Some(new) = self.workers.get_mut(&to) {
            for seq in old.ledger.select(|entry| entry.conn == Some(id)) {
                if let Some(entry) = old.ledger.remove(seq) {
                    new.past.ever_started |= entry.stage == Stage::Started;
                    new.ledger.insert(seq, entry);
                }
            }
            // what was dropped may have come on this connection
            if old.past.untracked > 0 {
                new.past.untracked = old.past.untracked;
                new.past.join_doubts(&old.past);
            }
            old.past.deliveries = old.past.deliveries.saturating_sub(deliveries);
            new.past.deliveries += deliveries;
            new.past.unkept |= old.past.unkept;
            new.past.acks += acks;
            new.fetching |= conn.fetched || conn.names.name.is_some();
            new.past.took = new.past.took.max(conn.took);
            new.past.acknowledges |= conn.acknowledges;
            if unseen {
                new.adopt(Adopted::Unseen, conn.since);
            }
        }
        self.workers.insert(from, old);
        if let Some(host) = host {
            self.reads_in(to, host);
        }
        self.add_queues(to, &queues);
        self.attach(id, to);
        self.journal_worker(from);
        self.journal_moved(from, to);
    }

    /// Joins `from` into `to`: it turned out to be the same worker.
    pub(super) fn absorb(&mut self, now: Millis, from: WorkerNo, to: WorkerNo) {
        if from == to || !self.workers.contains_key(&to) {
            return;
        }
        let Some(old) = self.workers.get(&from) else { return };
        let conns: Vec<ConnId> = old.conns.iter().copied().collect();
        for id in &conns {
            self.detach(*id);
        }
        self.close_open(from);
        let Some(mut old) = self.workers.remove(&from) else { return };
        self.unlist(&old);
        self.journal_forgotten(&old);
        let queues: Vec<String> = std::mem::take(&mut old.queues).into_iter().collect();
        if let Some(new) = self.workers.get_mut(&to) {
            old.strays.splice(..0, new.strays.drain(..));
        }
        self.join_facts(now, &mut old, to, &conns);
        if !queues.is_empty() {
            self.reads_in(to, old.host.take());
        }
        self.add_queues(to, &queues);
        for id in &conns {
            self.attach(*id, to);
        }
        self.join_drains(now, &old, to);
        self.journal_moved(from, to);
        self.replay_strays(now, std::mem::take(&mut old.strays), to);
        // among their fetches may be that of the last thread
        let asks = |id: &&ConnId| self.conns.get(id).is_some_and(Conn::is_thread_asking);
        if let Some(id) = conns.iter().find(asks) {
            self.note_pattern(now, *id);
        }
        self.facts_changed(now, to);
        self.refresh_marks(now, to);
    }

    /// One of its connections has its client name. One that none has any more is over as soon as there is another.
    pub(super) fn is_still_called_so(&self, no: WorkerNo) -> bool {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.client_name.is_some()) else { return false };
        let mut present = worker.conns.iter().filter_map(|id| self.conns.get(id));
        present.any(|conn| conn.names.client_name == worker.client_name)
    }

    fn join_facts(&mut self, now: Millis, old: &mut Worker, to: WorkerNo, conns: &[ConnId]) {
        let kept = self.is_still_called_so(to);
        // before its jobs come, for they were delivered under this reading
        if self.workers.get(&to).is_some_and(|new| !known(new.system)) {
            self.set_system(now, to, old.system);
        }
        let Some(new) = self.workers.get_mut(&to) else { return };
        let busy = old.past.deliveries > 0 || old.past.acks > 0 || !old.ledger.is_empty();
        for (seq, entry) in old.ledger.take() {
            new.ledger.insert(seq, entry);
        }
        new.recent.join(&mut old.recent);
        new.since = new.since.min(old.since);
        new.born = new.born.min(old.born);
        new.past.join(std::mem::take(&mut old.past));
        new.begun = new.begun.or(old.begun);
        new.shared_until = new.shared_until.max(old.shared_until);
        new.mixed |= old.mixed || (known(new.system) && known(old.system) && new.system != old.system);
        let same = join_lives(new, &mut old.lives);
        let (ours, theirs) = (new.client_name.take(), old.client_name.take());
        new.client_name = if kept { ours } else { theirs.or(ours) };
        new.user = new.user.take().or(old.user.take());
        new.last_cut = new.last_cut.max(old.last_cut);
        new.last_parted = new.last_parted.max(old.last_parted);
        if old.adopted() == Some(Adopted::Unseen) {
            new.adopt(Adopted::Unseen, now);
        }
        if busy {
            new.proof = None;
            new.bump(now);
        }
        if !old.key.is_pending() {
            new.aliases.push(old.id.clone());
            new.aliases.append(&mut old.aliases);
            for alias in &new.aliases {
                self.ids.insert(alias.0.clone(), to);
            }
        }
        let fetching = old.fetching && !new.fetching;
        for id in conns {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            conn.life = conn.life.map(|life| same.get(&life).copied().unwrap_or(life));
        }
        if fetching {
            let via = old.conns.first().copied().unwrap_or(ConnId(0));
            self.became_fetching(now, to, via);
        }
        self.first_beats(now, to);
    }

    /// Takes a worker out of the indexes.
    pub(super) fn unlist(&mut self, worker: &Worker) {
        self.ids.remove(&worker.id.0);
        for alias in &worker.aliases {
            self.ids.remove(&alias.0);
        }
        if let Some(all) = self.keys.get_mut(&worker.key) {
            all.retain(|no| *no != worker.no);
            if all.is_empty() {
                self.keys.remove(&worker.key);
            }
        }
        shrink(&mut self.ids);
        shrink(&mut self.keys);
        if let Some(at) = worker.timer {
            self.timers.remove(&(at, worker.no));
        }
        self.awaiting.remove(&worker.no);
    }

    /// Tells a connection's gate the system, once.
    pub(super) fn tell_system(&mut self, id: ConnId, system: System) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if known(system) && conn.system != system {
            conn.system = system;
            self.effects.push(Effect::System(id, system));
        }
    }
}

/// The lives of a worker that is joined into another. A process that the other knows by name already is the same one,
/// back on new connections: returned is which life it is there.
fn join_lives(new: &mut Worker, lives: &mut Vec<Life>) -> HashMap<LifeNo, LifeNo> {
    let mut same = HashMap::new();
    for mut life in lives.drain(..) {
        life.moved();
        let twin = |other: &&mut Life| other.system == life.system && other.name == life.name;
        let Some(twin) = new.lives.iter_mut().find(twin).filter(|_| new.key.is_incarnation()) else {
            new.lives.push(life);
            continue;
        };
        twin.last_seen = twin.last_seen.max(life.last_seen);
        if let (Some(known), Some(voice)) = (twin.celery_mut(), life.celery()) {
            known.reporter = voice.reporter.or(known.reporter);
        }
        same.insert(life.no, twin.no);
    }
    same
}

fn known(system: System) -> bool {
    system != System::Unknown
}
