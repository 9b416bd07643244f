//! Why a worker cannot be sealed or judged: told once, and those of consumers taken back when they go.

use super::AmqpGate;
use super::consumer::Consumer;
use crate::gate::Action;
use crate::job::JobEvent;
use std::collections::BTreeSet;

/// A memory or disk alarm.
const DEAF: &str =
    "RabbitMQ is short of memory or disk and reads nothing from its connection: its consumers cannot be cancelled";

impl AmqpGate {
    /// Tells a reason that stands in the way of a seal or a judgement, once.
    pub(super) fn blocked(&mut self, reason: String, out: &mut Vec<Action>) {
        if self.told.insert(reason.clone()) {
            out.push(Action::Event(JobEvent::Blocked(reason)));
        }
    }

    /// Tells which of the consumers' reasons are new and which have gone.
    pub(super) fn tell_reasons(&mut self, out: &mut Vec<Action>) {
        let mut now: BTreeSet<String> = self.consumers().filter_map(Consumer::reason).collect();
        if self.deaf && self.consumers().any(Consumer::is_being_stopped) {
            now.insert(DEAF.to_owned());
        }
        let event = |event| Action::Event(event);
        out.extend(self.bound.difference(&now).map(|reason| event(JobEvent::Unbound(reason.clone()))));
        out.extend(now.difference(&self.bound).map(|reason| event(JobEvent::Bound(reason.clone()))));
        self.bound = now;
    }
}
