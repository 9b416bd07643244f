//! The binary as an init system and an operator meet it: start, signals, state on disk, and what it says when it cannot
//! start. The broker is a made-up one, so that each test decides what happens when.

mod broker;
#[path = "../support/certificates.rs"]
mod certificates;
mod gate;
mod https;
mod keeper;
mod kept;
mod kept_at_start;
mod kept_late;
mod memory;
mod secure;
mod start;
mod state;
mod stop;
mod unix;
mod upstream;
