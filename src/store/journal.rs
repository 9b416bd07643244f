//! The journal: one line per fact about a job in flight, appended before the bytes that caused it go out wherever a
//! later gate would believe too little without it. Written to the kernel, not to the disk: it outlives the gate, and a
//! machine that dies takes its workers along.

use super::JOURNAL;
use super::files::{Durability, replace};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// First line of every journal.
const HEADER: &str = "draingate journal 1\n";
/// A journal is written anew when it is larger than this, and so many times as large as what mattered in it the last time:
/// writing it costs little beside what was appended meanwhile.
const LARGE: u64 = 16 << 20;
const GROWN: u64 = 4;

pub(super) struct Journal {
    path: PathBuf,
    pub(super) file: File,
    size: u64,
    /// Size after it was last written anew.
    base: u64,
    /// A line could not be written: the file has been emptied, and appending is pointless until a rewrite.
    failed: bool,
}

impl Journal {
    pub(super) fn open(path: PathBuf) -> io::Result<Journal> {
        let file = appendable(&path)?;
        let size = file.metadata()?.len();
        // whatever is there is of an earlier gate and may end in a torn line: nothing is appended to that
        Ok(Journal { path, file, size, base: size, failed: true })
    }

    pub(super) fn append(&mut self, lines: &[u8]) {
        if self.failed {
            return;
        }
        debug_assert!(lines.ends_with(b"\n"));
        match self.file.write_all(lines) {
            Ok(()) => self.size += lines.len() as u64,
            Err(error) => drop(self.fail(&error)),
        }
    }

    pub(super) fn wants_rewrite(&self) -> bool {
        self.failed || (self.size > LARGE && self.size > GROWN * self.base)
    }

    pub(super) fn rewrite(&mut self, dir: &Path, lines: &[u8]) -> io::Result<()> {
        replace(dir, JOURNAL, &[HEADER.as_bytes(), lines], Durability::Renamed)?;
        self.file = appendable(&self.path)?;
        self.size = (HEADER.len() + lines.len()) as u64;
        self.base = self.size;
        if self.failed {
            tracing::debug!(size = self.size, "the journal is whole");
        }
        self.failed = false;
        Ok(())
    }

    /// A journal with a gap would make a later gate believe what is not true: better an empty one.
    pub(super) fn fail(&mut self, error: &io::Error) -> io::Result<()> {
        self.failed = true;
        let emptied = self.file.set_len(0);
        tracing::error!(
            %error,
            emptied = emptied.is_ok(),
            "the journal cannot be written; jobs go on, but a gate restarted now would not know what is in flight"
        );
        emptied
    }
}

fn appendable(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// What comes before a torn last line.
pub(super) fn until_torn(bytes: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', bytes).map_or(0, |newline| newline + 1);
    &bytes[..end]
}

/// The lines behind the header. Fails with what is wrong.
pub(super) fn whole_lines(text: &str) -> Result<Vec<&str>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    match text.strip_prefix(HEADER) {
        Some(lines) => Ok(lines.lines().collect()),
        None => Err(format!("it does not begin with {:?}", HEADER.trim_end())),
    }
}
