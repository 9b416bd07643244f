//! What the gates tell, carried into the ledgers. Fetches are the hot path: they touch counters of one connection and
//! one worker and nothing else, unless the worker is marked.

use super::Fleet;
use super::conn::Conn;
use super::evidence::generic::{self, Over};
use super::evidence::sidekiq;
use super::ledger::Stage;
use super::view::JobEnd;
use super::whole::Adopted;
use super::worker::{Worker, WorkerNo};
use crate::job::{ConnId, FetchEnd, Found, JobEvent, Millis, Place, Protocol, System};
use std::sync::Arc;

impl Fleet {
    pub(super) fn happened(&mut self, now: Millis, id: ConnId, event: JobEvent) {
        match event {
            JobEvent::FetchAsked { place, queues, blocking } => self.fetch_asked(now, id, place, queues, blocking),
            JobEvent::FetchMoved { to } => self.fetch_moved(id, to),
            JobEvent::FetchAnswered { from, end, blocking } => self.fetch_answered(now, id, from, end, blocking),
            JobEvent::Delivered(job) => self.delivered(now, id, job, Stage::Delivered),
            JobEvent::Acked(key) => self.acked(now, id, key),
            JobEvent::Ended { key, outcome } => self.ended(now, id, key, outcome),
            JobEvent::Settled { keys, how } => self.settled(now, id, keys, how),
            other => self.happened_rarely(now, id, other),
        }
        self.touched(now, id);
    }

    fn happened_rarely(&mut self, now: Millis, id: ConnId, event: JobEvent) {
        let Some(conn) = self.conns.get(&id) else { return };
        let no = conn.worker;
        match event {
            JobEvent::FetchOrphaned => {
                if let Some((conn, worker)) = self.pair(id) {
                    worker.sums.fetches.add_orphans(conn.fetches.orphan());
                }
            }
            JobEvent::Acknowledges => {
                if let Some((conn, worker)) = self.pair(id) {
                    (conn.acknowledges, worker.past.acknowledges) = (true, true);
                }
            }
            JobEvent::FetchRewritten { queues } => {
                self.fetch_asked(now, id, Place::Gate, queues, false);
                self.fetch_answered(now, id, Place::Gate, FetchEnd::Empty, false);
            }
            JobEvent::HandedOutAgain { id: job, queue } => self.said_again(now, id, &job, queue),
            JobEvent::Taken(job) => self.delivered(now, id, job, Stage::Taken),
            JobEvent::SchedulerReturned => self.scheduler_returned(now, id),
            JobEvent::PushedOn(keys) => self.pushed_on(now, id, &keys),
            JobEvent::Refused(keys) => self.refused(no, keys),
            JobEvent::Redelivered(job) => self.redelivered(now, id, job),
            JobEvent::Returned(key) => self.returned(now, id, &key),
            JobEvent::GivenBack(key) => self.given_back(now, id, key),
            JobEvent::Popped(key) => self.popped(now, id, key),
            JobEvent::Result { id: job } => self.result(now, no, job, now),
            JobEvent::Report(report) => self.report(now, id, report),
            JobEvent::Recognised(system) => self.set_system(now, no, system),
            JobEvent::Named { system, name } => self.named(now, id, system, name),
            JobEvent::Born { system, name } => self.born_as(now, id, system, name),
            JobEvent::Begun => self.begun(now, id),
            JobEvent::ClientNamed(name) => self.client_named(now, id, name),
            JobEvent::User(user) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.names.user = Some(user);
                }
                self.facts_changed(now, no);
            }
            JobEvent::VirtualHost(host) => self.in_virtual_host(id, &host),
            JobEvent::Tagged(tag) => self.tagged(now, id, tag),
            JobEvent::Blocked(reason) => self.blocked(now, id, Some(reason)),
            JobEvent::Bound(reason) => self.bound(id, reason),
            JobEvent::Unbound(reason) => self.unbound(id, &reason),
            JobEvent::PassesPause { queue, why, sure } => self.passes_pause(id, queue, why, sure),
            JobEvent::Unrefused { why, found } => self.unrefused(id, why, found),
            JobEvent::Listens(listens) => self.listens(id, listens),
            JobEvent::Answered(answer) => self.answered(now, answer),
            JobEvent::Opaque => self.blocked(now, id, None),
            // counted where it was seen; what it means for the ledger came with `Returned`
            JobEvent::Orphan(_) | JobEvent::UnknownScript => {}
            // not rare
            JobEvent::FetchAsked { .. } | JobEvent::FetchMoved { .. } | JobEvent::FetchAnswered { .. } => {}
            JobEvent::Delivered(_) | JobEvent::Acked(_) | JobEvent::Ended { .. } | JobEvent::Settled { .. } => {}
            JobEvent::MarkTaken => self.confirmed(id),
            JobEvent::PausesTaken { number, open } => self.pauses_taken(id, number, open),
        }
    }

    /// After an event: what is marked or has gone is judged anew, anything else at its next question.
    fn touched(&mut self, now: Millis, id: ConnId) {
        if self.pending.is_empty() && self.drains.is_empty() {
            return; // nobody is marked, and no connection in doubt
        }
        let Some(conn) = self.conns.get(&id) else { return };
        let (no, pending) = (conn.worker, conn.pending);
        if pending {
            self.check_pending(now, id);
        }
        if self.workers.get(&no).is_some_and(Worker::is_marked) {
            self.settle(now, no);
        }
    }

    fn fetch_asked(&mut self, now: Millis, id: ConnId, place: Place, queues: Arc<[String]>, blocking: bool) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let idle_before = worker.idle_threads(now);
        let was_nil = blocking && worker.past.nils.take(now);
        // with acknowledgements a consumer says nothing about the jobs before it
        let acks = conn.is_acknowledging();
        let before = conn.perhaps.take();
        let over =
            if acks { Over::NOTHING } else { generic::returned(worker, id, conn, blocking, was_nil, idle_before) };
        if let Over::Perhaps(seq) = over {
            conn.perhaps = Some(seq);
        }
        let perhaps = conn.perhaps.is_some();
        if acks {
            worker.protocol = conn.peer.protocol;
        }
        // what was asked for here before is known of its worker, whoever that was then
        let asked_before = conn.fetched && conn.asked == queues;
        count_fetch(now, conn, worker, place, blocking);
        let (no, first) = (worker.no, !worker.fetching);
        debug_assert!(!asked_before || worker.knows_all(&queues));
        if !asked_before {
            let host = conn.names.host.clone();
            note_asked(conn, &queues);
            self.reads_in(no, host);
            self.add_queues(no, &queues);
        }
        self.strike(now, no, before.as_slice(), JobEnd::Finished);
        self.strike(now, no, over.as_slice(), JobEnd::Finished);
        if first {
            self.became_fetching(now, no, id);
        }
        if blocking && !acks && !perhaps {
            self.note_pattern(now, id);
        }
    }

    fn fetch_moved(&mut self, id: ConnId, to: Place) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let from = match to {
            Place::Broker => Place::Gate,
            Place::Gate => Place::Broker,
        };
        let blocking = conn.fetches.has(from, true);
        if !blocking && !conn.fetches.has(from, false) {
            return;
        }
        for fetches in [&mut conn.fetches, &mut worker.sums.fetches] {
            fetches.sub(from, blocking);
            fetches.add(to, blocking);
        }
    }

    fn fetch_answered(&mut self, now: Millis, id: ConnId, from: Place, end: FetchEnd, blocking: bool) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let known = conn.fetches.has(from, blocking);
        if known {
            conn.fetches.sub(from, blocking);
            worker.sums.fetches.sub(from, blocking);
        }
        if end != FetchEnd::Vanished {
            conn.answered = Some(now);
        }
        if conn.delivering && blocking {
            conn.delivering = false;
            worker.sums.delivering = worker.sums.delivering.saturating_sub(1);
        }
        if known && blocking && end == FetchEnd::Empty && conn.perhaps.is_none() {
            worker.past.nils.add(now, now.saturating_add(sidekiq::NIL_LASTS));
        }
    }

    /// Looks whether the fetch pattern says that all threads are idle.
    pub(super) fn note_pattern(&mut self, now: Millis, id: ConnId) {
        let Some((_, worker)) = self.pair(id) else { return };
        let all_idle = match worker.system {
            System::Sidekiq => sidekiq::note_zero(worker, now),
            system if system.tells_nothing() => {
                generic::note_pattern(worker, now);
                false
            }
            // their own words tell
            _ => false,
        };
        if all_idle && !worker.ledger.is_empty() {
            let (no, over) = (worker.no, worker.ledger.select(|_| true));
            self.strike(now, no, &over, JobEnd::Finished);
        }
    }

    /// The virtual host that all of the connection's queues are in.
    fn in_virtual_host(&mut self, id: ConnId, host: &str) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.names.host = Some(host.into());
        }
    }

    fn client_named(&mut self, now: Millis, id: ConnId, name: String) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        // an empty one takes the name back
        let name = Some(name).filter(|name| !name.is_empty());
        conn.names.client_name.clone_from(&name);
        let no = conn.worker;
        let kept = self.is_still_called_so(no);
        if let Some(worker) = self.workers.get_mut(&no).filter(|_| !kept && name.is_some()) {
            worker.client_name = name;
        }
        self.facts_changed(now, no);
    }

    /// A way to get jobs that is not refused (`None`: a blind pipe). Jobs may have come that way already.
    fn blocked(&mut self, now: Millis, id: ConnId, reason: Option<String>) {
        let Some((conn, worker)) = self.pair(id) else { return };
        match reason {
            Some(reason) if conn.ways.blocked.contains(&reason) => {}
            Some(reason) => {
                conn.ways.blocked.push(reason);
                worker.sums.blocked += 1;
            }
            None if conn.opaque => {}
            None => {
                conn.opaque = true;
                worker.sums.opaque += 1;
            }
        }
        worker.adopt(Adopted::Unseen, now);
    }

    /// It has a consumer that the gate must not stop.
    fn bound(&mut self, id: ConnId, reason: String) {
        let Some((conn, worker)) = self.pair(id) else { return };
        if !conn.ways.bound.contains(&reason) {
            conn.ways.bound.push(reason);
            worker.sums.blocked += 1;
        }
    }

    /// It has that consumer no more, or may stop it now.
    fn unbound(&mut self, id: ConnId, reason: &str) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let before = conn.ways.bound.len();
        conn.ways.bound.retain(|other| other != reason);
        worker.sums.blocked = worker.sums.blocked.saturating_sub(before - conn.ways.bound.len());
    }

    /// Something came, or may come, that is a job only if nobody knows the worker's job system.
    pub(super) fn unrefused(&mut self, id: ConnId, reason: String, found: Found) {
        let Some((conn, worker)) = self.pair(id) else { return };
        let (no, news) = (worker.no, worker.past.took < Some(found));
        worker.past.took = worker.past.took.max(Some(found));
        conn.took = conn.took.max(Some(found));
        if !conn.ways.unrefused.contains(&reason) {
            conn.ways.unrefused.push(reason);
        }
        if news {
            self.journal_worker(no);
        }
    }

    /// The worker's job system is known now; its connections' gates are told.
    pub(super) fn set_system(&mut self, now: Millis, no: WorkerNo, system: System) {
        let Some(worker) = self.workers.get_mut(&no) else { return };
        if system == System::Unknown || worker.system == system {
            return;
        }
        if worker.system != System::Unknown {
            worker.mixed = true;
            return;
        }
        worker.system = system;
        worker.proof = None;
        // where an ack is the end of a job it is so under any name
        let same_reading = worker.protocol == Protocol::Amqp && system != System::Celery;
        if (!worker.ledger.is_empty() && !same_reading) || worker.past.took > Some(Found::Nothing) {
            // delivered under another reading: their ends will not be recognised, only reports can say
            worker.ledger.set_restored();
            worker.adopt(Adopted::Unseen, now);
        }
        let conns: Vec<ConnId> = worker.conns.iter().copied().collect();
        for id in conns {
            self.tell_system(id, system);
        }
        self.facts_changed(now, no);
    }
}

/// Queues that one connection's consumers read: so many are remembered.
const ASKED: usize = 64;

/// A fetch is outstanding.
fn count_fetch(now: Millis, conn: &mut Conn, worker: &mut Worker, place: Place, blocking: bool) {
    conn.fetches.add(place, blocking);
    worker.sums.fetches.add(place, blocking);
    if !conn.fetched {
        conn.fetched = true;
        worker.sums.fetchers += 1;
        worker.inquiry.widen(conn.since);
    }
    if blocking && !conn.waited {
        conn.waited = true;
        worker.sums.waiters += 1;
        worker.past.newest_waiter = Some(now);
    }
}

/// What a connection asks for now: one fetch at a time, or one consumer after the other.
fn note_asked(conn: &mut Conn, queues: &Arc<[String]>) {
    if conn.peer.protocol == Protocol::Redis {
        return conn.asked = Arc::clone(queues);
    }
    let news = queues.iter().filter(|queue| !conn.asked.contains(queue));
    conn.asked = conn.asked.iter().chain(news).take(ASKED).cloned().collect();
}
