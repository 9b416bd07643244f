//! Queues and their pauses, as the API, the CLI and the metrics see them.

use crate::job::{Millis, System};

/// ```text
/// open ──pause──▶ pausing ──no fetch of it is at the broker──▶ paused ──lifted or expired──▶ open
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// Not paused.
    Open,
    /// Paused; a fetch that was at the broker before may still bring a job.
    Pausing,
    /// Nobody can get a job from it.
    Paused,
}

impl QueueState {
    /// All of them, in the order of their declaration.
    pub const ALL: [QueueState; 3] = [QueueState::Open, QueueState::Pausing, QueueState::Paused];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            QueueState::Open => "open",
            QueueState::Pausing => "pausing",
            QueueState::Paused => "paused",
        }
    }
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq)]
pub struct PauseView {
    /// The queue as it was named.
    pub name: String,
    /// When it was made.
    pub since: Millis,
    /// When it ends by itself; `None`: never.
    pub until: Option<Millis>,
    /// Why.
    pub reason: Option<String>,
}

/// A queue that was asked for through the gate, or is paused.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// As the gate shows it.
    pub name: String,
    /// Somebody has asked for it.
    pub seen: bool,
    /// The job systems of those who did.
    pub systems: Vec<System>,
    /// Workers that may take jobs from it but for a pause.
    pub consumers: usize,
    /// Connections on which the gate holds a fetch of it.
    pub held: usize,
    /// State.
    pub state: QueueState,
    /// The pause that holds it; of several the one that lasts longest.
    pub pause: Option<PauseView>,
    /// Ways to get jobs from it that the gate does not refuse.
    pub blocked: Vec<String>,
}
