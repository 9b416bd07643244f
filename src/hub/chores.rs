//! What the hub has to do without being asked: let the fleet's time pass, save drains that changed by themselves
//! (expired, done, joined), write the journal anew. One task, asleep in between.

use super::Hub;
use crate::job::Millis;
use crate::store::Kept;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long after a failed save the next is tried.
const RETRY: Duration = Duration::from_secs(5);
/// A fleet whose time-out is always due must not make the task spin.
const SHORTEST: Duration = Duration::from_millis(5);

/// A save under way.
type Saving = JoinHandle<io::Result<()>>;

/// Until it has ended, for ever if there is none. Then it is none.
async fn ended(saving: &mut Option<Saving>) -> io::Result<()> {
    let Some(running) = saving else { return std::future::pending().await };
    let saved = running.await;
    *saving = None;
    // what panics in there has been logged by the panic hook
    saved.unwrap_or(Ok(()))
}

/// The first failure, and its end.
fn say_saved(saved: &io::Result<()>, failing: &mut bool) {
    match saved {
        Ok(()) if *failing => tracing::info!("the state can be saved again"),
        Err(error) if !*failing => {
            tracing::error!(%error, "the state cannot be saved; jobs go on, tried again until it can");
        }
        _ => (),
    }
    *failing = saved.is_err();
}

impl Hub {
    /// Runs until it is dropped.
    pub async fn chores(self: Arc<Self>) {
        let (mut saving, mut retry, mut failing): (Option<Saving>, Option<Instant>, _) = (None, None, false);
        loop {
            tokio::select! {
                () = self.sleep_until_due(retry) => (),
                saved = ended(&mut saving) => {
                    retry = saved.is_err().then(|| Instant::now() + RETRY);
                    say_saved(&saved, &mut failing);
                }
            }
            let now = self.now();
            if self.with_fleet(|fleet, _| fleet.next_timeout()).is_some_and(|due| due <= now) {
                self.with_fleet_for_long(|fleet, now| fleet.tick(now));
            }
            let waits = saving.is_some() || retry.is_some_and(|at| Instant::now() < at);
            if self.has_unsaved() && !waits {
                // a disk takes its time, and Redis more
                let hub = self.clone();
                (saving, retry) = (Some(tokio::task::spawn_blocking(move || hub.save())), None);
            }
        }
    }

    /// Keeps the drains this gate's where others may have them too, and gives them all that they have lost. Runs until it is
    /// dropped.
    pub async fn keep_drains(self: Arc<Self>) {
        let Some(every) = self.store.renewal() else { return };
        let mut failing = false;
        loop {
            tokio::time::sleep(every).await;
            let hub = self.clone();
            let Ok(kept) = tokio::task::spawn_blocking(move || hub.store.renew()).await else { continue };
            let place = self.store.place_of_drains();
            match &kept {
                Err(error) if !failing => {
                    tracing::error!(place, %error, "the drains cannot be kept; jobs go on, new drains are refused");
                }
                Ok(_) if failing => tracing::info!(place, "the drains can be kept again"),
                _ => (),
            }
            if let Ok(Kept::Less) = kept {
                tracing::warn!(place, "drains were lost there and are written anew");
                self.drains_unsaved.store(true, Ordering::Release);
                self.chores.notify_one();
            }
            failing = kept.is_err();
        }
    }

    /// The next gate may have the drains at once. May wait for Redis.
    pub fn leave_drains(&self) {
        self.store.leave();
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

    fn save(&self) -> io::Result<()> {
        let saving = self.lock_saving();
        let drains = self.save_drains_if_changed(&saving);
        drop(saving);
        if self.journal_unsaved.load(Ordering::Acquire) {
            self.rewrite_journal()?;
        }
        drains
    }
}
