//! The RESP gate against byte scripts and properties.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod celery;
mod framing;
mod generic;
mod identity;
mod mode;
mod pops;
mod put_back;
mod sidekiq;
mod silent;
mod transparent;
mod world;
