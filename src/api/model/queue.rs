//! Queues and their pauses.

use super::{Time, Word};
use crate::fleet::PauseAnswer;
use crate::fleet::view::{PauseView, QueueState, QueueView};
use serde::{Deserialize, Serialize};

/// `GET /v1/queues`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queues {
    /// Those that were asked for through the gate, and those that are paused.
    pub queues: Vec<Queue>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// As the gate shows it.
    pub name: String,
    /// False for one that is paused and that nobody has asked for yet.
    pub seen: bool,
    /// The job systems of those who asked for it.
    pub systems: Vec<String>,
    /// Workers that are not marked and read it.
    pub consumers: usize,
    /// Connections on which the gate holds a fetch of it.
    pub held: usize,
    /// `open`, `pausing` (what was at the broker may still bring a job) or `paused`.
    pub state: Word<QueueState>,
    /// The pause that holds it; of several the one that lasts longest.
    pub paused: Option<Paused>,
    /// Ways to get jobs from it that the gate does not refuse.
    pub blocked: Vec<String>,
}

/// The pause in a [`Queue`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// The queue as the pause names it.
    pub name: String,
    /// When it was made.
    pub since: Time,
    /// When it ends by itself; `None`: never.
    pub until: Option<Time>,
    /// Why.
    pub reason: Option<String>,
}

/// The body of `PUT /v1/queues/{name}/pause`; it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct NewPause {
    /// A duration such as `10m`, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A pause, as it is answered to who made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// The queue as it was named.
    pub name: String,
    /// When it was made.
    pub since: Time,
    /// When it ends by itself; `None`: never.
    pub until: Option<Time>,
    /// Why.
    pub reason: Option<String>,
    /// Whether a queue of that name has been asked for.
    pub seen: bool,
    /// The queues seen so far that it holds.
    pub queues: Vec<String>,
    /// Names like it of queues that were seen, if it was not.
    pub nearest: Vec<String>,
}

impl From<QueueView> for Queue {
    fn from(view: QueueView) -> Queue {
        Queue {
            name: view.name,
            seen: view.seen,
            systems: view.systems.into_iter().map(|system| system.as_str().to_owned()).collect(),
            consumers: view.consumers,
            held: view.held,
            state: Word(view.state),
            paused: view.pause.map(Paused::from),
            blocked: view.blocked,
        }
    }
}

impl From<PauseView> for Paused {
    fn from(view: PauseView) -> Paused {
        Paused { name: view.name, since: Time(view.since), until: view.until.map(Time), reason: view.reason }
    }
}

impl Pause {
    /// `nearest` is asked only if nothing of that name was seen.
    pub fn new(answer: PauseAnswer, nearest: impl FnOnce(&str) -> Vec<String>) -> Pause {
        let Paused { name, since, until, reason } = answer.pause.into();
        let seen = !answer.queues.is_empty();
        let nearest = if seen { Vec::new() } else { nearest(&name) };
        Pause { name, since, until, reason, seen, queues: answer.queues, nearest }
    }
}
