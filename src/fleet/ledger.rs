//! The jobs that one worker has in its hands, in the order in which they were delivered. The ledger records what the
//! broker confirmed and judges nothing: what an entry *means* for `drained` is the business of [`super::evidence`].

mod entry;
mod rows;
#[cfg(test)]
mod tests;

use super::index::Index;
use super::view::{InFlight, JobView};
use crate::job::{ConnId, JobKey, Millis};
pub(super) use entry::{Entry, Spare, Stage, shown_id};
use rows::{Numbers, Rows};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// A delivery is looked for among so many on each side of the last one, before an index is made.
const NEAR: usize = 16;

/// See the module. Invariant: `started.len() + taken + blocking <= rows.len()`, and every index points into `rows`.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    rows: Rows<Entry>,
    /// Made when it is first asked for: what RabbitMQ delivers is mostly settled in the order in which it came, and of the
    /// jobs of a plain list nobody ever speaks.
    by_key: OnceCell<Box<Index>>,
    /// Made when it is first asked for: few job systems speak of jobs by their ids.
    by_id: Option<Box<Index>>,
    etas: BTreeSet<(Millis, u64)>,
    started: Numbers,
    taken: usize,
    /// Unacknowledged ones that came as the answers to blocking fetches.
    blocking: usize,
    /// Unacknowledged ones from before a gap.
    unknown: usize,
    /// See [`Entry::refused`].
    refused: usize,
}

impl Ledger {
    /// Writes an entry under `seq`, which no other has.
    pub(super) fn insert(&mut self, seq: u64, entry: Box<Entry>) {
        if let Some(by_key) = self.by_key.get_mut() {
            by_key.insert(by_key.of_key(&entry.job.key), seq);
        }
        if let Some(by_id) = self.by_id.as_mut().filter(|_| !entry.job.id.is_empty()) {
            by_id.insert(by_id.of_text(&entry.job.id), seq);
        }
        self.refused += usize::from(entry.refused);
        match entry.stage {
            Stage::Delivered => {
                self.blocking += usize::from(!entry.polled);
                self.unknown += usize::from(entry.restored);
                if let Some(eta) = entry.job.eta {
                    self.etas.insert((eta, seq));
                }
            }
            Stage::Started => self.started.insert(seq),
            Stage::Taken => self.taken += 1,
        }
        self.rows.insert(seq, entry);
    }

    /// Strikes an entry out.
    pub(super) fn remove(&mut self, seq: u64) -> Option<Box<Entry>> {
        let entry = self.rows.remove(seq)?;
        if let Some(by_key) = self.by_key.get_mut() {
            by_key.remove(by_key.of_key(&entry.job.key), seq);
        }
        if let Some(by_id) = self.by_id.as_mut().filter(|_| !entry.job.id.is_empty()) {
            by_id.remove(by_id.of_text(&entry.job.id), seq);
        }
        self.refused -= usize::from(entry.refused);
        match entry.stage {
            Stage::Delivered => {
                self.blocking -= usize::from(!entry.polled);
                self.unknown -= usize::from(entry.restored);
                if let Some(eta) = entry.job.eta {
                    self.etas.remove(&(eta, seq));
                }
            }
            Stage::Started => self.started.remove(seq),
            Stage::Taken => self.taken -= 1,
        }
        Some(entry)
    }

    /// The oldest entry of that key which is still in `stage`. One from before a gap comes last: it may have gone back
    /// to the queue and been delivered again, and an idle report will strike it out, but nothing else would the other.
    pub(super) fn oldest(&self, key: &JobKey, stage: Stage) -> Option<u64> {
        if let Some(seq) = self.unsettled(key).filter(|_| stage == Stage::Delivered) {
            return Some(seq);
        }
        self.first(self.under(key), |entry| entry.job.key == *key && entry.stage == stage)
    }

    /// A delivery of RabbitMQ's that is not settled, if it came near the one that was asked for before. No other that is
    /// not settled has its key: a channel that is opened anew counts anew, but has given everything back.
    #[inline]
    fn unsettled(&self, key: &JobKey) -> Option<u64> {
        let wanted = |entry: &Entry| entry.stage == Stage::Delivered && entry.job.key == *key;
        // farther away the index tells, and more cheaply, once it is there
        let reach = if self.by_key.get().is_none() { NEAR } else { 0 };
        if matches!(key, JobKey::Delivery { .. }) { self.rows.near(reach, wanted) } else { None }
    }

    /// The entries that may have this key.
    fn under(&self, key: &JobKey) -> &[u64] {
        let by_key = self.by_key.get_or_init(|| keys_of(&self.rows));
        by_key.get(by_key.of_key(key))
    }

    /// There is more than one of that key.
    pub(super) fn has_twice(&self, key: &JobKey) -> bool {
        let same = |seq: &&u64| self.rows.get(**seq).is_some_and(|entry| entry.job.key == *key);
        self.under(key).iter().filter(same).count() > 1
    }

    fn first(&self, seqs: &[u64], wanted: impl Fn(&Entry) -> bool) -> Option<u64> {
        // hardly any name has two
        if let [seq] = *seqs {
            return self.rows.get(seq).is_some_and(wanted).then_some(seq);
        }
        let entries = seqs.iter().filter_map(|seq| Some((seq, self.rows.get(*seq)?)));
        let found = entries.filter(|(_, entry)| wanted(entry)).min_by_key(|(seq, entry)| (entry.restored, **seq));
        found.map(|(seq, _)| *seq)
    }

    /// The oldest entry of that key in any stage, unacknowledged ones first.
    pub(super) fn any(&self, key: &JobKey) -> Option<u64> {
        if let Some(seq) = self.unsettled(key) {
            return Some(seq);
        }
        if let [seq] = self.under(key) {
            return self.rows.get(*seq).filter(|entry| entry.job.key == *key).map(|_| *seq);
        }
        [Stage::Delivered, Stage::Started, Stage::Taken].into_iter().find_map(|stage| self.oldest(key, stage))
    }

    /// The youngest entry of that key that came on this connection.
    pub(super) fn youngest_on(&self, conn: ConnId, key: &JobKey) -> Option<u64> {
        let own =
            |seq: &&u64| self.rows.get(**seq).is_some_and(|entry| entry.conn == Some(conn) && entry.job.key == *key);
        self.under(key).iter().filter(own).max().copied()
    }

    /// The oldest entry of that key among those that had been delivered at a moment.
    pub(super) fn any_at(&self, key: &JobKey, moment: Millis) -> Option<u64> {
        let at = |entry: &Entry, stage: Stage| entry.job.key == *key && entry.stage == stage && entry.at <= moment;
        let of = |stage: Stage| self.first(self.under(key), |entry| at(entry, stage));
        [Stage::Delivered, Stage::Started, Stage::Taken].into_iter().find_map(of)
    }

    /// Marks the oldest unacknowledged entry of this job id that has no result yet (else the oldest started one, where
    /// it serves the display only). Returns which was marked.
    pub(super) fn note_result(&mut self, id: &str) -> Option<u64> {
        if self.by_id.is_none() {
            self.by_id = Some(ids_of(&self.rows));
        }
        let by_id = self.by_id.as_deref()?;
        let seqs = by_id.get(by_id.of_text(id));
        let open = |stage: Stage| self.first(seqs, |entry| entry.job.id == id && entry.stage == stage && !entry.result);
        let seq = open(Stage::Delivered).or_else(|| open(Stage::Started))?;
        self.set_result(seq);
        Some(seq)
    }

    /// The terminal result of this entry has passed.
    pub(super) fn set_result(&mut self, seq: u64) {
        if let Some(entry) = self.rows.get_mut(seq) {
            entry.result = true;
        }
    }

    /// The broker refused the end of this entry, or to take it back.
    pub(super) fn set_refused(&mut self, seq: u64) {
        if let Some(entry) = self.rows.get_mut(seq) {
            self.refused += usize::from(!std::mem::replace(&mut entry.refused, true));
        }
    }

    /// This entry stands in its queue again: it is worth no more than one from before a gap.
    pub(super) fn set_given_back(&mut self, seq: u64) {
        if let Some(entry) = self.rows.get_mut(seq) {
            let news = !std::mem::replace(&mut entry.restored, true);
            self.unknown += usize::from(news && entry.stage == Stage::Delivered);
            entry.given_back = true;
        }
    }

    /// An acknowledged entry goes on as started.
    pub(super) fn start(&mut self, seq: u64, now: Millis) {
        let Some(entry) = self.rows.get_mut(seq) else { return };
        if entry.stage != Stage::Delivered {
            return;
        }
        if let Some(eta) = entry.job.eta {
            self.etas.remove(&(eta, seq));
        }
        self.blocking -= usize::from(!entry.polled);
        self.unknown -= usize::from(entry.restored);
        entry.stage = Stage::Started;
        entry.given_back = false;
        self.refused -= usize::from(std::mem::take(&mut entry.refused));
        entry.acked_at = now;
        self.started.insert(seq);
    }

    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.rows.get(seq)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.rows.iter()
    }

    /// The oldest entry that satisfies `wanted`.
    pub(super) fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Option<u64> {
        self.iter().find(|(_, entry)| wanted(entry)).map(|(seq, _)| seq)
    }

    /// The numbers of the entries that satisfy `wanted`, oldest first.
    pub(super) fn select(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<u64> {
        self.iter().filter(|(_, entry)| wanted(entry)).map(|(seq, _)| seq).collect()
    }

    /// Everything in it counts as delivered before a gap.
    pub(super) fn set_restored(&mut self) {
        for entry in self.rows.iter_mut().map(|(_, entry)| entry) {
            entry.restored = true;
            entry.conn = None;
        }
        self.unknown = self.unacked();
    }

    /// The broker closed the connection that these unacknowledged entries came on: they count as delivered before a gap.
    /// Returned are their ids.
    pub(super) fn cut(&mut self, conn: ConnId) -> Vec<(String, u64)> {
        let own = |entry: &&mut Entry| entry.conn == Some(conn) && entry.stage == Stage::Delivered;
        let mut ids = Vec::new();
        for (seq, entry) in self.rows.iter_mut().filter(|(_, entry)| own(entry)) {
            self.unknown += usize::from(!std::mem::replace(&mut entry.restored, true));
            ids.push((entry.job.id.clone(), seq));
        }
        ids
    }

    /// Entries from before a gap that are not acknowledged. Every event of a marked worker asks: tests count few ones anew.
    pub(super) fn unknown(&self) -> usize {
        let unknown = |entry: &Entry| entry.restored && entry.stage == Stage::Delivered;
        debug_assert!(self.len() > 1_000 || self.unknown == self.select(unknown).len());
        self.unknown
    }

    /// The connection of these entries was cut: any other of the worker may bring the thread back.
    pub(super) fn float(&mut self, conn: ConnId) {
        for entry in self.rows.iter_mut().map(|(_, entry)| entry).filter(|entry| entry.conn == Some(conn)) {
            entry.conn = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn started(&self) -> usize {
        self.started.len()
    }

    /// Entries whose end the broker refused, or to take back.
    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// Unacknowledged ones that came as the answers to blocking fetches: so many threads are at work, if nothing is ever
    /// acknowledged.
    pub(super) fn blocking(&self) -> usize {
        let blocking = |entry: &Entry| entry.stage == Stage::Delivered && !entry.polled;
        debug_assert_eq!(self.blocking, self.iter().filter(|(_, entry)| blocking(entry)).count());
        self.blocking
    }

    /// The oldest entry, and the oldest that is started.
    pub(super) fn oldest_of_all(&self) -> (Option<u64>, Option<u64>) {
        (self.rows.first(), self.started.first())
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Delivered and not acknowledged, delayed ones included.
    pub(super) fn unacked(&self) -> usize {
        self.rows.len() - self.started.len() - self.taken
    }

    /// Unacknowledged jobs that come due after `moment`.
    pub(super) fn due_after(&self, moment: Millis) -> usize {
        self.etas.range((moment.saturating_add(1), 0)..).count()
    }

    /// When the first job behind `moment` comes due.
    pub(super) fn first_due_after(&self, moment: Millis) -> Option<Millis> {
        self.etas.range((moment.saturating_add(1), 0)..).next().map(|(eta, _)| *eta)
    }

    /// Counts by kind; `active` is how many the worker's last report said to be executing, which tells running from
    /// prefetched among the unacknowledged.
    pub(super) fn in_flight(&self, now: Millis, active: usize) -> InFlight {
        let delayed = self.due_after(now);
        let waiting = self.unacked() - delayed;
        let shown = active.saturating_sub(self.started.len()).min(waiting);
        InFlight {
            running: count(self.started.len() + self.taken + shown),
            prefetched: count(waiting - shown),
            delayed: count(delayed),
        }
    }

    /// The entries for display. The oldest unacknowledged ones are shown as running as far as `active` goes. `keeps`:
    /// the broker still has what is not acknowledged. `returned`: those that were given back as well.
    pub(super) fn jobs(&self, now: Millis, active: usize, keeps: bool, returned: bool) -> Vec<JobView> {
        let mut shown = active.saturating_sub(self.started.len());
        let mut view = |entry: &Entry| {
            let waits = entry.stage == Stage::Delivered && !entry.is_delayed(now);
            let running = waits && shown > 0;
            shown -= usize::from(running);
            entry.view(now, running, keeps)
        };
        self.rows.iter().map(|(_, entry)| entry).filter(|entry| returned || !entry.given_back).map(&mut view).collect()
    }

    /// When the oldest job that is not waiting for its time was delivered.
    pub(super) fn oldest_delivery(&self, now: Millis) -> Option<Millis> {
        self.rows.iter().map(|(_, entry)| entry).find(|entry| !entry.is_delayed(now)).map(|entry| entry.at)
    }

    /// Takes everything out, oldest first.
    pub(super) fn take(&mut self) -> Vec<(u64, Box<Entry>)> {
        std::mem::take(self).rows.into_vec()
    }
}

fn keys_of(rows: &Rows<Entry>) -> Box<Index> {
    let mut by_key = Box::<Index>::default();
    rows.iter().for_each(|(seq, entry)| by_key.insert(by_key.of_key(&entry.job.key), seq));
    by_key
}

fn ids_of(rows: &Rows<Entry>) -> Box<Index> {
    let mut by_id = Box::<Index>::default();
    let named = rows.iter().filter(|(_, entry)| !entry.job.id.is_empty());
    named.for_each(|(seq, entry)| by_id.insert(by_id.of_text(&entry.job.id), seq));
    by_id
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
