//! The facts among what a gate has ordered: what kind they are of, and how they are taken out.
//! What lies behind a close will not be carried out, and is not told either.

use super::Pump;
use crate::gate::{Action, Gate};
use crate::job::JobEvent;

/// What is to be told. The later ones say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// Nothing: almost always.
    None,
    /// That fetches were asked, and no more.
    Asked,
    /// Something else, and no job.
    Other,
    /// A job that is lost with a client which has left, among other things.
    Job,
}

impl News {
    fn of(action: &Action) -> News {
        match action {
            Action::Event(JobEvent::FetchAsked { .. }) => News::Asked,
            Action::Event(JobEvent::Delivered(_) | JobEvent::Taken(_)) => News::Job,
            Action::Event(_) => News::Other,
            _ => News::None,
        }
    }

    /// What is to be told of these.
    pub(super) fn among(actions: &[Action]) -> News {
        let ordered = actions.iter().take_while(|action| !matches!(action, Action::Close(_)));
        ordered.map(News::of).max().unwrap_or(News::None)
    }
}

impl<C, B, G: Gate, F> Pump<C, B, G, F> {
    /// What is to be told of what the gate has ordered.
    #[inline]
    pub(super) fn news(&self, actions: &[Action]) -> News {
        match News::among(actions) {
            News::Job if self.parts.gate.takes_back() => News::Other,
            news => news,
        }
    }
}

/// Takes the facts out, in their order. Nothing to be done is left in their place.
pub(super) fn take_facts(actions: &mut [Action]) -> impl Iterator<Item = JobEvent> {
    let ordered = actions.iter_mut().take_while(|action| !matches!(action, Action::Close(_)));
    let facts = ordered.filter(|action| matches!(action, Action::Event(_)));
    facts.filter_map(|action| match std::mem::replace(action, Action::Forward(0..0)) {
        Action::Event(event) => Some(event),
        _ => None,
    })
}
