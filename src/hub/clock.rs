//! The one clock of the gate: Unix time as of the start, carried on by the monotone clock, so that it never goes back
//! and that a step of the wall clock neither expires a drain nor wakes a fetch.

use crate::job::Millis;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_millis: Millis,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { start: Instant::now(), start_millis: since.as_millis() as Millis }
    }

    /// Now, as the pure half counts.
    pub fn now(&self) -> Millis {
        self.start_millis + self.start.elapsed().as_millis() as Millis
    }

    /// When `at` is on the runtime's clock. The first moment of that millisecond: what [`Clock::now`] says then is `at`.
    pub fn instant(&self, at: Millis) -> Instant {
        // a time beyond all calendars is as good as a year from now
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.start + Duration::from_millis(at.saturating_sub(self.start_millis)).min(self.start.elapsed() + YEAR)
    }
}
