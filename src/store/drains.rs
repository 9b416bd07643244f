//! The places where drains may be kept: a file of the state directory, or Redis.

use super::files::{self, Durability};
use super::redis::{DrainsInRedis, Kept, RENEWAL};
use super::{DRAINS, OWNER, StoreError};
use crate::config::StateConfig;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See the module.
pub(super) enum Drains {
    /// In this directory.
    File(PathBuf),
    /// In Redis.
    Redis(Box<DrainsInRedis>),
}

/// What was there.
pub(super) struct Found {
    /// The drains, if there were any.
    pub(super) drains: Option<String>,
    /// Whether the journal in the directory is of the gate that had these drains last. Any other journal tells of a time
    /// before, when workers that it calls idle may have taken jobs since.
    pub(super) journal_is_theirs: bool,
}

impl Drains {
    /// Opens the place that is configured; the state directory is locked already.
    pub(super) fn open(state: &StateConfig, ignore_state: bool) -> Result<(Drains, Found), StoreError> {
        let dir = state.dir.as_path();
        let Some(place) = &state.redis else {
            let drains = files::read_text(dir, DRAINS)?;
            return Ok((Drains::File(dir.to_owned()), Found { drains, journal_is_theirs: true }));
        };
        // with a broken one the journal is not believed, and a claim of before is waited for
        let former = files::read_text(dir, OWNER).unwrap_or_default().filter(|token| !token.is_empty());
        let (redis, found) = DrainsInRedis::open(place, former.as_deref(), ignore_state)?;
        let journal_is_theirs = former.is_some() && former == found.gate;
        if former.is_some() && found.gate.is_none() && !ignore_state {
            tracing::warn!(place = redis.place(), "nobody has kept drains there: were there any, Redis has lost them");
        }
        let drains = move_in(dir, &redis, found.drains)?;
        Ok((Drains::Redis(Box::new(redis)), Found { drains, journal_is_theirs }))
    }

    /// Remembers in the directory whose the journal there is from now on. It must not be somebody else's any more.
    pub(super) fn sign(&self, dir: &Path) -> io::Result<()> {
        match self {
            Drains::File(_) => Ok(()),
            Drains::Redis(redis) => {
                let token = redis.claimed().unwrap_or_default();
                files::replace(dir, OWNER, &[token.as_bytes()], Durability::Renamed)
            }
        }
    }

    /// For messages.
    pub(super) fn place(&self) -> String {
        match self {
            Drains::File(dir) => dir.display().to_string(),
            Drains::Redis(redis) => redis.place(),
        }
    }

    /// Replaces them: safe when this returns.
    pub(super) fn save(&self, text: &str) -> io::Result<()> {
        match self {
            Drains::File(dir) => files::replace(dir, DRAINS, &[text.as_bytes()], Durability::Synced),
            Drains::Redis(redis) => redis.save(text).map_err(|error| {
                let place = redis.place();
                io::Error::new(error.kind(), format!("the drains in {place}: {error}"))
            }),
        }
    }

    /// How often they want to be renewed; `None`: they are ours by the lock of the directory.
    pub(super) fn renewal(&self) -> Option<Duration> {
        match self {
            Drains::File(_) => None,
            Drains::Redis(_) => Some(RENEWAL),
        }
    }

    /// Renews the claim on them.
    pub(super) fn renew(&self) -> io::Result<Kept> {
        match self {
            Drains::File(_) => Ok(Kept::Whole),
            Drains::Redis(redis) => redis.renew(),
        }
    }

    /// Leaves them to another gate.
    pub(super) fn leave(&self) {
        match self {
            Drains::File(_) => (),
            Drains::Redis(redis) => redis.leave(),
        }
    }
}

/// Drains that are still in the directory move into Redis, if it has none: no mark ends because the place has changed.
fn move_in(dir: &Path, redis: &DrainsInRedis, found: Option<String>) -> Result<Option<String>, StoreError> {
    let Some(text) = files::read_text(dir, DRAINS)? else { return Ok(found) };
    if found.is_some() || redis.claimed().is_none() {
        tracing::warn!(dir = %dir.display(), "there are drains in the state directory that are not in force: state.url is");
        return Ok(found);
    }
    let io = |what| move |error| StoreError::Io { place: redis.place(), what, error };
    redis.save(&text).map_err(io("the drains of the state directory cannot be moved there"))?;
    files::move_aside(dir, DRAINS, "moved").map_err(io("the file of drains cannot be moved aside"))?;
    tracing::info!(place = redis.place(), "the drains of the state directory are kept there from now on");
    Ok(Some(text))
}
