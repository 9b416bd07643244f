//! The flags of the commands about queues.

use super::{Format, duration, ttl};
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct QueuesArgs {
    /// How to print them
    #[arg(short, long, value_enum, default_value = "table")]
    pub(in crate::cli) output: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PauseArgs {
    /// The queue, as `queues` shows it or as its job system calls it
    #[arg(value_name = "queue=NAME")]
    pub(in crate::cli) queue: String,
    /// How long it is in force: a duration such as 10m, or none (needs --reason) [default: the gate's]
    #[arg(long, value_parser = ttl)]
    pub(in crate::cli) ttl: Option<String>,
    /// Why
    #[arg(long)]
    pub(in crate::cli) reason: Option<String>,
    /// Wait until no fetch of it is at the broker any more
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// Longest wait
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(in crate::cli) timeout: Duration,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "table")]
    pub(in crate::cli) output: Format,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ResumeArgs {
    /// The queues
    #[arg(value_name = "queue=NAME", required = true)]
    pub(in crate::cli) queue: Vec<String>,
}
