//! What can be wrong with a configuration: each [`Problem`] is one line that says where and what was expected.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Everything that was wrong, in the order of the checks, a line each.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and line, name of the environment variable, or flag.
    pub place: String,
    /// The key, as `section.key`; empty where the text says it all.
    pub key: String,
    /// What was wrong.
    pub fault: Fault,
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No such key. The nearest one there is.
    UnknownKey(String),
    /// The value cannot be meant; the text says what was expected.
    Invalid(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        match &self.fault {
            Fault::UnknownKey(nearest) => write!(f, "there is no such key; the nearest is {nearest:?}"),
            Fault::Invalid(text) => f.write_str(text),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
