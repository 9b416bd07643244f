//! What the hub has to do without being asked: let the fleet's time pass, save drains that changed by themselves
//! (expired, done, joined), write the journal anew. One task, asleep in between.

use super::Hub;
use crate::job::Millis;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How long after a failed save the next is tried.
const RETRY: Duration = Duration::from_secs(5);
/// A fleet whose time-out is always due must not make the task spin.
const SHORTEST: Duration = Duration::from_millis(5);

impl Hub {
    /// Runs until it is dropped.
    pub async fn chores(self: Arc<Self>) {
        let mut retry: Option<Instant> = None;
        let mut failing = false;
        loop {
            self.sleep_until_due(retry).await;
            let now = self.now();
            if self.with_fleet(|fleet, _| fleet.next_timeout()).is_some_and(|due| due <= now) {
                self.with_fleet_for_long(|fleet, now| fleet.tick(now));
            }
            if !self.has_unsaved() || retry.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            let hub = self.clone();
            // fsync takes its time; what panics in there has been logged by the panic hook
            let saved = tokio::task::spawn_blocking(move || hub.save()).await.unwrap_or(Ok(()));
            retry = match saved {
                Ok(()) if failing => {
                    tracing::info!("the state can be saved again");
                    None
                }
                Ok(()) => None,
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "the state cannot be saved; jobs go on, tried again until it can");
                    }
                    Some(Instant::now() + RETRY)
                }
            };
            failing = retry.is_some();
        }
    }

    /// Until the fleet's next time-out, the next retry, or a call.
    async fn sleep_until_due(&self, retry: Option<Instant>) {
        let due = self.arm();
        let earliest = Instant::now() + SHORTEST;
        let at = (due < Millis::MAX).then(|| self.clock.instant(due).max(earliest));
        let at = [at, retry].into_iter().flatten().min();
        let sleep = async {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => (),
            () = self.chores.notified() => (),
        }
    }

    /// Under the lock: see `with_fleet`.
    fn arm(&self) -> Millis {
        let mut fleet = self.lock_fleet();
        let due = self.next_timeout(&mut fleet, self.now());
        self.armed.store(due, Ordering::Release);
        due
    }

    fn has_unsaved(&self) -> bool {
        self.drains_unsaved.load(Ordering::Acquire) || self.journal_unsaved.load(Ordering::Acquire)
    }

    fn save(&self) -> std::io::Result<()> {
        let saving = self.lock_saving();
        let drains = self.save_drains_if_changed(&saving);
        drop(saving);
        if self.journal_unsaved.load(Ordering::Acquire) {
            self.rewrite_journal()?;
        }
        drains
    }
}
