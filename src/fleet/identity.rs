//! Which connection belongs to which worker (ARCHITECTURE.md, "Who is a worker").
//!
//! A tag or an own listener names the worker; a local peer belongs to the nearest process of its lineage, itself first,
//! that fetches; anybody else is its address. A local peer is a worker of its own ([`Key::Pending`]) until its process
//! is known, and a process that does not fetch is a provisional worker that joins its ancestor when that one turns out
//! to fetch. Joining moves everything: connections, jobs, marks; the old id stays as an alias.

use super::Fleet;
use super::boundary::{Peer, Process};
use super::conn::Conn;
use super::whole::{Adopted, Whole};
use super::worker::{Key, Origin, Worker, WorkerNo};
use crate::job::{ConnId, Millis, WorkerId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Start times are known to about a second: a process that seems so little older than the gate is not taken for one
/// that it met in mid-life.
const START_TOLERANCE: Millis = 2_000;

/// A process that connects for the first time so soon after its start has not worked elsewhere.
const YOUTH: Millis = 60_000;

impl Process {
    fn is_young(&self, now: Millis) -> bool {
        self.started_at.saturating_add(YOUTH) >= now
    }
}

impl Fleet {
    pub(super) fn connected(&mut self, now: Millis, id: ConnId, peer: Peer) {
        let key = match (peer.listener_is_identity, peer.local) {
            (true, _) => Key::Listener(peer.listener.to_string()),
            (false, true) => Key::Pending(id),
            (false, false) => Key::Address(peer.ip),
        };
        let pending = key.is_pending();
        let no = self.worker_for(now, key, &peer, None);
        let mut conn = Conn::new(peer, now);
        conn.pending = pending;
        self.conns.insert(id, conn);
        self.attach(id, no);
        if let Some(mark) = self.conns.get_mut(&id).and_then(|conn| conn.mark.as_mut()) {
            mark.since_birth = true;
        }
        if pending {
            self.pending.insert(id);
            self.check_pending(now, id);
        }
        self.facts_changed(now, no);
        self.settle(now, no);
    }

    pub(super) fn process_found(&mut self, now: Millis, id: ConnId, lineage: &[Process], command: Option<&str>) {
        let shared = self.shared_lineage(lineage);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.lineage = shared;
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

    /// The same lineage as the latest connection of that process has it: they have thousands in all.
    fn shared_lineage(&self, lineage: &[Process]) -> Arc<[Process]> {
        let kin = lineage.first().and_then(|process| self.kin.get(&Key::of_process(process)));
        let latest = kin.and_then(BTreeSet::last).and_then(|id| self.conns.get(id));
        latest.map(|conn| &conn.lineage).filter(|known| ***known == *lineage).map_or_else(|| lineage.into(), Arc::clone)
    }

    /// The user name says whose the connection is: no look-up is needed for that.
    pub(super) fn tagged(&mut self, now: Millis, id: ConnId, tag: String) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.peer.listener_is_identity || conn.names.tag.as_ref() == Some(&tag) {
            return;
        }
        conn.names.tag = Some(tag.clone());
        let (from, peer, was_pending) = (conn.worker, conn.peer.clone(), conn.pending);
        conn.pending = false;
        let to = self.worker_for(now, Key::Tag(tag), &peer, None);
        if was_pending {
            self.absorb(now, from, to);
            self.pending_resolved(now, id);
        } else {
            self.move_conn(id, to);
            self.facts_changed(now, to);
            self.refresh_marks(now, to);
            self.left(now, from);
        }
    }

    /// A worker has begun to fetch (or was named by a job system): what belongs to its process joins it.
    pub(super) fn became_fetching(&mut self, now: Millis, no: WorkerNo, via: ConnId) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        worker.fetching = true;
        let key = worker.key.clone();
        // as long as nobody knows whose connection it is, they wait on
        let strays = if key.is_pending() { Vec::new() } else { std::mem::take(&mut worker.strays) };
        self.clear_suspicion(via);
        self.replay_strays(now, strays, no);
        if let Key::Process { .. } = key {
            let kin: Vec<ConnId> = self.kin.get(&key).into_iter().flatten().copied().collect();
            for id in kin {
                let Some(conn) = self.conns.get(&id) else { continue };
                let nearest = self.nearest_fetching(&conn.lineage).map(|p| Key::of_process(&p));
                if conn.worker != no && conn.names.tag.is_none() && nearest.as_ref() == Some(&key) {
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
            Key::Listener(peer.listener.to_string())
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
        worker.unvouched &= !conn.lineage.first().is_some_and(|p| p.is_young(conn.since));
        let young = conn.lineage.first().is_some_and(|p| p.started_at.saturating_add(START_TOLERANCE) >= born);
        if young && conn.fetched && !matches!(worker.key, Key::Address(_)) {
            worker.clear_doubt();
            worker.shared_until = 0;
        }
    }

    /// The present incarnation under `key`, made if there is none.
    pub(super) fn worker_for(&mut self, now: Millis, key: Key, peer: &Peer, process: Option<&Process>) -> WorkerNo {
        let known = self.keys.get(&key).and_then(|all| all.last()).copied();
        let same = |worker: &&mut Worker| worker.ended.is_none() || key.is_incarnation();
        if let Some(worker) = known.and_then(|no| self.workers.get_mut(&no)).filter(same) {
            if worker.ended.take().is_some() {
                // back from the dead: to be written down anew
                worker.journalled = None;
            }
            return worker.no;
        }
        let before = known.and_then(|no| self.workers.get(&no));
        let generation = before.map_or(1, |worker| worker.generation + 1);
        let after_loss = before.is_some_and(|worker| worker.ended.is_some_and(|ended| ended.lost));
        let first_minute_ends = self.born.saturating_add(self.settings.forget_after);
        let early = before.is_none() && now < first_minute_ends && !key.is_incarnation();
        let doubtful = early || (after_loss && !key.is_incarnation());
        let pending = key.is_pending();
        let no = self.create(now, key, generation, peer.into());
        let midlife = process.is_some_and(|p| p.started_at.saturating_add(START_TOLERANCE) < self.born);
        if let Some(worker) = self.workers.get_mut(&no) {
            worker.unvouched = !pending && !process.is_some_and(|p| p.is_young(now));
            worker.shared_until = if early { first_minute_ends } else { 0 };
            worker.whole = match (midlife, doubtful) {
                (true, _) => Whole::No(Adopted::MidLife),
                (false, true) => Whole::Doubtful,
                (false, false) => Whole::Yes,
            };
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
        // the latest is the last, though what an earlier gate left is read in another order
        let of_key = self.keys.entry(key.clone()).or_default();
        let later = |no: &WorkerNo| self.workers.get(no).is_some_and(|worker| worker.generation > generation);
        let at = of_key.iter().position(later).unwrap_or(of_key.len());
        of_key.insert(at, no);
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
}
