//! Byte scripts and property tests against the pure half of draingate. The tests are in `tests/`.

pub mod fleet_script;
