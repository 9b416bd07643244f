//! Real workers, a real broker, the real binary: what draingate promises, seen from outside. Needs what `make setup`
//! installs. `DRAINGATE_ROUNDS=100` tells each story a hundred times, `DRAINGATE_SEED` repeats one.

#[path = "../support/mod.rs"]
mod support;

mod celery;
mod cli;
mod failures;
mod quiet;
mod sidekiq;
mod without_gate;
