//! Where one value of the broker ends: a resumable scan over RESP2 and RESP3 that looks at headers only.
//!
//! Bodies of bulk strings are counted off, never read, so that a value of 512 MB passes in pieces. Invariant: a
//! [`Scanner`] that says `done` has consumed exactly one top-level value, however the stream was cut. An attribute in
//! front of a value counts as a value of its own; one within a value is no element of it. Who wants to read along hands
//! in a [`Sink`].

/// Longest header line (type, number, CRLF) that is waited for. Simple strings and errors may be longer: they stream.
const HEADER_MAX: usize = 64;
/// Deepest nesting that is followed. Redis itself allows far less in its replies.
const DEPTH_MAX: usize = 256;

/// Somebody who reads along. Leaves are numbered in order from 0 within one top-level value.
pub(super) trait Sink {
    /// A whole header line or scalar without its CRLF: `*2`, `:1`, `$5`, `_`, `+OK`.
    fn line(&mut self, _line: &[u8]) {}
    /// Bytes of a bulk string's body (of `+`, `-` and `(` lines that are too long, too).
    fn body(&mut self, _bytes: &[u8]) {}
    /// The leaf (bulk string or scalar) with this number has ended.
    fn leaf(&mut self, _number: u32) {}
}

impl Sink for () {}

/// The bytes are not RESP.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotResp(pub(super) &'static str);

/// How far a scan came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advance {
    /// Bytes consumed.
    pub(super) used: usize,
    /// The value is complete.
    pub(super) done: bool,
}

/// ```text
/// Header ──$n──▶ Body(n+2) ──▶ Header (next element, or done)
///   └─long + - ( ──▶ Line ──LF──▶ Header
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Header,
    Body { left: u64 },
    Line,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scanner {
    at: At,
    /// Elements still to come, by nesting; empty between values.
    open: Vec<u64>,
    /// Where in `open` an attribute within a value stands: nobody reads along with it.
    attribute: Option<u16>,
    leaves: u32,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        Scanner { at: At::Header, open: Vec::new(), attribute: None, leaves: 0 }
    }

    /// Between two values.
    pub(super) fn at_start(&self) -> bool {
        self.at == At::Header && self.open.is_empty()
    }

    /// Consumes as much of one value as `buf` holds. `used < buf.len()` without `done` means that a header is cut:
    /// come again with more behind it.
    pub(super) fn advance(&mut self, buf: &[u8], sink: &mut impl Sink) -> Result<Advance, NotResp> {
        let mut used = 0;
        while used < buf.len() {
            let rest = &buf[used..];
            match self.at {
                At::Body { left } => {
                    let take = left.min(rest.len() as u64);
                    // the last two bytes of a body are its CRLF
                    let content = left.saturating_sub(2).min(take);
                    if content > 0 && self.attribute.is_none() {
                        sink.body(&rest[..content as usize]);
                    }
                    used += take as usize;
                    if take < left {
                        self.at = At::Body { left: left - take };
                        break;
                    }
                    if self.leaf(sink) {
                        return Ok(Advance { used, done: true });
                    }
                }
                At::Line => {
                    let end = memchr::memchr(b'\n', rest);
                    if self.attribute.is_none() {
                        sink.body(&rest[..end.unwrap_or(rest.len())]);
                    }
                    used += end.map_or(rest.len(), |end| end + 1);
                    if end.is_some() && self.leaf(sink) {
                        return Ok(Advance { used, done: true });
                    }
                }
                At::Header => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        if rest.len() <= HEADER_MAX {
                            break;
                        }
                        if !matches!(rest[0], b'+' | b'-' | b'(') {
                            return Err(NotResp("a header without an end"));
                        }
                        if self.attribute.is_none() {
                            sink.line(rest);
                        }
                        self.at = At::Line;
                        used = buf.len();
                        break;
                    };
                    used += end + 1;
                    if self.header(&rest[..end], sink)? {
                        return Ok(Advance { used, done: true });
                    }
                }
            }
        }
        Ok(Advance { used, done: false })
    }

    /// One header line without its LF. True when it completed the value.
    fn header(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<bool, NotResp> {
        let Some(line) = line.strip_suffix(b"\r") else { return Err(NotResp("a line that does not end in CRLF")) };
        let Some(&kind) = line.first() else { return Err(NotResp("an empty line")) };
        if self.attribute.is_none() && (kind != b'|' || self.open.is_empty()) {
            sink.line(line);
        }
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => Ok(self.leaf(sink)),
            b'$' | b'=' | b'!' => match number(&line[1..])? {
                -1 => Ok(self.leaf(sink)),
                n if n < 0 => Err(NotResp("a negative length")),
                n => {
                    self.at = At::Body { left: n as u64 + 2 };
                    Ok(false)
                }
            },
            b'*' | b'~' | b'>' => self.aggregate(number(&line[1..])?, 1, sink),
            b'%' => self.aggregate(number(&line[1..])?, 2, sink),
            b'|' if self.open.is_empty() => self.aggregate(number(&line[1..])?, 2, sink),
            b'|' => self.inner_attribute(number(&line[1..])?),
            _ => Err(NotResp("an unknown type")),
        }
    }

    fn aggregate(&mut self, n: i64, per: u64, sink: &mut impl Sink) -> Result<bool, NotResp> {
        match n {
            n if n < -1 => Err(NotResp("a negative count")),
            -1 | 0 => Ok(self.leaf(sink)),
            n => {
                self.open_level(n as u64 * per)?;
                Ok(false)
            }
        }
    }

    fn open_level(&mut self, elements: u64) -> Result<(), NotResp> {
        if self.open.len() >= DEPTH_MAX {
            return Err(NotResp("nested too deeply"));
        }
        self.open.push(elements);
        Ok(())
    }

    /// An attribute within a value: its end must not count as an element of the level that it stands in.
    fn inner_attribute(&mut self, n: i64) -> Result<bool, NotResp> {
        if n < 0 {
            return Err(NotResp("a negative count"));
        }
        if n > 0 {
            if let Some(parent) = self.open.last_mut() {
                *parent += 1;
            }
            self.attribute.get_or_insert(depth(&self.open));
            self.open_level(n as u64 * 2)?;
        }
        Ok(false)
    }

    /// An element ended: closes all levels that it completes. True when nothing is open any more.
    fn leaf(&mut self, sink: &mut impl Sink) -> bool {
        self.at = At::Header;
        if self.attribute.is_none() {
            sink.leaf(self.leaves);
            self.leaves = self.leaves.saturating_add(1);
        }
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
            if self.attribute == Some(depth(&self.open)) {
                self.attribute = None;
            }
        }
        self.leaves = 0;
        true
    }
}

/// At most [`DEPTH_MAX`].
fn depth(open: &[u64]) -> u16 {
    open.len() as u16
}

/// A signed decimal number as RESP writes it.
pub(super) fn number(text: &[u8]) -> Result<i64, NotResp> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return Err(NotResp("a number that is none"));
    }
    let mut n: i64 = 0;
    for &d in digits {
        if !d.is_ascii_digit() {
            return Err(NotResp("a number that is none"));
        }
        n = n * 10 + i64::from(d - b'0');
    }
    Ok(if negative { -n } else { n })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Advance, NotResp> {
        Scanner::new().advance(bytes, &mut ())
    }

    #[test]
    fn one_value_ends_where_it_ends() {
        for value in [
            "+OK\r\n",
            "-ERR x\r\n",
            ":1\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$3\r\nabc\r\n",
            "*-1\r\n",
            "*0\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123\r\n",
            "=7\r\ntxt:abc\r\n",
            "!3\r\nERR\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n",
            "~2\r\n:1\r\n:2\r\n",
            ">2\r\n+a\r\n+b\r\n",
            "|1\r\n+ttl\r\n:3\r\n",
            "|0\r\n",
            "*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n",
            "%0\r\n",
        ] {
            let bytes = [value.as_bytes(), b"+next\r\n"].concat();
            assert_eq!(whole(&bytes), Ok(Advance { used: value.len(), done: true }), "{value:?}");
            let mut scanner = Scanner::new();
            let (mut from, mut done) = (0, false);
            for to in 1..=value.len() {
                let step = scanner.advance(&value.as_bytes()[from..to], &mut ()).unwrap();
                from += step.used;
                assert!(!done, "{value:?} ended early");
                done = step.done;
            }
            assert!(done && from == value.len() && scanner.at_start(), "{value:?} byte by byte");
        }
    }

    #[test]
    fn what_is_not_resp_is_said() {
        for bad in ["?\r\n", "*x\r\n", "$-2\r\n", "\r\n", "+OK\n", "$99999999999999999999\r\n", "*-3\r\n"] {
            assert!(whole(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_long_status_line_streams() {
        let long = [b"+".as_slice(), &[b'x'; 5000], b"\r\n"].concat();
        let mut scanner = Scanner::new();
        let first = scanner.advance(&long[..3000], &mut ()).unwrap();
        assert_eq!(first, Advance { used: 3000, done: false });
        assert_eq!(scanner.advance(&long[3000..], &mut ()), Ok(Advance { used: 2003, done: true }));
    }
}
