//! The admin API and the command line, against a made-up gate: no broker, no clock to wait for.

mod api;
mod cli;
mod docs;
mod fake;
mod guard;
mod model;
mod openapi;
mod queues;
mod samples;
mod silent;
mod unix;
