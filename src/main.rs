//! The `draingate` command.

use clap::Parser;
use draingate::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
