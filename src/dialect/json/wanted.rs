//! Which values of a text somebody wants.

/// As many values as anybody wants of one text.
pub(super) const WANTED_MAX: usize = 10;

/// Paths like `jid` or `headers.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub(super) paths: &'static [&'static str],
    /// A bit for each length that a key at the top must have to be the beginning of one.
    pub(super) lengths: u64,
}

impl Wanted {
    /// Nothing at all.
    pub const NOTHING: Wanted = Wanted::of(&[]);

    /// These.
    pub const fn of(paths: &'static [&'static str]) -> Wanted {
        assert!(paths.len() <= WANTED_MAX, "more than anybody wants");
        let (mut lengths, mut at) = (0, 0);
        while at < paths.len() {
            let (path, mut end) = (paths[at].as_bytes(), 0);
            while end < path.len() && path[end] != b'.' {
                end += 1;
            }
            lengths |= bit_of(end);
            at += 1;
        }
        Wanted { paths, lengths }
    }

    /// See [`Wanted::NOTHING`].
    pub fn is_empty(self) -> bool {
        self.paths.is_empty()
    }
}

/// Of a key of this length among all lengths; the last one is for all that are longer.
#[inline]
pub(super) const fn bit_of(length: usize) -> u64 {
    1 << if length < 63 { length } else { 63 }
}
