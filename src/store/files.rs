//! Files of the state directory: private, and replaced as a whole.

use super::{JOURNAL, StoreError, journal};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is in a file; `None` if it is not there.
pub(super) fn read_text(dir: &Path, name: &'static str) -> Result<Option<String>, StoreError> {
    let bytes = match fs::read(dir.join(name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::corrupt(dir, format!("{name}: {error}"))),
    };
    // an append that was cut may have ended inside a character: the journal's torn line is ignored, nothing else
    let whole = if name == JOURNAL { journal::until_torn(&bytes) } else { &bytes };
    match std::str::from_utf8(whole) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(StoreError::corrupt(dir, format!("{name}: it is not text"))),
    }
}

/// Makes the directory, for its owner alone.
pub(super) fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Renames a file, if it is there, to `NAME.WHY-SECONDS`.
pub(super) fn move_aside(dir: &Path, name: &str, why: &str) -> io::Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match fs::rename(dir.join(name), dir.join(format!("{name}.{why}-{seconds}"))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How far a replaced file has come when [`replace`] returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It survives the machine.
    Synced,
    /// It survives this process.
    Renamed,
}

/// Replaces a file as a whole: there is always the old or the new one, never a part.
pub(super) fn replace(dir: &Path, name: &str, content: &[&[u8]], durability: Durability) -> io::Result<()> {
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
