//! The `draingate` command.

use clap::Parser;
use draingate::cli;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Gives back what connections leave behind when they close. The C library's keeps nearly all of it, the more so the
/// more often they come and go, because what outlives them lies in between.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
