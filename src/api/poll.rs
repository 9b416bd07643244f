//! The long poll: waits until a drain has come as far as the caller wants, cannot come there any more, or the time is
//! up. What it answers is always the drain as it stands at that moment.

use crate::api::Api;
use crate::api::error::{Kind, Problem};
use crate::api::model::Drain;
use crate::api::request::Wait;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest time between two looks at the fleet, however often it changes.
const PAUSE: Duration = Duration::from_millis(20);
/// A look that took long is followed by a pause of this many times its length, so that waiting callers never hold the
/// fleet's lock for more than a small share of the time.
const PAUSE_FACTOR: u32 = 20;

/// The drain as it is now.
pub(super) fn drain_named(api: &Api, name: &str) -> Result<Drain, Problem> {
    let view = api
        .backend
        .drain_named(name)
        .ok_or_else(|| Problem::new(Kind::NoDrain, format!("there is no drain named {name}")))?;
    Ok(Drain::new(view, api.backend.now()))
}

/// The drain when the wait is over, at the latest when the gate stops.
pub(super) async fn drain_after(api: &Api, name: &str, wait: Wait) -> Result<Drain, Problem> {
    let deadline = Instant::now() + wait.timeout;
    let mut changes = api.backend.changes();
    loop {
        // Seen before the look, so that a change during the look wakes the next one.
        changes.borrow_and_update();
        let began = Instant::now();
        let drain = drain_named(api, name)?;
        let looked = Instant::now();
        if wait.goal.over(&drain) || looked >= deadline || api.stop.is_cancelled() {
            return Ok(drain);
        }
        let pause = PAUSE.max((looked - began).saturating_mul(PAUSE_FACTOR));
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {}
            () = api.stop.cancelled() => {}
            () = changed_after(&mut changes, looked + pause) => {}
        }
    }
}

/// Ends after a change, and not before `earliest`.
async fn changed_after(changes: &mut tokio::sync::watch::Receiver<u64>, earliest: Instant) {
    if changes.changed().await.is_err() {
        // The sender is gone with the gate: `stop` or the deadline ends the wait.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(earliest).await;
}
