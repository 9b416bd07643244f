//! Paused queues: their consumers on every connection are parked as a marked worker's are, by the same machine (`drain`),
//! and a consumer that is there for both reasons is resumed when both have gone.

use super::AmqpGate;
use super::channel::Owed;
use crate::gate::Action;
use crate::job::{JobEvent, System};
use crate::queue::PausedQueues;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is paused, as this gate knows it.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// `None`: nothing.
    set: Option<Arc<PausedQueues>>,
    number: u64,
    /// The pauses under which something is still at the broker, as last told, and why if it will stay there.
    open: BTreeMap<String, Option<String>>,
}

impl AmqpGate {
    /// Whether anything may have to be kept from the broker.
    pub(super) fn stops_any(&self) -> bool {
        self.marked || self.pauses.set.is_some()
    }

    /// Whether nobody is to take jobs from this queue on this connection.
    pub(super) fn stops(&self, queue: &[u8]) -> bool {
        self.marked || self.pauses.set.as_ref().is_some_and(|set| covers(set, queue))
    }

    pub(super) fn take_pauses(&mut self, paused: &Arc<PausedQueues>, out: &mut Vec<Action>) {
        let set = (!paused.is_empty()).then(|| Arc::clone(paused));
        self.pauses = Pauses { set, number: paused.number(), open: BTreeMap::new() };
        self.stops_changed();
        self.pauses.open = self.open_pauses();
        self.tell_pauses(out);
    }

    /// What is at the broker under a pause may be less by now, or more: a consumer that must not be cancelled passes.
    pub(super) fn tell_pauses_if_changed(&mut self, out: &mut Vec<Action>) {
        if self.pauses.set.is_none() {
            return;
        }
        let open = self.open_pauses();
        if open != self.pauses.open {
            self.pauses.open = open;
            self.tell_pauses(out);
        }
    }

    fn tell_pauses(&self, out: &mut Vec<Action>) {
        let open = self.pauses.open.iter().map(|(name, why)| (name.clone(), why.clone())).collect();
        out.push(Action::Event(JobEvent::PausesTaken { number: self.pauses.number, open }));
    }

    fn open_pauses(&self) -> BTreeMap<String, Option<String>> {
        let mut open: BTreeMap<String, Option<String>> = BTreeMap::new();
        let Some(set) = &self.pauses.set else { return open };
        let mut add = |queue: &[u8], why: Option<String>| {
            for name in set.over(&String::from_utf8_lossy(queue), System::Unknown) {
                let known = open.entry(name.to_owned()).or_default();
                *known = known.take().or_else(|| why.clone());
            }
        };
        for channel in self.channels.values() {
            let consumers = channel.consumers.values();
            for consumer in consumers.filter(|c| c.stopped && c.is_job() && c.is_at_broker()) {
                add(&consumer.queue, consumer.reason());
            }
            for owed in &channel.owed {
                if let Owed::Get { queue, job: true, .. } = owed {
                    add(queue, None);
                }
            }
        }
        open
    }

    /// A mark or the paused queues have changed: some consumers are to be parked, and others resumed.
    pub(super) fn stops_changed(&mut self) {
        let (marked, set) = (self.marked, self.pauses.set.clone());
        let (mut stopped, mut released) = (false, false);
        for consumer in self.channels.values_mut().flat_map(|channel| channel.consumers.values_mut()) {
            let stop = marked || set.as_ref().is_some_and(|set| covers(set, &consumer.queue));
            if std::mem::replace(&mut consumer.stopped, stop) == stop {
                continue;
            }
            (stopped, released) = (stopped | stop, released | !stop);
            self.reasons_changed |= self.deaf;
            if stop {
                // what could not be resumed is parked like all others, and tried again when that is over
                consumer.renewals = 0;
                self.reasons_changed |= consumer.gone.take().is_some();
            }
        }
        if stopped {
            self.mark_may_be_due();
        }
        if released {
            self.attention = true;
            self.call_off();
            for number in self.channels.keys().copied().collect::<Vec<_>>() {
                self.resume_later(number);
            }
        }
    }
}

fn covers(set: &PausedQueues, queue: &[u8]) -> bool {
    set.covers(&String::from_utf8_lossy(queue), System::Unknown)
}
