//! Sockets: accept, connect to the broker, and let a pump relay through a gate.
//!
//! `listener` accepts, `connection` opens (`agreed` knows TLS and the PROXY protocol's `header`) and hands each connection
//! to one of the `threads`, where a `reactor` gives it a turn whenever one of its `socket`s has news, and `pump` (on top of
//! `lane`) moves its bytes from `wire` to `wire`: sockets, or `secure` ones. `resolver` asks which process is behind a peer
//! on this host.

mod agreed;
mod connection;
mod header;
mod lane;
mod listener;
pub mod pump;
mod quiet;
mod reactor;
mod resolver;
mod secure;
mod sentinel;
mod socket;
mod threads;
mod upstream;
mod wire;

pub use listener::{BindError, Bound, bind};
pub use reactor::{Life, Turn};
pub use resolver::Resolver;
pub use secure::SecureSocket;
pub use socket::Socket;
pub use threads::{Seat, Threads};
pub use wire::Wire;

use crate::hub::Hub;
use crate::telemetry::Meter;
use std::sync::Arc;

/// What all listeners share.
#[derive(Clone)]
pub struct Relay {
    /// The fleet.
    pub hub: Arc<Hub>,
    /// Where connections live.
    pub threads: Arc<Threads>,
    /// Byte counters, for these listeners on these threads.
    pub meter: Arc<Meter>,
    /// Who is behind a local peer.
    pub resolver: Arc<Resolver>,
    /// No listener accepts more at the same time, whatever its configuration says: each takes two files.
    pub max_connections: usize,
}
