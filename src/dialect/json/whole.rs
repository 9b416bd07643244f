//! The quick walk over what nearly every job's text is: an object that is all there, in the writing of the libraries of
//! Python, Ruby and JavaScript, and without escapes where anything is wanted. It finds what the slow way (`super`) finds; a
//! text that is written otherwise it leaves to that.

use super::found::{Found, Spans};
use super::string::{until_mark, until_near_mark};
use super::wanted::{Named, Wanted, bit_of};
use super::{begins_plain, ends_plain};

/// The containers that are open, from the innermost on: a bit for each that is an object, and one above them all.
const NONE: u64 = 1;
/// The object that the text is; one directly in it.
const TOP: u64 = 0b11;
const BELOW: u64 = 0b111;

/// Who wants to know what a walk passes.
pub(super) trait Walk {
    /// A string that is a value, and the bit of the path at which it is wanted.
    fn string(&mut self, _bit: u32, _from: usize, _to: usize) {}
    /// `null` in place of what is wanted.
    fn null(&mut self, _bit: u32) {}
    /// A wanted value that is no string.
    fn plain(&mut self) {}
}

/// Nobody.
impl Walk for () {}

/// What is wanted of a text. `None`: it is not all there, or not as usual.
pub(super) fn whole(wanted: &Wanted, text: &[u8], walk: &mut impl Walk) -> Option<Found> {
    let (mut spans, mut open, mut rest) = (Spans::default(), TOP, text.strip_prefix(b"{")?);
    // which lengths a key must have here to be wanted, and what is wanted in the object below the top
    let (mut lengths, mut below) = (wanted.lengths, Named::default());
    if rest.starts_with(b"}") {
        return spans.found(text);
    }
    loop {
        let mut named = Named::default();
        if open & 1 == 1 {
            let (name, value) = key(rest)?;
            rest = value;
            // most have not even the length of one that is wanted
            if lengths & bit_of(name.len()) != 0 {
                named = if open == TOP { wanted.outside(name) } else { wanted.inside(below.under, name) };
            }
        }
        match rest {
            [b'"', inner @ ..] => {
                let (length, end) = string(inner, named.keep)?;
                let from = text.len() - inner.len();
                spans.put(named.keep, from, length)?;
                walk.string(named.keep, from, text.len() - end.len());
                rest = &end[1..];
            }
            [first @ (b'{' | b'['), inner @ ..] => {
                open = begun(open, *first == b'{')?;
                (below, lengths) = if open == BELOW { (named, named.inner) } else { (below, 0) };
                rest = inner;
                // the end of what holds nothing is like that of a value
                if inner.first() != Some(&ending(open)) {
                    continue;
                }
            }
            _ => {
                let length = plain(rest)?;
                if named.keep != 0 {
                    wanted_plain(&mut spans, walk, named.keep, text.len() - rest.len(), &rest[..length])?;
                }
                rest = &rest[length..];
            }
        }
        // what stands behind almost every value
        if let Some(next) = rest.strip_prefix(b", ") {
            rest = next;
            continue;
        }
        rest = behind_ends(rest, &mut open)?;
        lengths = match open {
            NONE => return spans.found(text),
            TOP => wanted.lengths,
            BELOW => below.inner,
            _ => 0,
        };
    }
}

/// The content of a string at the top, as it stands, if nothing but strings without escapes stands before it, and
/// something behind. A key that comes again later is not looked for.
pub fn early<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = text.strip_prefix(b"{")?;
    loop {
        let (name, value) = key(rest)?;
        let inner = value.strip_prefix(b"\"")?;
        let (content, behind) = inner.split_at_checked(until_mark(inner))?;
        rest = behind.strip_prefix(b"\",")?;
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
        if name == wanted {
            return Some(content);
        }
    }
}

/// What comes behind the ends of all that ends with a value, and the comma. In the end nothing is `open`.
fn behind_ends<'a>(text: &'a [u8], open: &mut u64) -> Option<&'a [u8]> {
    let mut rest = text;
    loop {
        match rest {
            [b',', b' ', next @ ..] | [b',', next @ ..] => return Some(next),
            [end, next @ ..] if *end == ending(*open) => rest = next,
            _ => return None,
        }
        *open >>= 1;
        if *open == NONE {
            return Some(rest);
        }
    }
}

/// One container more.
#[inline(always)]
fn begun(open: u64, object: bool) -> Option<u64> {
    (open >> 63 == 0).then_some(open << 1 | u64::from(object))
}

/// How the innermost container ends.
#[inline(always)]
fn ending(open: u64) -> u8 {
    if open & 1 == 1 { b'}' } else { b']' }
}

/// The key at the start of `text`, and its value with what comes behind.
#[inline(always)]
fn key(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let [b'"', inner @ ..] = text else { return None };
    let (name, behind) = inner.split_at_checked(until_near_mark(inner))?;
    let value = behind.strip_prefix(b"\": ").or_else(|| behind.strip_prefix(b"\":"))?;
    Some((name, value))
}

/// How long the number, `true`, `false` or `null` at the start of `text` is, if something comes behind it.
#[inline(always)]
fn plain(text: &[u8]) -> Option<usize> {
    match text {
        [b'n', b'u', b'l', b'l', b',' | b'}' | b']', ..] => Some(4),
        [first, ..] if begins_plain(*first) => text.iter().position(|byte| ends_plain(*byte)),
        _ => None,
    }
}

/// How far the string that begins here goes without escapes, and its closing quote with what comes behind. `None`: it is
/// wanted and has escapes, or it does not end.
#[inline(always)]
fn string(inner: &[u8], keep: u32) -> Option<(usize, &[u8])> {
    let length = until_mark(inner);
    let end = match inner.get(length..)? {
        end @ [b'"', ..] => end,
        escaped if keep == 0 => behind_escapes(escaped)?,
        _ => return None,
    };
    Some((length, end))
}

/// A wanted value that is no string.
fn wanted_plain(spans: &mut Spans, walk: &mut impl Walk, keep: u32, from: usize, value: &[u8]) -> Option<()> {
    if value == b"null" {
        spans.remove(keep);
        walk.null(keep);
        return Some(());
    }
    walk.plain();
    spans.put(keep, from, value.len())
}

/// The closing quote, and what comes behind, of a string that has escapes in it, the first of which stands here.
#[cold]
pub(super) fn behind_escapes(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest;
    loop {
        rest = match rest {
            [b'"', ..] => return Some(rest),
            [b'\\', b'u', digits @ ..] if digits.get(..4)?.iter().all(u8::is_ascii_hexdigit) => &digits[4..],
            [b'\\', b'u', ..] => return None,
            [b'\\', _, rest @ ..] => rest,
            _ => return None,
        };
        rest = rest.get(until_mark(rest)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_stands_early_is_found_without_the_rest() {
        for (text, found) in [
            (r#"{"n": "SUCCESS", "x": [1"#, Some("SUCCESS")),
            (r#"{"jid":"a","n":"b","#, Some("b")),
            (r#"{"n": "", "#, Some("")),
            (r#"{"x": 1, "n": "b", "#, None),
            (r#"{"x": "\"", "n": "b", "#, None),
            (r#"{"x": {"n": "b", "y": 1}}"#, None),
            (r#"{"n": "b\n", "#, None),
            (r#"{"n": "b"}"#, None),
            (r#"{"n": "b"#, None),
            (r#"{"n": null, "x": 1}"#, None),
            ("", None),
        ] {
            assert_eq!(early(text.as_bytes(), b"n"), found.map(str::as_bytes), "{text}");
        }
    }
}
