//! A streaming reader that takes a few named values out of a JSON text and skips the rest, whatever its size.
//!
//! kombu writes a message's body first and its headers last, so a job of 200 MB has to be walked through, but nothing
//! of it kept. Only objects at the top and one level below are looked into. A text that is not JSON yields nothing.

mod string;

use string::{Escape, Next, until_mark};

/// As many values as anybody wants of one text.
const WANTED_MAX: usize = 10;
/// What most messages have of values that are wanted.
const KEPT_MIN: usize = 192;
/// Longest value that is kept.
const VALUE_MAX: usize = 512;
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

/// See the module. `wanted` are paths like `jid` or `headers.id`.
#[derive(Debug)]
pub struct Skim {
    wanted: &'static [&'static str],
    /// Where in `kept` the value of each stands.
    found: [Option<(u16, u16)>; WANTED_MAX],
    /// The values found, and behind them what is there of the one being read.
    kept: Vec<u8>,
    at: At,
    /// How many containers are open,
    depth: u32,
    /// and a bit for each that is an object, the innermost one lowest.
    objects: u128,
    /// A bit for each of `wanted` that stands in the object at the last key of the top level, and how long that key is.
    under: u32,
    outer: usize,
    /// Which of `wanted` the value at the last key is; `None`: nobody wants it.
    keep: Option<usize>,
    /// Where in `kept` the value begins that is being read.
    from: usize,
    /// A key that does not come in one piece, or has escapes in it.
    name: Vec<u8>,
}

impl Skim {
    /// A reader for one text.
    pub fn new(wanted: &'static [&'static str]) -> Skim {
        debug_assert!(wanted.len() <= WANTED_MAX, "{wanted:?}");
        Skim {
            wanted,
            found: [None; WANTED_MAX],
            kept: Vec::new(),
            at: At::Value,
            depth: 0,
            objects: 0,
            under: 0,
            outer: 0,
            keep: None,
            from: 0,
            name: Vec::new(),
        }
    }

    /// Reads a whole text at once.
    pub fn of(wanted: &'static [&'static str], text: &[u8]) -> Skim {
        let mut skim = Skim::new(wanted);
        skim.feed(text);
        skim
    }

    /// The value found at a wanted path: a string's content, a number or `true`/`false` as written. `null` is none.
    pub fn get(&self, path: &str) -> Option<&str> {
        let at = self.wanted.iter().position(|w| *w == path)?;
        let (from, to) = self.found.get(at).copied().flatten()?;
        std::str::from_utf8(&self.kept[usize::from(from)..usize::from(to)]).ok()
    }

    /// The next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
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
                At::Key if byte == b'"' => {
                    self.name.clear();
                    self.in_name(tail)
                }
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

    /// The beginning of a value, or of the end of what holds no more.
    fn value<'a>(&mut self, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        self.from = self.kept.len();
        match byte {
            b'"' => return self.in_text(&rest[1..]),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I' => return self.in_plain(rest),
            b'{' => self.open(true),
            b'[' => self.open(false),
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
    }

    /// Within a key, where no escape stands. Returns what comes behind the part that was read.
    fn in_name<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let (run, tail) = rest.split_at(until_mark(rest));
        match tail.split_first() {
            Some((b'"', tail)) if self.name.is_empty() => {
                self.named(run);
                return self.behind_name(tail);
            }
            Some((b'"', tail)) => {
                self.keep_name(run);
                let name = std::mem::take(&mut self.name);
                self.named(&name);
                return self.behind_name(tail);
            }
            Some(_) => self.at = At::Name(Escape::Slash),
            None => self.at = At::Name(Escape::No),
        }
        self.keep_name(run);
        tail.get(1..).unwrap_or_default()
    }

    /// A key has ended: what of its value is wanted?
    fn named(&mut self, name: &[u8]) {
        self.keep = None;
        match (self.depth, self.objects) {
            (1, _) => {
                (self.under, self.outer) = (0, name.len());
                for (at, path) in self.wanted.iter().map(|path| path.as_bytes()).enumerate() {
                    if path.first() != name.first() || !path.starts_with(name) {
                        continue;
                    }
                    match path.get(name.len()) {
                        None => self.keep = Some(at),
                        Some(b'.') => self.under |= 1 << at,
                        Some(_) => {}
                    }
                }
            }
            (2, 0b11) => {
                let mut under = self.under;
                while under != 0 {
                    let at = under.trailing_zeros() as usize;
                    let inner = self.wanted[at].as_bytes().get(self.outer + 1..);
                    if inner.is_some_and(|inner| inner.first() == name.first() && inner == name) {
                        self.keep = Some(at);
                    }
                    under &= under - 1;
                }
            }
            _ => {}
        }
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
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let end = rest.iter().position(ends);
        let (run, tail) = rest.split_at(end.unwrap_or(rest.len()));
        self.keep(run);
        if end.is_some() {
            self.end_value(false);
            return self.behind_value(tail);
        }
        self.at = At::Plain;
        tail
    }

    /// What stands behind almost every key is taken at one leap.
    fn behind_name<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let usual = rest.strip_prefix(b": ");
        self.at = if usual.is_some() { At::Value } else { At::AfterKey };
        usual.unwrap_or(rest)
    }

    /// The same behind a value.
    fn behind_value<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let usual = rest.strip_prefix(b", ").filter(|_| self.depth > 0);
        self.at = if usual.is_some() { self.behind_comma() } else { At::After };
        usual.unwrap_or(rest)
    }

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
        let room = (KEY_MAX + 1).saturating_sub(self.name.len()).min(run.len());
        self.name.extend_from_slice(&run[..room]);
    }

    /// More of a value's content, as far as it is kept.
    fn keep(&mut self, run: &[u8]) {
        if self.keep.is_some() {
            let room = VALUE_MAX.saturating_sub(self.kept.len() - self.from).min(run.len());
            self.kept.reserve(KEPT_MIN * usize::from(self.kept.is_empty()));
            self.kept.extend_from_slice(&run[..room]);
        }
    }

    fn end_value(&mut self, quoted: bool) {
        let Some(at) = self.keep.take().filter(|at| *at < WANTED_MAX) else { return };
        if std::str::from_utf8(&self.kept[self.from..]).is_err() {
            let lossy = String::from_utf8_lossy(&self.kept[self.from..]).into_owned();
            self.kept.truncate(self.from);
            self.kept.extend_from_slice(lossy.as_bytes());
        }
        if let Some((from, to)) = self.found[at].take() {
            self.forget(usize::from(from), usize::from(to));
        }
        if quoted || self.kept[self.from..] != *b"null" {
            self.found[at] = Some((self.from as u16, self.kept.len() as u16));
        } else {
            self.kept.truncate(self.from);
        }
    }

    /// The same value comes a second time: what was there before goes.
    fn forget(&mut self, from: usize, to: usize) {
        self.kept.drain(from..to);
        self.from -= to - from;
        for behind in self.found.iter_mut().flatten().filter(|found| usize::from(found.0) >= to) {
            behind.0 -= (to - from) as u16;
            behind.1 -= (to - from) as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &[&str] = &["jid", "headers.id", "headers.eta", "properties.delivery_tag", "n"];

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
    fn what_is_not_json_yields_nothing() {
        for text in ["", "hello", "{]", "[{\"jid\": 1}", "{\"jid\" \"x\"}", &"[".repeat(500), "\"jid\""] {
            assert_eq!(Skim::of(WANTED, text.as_bytes()).get("jid"), None, "{text:?}");
        }
    }
}
