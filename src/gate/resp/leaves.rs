//! The leaves of a reply, as far as somebody wants them: their contents one behind the other in one buffer.

use bytes::Bytes;

/// No more room than this is made for a content before it comes.
const ROOM_MAX: usize = 16 * 1024;

/// A bulk string or a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf<'a> {
    /// The RESP type: `$`, `:`, `+`, `-`, `_`, `*` (null or empty array) ...
    pub(super) kind: u8,
    /// The content; of a null `-1`.
    pub(super) content: &'a [u8],
}

impl Leaf<'_> {
    pub(super) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.content)
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self.kind, b'-' | b'!')
    }

    /// A null, or an empty list, set or map.
    pub(super) fn is_null(&self) -> bool {
        match self.kind {
            b'_' => true,
            b'$' => self.content == b"-1",
            b'*' | b'~' | b'%' => true,
            _ => false,
        }
    }

    /// A string that is there.
    pub(super) fn is_string(&self) -> bool {
        matches!(self.kind, b'$' | b'=') && self.content != b"-1"
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    text: Vec<u8>,
    /// Of each its type, and where its content ends.
    ends: Vec<(u8, u32)>,
}

impl Leaves {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<Leaf<'_>> {
        let (kind, end) = *self.ends.get(at)?;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some(Leaf { kind, content: &self.text[begin as usize..end as usize] })
    }

    pub(super) fn first(&self) -> Option<Leaf<'_>> {
        self.get(0)
    }

    pub(super) fn last(&self) -> Option<Leaf<'_>> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Leaf<'_>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// One more. So many bytes of it are still to come.
    pub(super) fn push(&mut self, kind: u8, content: &[u8], to_come: usize) {
        self.text.reserve_exact(content.len() + to_come.min(ROOM_MAX));
        self.text.extend_from_slice(content);
        self.ends.push((kind, self.text.len() as u32));
    }

    /// More of the last one.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if let Some((_, end)) = self.ends.last_mut() {
            self.text.extend_from_slice(bytes);
            *end = self.text.len() as u32;
        }
    }

    /// Keeps so many, and gives the room of the others back.
    pub(super) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.ends.shrink_to_fit();
        self.text.truncate(self.ends.last().map_or(0, |(_, end)| *end as usize));
        self.text.shrink_to_fit();
    }
}
