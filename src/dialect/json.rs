//! A streaming reader that takes a few named values out of a JSON text and skips the rest, whatever its size.
//!
//! kombu writes a message's body first and its headers last, so a job of 200 MB has to be walked through, but nothing
//! of it kept. Only objects at the top and one level below are looked into. A text that is not JSON yields nothing.

mod found;
mod shape;
mod string;
mod wanted;
mod whole;

use found::{Found, VALUE_MAX};
pub use shape::Shape;
use string::{Escape, Next, until_mark};
pub use wanted::Wanted;
use wanted::{Named, bit_of};
pub use whole::early;
use whole::whole;

/// Longest key that can match.
const KEY_MAX: usize = 64;
/// Deepest nesting that is followed; deeper texts are given up.
const DEPTH_MAX: u32 = u128::BITS;

/// ```text
/// Value ──"──▶ Text ──"──▶ After ──,──▶ Key | Value
///   ├─{──▶ Key ──"──▶ Name ──"──▶ AfterKey ──:──▶ Value      └─}]──▶ After (one level up)
///   └─digit, t, f, n──▶ Plain ──,}]──▶ After
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Value,
    Key,
    /// In a key.
    Name(Escape),
    /// In a string that is a value.
    Text(Escape),
    Plain,
    AfterKey,
    After,
    /// Not JSON, or too deep: whatever follows is ignored.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Skim {
    wanted: Wanted,
    found: Found,
    at: At,
    /// How many containers are open,
    depth: u32,
    /// and a bit for each that is an object, the innermost one lowest.
    objects: u128,
    /// A bit for each of `wanted` that stands in the object at the last key of the top level,
    under: u32,
    /// and a bit for each length that a key in there must have to be one of them.
    inner: u64,
    /// The same for the keys of the innermost container.
    lengths: u64,
    /// Which of `wanted` the value at the last key is; `None`: nobody wants it.
    keep: Option<usize>,
    /// A key or a wanted value that does not come in one piece, or has escapes in it.
    piece: Vec<u8>,
}

impl Skim {
    /// A reader for one text.
    pub fn new(wanted: Wanted) -> Skim {
        Skim {
            wanted,
            found: Found::default(),
            at: At::Value,
            depth: 0,
            objects: 0,
            under: 0,
            inner: 0,
            lengths: 0,
            keep: None,
            piece: Vec::new(),
        }
    }

    /// Reads a whole text at once.
    pub fn of(wanted: Wanted, text: &[u8]) -> Skim {
        let mut skim = Skim::new(wanted);
        skim.feed(text);
        skim
    }

    /// The value found at a wanted path: a string's content, a number or `true`/`false` as written. `null` is none.
    #[inline]
    pub fn get(&self, path: &str) -> Option<&str> {
        // a text that is no JSON is asked for much
        if self.found.is_empty() { None } else { self.look_up(path) }
    }

    fn look_up(&self, path: &str) -> Option<&str> {
        self.found.get(self.wanted.paths.iter().position(|w| *w == path)?)
    }

    /// The next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = if self.is_whole(piece) { b"".as_slice() } else { piece };
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match self.at {
                // most of a text is in strings, and most strings nobody wants: leap to where something happens
                At::Text(Escape::No) => self.in_text(rest),
                At::Name(Escape::No) => self.in_name(rest),
                At::Text(escape) => {
                    self.at = match escape.next(byte) {
                        Next::In(escape) => At::Text(escape),
                        next => self.after_escape(next, At::Text(Escape::No), Skim::keep),
                    };
                    tail
                }
                At::Name(escape) => {
                    self.at = match escape.next(byte) {
                        Next::In(escape) => At::Name(escape),
                        next => self.after_escape(next, At::Name(Escape::No), Skim::keep_name),
                    };
                    tail
                }
                At::Plain => self.in_plain(rest),
                At::Lost => return,
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => tail,
                At::Key if byte == b'"' => self.in_name(tail),
                At::AfterKey if byte == b':' => {
                    self.at = At::Value;
                    tail
                }
                At::Value => self.value(byte, rest),
                At::After if byte == b',' && self.depth > 0 => {
                    self.at = self.behind_comma();
                    tail
                }
                At::After | At::Key => {
                    self.close(byte);
                    tail
                }
                At::AfterKey => {
                    self.at = At::Lost;
                    return;
                }
            };
        }
    }

    /// Whether that is the whole text, and could be read as such.
    fn is_whole(&mut self, piece: &[u8]) -> bool {
        let begins = self.at == At::Value && self.depth == 0 && piece.ends_with(b"}");
        let Some(found) = begins.then(|| whole(&self.wanted, piece, &mut ())).flatten() else { return false };
        // what comes behind it says nothing
        (self.found, self.at) = (found, At::Lost);
        true
    }

    /// The beginning of a value, or of the end of what holds no more.
    fn value<'a>(&mut self, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        match byte {
            b'{' => self.open(true),
            // nothing is wanted of a text that is no object
            _ if self.depth == 0 => self.at = At::Lost,
            b'"' => return self.in_text(&rest[1..]),
            b'[' => self.open(false),
            _ if begins_plain(byte) => return self.in_plain(rest),
            _ => self.close(byte),
        }
        &rest[1..]
    }

    fn open(&mut self, object: bool) {
        if self.depth >= DEPTH_MAX {
            self.at = At::Lost;
            return;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.at = if object { At::Key } else { At::Value };
        self.keep = None;
        self.lengths = self.lengths_here();
    }

    /// See `lengths`.
    fn lengths_here(&self) -> u64 {
        match (self.depth, self.objects) {
            (1, 0b1) => self.wanted.lengths,
            (2, 0b11) => self.inner,
            _ => 0,
        }
    }

    fn close(&mut self, byte: u8) {
        let kind = if self.objects & 1 == 1 { b'}' } else { b']' };
        if self.depth == 0 || byte != kind {
            self.at = At::Lost;
            return;
        }
        self.depth -= 1;
        self.objects >>= 1;
        self.at = At::After;
        self.keep = None;
        self.lengths = self.lengths_here();
    }

    /// Within a key, where no escape stands. Returns what comes behind the part that was read.
    fn in_name<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let (run, tail) = rest.split_at(until_mark(rest));
        self.keep_name(run);
        self.at = match tail.first() {
            Some(b'"') => {
                let mut name = std::mem::take(&mut self.piece);
                self.named(&name);
                name.clear();
                self.piece = name;
                At::AfterKey
            }
            Some(_) => At::Name(Escape::Slash),
            None => At::Name(Escape::No),
        };
        tail.get(1..).unwrap_or_default()
    }

    /// A key has ended: what of its value is wanted?
    fn named(&mut self, name: &[u8]) {
        let mut named = Named::default();
        let outside = self.depth == 1;
        // most have not even the length of one that is wanted
        if self.lengths & bit_of(name.len()) != 0 {
            named = if outside { self.wanted.outside(name) } else { self.wanted.inside(self.under, name) };
        }
        if outside {
            (self.under, self.inner) = (named.under, named.inner);
        }
        self.keep = (named.keep != 0).then_some(named.keep.trailing_zeros() as usize);
    }

    /// Within a string that is a value, where no escape stands.
    fn in_text<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let (run, tail) = rest.split_at(until_mark(rest));
        self.keep(run);
        match tail.split_first() {
            Some((b'"', tail)) => {
                self.end_value(true);
                return self.behind_value(tail);
            }
            Some(_) => self.at = At::Text(Escape::Slash),
            None => self.at = At::Text(Escape::No),
        }
        tail.get(1..).unwrap_or_default()
    }

    /// Within a number, `true`, `false` or `null`.
    fn in_plain<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let end = rest.iter().position(|byte| ends_plain(*byte));
        let (run, tail) = rest.split_at(end.unwrap_or(rest.len()));
        self.keep(run);
        if end.is_some() {
            self.end_value(false);
            return self.behind_value(tail);
        }
        self.at = At::Plain;
        tail
    }

    /// What stands behind almost every value is taken at one leap.
    fn behind_value<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let usual = rest.strip_prefix(b", ").filter(|_| self.depth > 0);
        self.at = if usual.is_some() { self.behind_comma() } else { At::After };
        usual.unwrap_or(rest)
    }

    #[inline]
    fn behind_comma(&self) -> At {
        if self.objects & 1 == 1 { At::Key } else { At::Value }
    }

    fn after_escape(&mut self, next: Next, within: At, keep: fn(&mut Skim, &[u8])) -> At {
        match next {
            Next::Char(char) => keep(self, char.encode_utf8(&mut [0; 4]).as_bytes()),
            Next::Byte(byte) => keep(self, &[byte]),
            Next::In(_) => {}
            Next::Lost => return At::Lost,
        }
        within
    }

    fn keep_name(&mut self, run: &[u8]) {
        // one that is too long must not look like a shorter one
        let room = (KEY_MAX + 1).saturating_sub(self.piece.len()).min(run.len());
        self.piece.extend_from_slice(&run[..room]);
    }

    /// More of a value's content, as far as it is kept.
    fn keep(&mut self, run: &[u8]) {
        if self.keep.is_some() {
            let room = VALUE_MAX.saturating_sub(self.piece.len()).min(run.len());
            self.piece.extend_from_slice(&run[..room]);
        }
    }

    fn end_value(&mut self, quoted: bool) {
        if self.keep.is_some() {
            let mut value = std::mem::take(&mut self.piece);
            self.take(&value, quoted);
            value.clear();
            self.piece = value;
        }
    }

    /// A whole value. Of several at one path the last one counts.
    fn take(&mut self, value: &[u8], quoted: bool) {
        match self.keep.take() {
            Some(at) if !quoted && value == b"null" => self.found.remove(at),
            Some(at) => self.found.put(at, value),
            None => {}
        }
    }
}

/// The first byte of a number, `true`, `false` or `null`.
fn begins_plain(byte: u8) -> bool {
    matches!(byte, b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I')
}

/// The first byte behind one.
fn ends_plain(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted::of(&["jid", "headers.id", "headers.eta", "properties.delivery_tag", "n"]);

    #[test]
    fn wanted_values_are_found_in_any_cut() {
        let text = br#" {"body": "W1siaWQiOiAi\"fYX0=", "x": [{"jid": "no"}, [], {}], "headers": {"id": "a\u00e9\n", "deep": {"id": 1},
            "eta": null}, "jid": "j\"1", "n": -1.5e3, "properties": {"delivery_tag": "t-1"}}"#;
        for cut in 0..text.len() {
            let mut skim = Skim::new(WANTED);
            skim.feed(&text[..cut]);
            skim.feed(&text[cut..]);
            assert_eq!(skim.get("jid"), Some("j\"1"), "cut at {cut}");
            assert_eq!(skim.get("headers.id"), Some("aé\n"));
            assert_eq!(skim.get("headers.eta"), None);
            assert_eq!(skim.get("properties.delivery_tag"), Some("t-1"));
            assert_eq!(skim.get("n"), Some("-1.5e3"));
        }
    }

    #[test]
    fn what_libraries_write_is_read_at_one_go() {
        let python = r#"{"body": "W1tdLCB7fV0=", "headers": {"task": "a.b", "id": "i-1", "eta": null, "timelimit": [null, null],
            "argsrepr": "('\u00e9\"',)", "stamps": {}, "retries": 0}, "properties": {"delivery_tag": "t-1"}, "n": [{"jid": "no"}]}"#;
        let python = python.replace("\n            ", " ");
        let ruby = r#"{"class":"A","args":["{\"jid\":1}",-1.5,[],{}],"jid":"j1","n":17,"headers":{"id":"i-1"}}"#;
        for (text, expected) in [
            (python.as_str(), [None, Some("i-1"), None, Some("t-1"), None]),
            (ruby, [Some("j1"), Some("i-1"), None, None, Some("17")]),
            (r#"{"jid":"a","jid":1}"#, [Some("1"), None, None, None, None]),
            (r#"{"jid": "a", "n": 1, "jid": null}"#, [None, None, None, None, Some("1")]),
            ("{}", [None; 5]),
        ] {
            let found = whole(&WANTED, text.as_bytes(), &mut ()).expect(text);
            assert_eq!([0, 1, 2, 3, 4].map(|at| found.get(at)), expected, "{text}");
            for cut in 0..text.len() {
                assert!(whole(&WANTED, &text.as_bytes()[..cut], &mut ()).is_none(), "{text} cut at {cut}");
            }
        }
        for odd in
            [r#"{"jid": "\u0061"}"#, r#"{"jid":  1}"#, r#"{"jid": 1 }"#, "[1]", "{\"jid\": \"\u{e9}", r#"{"a": "\ux"}"#]
        {
            assert!(whole(&WANTED, odd.as_bytes(), &mut ()).is_none(), "{odd}");
        }
    }

    #[test]
    fn what_comes_behind_the_text_is_not_read() {
        for behind in [", {\"jid\": \"b\"}", ",\"jid\": \"b\"}", " {\"jid\": \"b\"}", "}", "], \"jid\": \"b\""] {
            let text = format!("{{\"jid\": \"a\"}}{behind}");
            assert_eq!(Skim::of(WANTED, text.as_bytes()).get("jid"), Some("a"), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_yields_nothing() {
        for text in ["", "hello", "{]", "[{\"jid\": 1}", "{\"jid\" \"x\"}", &"[".repeat(500), "\"jid\""] {
            assert_eq!(Skim::of(WANTED, text.as_bytes()).get("jid"), None, "{text:?}");
        }
    }
}
