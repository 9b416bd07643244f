//! What the API asks of the gate, and nothing more. [`Hub`] is the one implementation that serves; tests put a made-up
//! gate in its place.

use crate::fleet::view::{DrainView, QueueView, ReportView, WorkerDetail, WorkerView};
use crate::fleet::{DrainAnswer, DrainError, DrainRequest, PauseAnswer, PauseRequest};
use crate::hub::{Caller, Heard, Hub, HubError, ListenerInfo};
use crate::job::{Millis, WorkerId};
use crate::store::AdminInfo;
use tokio::sync::watch;

/// The gate as the API sees it. [`Backend::drain`], [`Backend::undrain`], [`Backend::pause`], [`Backend::resume`] and
/// [`Backend::workers_of_caller`] may touch the disk and are called where blocking is allowed; all others only take the
/// fleet's lock for a moment.
pub trait Backend: Send + Sync + 'static {
    /// Unix time in milliseconds by the gate's clock.
    fn now(&self) -> Millis;
    /// The workers that match, all of them for `None`; with `gone` those of the last hour too.
    fn workers(&self, selector: Option<&str>, gone: bool) -> Result<Vec<WorkerView>, DrainError>;
    /// One worker by id or alias.
    fn worker(&self, id: &str) -> Option<WorkerDetail>;
    /// Which workers went away since that moment, and what those that were lost had in their hands.
    fn went_away(&self, since: Millis) -> ReportView;
    /// The drains in force and those that ended within the last hour.
    fn drains(&self) -> Vec<DrainView>;
    /// One drain.
    fn drain_named(&self, name: &str) -> Option<DrainView>;
    /// Makes a drain; on disk and on every matching connection when it returns.
    fn drain(&self, request: &DrainRequest) -> Result<DrainAnswer, HubError>;
    /// Lifts a drain; false if there was none.
    fn undrain(&self, name: &str) -> Result<bool, HubError>;
    /// The queues that were asked for, and those that are paused.
    fn queues(&self) -> Vec<QueueView>;
    /// Pauses a queue; on disk and handed to every connection when it returns.
    fn pause(&self, request: &PauseRequest) -> Result<PauseAnswer, HubError>;
    /// Lifts the pauses of a queue; false if there were none.
    fn resume(&self, name: &str) -> Result<bool, HubError>;
    /// The workers that a connection from the caller's process and address would belong to. `None`: neither is known.
    fn workers_of_caller(&self, caller: Caller) -> Option<Vec<WorkerId>>;
    /// A number that changes whenever anything in the fleet may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// The events after that number; all that are kept for `None`.
    fn events_after(&self, id: Option<u64>) -> Heard;
    /// A number that changes with every event.
    fn newest_event(&self) -> watch::Receiver<u64>;
    /// Listeners in force.
    fn listeners(&self) -> Vec<ListenerInfo>;
    /// Where the admin API is.
    fn admin(&self) -> AdminInfo;
    /// Listeners are up and the marks are loaded.
    fn ready(&self) -> bool;
}

impl Backend for Hub {
    fn now(&self) -> Millis {
        Hub::now(self)
    }

    fn workers(&self, selector: Option<&str>, gone: bool) -> Result<Vec<WorkerView>, DrainError> {
        self.look(|fleet, now| fleet.workers(now, selector, gone))
    }

    fn worker(&self, id: &str) -> Option<WorkerDetail> {
        self.look(|fleet, now| fleet.worker(now, id))
    }

    fn went_away(&self, since: Millis) -> ReportView {
        self.look(|fleet, now| fleet.went_away(now, since))
    }

    fn drains(&self) -> Vec<DrainView> {
        self.look(|fleet, now| fleet.drains(now))
    }

    fn drain_named(&self, name: &str) -> Option<DrainView> {
        self.look(|fleet, now| fleet.drain_named(now, name))
    }

    fn drain(&self, request: &DrainRequest) -> Result<DrainAnswer, HubError> {
        Hub::drain(self, request)
    }

    fn undrain(&self, name: &str) -> Result<bool, HubError> {
        Hub::undrain(self, name)
    }

    fn queues(&self) -> Vec<QueueView> {
        self.look(|fleet, _| fleet.queues())
    }

    fn pause(&self, request: &PauseRequest) -> Result<PauseAnswer, HubError> {
        Hub::pause(self, request)
    }

    fn resume(&self, name: &str) -> Result<bool, HubError> {
        Hub::resume(self, name)
    }

    fn workers_of_caller(&self, caller: Caller) -> Option<Vec<WorkerId>> {
        Hub::workers_of_caller(self, caller)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Hub::changes(self)
    }

    fn events_after(&self, id: Option<u64>) -> Heard {
        self.events().after(id)
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.events().newest()
    }

    fn listeners(&self) -> Vec<ListenerInfo> {
        Hub::listeners(self)
    }

    fn admin(&self) -> AdminInfo {
        Hub::admin(self)
    }

    fn ready(&self) -> bool {
        Hub::ready(self)
    }
}
