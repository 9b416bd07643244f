//! The relay with real sockets, made-up brokers and gates that do what a test needs: flow control, ends, order, marks,
//! time-outs, and the way from accept to close.

mod behind;
#[path = "../support/certificates.rs"]
mod certificates;
mod ends;
mod fairness;
mod flow;
mod gate;
mod marks;
mod panics;
mod patience;
mod secure;
mod server;
mod support;
mod threads;
mod ways;
