//! Reading along a reply of the broker: the few leaves that a verdict needs, within bounds.

use super::leaves::Leaves;
use super::scan::{Sink, number};
use crate::dialect::json::Skim;
use crate::dialect::packed::Packed;
use crate::dialect::{Reads, Word};

/// How much of a delivery is kept until it has been handed to the client's socket, so that it can be put back.
pub(super) const DELIVERY_MAX: usize = 1024 * 1024;
/// The same when the client is already gone and the element has nowhere else to be.
pub(super) const ORPHAN_MAX: usize = 64 * 1024 * 1024;
/// How much of any other reply is kept.
const NOTE_MAX: usize = 16 * 1024;

/// A reply being read along.
#[derive(Debug)]
pub(super) struct Reading {
    /// The type of the top-level value, 0 before the first line.
    pub(super) kind: u8,
    /// The number in its first line, if that holds one: -1 of a null.
    count: Option<i64>,
    /// The leaves, as far as they fit.
    pub(super) leaves: Leaves,
    /// Something did not fit: of `leaves` at most the first is there.
    pub(super) overflow: bool,
    kept: usize,
    max: usize,
    skim: Option<(u32, Skim)>,
    leaf: u32,
    /// In the place of leaves: the beginning of each, or what is found in it.
    words: Option<Words>,
}

#[derive(Debug)]
struct Words {
    reads: Reads,
    words: Vec<Word>,
    /// Elements still to come, by nesting.
    open: Vec<i64>,
    element: u32,
    overflow: bool,
}

impl Words {
    fn line(&mut self, kind: u8, text: &[u8]) {
        let count = if matches!(kind, b'*' | b'~' | b'%' | b'>') { number(text).unwrap_or(0) } else { 0 };
        if count > 0 {
            self.open.push(if kind == b'%' { 2 * count } else { count });
        } else if self.words.len() < WORDS_MAX {
            let text = if matches!(kind, b'$' | b'=' | b'!') && text != b"-1" { b"".as_slice() } else { text };
            let text = text[..text.len().min(WORD_MAX)].to_vec();
            let depth = u8::try_from(self.open.len()).unwrap_or(u8::MAX);
            let (skim, packed) = match self.reads {
                Reads::Json(wanted) if kind == b'$' => (Some(Skim::new(wanted)), None),
                Reads::Packed(fields) if kind == b'$' => (None, Some(Box::new(Packed::new(fields)))),
                _ => (None, None),
            };
            self.words.push(Word { element: self.element, depth, kind, text, skim, packed });
        } else {
            self.overflow = true;
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        let Some(word) = self.words.last_mut().filter(|_| !self.overflow) else { return };
        word.text.extend_from_slice(&bytes[..bytes.len().min(WORD_MAX - word.text.len())]);
        if let Some(skim) = &mut word.skim {
            skim.feed(bytes);
        }
        if let Some(packed) = &mut word.packed {
            packed.feed(bytes);
        }
    }

    fn leaf(&mut self) {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            self.open.pop();
        }
        self.element += u32::from(self.open.len() == 1);
    }
}

/// What a leaf costs beside its content.
const LEAF: usize = 32;
/// How much of a word is kept.
const WORD_MAX: usize = 256;
/// How many words are.
const WORDS_MAX: usize = 32 * 1024;

impl Reading {
    pub(super) fn new(max: usize, skim: Option<(u32, Skim)>) -> Reading {
        Reading {
            kind: 0,
            count: None,
            leaves: Leaves::default(),
            overflow: false,
            kept: 0,
            max,
            skim,
            leaf: 0,
            words: None,
        }
    }

    /// For a short reply of which the leaves are wanted.
    pub(super) fn of_note() -> Reading {
        Reading::new(NOTE_MAX, None)
    }

    /// For a reply of which nothing is wanted but whether it is an error, or nothing.
    pub(super) fn of_kind() -> Reading {
        Reading::new(0, None)
    }

    /// For a reply that is read word by word, whatever the length of each; and each text as `reads` says.
    pub(super) fn of_words(reads: Reads) -> Reading {
        let words = Words { reads, words: Vec::new(), open: Vec::new(), element: 0, overflow: false };
        Reading { words: Some(words), ..Reading::new(NOTE_MAX, None) }
    }

    /// The words, and whether they are all there.
    pub(super) fn words(&self) -> (&[Word], bool) {
        self.words.as_ref().map_or((&[], false), |words| (&words.words, !words.overflow))
    }

    /// A null, or the empty array or set of the commands that say "nothing" so.
    pub(super) fn is_empty(&self) -> bool {
        match self.kind {
            b'_' => true,
            b'$' => self.count == Some(-1),
            b'*' | b'~' => matches!(self.count, Some(-1 | 0)),
            _ => false,
        }
    }

    pub(super) fn is_error(&self) -> bool {
        matches!(self.kind, b'-' | b'!')
    }

    /// Whether each leaf is an element of the top level, so that leaves can be told by the elements' numbers.
    pub(super) fn is_flat(&self) -> bool {
        !self.overflow && self.count.is_some_and(|n| usize::try_from(n) == Ok(self.leaves.len()))
    }

    /// What the skimmer found in the payload.
    pub(super) fn payload(&self) -> Option<&Skim> {
        self.skim.as_ref().map(|(_, skim)| skim)
    }

    /// From now on more may be kept. Useless once something has overflowed.
    pub(super) fn raise_max(&mut self, max: usize) {
        self.max = self.max.max(max);
    }

    /// Takes account of so many bytes more.
    fn keep(&mut self, bytes: usize) -> bool {
        self.kept += bytes;
        if self.kept > self.max && !self.overflow {
            self.overflow = true;
            // a short first leaf is the key's name: still wanted
            self.leaves.truncate(usize::from(self.leaves.first().is_some_and(|l| l.content.len() <= 1024)));
        }
        !self.overflow
    }
}

impl Sink for Reading {
    fn line(&mut self, line: &[u8]) {
        let (kind, text) = (line[0], &line[1..]);
        if self.kind == 0 {
            self.kind = kind;
            self.count = number(text).ok();
        }
        if let Some(words) = &mut self.words {
            words.line(kind, text);
        }
        let content: &[u8] = match kind {
            b'*' | b'~' | b'>' | b'%' if number(text).is_ok_and(|n| n > 0) => return,
            b'$' | b'=' | b'!' if text != b"-1" => b"",
            _ => text,
        };
        if self.keep(content.len() + LEAF) {
            let to_come = if content.is_empty() { number(text).map_or(0, |n| n.unsigned_abs() as usize) } else { 0 };
            self.leaves.push(kind, content, to_come);
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        if let Some(words) = &mut self.words {
            words.body(bytes);
        }
        if let Some((leaf, skim)) = &mut self.skim
            && *leaf == self.leaf
        {
            skim.feed(bytes);
        }
        if self.keep(bytes.len()) {
            self.leaves.extend(bytes);
        }
    }

    fn leaf(&mut self, number: u32) {
        self.leaf = number + 1;
        if let Some(words) = &mut self.words {
            words.leaf();
        }
    }
}
