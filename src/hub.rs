//! The fleet under its one lock, with the effects of each call carried out before the call returns: marks set on
//! connections, lines journalled, drains saved. The relay and the API both go through here and know nothing of each
//! other.

use crate::fleet::{DrainAnswer, DrainError, DrainRequest, Fleet};
use crate::job::Millis;
use tokio::sync::watch;

/// A listener as `GET /v1/version` shows it.
#[derive(Clone, Debug)]
pub struct ListenerInfo {
    /// Name from the configuration.
    pub name: String,
    /// `redis` or `amqp`.
    pub protocol: &'static str,
    /// The address in force (a port 0 resolved).
    pub address: String,
    /// The broker's URL without a password.
    pub upstream: String,
}

/// Why the hub could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The fleet refused.
    #[error(transparent)]
    Refused(#[from] DrainError),
    /// The mark could not be made durable: it is not in force.
    #[error("the state could not be saved: {0}")]
    Store(String),
}

/// See the module.
pub struct Hub {
    _private: (),
}

#[allow(unused_variables, missing_docs, clippy::todo)]
impl Hub {
    /// Now, as the pure half counts: Unix time in milliseconds, never going back.
    pub fn now(&self) -> Millis {
        todo!()
    }

    /// Runs `f` under the lock and carries its effects out (without waiting for anything but the lock and the files).
    pub fn with_fleet<R>(&self, f: impl FnOnce(&mut Fleet, Millis) -> R) -> R {
        todo!()
    }

    /// Runs `f` under the lock for a mere look: nothing is carried out, and [`Hub::changes`] does not move. (Long polls
    /// look after every change: a look that counted as one would wake them for ever.)
    pub fn look<R>(&self, f: impl FnOnce(&Fleet, Millis) -> R) -> R {
        todo!()
    }

    /// Makes a drain: on disk and on every matching connection when it returns.
    pub fn drain(&self, request: &DrainRequest) -> Result<DrainAnswer, HubError> {
        todo!()
    }

    /// Lifts a drain; false if there was none.
    pub fn undrain(&self, name: &str) -> Result<bool, HubError> {
        todo!()
    }

    /// The workers that a new connection from the caller's process and address would belong to, were it made to any of
    /// the listeners: looks the process up as for a local peer, then asks [`Fleet::would_belong`]. Blocks on `/proc`.
    /// One: that is the caller's worker. Several: they cannot be told apart from here.
    pub fn workers_of_caller(&self, caller: std::net::SocketAddr) -> Vec<crate::job::WorkerId> {
        todo!()
    }

    /// A number that changes whenever anything in the fleet may have changed: what long polls wait on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Listeners in force.
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        todo!()
    }

    /// The admin API's address in force.
    pub fn admin_address(&self) -> String {
        todo!()
    }

    /// Listeners are up and the marks are loaded.
    pub fn ready(&self) -> bool {
        todo!()
    }
}
