//! How good the gate's knowledge is.

/// How the gate knows that a worker has nothing in flight, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// It does not know. Never counts as drained.
    Unknown,
    /// Counted from the worker's fetch pattern.
    Inferred,
    /// The worker's own heartbeat says so.
    Reported,
    /// Acknowledgements confirmed by the broker.
    Exact,
}

impl Evidence {
    /// All of them, weakest first.
    pub const ALL: [Evidence; 4] = [Evidence::Unknown, Evidence::Inferred, Evidence::Reported, Evidence::Exact];

    /// The name in the API and on the command line (`--require reported`).
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::Unknown => "unknown",
            Evidence::Inferred => "inferred",
            Evidence::Reported => "reported",
            Evidence::Exact => "exact",
        }
    }

    /// The reverse of [`Evidence::as_str`].
    pub fn from_name(name: &str) -> Option<Evidence> {
        Evidence::ALL.into_iter().find(|e| e.as_str() == name)
    }
}
