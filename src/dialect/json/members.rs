//! The fast walk over what nearly all of a job's text is: members of objects that are all there, without escapes and in
//! the writing of Python's and Ruby's libraries. It finds what the slow way (`super`) finds, and what it does not know it
//! leaves untouched.

use super::string::until_mark;
use super::{At, Skim, begins_plain, ends_plain};

impl Skim {
    /// Whole members at the start of `text`, where a key is due. Returns what comes behind them.
    pub(super) fn members<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut text = text;
        while self.at == At::Key {
            let Some((name, rest)) = quoted(text) else { break };
            let Some(value) = behind(rest, b':') else { break };
            self.named(name);
            let Some(first) = value.first() else { break };
            if matches!(first, b'{' | b'[') {
                self.open(*first == b'{');
                text = self.behind_opening(&value[1..]);
                continue;
            }
            let content = if begins_plain(*first) { plain(value) } else { quoted(value) };
            let Some((content, rest)) = content else { break };
            if self.keep.is_some() {
                self.take(content, *first == b'"');
            }
            text = self.behind_member(rest);
        }
        text
    }

    /// The end of what holds nothing.
    fn behind_opening<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        match (self.at, text) {
            (At::Key, [end @ b'}', rest @ ..]) | (At::Value, [end @ b']', rest @ ..]) => {
                self.close(*end);
                self.behind_member(rest)
            }
            _ => text,
        }
    }

    /// The ends of objects behind a member, and the comma.
    #[inline]
    fn behind_member<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut text = text;
        while self.depth > 0 {
            if let Some(next) = behind(text, b',') {
                self.at = self.behind_comma();
                return next;
            }
            self.at = At::After;
            let Some(rest) = text.strip_prefix(b"}") else { return text };
            self.close(b'}');
            text = rest;
            if self.at != At::After {
                break;
            }
        }
        text
    }
}

/// What comes behind this byte and the space that many write there.
#[inline]
fn behind(text: &[u8], byte: u8) -> Option<&[u8]> {
    text.strip_prefix(&[byte, b' ']).or_else(|| text.strip_prefix(&[byte]))
}

/// A string at the start of `text` that has no escapes in it, and what comes behind it.
#[inline(always)]
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (b'"', inner) = text.split_first()? else { return None };
    let (content, rest) = inner.split_at(until_mark(inner));
    let (b'"', rest) = rest.split_first()? else { return None };
    Some((content, rest))
}

/// The same of a number, `true`, `false` or `null`.
#[inline]
fn plain(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Some(text.split_at(text.iter().position(|byte| ends_plain(*byte))?))
}
