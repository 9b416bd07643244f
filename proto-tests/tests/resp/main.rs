//! The RESP gate against byte scripts and properties.

#[path = "../support/mod.rs"]
mod support;

mod celery;
mod framing;
mod generic;
mod mode;
mod pops;
mod put_back;
mod sidekiq;
mod transparent;
