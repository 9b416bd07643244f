//! Which connection belongs to which worker (product.md, "Who is a worker").
//!
//! A tag or an own listener names the worker; a local peer belongs to the nearest process of its lineage, itself first,
//! that fetches; anybody else is its address. A local peer is a worker of its own ([`Key::Pending`]) until its process
//! is known, and a process that does not fetch is a provisional worker that joins its ancestor when that one turns out
//! to fetch. Joining moves everything: connections, jobs, marks; the old id stays as an alias.

use super::Fleet;
use super::boundary::{Effect, Peer, Process};
use super::conn::Conn;
use super::worker::{Adopted, Key, Life, LifeNo, Origin, Voice, Worker, WorkerNo};
use crate::job::{ConnId, Millis, System, WorkerId};
use std::collections::HashMap;

/// Start times are known to about a second: a process that seems so little older than the gate is not taken for one
/// that it met in mid-life.
const START_TOLERANCE: Millis = 2_000;

impl Fleet {
    pub(super) fn connected(&mut self, now: Millis, id: ConnId, peer: Peer) {
        let key = match (peer.listener_is_identity, peer.local) {
            (true, _) => Key::Listener(peer.listener.clone()),
            (false, true) => Key::Pending(id),
            (false, false) => Key::Address(peer.ip),
        };
        let pending = key.is_pending();
        let no = self.worker_for(now, key, &peer, None);
        let mut conn = Conn::new(peer, now);
        conn.pending = pending;
        self.conns.insert(id, conn);
        self.attach(id, no);
        let marked = self.conns.get(&id).is_some_and(|c| c.marked);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.born_marked = marked;
        }
        if pending {
            self.pending.insert(id);
            self.check_pending(now, id);
        }
        self.facts_changed(now, no);
        self.settle(now, no);
    }

    pub(super) fn process_found(&mut self, now: Millis, id: ConnId, lineage: &[Process], command: Option<&str>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.lineage = lineage.to_vec();
        conn.command = command.map(str::to_owned);
        let (from, peer) = (conn.worker, conn.peer.clone());
        if !conn.pending {
            self.clear_suspicion(id);
            return self.settle(now, from);
        }
        conn.pending = false;
        for process in lineage {
            self.kin.entry(Key::of_process(process)).or_default().insert(id);
        }
        // what it asked for before its process was known counts too: the process itself comes first
        let fetches = self.workers.get(&from).is_some_and(|worker| worker.fetching);
        let nearest = if fetches { None } else { self.nearest_fetching(lineage) };
        let owner = nearest.or(lineage.first().copied());
        let key = owner.as_ref().map_or(Key::Address(peer.ip), Key::of_process);
        let to = self.worker_for(now, key, &peer, owner.as_ref());
        if let Some(worker) = self.workers.get_mut(&to) {
            worker.command = worker.command.take().or(command.map(str::to_owned));
        }
        self.absorb(now, from, to);
        self.pending_resolved(now, id);
    }

    /// A name, a tag or a system that needs no look-up any more.
    pub(super) fn tagged(&mut self, now: Millis, id: ConnId, tag: String) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.peer.listener_is_identity || conn.tag.as_ref() == Some(&tag) {
            return;
        }
        conn.tag = Some(tag.clone());
        let (from, peer, was_pending) = (conn.worker, conn.peer.clone(), conn.pending);
        conn.pending = false;
        let to = self.worker_for(now, Key::Tag(tag), &peer, None);
        if was_pending {
            self.absorb(now, from, to);
            self.pending_resolved(now, id);
        } else {
            self.move_conn(id, to);
            self.facts_changed(now, to);
            self.settle(now, to);
            self.left(now, from);
        }
    }

    /// A worker has begun to fetch (or was named by a job system): what belongs to its process joins it.
    pub(super) fn became_fetching(&mut self, now: Millis, no: WorkerNo, via: ConnId) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.fetching = true;
        let key = worker.key.clone();
        let strays = std::mem::take(&mut worker.strays);
        self.clear_suspicion(via);
        self.replay_strays(now, strays, no);
        if let Key::Process { .. } = key {
            let kin: Vec<ConnId> = self.kin.get(&key).into_iter().flatten().copied().collect();
            for id in kin {
                let Some(conn) = self.conns.get(&id) else { continue };
                let nearest = self.nearest_fetching(&conn.lineage).map(|p| Key::of_process(&p));
                if conn.worker != no && conn.tag.is_none() && nearest.as_ref() == Some(&key) {
                    self.absorb(now, conn.worker, no);
                }
            }
        }
        self.facts_changed(now, no);
    }

    /// The process itself, else its nearest ancestor, that fetches.
    fn nearest_fetching(&self, lineage: &[Process]) -> Option<Process> {
        let fetches = |process: &&Process| {
            let of_key = self.keys.get(&Key::of_process(process)).into_iter().flatten();
            of_key.filter_map(|no| self.workers.get(no)).any(|worker| worker.fetching)
        };
        lineage.iter().find(fetches).copied()
    }

    /// The present workers that a connection of `peer` would belong to.
    pub(super) fn owners_of(&self, peer: &Peer, lineage: &[Process]) -> Vec<WorkerId> {
        let key = if peer.listener_is_identity {
            Key::Listener(peer.listener.clone())
        } else {
            let process = self.nearest_fetching(lineage).or(lineage.first().copied());
            process.as_ref().map_or(Key::Address(peer.ip), Key::of_process)
        };
        let all = self.keys.get(&key).into_iter().flatten().filter_map(|no| self.workers.get(no));
        all.filter(|worker| worker.ended.is_none()).map(|worker| worker.id.clone()).collect()
    }

    /// A local process that is younger than the gate proves that nothing was before.
    fn clear_suspicion(&mut self, id: ConnId) {
        let born = self.born;
        let Some((conn, worker)) = self.pair(id) else { return };
        let young = conn.lineage.first().is_some_and(|p| p.started_at.saturating_add(START_TOLERANCE) >= born);
        if young && conn.fetched && !matches!(worker.key, Key::Address(_)) {
            worker.suspect = false;
        }
    }

    /// The present incarnation under `key`, made if there is none.
    pub(super) fn worker_for(&mut self, now: Millis, key: Key, peer: &Peer, process: Option<&Process>) -> WorkerNo {
        let known = self.keys.get(&key).and_then(|all| all.last()).copied();
        let same = |worker: &&mut Worker| worker.ended.is_none() || key.is_incarnation();
        if let Some(worker) = known.and_then(|no| self.workers.get_mut(&no)).filter(same) {
            // back from the dead: to be written down anew
            worker.journalled &= worker.ended.take().is_none();
            return worker.no;
        }
        let before = known.and_then(|no| self.workers.get(&no));
        let generation = before.map_or(1, |worker| worker.generation + 1);
        let after_loss = before.is_some_and(|worker| worker.ended.is_some_and(|ended| ended.lost));
        let early = before.is_none() && now < self.born.saturating_add(self.settings.forget_after);
        let suspect = !key.is_incarnation() && (early || after_loss);
        let no = self.create(now, key, generation, peer.into());
        let midlife = process.is_some_and(|p| p.started_at.saturating_add(START_TOLERANCE) < self.born);
        if let Some(worker) = self.workers.get_mut(&no) {
            worker.suspect = suspect;
            worker.adopted = midlife.then_some(Adopted::MidLife);
        }
        self.put_on_trial(now, no);
        no
    }

    /// A new worker under `key`.
    pub(super) fn create(&mut self, now: Millis, key: Key, generation: u32, origin: Origin) -> WorkerNo {
        let id = self.free_id(&key, generation);
        self.create_as(now, id, key, generation, origin)
    }

    /// The same under an id that is known already.
    pub(super) fn create_as(
        &mut self,
        now: Millis,
        id: WorkerId,
        key: Key,
        generation: u32,
        origin: Origin,
    ) -> WorkerNo {
        let no = WorkerNo(self.number());
        self.ids.insert(id.0.clone(), no);
        self.keys.entry(key.clone()).or_default().push(no);
        self.workers.insert(no, Worker::new(no, id, key, generation, now, origin));
        no
    }

    /// `w-` and a hash of the key: the same after a restart of the gate.
    fn free_id(&self, key: &Key, generation: u32) -> WorkerId {
        let text = super::persist::key_text(key);
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let hex = format!("{hash:016x}");
        let suffix = if generation > 1 { format!("-{generation}") } else { String::new() };
        let ids = (8..=hex.len()).map(|len| format!("w-{}{suffix}", &hex[hex.len() - len..]));
        let free = ids.into_iter().find(|id| !self.ids.contains_key(id));
        WorkerId(free.unwrap_or_else(|| format!("w-{hex}{suffix}-{}", self.workers.len())))
    }

    /// Puts a connection among a worker's: its mark and its system are told at once.
    pub(super) fn attach(&mut self, id: ConnId, no: WorkerNo) {
        let (Some(conn), Some(worker)) = (self.conns.get_mut(&id), self.workers.get_mut(&no)) else { return };
        conn.worker = no;
        worker.conns.insert(id);
        worker.fetches.join(conn.fetches);
        worker.delivering += usize::from(conn.delivering);
        worker.blocked += conn.blocked.len();
        worker.opaque += usize::from(conn.opaque);
        worker.unrefused += conn.unrefused.len();
        worker.unconfirmed += usize::from(conn.unconfirmed);
        worker.closed_at = None;
        worker.rested = None;
        worker.awaited = false;
        worker.ip = conn.peer.ip;
        worker.client_name = worker.client_name.take().or(conn.client_name.clone());
        let marked = if conn.pending { !self.drains.is_empty() } else { worker.is_marked() };
        let system = worker.system;
        self.set_mark(id, marked);
        self.tell_system(id, system);
        self.count_open(no);
    }

    /// Takes a connection out of a worker's.
    pub(super) fn detach(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let no = conn.worker;
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.conns.remove(&id);
        worker.fetches.leave(conn.fetches);
        worker.delivering -= usize::from(conn.delivering).min(worker.delivering);
        worker.blocked -= conn.blocked.len().min(worker.blocked);
        worker.opaque -= usize::from(conn.opaque).min(worker.opaque);
        worker.unrefused -= conn.unrefused.len().min(worker.unrefused);
        worker.unconfirmed -= usize::from(conn.unconfirmed).min(worker.unconfirmed);
        worker.client_name = worker.client_name.take().or(conn.client_name.clone());
        worker.user = conn.user.clone().or(worker.user.take());
        self.count_open(no);
    }

    /// Moves one connection, with the jobs that came on it.
    pub(super) fn move_conn(&mut self, id: ConnId, to: WorkerNo) {
        self.detach(id);
        let Some(conn) = self.conns.get(&id) else { return };
        let (from, deliveries, acks) = (conn.worker, conn.deliveries, conn.acks);
        let Some(mut old) = self.workers.remove(&from) else { return };
        // what it was called by this connection, it is called no more
        let other = |id: &ConnId| self.conns.get(id).and_then(|conn| conn.client_name.clone());
        if old.client_name == conn.client_name {
            old.client_name = old.conns.iter().find_map(other);
        }
        let queues: Vec<String> = old.queues.iter().filter(|_| conn.fetched).cloned().collect();
        let unseen = conn.opaque || !conn.blocked.is_empty();
        if let Some(new) = self.workers.get_mut(&to) {
            for seq in old.ledger.select(|entry| entry.conn == Some(id)) {
                if let Some(entry) = old.ledger.remove(seq) {
                    new.ledger.insert(seq, entry);
                }
            }
            old.deliveries = old.deliveries.saturating_sub(deliveries);
            new.deliveries += deliveries;
            new.acks += acks;
            new.fetching |= conn.fetched || conn.name.is_some();
            new.took |= !conn.unrefused.is_empty();
            if unseen {
                new.adopt(Adopted::Unseen, conn.since);
            }
        }
        self.workers.insert(from, old);
        self.add_queues(to, queues);
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
        let queues = std::mem::take(&mut old.queues).into_iter().collect();
        if let Some(new) = self.workers.get_mut(&to) {
            old.strays.splice(..0, new.strays.drain(..));
        }
        self.join_facts(now, &mut old, to, &conns);
        self.add_queues(to, queues);
        for id in conns {
            self.attach(id, to);
        }
        self.join_drains(now, &old, to);
        self.journal_merged(to);
        self.replay_strays(now, std::mem::take(&mut old.strays), to);
        self.facts_changed(now, to);
        self.refresh_marks(now, to);
    }

    fn join_facts(&mut self, now: Millis, old: &mut Worker, to: WorkerNo, conns: &[ConnId]) {
        // before its jobs come, for they were delivered under this reading
        if self.workers.get(&to).is_some_and(|new| !known(new.system)) {
            self.set_system(now, to, old.system);
        }
        let Some(new) = self.workers.get_mut(&to) else { return };
        let busy = old.deliveries > 0 || old.acks > 0 || !old.ledger.is_empty();
        for (seq, entry) in old.ledger.take() {
            new.ledger.insert(seq, entry);
        }
        new.since = new.since.min(old.since);
        new.born = new.born.min(old.born);
        new.deliveries += old.deliveries;
        new.undeclared += old.undeclared;
        new.polled += old.polled;
        new.acks += old.acks;
        new.untracked += old.untracked;
        new.took |= old.took;
        new.ever_started |= old.ever_started;
        new.declared |= old.declared;
        new.mixed |= old.mixed || (known(new.system) && known(old.system) && new.system != old.system);
        new.peak = new.peak.max(old.peak);
        new.nils.extend(old.nils.drain(..));
        new.nils.make_contiguous().sort_unstable();
        let same = join_lives(new, &mut old.lives);
        new.client_name = new.client_name.take().or(old.client_name.take());
        new.user = new.user.take().or(old.user.take());
        new.last_cut = new.last_cut.max(old.last_cut);
        if old.adopted == Some(Adopted::Unseen) {
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
        if let (Voice::Celery(known), Voice::Celery(voice)) = (&mut twin.voice, &life.voice) {
            known.reporter = voice.reporter.or(known.reporter);
        }
        same.insert(life.no, twin.no);
    }
    same
}

fn known(system: System) -> bool {
    system != System::Unknown
}
