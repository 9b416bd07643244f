//! The `draingate` command.

use clap::Parser;
use draingate::cli;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// Gives back what connections leave behind when they close, though they are opened on one thread and closed on another.
/// The C library's keeps nearly all of it, because what outlives them lies in between; mimalloc (2.2) does, because only the
/// thread that has asked for a page looks whether it is free, when it asks for more. How it is set is in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
