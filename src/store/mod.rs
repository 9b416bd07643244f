//! What outlives the gate, in one directory: the drains (saved durably before they are answered), the journal of jobs
//! in flight (appended without fsync), and `admin.json` with the admin API's address in force. The texts themselves are
//! the fleet's; the store knows files only.
//!
//! Nothing here may stop traffic once the gate runs: a failing journal is emptied, so that a later gate knows nothing
//! rather than something stale, and is written anew when the disk allows.

mod journal;
#[cfg(test)]
mod tests;

use journal::Journal;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const LOCK: &str = "lock";
const DRAINS: &str = "drains";
const JOURNAL: &str = "journal";
const ADMIN: &str = "admin.json";

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be used.
    #[error("the state in {}: {what}: {error}", dir.display())]
    Io {
        /// The state directory.
        dir: PathBuf,
        /// What failed.
        what: &'static str,
        /// How.
        error: io::Error,
    },
    /// Another gate has it.
    #[error("the state in {} belongs to a gate that is running; give this one a --state-dir of its own", .0.display())]
    Taken(PathBuf),
    /// A file is there and cannot be understood.
    #[error("the state in {} cannot be read: {what} (--ignore-state starts without it and keeps the files aside)", dir.display())]
    Corrupt {
        /// The state directory.
        dir: PathBuf,
        /// Which file, and what is wrong in it.
        what: String,
    },
}

/// The state directory, locked for as long as this lives.
pub struct Store {
    dir: PathBuf,
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
    /// Opens and locks the directory, making it if need be, and reads what is there. With `ignore_state` the files of
    /// earlier are moved aside first.
    pub fn open(dir: &Path, ignore_state: bool) -> Result<(Store, Saved), StoreError> {
        let io = |what| move |error| StoreError::Io { dir: dir.to_owned(), what, error };
        make_private(dir).map_err(io("the directory cannot be made"))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK))
            .map_err(io("the lock file cannot be opened"))?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Taken(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io("the lock file cannot be locked")(error)),
        }
        if ignore_state {
            for name in [DRAINS, JOURNAL] {
                move_aside(dir, name).map_err(io("an old file cannot be moved aside"))?;
            }
        }
        let saved = read_saved(dir)?;
        let journal = Journal::open(dir.join(JOURNAL)).map_err(io("the journal cannot be opened"))?;
        Ok((Store { dir: dir.to_owned(), journal: Mutex::new(journal), lock }, saved))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the drains: on disk when this returns.
    pub fn save_drains(&self, text: &str) -> io::Result<()> {
        replace(&self.dir, DRAINS, &[text.as_bytes()], Durability::Synced)
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
        emptied.map_err(|error| StoreError::Io { dir: self.dir.clone(), what: "the journal cannot be written", error })
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

    /// The gate is leaving: nobody listens there any more.
    pub fn remove_admin(&self) {
        // a file that stays behind names an address that does not answer, which is the truth too
        let _ = fs::remove_file(self.dir.join(ADMIN));
    }

    fn locked_journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_saved(dir: &Path) -> Result<Saved, StoreError> {
    let drains = read_text(dir, DRAINS)?;
    let text = read_text(dir, JOURNAL)?.unwrap_or_default();
    let lines = journal::whole_lines(&text)
        .map_err(|what| StoreError::Corrupt { dir: dir.to_owned(), what: format!("{JOURNAL}: {what}") })?;
    Ok(Saved { drains, journal: lines.into_iter().map(str::to_owned).collect() })
}

fn read_text(dir: &Path, name: &'static str) -> Result<Option<String>, StoreError> {
    let bytes = match fs::read(dir.join(name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::Corrupt { dir: dir.to_owned(), what: format!("{name}: {error}") }),
    };
    // an append that was cut may have ended inside a character: the journal's torn line is ignored, nothing else
    let whole = if name == JOURNAL { journal::until_torn(&bytes) } else { &bytes };
    match std::str::from_utf8(whole) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(StoreError::Corrupt { dir: dir.to_owned(), what: format!("{name}: it is not text") }),
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn move_aside(dir: &Path, name: &str) -> io::Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match fs::rename(dir.join(name), dir.join(format!("{name}.ignored-{seconds}"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How far a replaced file has come when [`replace`] returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// It survives the machine.
    Synced,
    /// It survives this process.
    Renamed,
}

/// Replaces a file as a whole: there is always the old or the new one, never a part.
fn replace(dir: &Path, name: &str, content: &[&[u8]], durability: Durability) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    for part in content {
        file.write_all(part)?;
    }
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    fs::rename(&temporary, dir.join(name))?;
    if durability == Durability::Synced {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
