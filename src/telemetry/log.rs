//! The log: text or JSON on standard error, with a filter that can be changed while the gate runs.

use crate::config::{LogConfig, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Changes the filter of the running log.
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts the log of this process. A process that has one already keeps it.
pub fn init_log(config: &LogConfig) -> LogControl {
    let (filter, control) = reload::Layer::new(EnvFilter::new(&config.filter));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // only a test that starts several gates in one process comes here twice
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogControl { filter: control }
}

impl LogControl {
    /// Sets another filter. The configuration has checked it.
    pub fn set_filter(&self, filter: &str) {
        if let Err(error) = self.filter.reload(EnvFilter::new(filter)) {
            tracing::warn!(%error, "the log's filter could not be changed");
        }
    }
}
