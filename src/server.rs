//! The wiring: configuration, store, listeners and the admin API become a running gate.

use std::path::PathBuf;

/// The flags of `draingate serve`.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--redis LISTEN=UPSTREAM`.
    pub redis: Vec<String>,
    /// `--amqp LISTEN=UPSTREAM`.
    pub amqp: Vec<String>,
    /// `--admin ADDR`.
    pub admin: Option<String>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--ignore-state`.
    pub ignore_state: bool,
}

/// Runs the gate until it is told to stop.
pub fn run(options: ServeOptions) -> anyhow::Result<()> {
    anyhow::bail!("this build cannot serve yet ({options:?})")
}
