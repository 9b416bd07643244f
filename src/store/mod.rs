//! What outlives the gate: the drains (saved durably before they are answered, in the state directory or in Redis), and in
//! the directory the journal of jobs in flight (appended without fsync) and `admin.json` with the admin API's address in
//! force. The texts themselves are the fleet's; the store only knows where they are kept.
//!
//! Nothing here may stop traffic once the gate runs: a failing journal is emptied, so that a later gate knows nothing
//! rather than something stale, and is written anew when the disk allows.

mod drains;
mod files;
mod journal;
mod redis;
#[cfg(test)]
mod tests;

pub use redis::Kept;

use crate::config::StateConfig;
use drains::Drains;
use files::{Durability, replace};
use journal::Journal;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const LOCK: &str = "lock";
const DRAINS: &str = "drains";
const JOURNAL: &str = "journal";
const ADMIN: &str = "admin.json";
/// Whose drains in Redis the journal goes with.
const OWNER: &str = "owner";

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The place or something in it cannot be used.
    #[error("the state in {place}: {what}: {error}")]
    Io {
        /// The state directory, or where the drains are in Redis.
        place: String,
        /// What failed.
        what: &'static str,
        /// How.
        error: io::Error,
    },
    /// Another gate has it.
    #[error("the state in {place} belongs to a gate that is running; give this one {instead}")]
    Taken {
        /// Where.
        place: String,
        /// What would be another place.
        instead: &'static str,
    },
    /// It is there and cannot be understood, or it cannot be seen whether it is there.
    #[error("the state in {place} cannot be read: {what} (--ignore-state starts without it and keeps it aside)")]
    Corrupt {
        /// Where.
        place: String,
        /// Which part of it, and what is wrong with it.
        what: String,
    },
}

impl StoreError {
    /// A file in the state directory cannot be understood.
    pub fn corrupt(dir: &Path, what: String) -> StoreError {
        StoreError::Corrupt { place: dir.display().to_string(), what }
    }
}

/// The state directory, locked for as long as this lives, and where the drains are.
pub struct Store {
    dir: PathBuf,
    drains: Drains,
    journal: Mutex<Journal>,
    /// Released by the kernel with the process, however it ends.
    lock: File,
}

/// Unlocks at once. Closing the file would not do if a child process is being started just then: until it runs its own
/// program it has a copy of every open file, and the lock lives as long as one of them is open.
impl Drop for Store {
    fn drop(&mut self) {
        // a lock that stays refuses the next gate for that moment, which it says
        let _ = self.lock.unlock();
    }
}

/// Where the admin API is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminInfo {
    /// The address in force (a port 0 resolved).
    pub address: String,
    /// Whether TLS is spoken there.
    pub secure: bool,
    /// The Unix socket beside it.
    pub unix_socket: Option<String>,
}

/// What an earlier gate left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// What `Fleet::export_drains` wrote, if there is any.
    pub drains: Option<String>,
    /// The journal's whole lines.
    pub journal: Vec<String>,
}

impl Store {
    /// Opens and locks the directory, making it if need be, and claims the drains if they are elsewhere; reads what is
    /// there. With `ignore_state` what is of earlier is moved aside first.
    pub fn open(state: &StateConfig, ignore_state: bool) -> Result<(Store, Saved), StoreError> {
        let dir = state.dir.as_path();
        let io = |what| move |error| StoreError::Io { place: dir.display().to_string(), what, error };
        files::make_private(dir).map_err(io("the directory cannot be made"))?;
        let lock = lock(dir)?;
        if ignore_state {
            for name in [DRAINS, JOURNAL] {
                files::move_aside(dir, name, "ignored").map_err(io("an old file cannot be moved aside"))?;
            }
        }
        let (drains, found) = Drains::open(state, ignore_state)?;
        if !found.journal_is_theirs {
            remove(&dir.join(JOURNAL)).map_err(io("the journal of another time cannot be removed"))?;
        }
        drains.sign(dir).map_err(io("whose the journal is cannot be written"))?;
        let saved = Saved { drains: found.drains, journal: read_journal(dir)? };
        let journal = Journal::open(dir.join(JOURNAL)).map_err(io("the journal cannot be opened"))?;
        Ok((Store { dir: dir.to_owned(), drains, journal: Mutex::new(journal), lock }, saved))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the drains are, for messages.
    pub fn place_of_drains(&self) -> String {
        self.drains.place()
    }

    /// Replaces the drains: safe when this returns. May wait for a disk, or for Redis.
    pub fn save_drains(&self, text: &str) -> io::Result<()> {
        self.drains.save(text)
    }

    /// How often [`Store::renew`] wants to be called; `None`: never.
    pub fn renewal(&self) -> Option<Duration> {
        self.drains.renewal()
    }

    /// Makes sure that the drains go on being this gate's, and that what was saved is still there. May wait for Redis.
    pub fn renew(&self) -> io::Result<Kept> {
        self.drains.renew()
    }

    /// The gate is leaving: the next one may have the drains. May wait for Redis.
    pub fn leave(&self) {
        self.drains.leave();
    }

    /// Appends lines, each with its end, to the journal with one write. Never fails for the caller (see the module),
    /// but says whether the journal has grown so much, or failed, that it is to be written anew.
    pub fn journal(&self, lines: &[u8]) -> bool {
        let mut journal = self.locked_journal();
        journal.append(lines);
        journal.wants_rewrite()
    }

    /// Writes the journal anew from these lines, each with its end.
    pub fn rewrite_journal(&self, lines: &[u8]) -> io::Result<()> {
        self.locked_journal().rewrite(&self.dir, lines)
    }

    /// The journal of an earlier gate cannot be replaced. It is emptied, for what happens from now on is not in it. Fails
    /// if that cannot be done either.
    pub fn give_up_journal(&self, error: &io::Error) -> Result<(), StoreError> {
        let emptied = self.locked_journal().fail(error);
        let place = self.dir.display().to_string();
        emptied.map_err(|error| StoreError::Io { place, what: "the journal cannot be written", error })
    }

    /// Says where the admin API is, for commands on this host.
    pub fn save_admin(&self, admin: &AdminInfo) -> io::Result<()> {
        let scheme = if admin.secure { "https" } else { "http" };
        let content = serde_json::json!({
            "admin": admin.address,
            "url": format!("{scheme}://{}", admin.address),
            "unix_socket": admin.unix_socket,
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        replace(&self.dir, ADMIN, &[format!("{content}\n").as_bytes()], Durability::Renamed)
    }

    /// What [`Store::save_admin`] has said of the gate whose state lies in `dir`, unless that was killed: another may be
    /// where a gate is by default.
    pub fn read_admin(dir: &Path) -> Option<AdminInfo> {
        let said: serde_json::Value = serde_json::from_slice(&fs::read(dir.join(ADMIN)).ok()?).ok()?;
        let process = Path::new("/proc").join(said["pid"].as_u64()?.to_string());
        let text = |key: &str| said[key].as_str().filter(|_| process.exists()).map(str::to_owned);
        let secure = text("url")?.starts_with("https:");
        Some(AdminInfo { address: text("admin")?, secure, unix_socket: text("unix_socket") })
    }

    /// The gate is leaving: nobody listens there any more.
    pub fn remove_admin(&self) {
        // a file that stays behind names an address that does not answer, which is the truth too
        let _ = fs::remove_file(self.dir.join(ADMIN));
    }

    fn locked_journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For as long as the file is open.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let place = || dir.display().to_string();
    let io = |what| move |error| StoreError::Io { place: place(), what, error };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK));
    let lock = lock.map_err(io("the lock file cannot be opened"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken { place: place(), instead: "a --state-dir of its own" }),
        Err(TryLockError::Error(error)) => Err(io("the lock file cannot be locked")(error)),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_journal(dir: &Path) -> Result<Vec<String>, StoreError> {
    let text = files::read_text(dir, JOURNAL)?.unwrap_or_default();
    let lines = journal::whole_lines(&text).map_err(|what| StoreError::corrupt(dir, format!("{JOURNAL}: {what}")))?;
    Ok(lines.into_iter().map(str::to_owned).collect())
}
