//! The fleet under its one lock, with the effects of each call carried out before the call returns: marks set on
//! connections, lines journalled, drains saved. The relay and the API both go through here and know nothing of each
//! other.
//!
//! Two locks, always in this order: `saving` (held over an fsync or a call to Redis, only by who changes or saves drains)
//! and `fleet` (held for microseconds, never over a wait; see `lock` for what takes longer).

mod callers;
mod chores;
mod clock;
mod events;
mod handle;
mod lock;
#[cfg(test)]
mod tests;

pub use callers::Caller;
pub use clock::Clock;
pub use events::{Event, Events, Heard};
pub use handle::{Flags, Handle};
pub use lock::Tell;

use crate::fleet::{ClosedBy, DrainAnswer, DrainError, DrainRequest, Effect, Fleet, FleetSettings, Peer};
use crate::fleet::{PauseAnswer, PauseRequest};
use crate::job::{ConnId, Millis, Protocol};
use crate::process;
use crate::store::{AdminInfo, Saved, Store, StoreError};
use dashmap::DashMap;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A listener as `GET /v1/version` shows it.
#[derive(Clone, Debug)]
pub struct ListenerInfo {
    /// Name from the configuration.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// The address in force (a port 0 resolved).
    pub address: String,
    /// The broker's URL without a password.
    pub upstream: String,
}

/// Why the hub could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The fleet refused.
    #[error(transparent)]
    Refused(#[from] DrainError),
    /// The mark could not be made durable: it is not in force.
    #[error("the state could not be saved: {0}")]
    Store(String),
}

/// How long a drain that matches nobody waits for look-ups of processes, in milliseconds: on a host with tens of
/// thousands of sockets one takes a good part of a second.
const LOOK_UP_PATIENCE: Millis = 2_000;
/// Between two looks at them.
const LOOK_UP_STEP: Duration = Duration::from_millis(5);

/// See the module.
pub struct Hub {
    clock: Clock,
    fleet: Mutex<Fleet>,
    /// So many have the fleet for longer, or wait for it.
    long: AtomicUsize,
    saving: Mutex<()>,
    store: Store,
    handles: DashMap<ConnId, Arc<Handle>>,
    next_conn: AtomicU64,
    changes: watch::Sender<u64>,
    events: Events,
    /// Wakes the chores.
    chores: Notify,
    /// When the chores will look at the fleet's time by themselves.
    armed: AtomicU64,
    drains_unsaved: AtomicBool,
    journal_unsaved: AtomicBool,
    listeners: RwLock<Vec<ListenerInfo>>,
    /// Names of the listeners that are their workers' identity.
    identities: RwLock<HashSet<String>>,
    admin: RwLock<AdminInfo>,
    ready: AtomicBool,
    /// Fetches are held, those of new connections too.
    leaving: AtomicBool,
}

impl Hub {
    /// A hub with what an earlier gate left. An unreadable state is an error, never an empty one.
    pub fn open(settings: FleetSettings, store: Store, saved: Saved) -> Result<Arc<Hub>, StoreError> {
        let clock = Clock::start();
        let now = clock.now();
        let mut fleet = Fleet::new(settings, now);
        if let Some(text) = &saved.drains {
            let corrupt = |what| StoreError::Corrupt { place: store.place_of_drains(), what };
            fleet.import_drains(now, text).map_err(|error| corrupt(format!("drains: {error}")))?;
        }
        let lines: Vec<&str> = saved.journal.iter().map(String::as_str).collect();
        let corrupt = |error| StoreError::corrupt(store.dir(), format!("journal: {error}"));
        fleet.import_journal(now, &lines).map_err(corrupt)?;
        let hub = Hub {
            clock,
            fleet: Mutex::new(fleet),
            long: AtomicUsize::new(0),
            saving: Mutex::new(()),
            store,
            handles: DashMap::new(),
            next_conn: AtomicU64::new(1),
            changes: watch::Sender::new(0),
            events: Events::new(now),
            chores: Notify::new(),
            armed: AtomicU64::new(Millis::MAX),
            drains_unsaved: AtomicBool::new(false),
            journal_unsaved: AtomicBool::new(false),
            listeners: RwLock::default(),
            identities: RwLock::default(),
            admin: RwLock::default(),
            ready: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        };
        hub.with_fleet(|_, _| ());
        if let Err(error) = hub.rewrite_journal() {
            // a full disk must not keep the workers' traffic out
            hub.store.give_up_journal(&error)?;
            hub.journal_unsaved.store(true, Ordering::Release);
            hub.chores.notify_one();
        }
        Ok(Arc::new(hub))
    }

    /// Now, as the pure half counts: Unix time in milliseconds, never going back.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The clock behind [`Hub::now`].
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Makes a drain: on disk and on every matching connection when it returns.
    pub fn drain(&self, request: &DrainRequest) -> Result<DrainAnswer, HubError> {
        let saving = self.lock_saving();
        self.look_for_the_dead();
        let answer = self.drain_once_known(request)?;
        let Err(error) = self.save_drains_if_changed(&saving) else { return Ok(answer) };
        // a drain that was in force before stays: only what it has newly matched is not on disk yet
        if answer.created {
            self.with_fleet_for_long(|fleet, now| fleet.undrain(now, &answer.drain.name));
        }
        Err(HubError::Store(format!("{error}; nothing was changed")))
    }

    /// A worker without a connection may be coming back, or its process has ended: an earlier life of another.
    fn look_for_the_dead(&self) {
        let absent = self.look(|fleet, _| fleet.absent_processes());
        let ended: Vec<(u32, u64)> =
            absent.into_iter().filter(|(pid, started)| process::has_ended(*pid, *started)).collect();
        if !ended.is_empty() {
            self.with_fleet(|fleet, _| fleet.processes_ended(&ended));
        }
    }

    /// A worker that has just started may be known by name only when the look-up of its process has ended: before
    /// "nothing matches" is said, those under way are waited for.
    fn drain_once_known(&self, request: &DrainRequest) -> Result<DrainAnswer, DrainError> {
        let until = self.now() + LOOK_UP_PATIENCE;
        loop {
            let (answer, under_way) =
                self.with_fleet_for_long(|fleet, now| (fleet.drain(now, request), fleet.is_looking_up()));
            let unknown = matches!(answer, Err(DrainError::NothingMatched(_)));
            if !unknown || !under_way || self.now() >= until {
                return answer;
            }
            std::thread::sleep(LOOK_UP_STEP);
        }
    }

    /// Lifts a drain; false if there was none.
    pub fn undrain(&self, name: &str) -> Result<bool, HubError> {
        let saving = self.lock_saving();
        let lifted = self.with_fleet_for_long(|fleet, now| fleet.undrain(now, name));
        match self.save_drains_if_changed(&saving) {
            Ok(()) => Ok(lifted),
            Err(error) => Err(HubError::Store(format!(
                "{error}; it is lifted, but a gate restarted now would mark its workers again"
            ))),
        }
    }

    /// Pauses a queue: on disk and handed to every connection when it returns.
    pub fn pause(&self, request: &PauseRequest) -> Result<PauseAnswer, HubError> {
        let saving = self.lock_saving();
        let answer = self.with_fleet_for_long(|fleet, now| fleet.pause(now, request))?;
        let Err(error) = self.save_drains_if_changed(&saving) else { return Ok(answer) };
        // one that was in force before stays: only its new end is not on disk yet
        if answer.created {
            self.with_fleet(|fleet, _| fleet.take_back(&answer.pause.name));
        }
        Err(HubError::Store(format!("{error}; nothing was changed")))
    }

    /// Lifts the pauses of a queue; false if there were none.
    pub fn resume(&self, name: &str) -> Result<bool, HubError> {
        let saving = self.lock_saving();
        let lifted = self.with_fleet_for_long(|fleet, _| fleet.resume(name));
        match self.save_drains_if_changed(&saving) {
            Ok(()) => Ok(lifted),
            Err(error) => {
                Err(HubError::Store(format!("{error}; it is resumed, but a gate restarted now would pause it again")))
            }
        }
    }

    /// A number that changes whenever anything in the fleet may have changed: what long polls wait on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What happened lately.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Listeners in force.
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the admin API is.
    pub fn admin(&self) -> AdminInfo {
        self.admin.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Listeners are up and the marks are loaded.
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// What [`Hub::listeners`] and [`Hub::admin`] answer from now on; the gate is ready. `identities` names the
    /// listeners that are their workers' identity.
    pub fn set_ready(&self, listeners: Vec<ListenerInfo>, identities: HashSet<String>, admin: AdminInfo) {
        *self.listeners.write().unwrap_or_else(PoisonError::into_inner) = listeners;
        *self.identities.write().unwrap_or_else(PoisonError::into_inner) = identities;
        *self.admin.write().unwrap_or_else(PoisonError::into_inner) = admin.clone();
        self.ready.store(true, Ordering::Release);
        // last: who waits for the file asks for all of that next
        if let Err(error) = self.store.save_admin(&admin) {
            tracing::warn!(%error, "admin.json cannot be written: commands on this host need --admin");
        }
    }

    /// The gate is leaving: no longer ready, and all fetches are held. Connections from the returned one on come while it
    /// leaves.
    pub fn set_leaving(&self) -> ConnId {
        self.ready.store(false, Ordering::Release);
        self.leaving.store(true, Ordering::SeqCst);
        self.handles(|_| true).iter().for_each(|handle| handle.hold());
        self.store.remove_admin();
        ConnId(self.next_conn.load(Ordering::SeqCst))
    }

    /// Enters a connection. Its mark, if it has one, is on the handle when this returns.
    pub fn connect(&self, peer: Peer) -> (ConnId, Arc<Handle>) {
        let conn = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let handle = Arc::new(Handle::default());
        self.handles.insert(conn, handle.clone());
        if self.leaving.load(Ordering::SeqCst) {
            handle.hold();
        }
        self.with_fleet(|fleet, now| {
            fleet.connect(now, conn, peer);
            // under the lock, so that it does not come behind a newer one
            if !fleet.paused().is_empty() {
                handle.set_paused(Arc::clone(fleet.paused()));
            }
        });
        (conn, handle)
    }

    /// Takes a connection out that is closed for good.
    pub fn disconnect(&self, conn: ConnId, by: ClosedBy) {
        self.with_fleet(|fleet, now| fleet.disconnect(now, conn, by));
        self.handles.remove(&conn);
    }

    /// The handles of all connections, or of some.
    pub fn handles(&self, wanted: impl Fn(ConnId) -> bool) -> Vec<Arc<Handle>> {
        self.handles.iter().filter(|entry| wanted(*entry.key())).map(|entry| entry.value().clone()).collect()
    }

    /// Whether the connection is there.
    pub fn is_connected(&self, conn: ConnId) -> bool {
        self.handles.contains_key(&conn)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.handles.len()
    }

    /// All but the log lines and metrics, which are left for when the lock is free.
    fn carry_out(&self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Mark(conn, marked) => self.tell(*conn, |handle| handle.set_mark(*marked)),
                Effect::System(conn, system) => self.tell(*conn, |handle| handle.set_system(*system)),
                Effect::Ask(conn, question) => self.tell(*conn, |handle| handle.ask(question.clone())),
                Effect::Wait(conn, waits) => self.tell(*conn, |handle| handle.set_waiting(*waits)),
                Effect::Pauses(paused) => {
                    self.handles.iter().for_each(|handle| handle.set_paused(Arc::clone(paused)));
                }
                Effect::SaveDrains => {
                    self.drains_unsaved.store(true, Ordering::Release);
                    self.chores.notify_one();
                }
                Effect::Jobs(_) => {}
                Effect::Notice(notice) => self.events.push(self.now(), notice),
            }
        }
    }

    fn tell(&self, conn: ConnId, say: impl FnOnce(&Handle)) {
        if let Some(handle) = self.handles.get(&conn) {
            say(&handle);
        }
    }

    fn save_drains_if_changed(&self, _saving: &MutexGuard<'_, ()>) -> std::io::Result<()> {
        if !self.drains_unsaved.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let text = {
            let _long = self.for_long();
            self.lock_fleet().export_drains()
        };
        let saved = self.store.save_drains(&text);
        if saved.is_err() {
            self.drains_unsaved.store(true, Ordering::Release);
        }
        saved
    }

    /// Under the lock, for no line may come between what is exported and what is appended next.
    fn rewrite_journal(&self) -> std::io::Result<()> {
        let _long = self.for_long();
        let mut fleet = self.lock_fleet();
        self.store.rewrite_journal(&fleet.whole_journal())?;
        // said by the whole
        fleet.take_journal(|_| ());
        self.journal_unsaved.store(false, Ordering::Release);
        Ok(())
    }

    fn lock_saving(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
