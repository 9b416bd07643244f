//! The values that were found in a text, one behind the other.

use super::wanted::WANTED_MAX;

/// What most messages have of values that are wanted.
const KEPT_MIN: usize = 192;
/// Longest value that is kept.
pub(super) const VALUE_MAX: usize = 512;

/// By their numbers among those that are wanted.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// A bit for each that is there,
    there: u32,
    /// and where in `kept` it stands.
    places: [(u16, u16); WANTED_MAX],
    kept: String,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.there == 0
    }

    fn has(&self, at: usize) -> bool {
        self.there >> at & 1 == 1
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let (from, to) = self.places.get(at).copied().filter(|_| self.has(at))?;
        self.kept.get(usize::from(from)..usize::from(to))
    }

    /// The last one of several counts.
    pub(super) fn put(&mut self, at: usize, value: &[u8]) {
        self.remove(at);
        let value = &value[..value.len().min(VALUE_MAX)];
        let from = self.kept.len();
        self.kept.reserve(if from == 0 { KEPT_MIN } else { 0 });
        match std::str::from_utf8(value) {
            Ok(text) => self.kept.push_str(text),
            Err(_) => self.kept.push_str(&String::from_utf8_lossy(value)),
        }
        self.there |= 1 << at;
        self.places[at] = (from as u16, self.kept.len() as u16);
    }

    /// What was found before goes: many of one name take no more room than one.
    pub(super) fn remove(&mut self, at: usize) {
        if !self.has(at) {
            return;
        }
        self.there &= !(1 << at);
        let (from, to) = self.places[at];
        self.kept.replace_range(usize::from(from)..usize::from(to), "");
        for behind in self.places.iter_mut().filter(|place| place.0 >= to) {
            behind.0 -= to - from;
            behind.1 -= to - from;
        }
    }
}

/// Where in a text that is all there the values stand that are wanted.
#[derive(Debug, Default)]
pub(super) struct Spans {
    there: u32,
    /// Where each begins, and how long it is.
    places: [(usize, usize); WANTED_MAX],
    /// How long all are together that have ever been put.
    room: usize,
}

impl Spans {
    /// The value of those with this bit (of none, most often) stands there. The last one of several counts. `None`: it is
    /// too long.
    #[inline(always)]
    pub(super) fn put(&mut self, bit: u32, from: usize, length: usize) -> Option<()> {
        if bit != 0 { self.put_one(bit, from, length) } else { Some(()) }
    }

    fn put_one(&mut self, bit: u32, from: usize, length: usize) -> Option<()> {
        self.there |= bit;
        *self.places.get_mut(bit.trailing_zeros() as usize)? = (from, length);
        self.room += length;
        (length <= VALUE_MAX).then_some(())
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, bit: u32) {
        self.there &= !bit;
    }

    /// The values. `None`: one of them is no UTF-8, or there are many of one name.
    pub(super) fn found(&self, text: &[u8]) -> Option<Found> {
        if self.room > WANTED_MAX * VALUE_MAX {
            return None;
        }
        let mut found = Found { there: self.there, ..Found::default() };
        let (mut kept, mut left, mut begins) = (Vec::with_capacity(self.room), self.there, 0_u32);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            let (from, length) = self.places[at];
            let begin = kept.len();
            kept.extend_from_slice(text.get(from..from + length)?);
            found.places[at] = (begin as u16, kept.len() as u16);
            // in the middle of a character: all together may be UTF-8, though one of them is not
            begins |= u32::from(text[from..from + length].first().is_some_and(|byte| byte >> 6 == 0b10));
            left &= left - 1;
        }
        found.kept = String::from_utf8(kept).ok().filter(|_| begins == 0)?;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_counts_and_the_others_take_no_room() {
        let mut found = Found::default();
        found.put(3, b"three");
        for round in 0..10_000 {
            found.put(1, format!("{round}").as_bytes());
            found.put(0, b"");
        }
        found.put(2, b"two\xff");
        assert_eq!(found.kept, "three9999two\u{fffd}");
        assert_eq!(
            [0, 1, 2, 3, 4].map(|at| found.get(at)),
            [Some(""), Some("9999"), Some("two\u{fffd}"), Some("three"), None]
        );
        found.remove(3);
        assert_eq!([0, 1, 2, 3, 4].map(|at| found.get(at)), [Some(""), Some("9999"), Some("two\u{fffd}"), None, None]);
        assert_eq!(found.kept, "9999two\u{fffd}");
    }
}
