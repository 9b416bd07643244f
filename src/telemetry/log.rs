//! The log: text or JSON on standard error, with a filter that can be changed while the gate runs. A thread of its own
//! writes it, and lines are dropped when it does not keep up: a terminal that is stopped or a log collector that hangs
//! must not stop a single job.

use crate::config::{LogConfig, LogFormat};
use std::io::IsTerminal;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Lines that may wait for the writing thread.
const WAITING_LINES: usize = 16 * 1024;

/// Changes the filter of the running log. Dropping it writes what waits.
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    _writer: WorkerGuard,
}

/// Starts the log of this process. A process that has one already keeps it.
pub fn init_log(config: &LogConfig) -> LogControl {
    let (filter, control) = reload::Layer::new(EnvFilter::new(&config.filter));
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).finish(std::io::stderr());
    let lines = fmt::layer().with_writer(writer).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // only a test that starts several gates in one process comes here twice
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogControl { filter: control, _writer: guard }
}

impl LogControl {
    /// Sets another filter. The configuration has checked it.
    pub fn set_filter(&self, filter: &str) {
        if let Err(error) = self.filter.reload(EnvFilter::new(filter)) {
            tracing::warn!(%error, "the log's filter could not be changed");
        }
    }
}
