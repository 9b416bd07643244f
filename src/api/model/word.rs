//! How times and the closed vocabularies of the fleet are written in JSON. The fleet's own types know nothing of serde.

use crate::fleet::view::{DrainState, QueueState, WorkerState};
use crate::job::{Evidence, Millis};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A moment: Unix milliseconds inside, RFC 3339 in UTC outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Millis);

/// A word of a closed vocabulary, written by its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word<T>(pub T);

/// A closed vocabulary: a new word is one more entry in `ALL`.
pub trait Vocabulary: Copy + 'static {
    /// Every word.
    const ALL: &'static [Self];
    /// What it is a vocabulary of, for the error.
    const OF: &'static str;
    /// The name in the API.
    fn as_str(self) -> &'static str;
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond the year 9999 there is nothing better to say than the last moment that can be written.
        let moment = i64::try_from(self.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        moment.unwrap_or(Timestamp::MAX).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: Timestamp = text.parse().map_err(de::Error::custom)?;
        u64::try_from(moment.as_millisecond()).map(Time).map_err(de::Error::custom)
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

impl<T: Vocabulary> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let word = T::ALL.iter().copied().find(|word| word.as_str() == text);
        word.map(Word).ok_or_else(|| de::Error::custom(format!("{text:?} is no {} that this version knows", T::OF)))
    }
}

impl Vocabulary for WorkerState {
    const ALL: &'static [Self] = &WorkerState::ALL;
    const OF: &'static str = "state of a worker";

    fn as_str(self) -> &'static str {
        WorkerState::as_str(self)
    }
}

impl Vocabulary for DrainState {
    const ALL: &'static [Self] = &DrainState::ALL;
    const OF: &'static str = "state of a drain";

    fn as_str(self) -> &'static str {
        DrainState::as_str(self)
    }
}

impl Vocabulary for QueueState {
    const ALL: &'static [Self] = &QueueState::ALL;
    const OF: &'static str = "state of a queue";

    fn as_str(self) -> &'static str {
        QueueState::as_str(self)
    }
}

impl Vocabulary for Evidence {
    const ALL: &'static [Self] = &Evidence::ALL;
    const OF: &'static str = "evidence";

    fn as_str(self) -> &'static str {
        Evidence::as_str(self)
    }
}
