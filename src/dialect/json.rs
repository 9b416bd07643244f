//! A streaming reader that takes a few named values out of a JSON text and skips the rest, whatever its size.
//!
//! kombu writes a message's body first and its headers last, so a job of 200 MB has to be walked through, but nothing
//! of it kept. Only objects at the top and one level below are looked into. A text that is not JSON yields nothing.

/// Longest value that is kept.
const VALUE_MAX: usize = 512;
/// Longest key that can match.
const KEY_MAX: usize = 64;
/// Deepest nesting that is followed; deeper texts are given up.
const DEPTH_MAX: usize = 128;

/// ```text
/// Value ──"──▶ Text ──"──▶ After ──,──▶ Key | Value
///   ├─{──▶ Key ──:──▶ Value      └─}]──▶ After (one level up)
///   └─digit, t, f, n──▶ Plain ──,}]──▶ After
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Value,
    Key,
    Text {
        key: bool,
        escape: Escape,
    },
    Plain,
    AfterKey,
    After,
    /// Not JSON, or too deep: whatever follows is ignored.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    No,
    Slash,
    Unicode { digits: u8, code: u16 },
}

/// See the module. `wanted` are paths like `jid` or `headers.id`.
#[derive(Debug)]
pub struct Skim {
    wanted: &'static [&'static str],
    found: Vec<Option<String>>,
    at: At,
    /// For each open container whether it is an object.
    open: Vec<bool>,
    /// The keys in force at the top and one level below.
    path: [Vec<u8>; 2],
    text: Vec<u8>,
    keep: Option<usize>,
}

impl Skim {
    /// A reader for one text.
    pub fn new(wanted: &'static [&'static str]) -> Skim {
        Skim {
            wanted,
            found: vec![None; wanted.len()],
            at: At::Value,
            open: Vec::new(),
            path: [Vec::new(), Vec::new()],
            text: Vec::new(),
            keep: None,
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
        self.found[at].as_deref()
    }

    /// The next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.at == At::Lost {
                return;
            }
            // most of a text is in strings, and most strings nobody wants: leap to where something happens
            if let At::Text { key, escape: Escape::No } = self.at {
                let run = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                if run > 0 {
                    self.push_run(key, &rest[..run]);
                    rest = &rest[run..];
                    continue;
                }
            }
            self.step(byte);
            rest = tail;
        }
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (At::Text { key, escape }, byte) => self.in_text(key, escape, byte),
            (At::Plain, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') => {
                self.end_value(false);
                self.at = At::After;
                return self.step(byte);
            }
            (At::Plain, byte) => {
                self.push_run(false, &[byte]);
                At::Plain
            }
            (at, b' ' | b'\t' | b'\r' | b'\n') => at,
            (At::Value | At::Key, b']' | b'}') => self.close(byte),
            (At::Key, b'"') => {
                self.text.clear();
                At::Text { key: true, escape: Escape::No }
            }
            (At::AfterKey, b':') => At::Value,
            (At::Value, b'{') => self.opened(true),
            (At::Value, b'[') => self.opened(false),
            (At::Value, b'"') => {
                self.begin_value();
                At::Text { key: false, escape: Escape::No }
            }
            (At::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I') => {
                self.begin_value();
                self.push_run(false, &[byte]);
                At::Plain
            }
            (At::After, b',') => match self.open.last() {
                Some(true) => At::Key,
                Some(false) => At::Value,
                None => At::Lost,
            },
            (At::After, b'}' | b']') => self.close(byte),
            _ => At::Lost,
        };
    }

    fn opened(&mut self, object: bool) -> At {
        if self.open.len() >= DEPTH_MAX {
            return At::Lost;
        }
        self.open.push(object);
        if object { At::Key } else { At::Value }
    }

    fn close(&mut self, byte: u8) -> At {
        match self.open.pop() {
            Some(object) if object == (byte == b'}') => At::After,
            _ => At::Lost,
        }
    }

    fn in_text(&mut self, key: bool, escape: Escape, byte: u8) -> At {
        let escape = match (escape, byte) {
            (Escape::No, b'"') => {
                if key {
                    self.end_key();
                    return At::AfterKey;
                }
                self.end_value(true);
                return At::After;
            }
            (Escape::No, b'\\') => Escape::Slash,
            (Escape::No, byte) => {
                self.push_run(key, &[byte]);
                Escape::No
            }
            (Escape::Slash, b'u') => Escape::Unicode { digits: 0, code: 0 },
            (Escape::Slash, byte) => {
                let byte = match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    other => other,
                };
                self.push_run(key, &[byte]);
                Escape::No
            }
            (Escape::Unicode { digits, code }, byte) => {
                let Some(digit) = (byte as char).to_digit(16) else { return At::Lost };
                let code = (code << 4) | digit as u16;
                if digits < 3 {
                    Escape::Unicode { digits: digits + 1, code }
                } else {
                    // halves of a surrogate pair show as a replacement: names for people, no identities
                    let shown = char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER);
                    self.push_run(key, shown.encode_utf8(&mut [0; 4]).as_bytes());
                    Escape::No
                }
            }
        };
        At::Text { key, escape }
    }

    /// More of a key's or a value's content, as far as it is kept.
    fn push_run(&mut self, key: bool, run: &[u8]) {
        let most = match key {
            true => KEY_MAX + 1,
            false if self.keep.is_some() => VALUE_MAX,
            false => return,
        };
        let room = most.saturating_sub(self.text.len()).min(run.len());
        self.text.extend_from_slice(&run[..room]);
    }

    fn end_key(&mut self) {
        if let depth @ 1..=2 = self.open.len() {
            self.path[depth - 1].clone_from(&self.text);
        }
    }

    fn begin_value(&mut self) {
        self.keep = None;
        let wanted = match *self.open.as_slice() {
            [true] => self.wanted.iter().position(|w| w.as_bytes() == self.path[0]),
            [true, true] => self.wanted.iter().position(|w| is_path(w.as_bytes(), &self.path)),
            _ => None,
        };
        if wanted.is_some() {
            self.text.clear();
            self.keep = wanted;
        }
    }

    fn end_value(&mut self, quoted: bool) {
        if let Some(at) = self.keep.take() {
            let value = String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned();
            self.found[at] = (quoted || value != "null").then_some(value);
        }
    }
}

/// Whether these two keys, one below the other, are what is wanted.
fn is_path(wanted: &[u8], [outer, inner]: &[Vec<u8>; 2]) -> bool {
    let rest = wanted.strip_prefix(outer.as_slice()).and_then(|rest| rest.strip_prefix(b"."));
    rest == Some(inner.as_slice())
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
