//! The `draingate` command.
fn main() {}
