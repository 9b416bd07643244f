//! The AMQP gate against frame scripts and properties.

#[path = "../support/event.rs"]
mod event;
mod frames;
mod hand;
#[path = "../support/rng.rs"]
mod rng;
mod script;

mod accounts;
mod alarm;
mod ask;
mod busy;
mod commits;
mod crossings;
mod drain;
mod gets;
mod handshake;
mod kinds;
mod limits;
mod model;
mod offsets;
mod park;
mod pauses;
mod probes;
mod queues;
mod refusals;
mod returns;
mod runs;
mod streams;
mod systems;
mod transparent;
mod undrain;
mod walk;
mod written;
