//! Which values of a text somebody wants.

/// As many values as anybody wants of one text.
pub(super) const WANTED_MAX: usize = 10;

/// Paths like `jid` or `headers.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub(super) paths: &'static [&'static str],
    /// How long the beginning of each is, up to its point.
    outer: [u8; WANTED_MAX],
    /// A bit for each length that a key at the top must have to be the beginning of one.
    pub(super) lengths: u64,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named {
    /// The bit of the path that it completes.
    pub(super) keep: u32,
    /// The bits of the paths that begin with it,
    pub(super) under: u32,
    /// and a bit for each length that a key in there must have to be the rest of one.
    pub(super) inner: u64,
}

impl Wanted {
    /// These.
    pub const fn of(paths: &'static [&'static str]) -> Wanted {
        assert!(paths.len() <= WANTED_MAX, "more than anybody wants");
        let (mut outer, mut lengths, mut at) = ([0; WANTED_MAX], 0, 0);
        while at < paths.len() {
            let (path, mut end) = (paths[at].as_bytes(), 0);
            while end < path.len() && path[end] != b'.' {
                end += 1;
            }
            assert!(end < 64, "longer than any key");
            outer[at] = end as u8;
            lengths |= bit_of(end);
            at += 1;
        }
        Wanted { paths, outer, lengths }
    }

    /// What a key at the top level is for.
    #[inline(never)]
    pub(super) fn outside(&self, name: &[u8]) -> Named {
        let mut named = Named::default();
        for (at, (path, outer)) in self.paths.iter().zip(&self.outer).enumerate() {
            if usize::from(*outer) != name.len() || !path.as_bytes().starts_with(name) {
                continue;
            }
            match path.len() - name.len() {
                0 => named.keep = 1 << at,
                rest => {
                    named.under |= 1 << at;
                    named.inner |= bit_of(rest - 1);
                }
            }
        }
        named
    }

    /// The same of one in an object at the top level, `under` whose key are these paths.
    #[inline(never)]
    pub(super) fn inside(&self, under: u32, name: &[u8]) -> Named {
        let mut under = under;
        while under != 0 {
            let (at, bit) = (under.trailing_zeros() as usize, under & under.wrapping_neg());
            under &= under - 1;
            let path = self.paths[at].as_bytes();
            if path.len() == usize::from(self.outer[at]) + 1 + name.len() && path.ends_with(name) {
                return Named { keep: bit, ..Named::default() };
            }
        }
        Named::default()
    }
}

/// Of a key of this length among all lengths; others may share it.
#[inline(always)]
pub(super) const fn bit_of(length: usize) -> u64 {
    1_u64.wrapping_shl(length as u32)
}
