//! draingate: a TCP proxy between background-job workers and their broker that can stop new jobs from reaching a
//! worker while everything else passes, and that says when nothing is in flight any more.
//!
//! The modules in reading order; see ARCHITECTURE.md for the whole picture.

// the pure half: no socket, no clock, no file, no lock
#[deny(clippy::disallowed_methods)]
pub mod dialect;
#[deny(clippy::disallowed_methods)]
pub mod fleet;
#[deny(clippy::disallowed_methods)]
pub mod gate;
#[deny(clippy::disallowed_methods)]
pub mod job;
#[deny(clippy::disallowed_methods)]
pub mod question;
#[deny(clippy::disallowed_methods)]
pub mod queue;
#[deny(clippy::disallowed_methods)]
pub mod rare;

// the server half
#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod hub;
#[cfg(feature = "server")]
pub mod process;
#[cfg(feature = "server")]
pub mod redis_server;
#[cfg(feature = "server")]
pub mod relay;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod tls;
