//! Where one command of the client ends, and as much of it as a verdict needs.
//!
//! [`read_head`] looks at the name and the first argument only; that decides for most commands. What a verdict needs
//! whole is taken with [`read_whole`]; the body of all others is counted off by a [`Tail`] while it streams through.

use super::quick::length;
use super::scan::{NotResp, number};
use bytes::Bytes;
use std::ops::Range;

/// A longer name is no command that anybody knows.
pub(super) const NAME_MAX: usize = 64;
/// A longer first argument is no key that a rule knows.
pub(super) const FIRST_MAX: usize = 1024;
/// Redis gives up on an inline request of this length.
const INLINE_MAX: usize = 64 * 1024;
/// Longest header line of a command.
const HEADER_MAX: usize = 32;
/// How much of one argument is kept when a command is read along with while it streams.
pub(super) const TAP_MAX: usize = 16 * 1024;
/// How many arguments are kept then.
const TAP_ARGS: usize = 64;

/// What stands at the start of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Not enough bytes to tell.
    More,
    /// Not a command.
    Bad(&'static str),
    /// Bytes that Redis skips without a reply (an empty line, `*0`).
    Nothing(usize),
    /// An inline request of this length, CRLF included.
    Inline(usize),
    /// An array of bulk strings.
    Array {
        /// Number of arguments, the name included.
        argc: u32,
        /// The name; empty if longer than any known one.
        name: Range<usize>,
        /// The first argument, if there is one of a reasonable length.
        first: Option<Range<usize>>,
        /// Where the arguments begin that have not been read.
        rest: usize,
        /// How many those are.
        left: u32,
    },
}

/// Reads the head of the command at the start of `buf`.
pub(super) fn read_head(buf: &[u8]) -> Head {
    match buf.first() {
        None => Head::More,
        Some(b'*') => read_array_head(buf).unwrap_or_else(|NotResp(what)| Head::Bad(what)),
        Some(_) => match memchr::memchr(b'\n', buf) {
            Some(end) if buf[..end].iter().all(is_space) => Head::Nothing(end + 1),
            // Redis looks for the line's end with strchr
            Some(end) if memchr::memchr(0, &buf[..end]).is_some() => Head::Bad("an inline request with a NUL in it"),
            Some(end) => Head::Inline(end + 1),
            None if buf.len() > INLINE_MAX => Head::Bad("an inline request without an end"),
            None => Head::More,
        },
    }
}

fn read_array_head(buf: &[u8]) -> Result<Head, NotResp> {
    let Some((argc, at)) = header(buf, 0, b'*')? else { return Ok(Head::More) };
    if argc <= 0 {
        return Ok(Head::Nothing(at));
    }
    let argc = u32::try_from(argc).map_err(|_| NotResp("too many arguments"))?;
    let Some((len, at)) = header(buf, at, b'$')? else { return Ok(Head::More) };
    let len = usize::try_from(len).map_err(|_| NotResp("a negative length"))?;
    if len > NAME_MAX {
        return Ok(Head::Array { argc, name: 0..0, first: None, rest: after_count(buf), left: argc });
    }
    let name = at..at + len;
    let rest = name.end + 2;
    if buf.len() < rest {
        return Ok(Head::More);
    }
    if argc == 1 {
        return Ok(Head::Array { argc, name, first: None, rest, left: 0 });
    }
    let Some((len, at)) = header(buf, rest, b'$')? else { return Ok(Head::More) };
    let len = usize::try_from(len).map_err(|_| NotResp("a negative length"))?;
    if len > FIRST_MAX {
        return Ok(Head::Array { argc, name, first: None, rest, left: argc - 1 });
    }
    if buf.len() < at + len + 2 {
        return Ok(Head::More);
    }
    Ok(Head::Array { argc, name, first: Some(at..at + len), rest: at + len + 2, left: argc - 2 })
}

fn after_count(buf: &[u8]) -> usize {
    memchr::memchr(b'\n', buf).map_or(0, |end| end + 1)
}

/// The header line `kind` number at `at`: its number and where it ends. `None`: cut.
fn header(buf: &[u8], at: usize, kind: u8) -> Result<Option<(i64, usize)>, NotResp> {
    if let Some((number, end)) = length(buf, at, kind) {
        return Ok(Some((number as i64, end)));
    }
    let Some(rest) = buf.get(at..).filter(|r| !r.is_empty()) else { return Ok(None) };
    if rest[0] != kind {
        return Err(NotResp(if kind == b'$' { "expected '$'" } else { "expected '*'" }));
    }
    let Some(end) = memchr::memchr(b'\n', &rest[..rest.len().min(HEADER_MAX)]) else {
        return if rest.len() >= HEADER_MAX { Err(NotResp("a header without an end")) } else { Ok(None) };
    };
    let line = rest[1..end].strip_suffix(b"\r").ok_or(NotResp("a line that does not end in CRLF"))?;
    Ok(Some((number(line)?, at + end + 1)))
}

/// All arguments of the array command at the start of `buf`, as slices of a copy, and that copy. `None`: cut.
pub(super) fn read_whole(buf: &[u8]) -> Result<Option<(Vec<Bytes>, Bytes)>, NotResp> {
    let Some((argc, mut at)) = header(buf, 0, b'*')? else { return Ok(None) };
    let mut ranges = Vec::with_capacity(argc.clamp(0, 64) as usize);
    for _ in 0..argc {
        let Some((len, start)) = header(buf, at, b'$')? else { return Ok(None) };
        let len = usize::try_from(len).map_err(|_| NotResp("a negative length"))?;
        at = start + len + 2;
        if at > buf.len() {
            return Ok(None);
        }
        ranges.push(start..start + len);
    }
    let copy = Bytes::copy_from_slice(&buf[..at]);
    Ok(Some((ranges.into_iter().map(|r| copy.slice(r)).collect(), copy)))
}

/// The arguments of the array command at the start of `buf`, as much of them as a tap keeps, how many those are, and the
/// command's length. The first is replaced by `name`. `None`: it is not all there, or not as usual.
pub(super) fn read_tapped<'a>(name: &'a [u8], buf: &'a [u8]) -> Option<([&'a [u8]; TAP_ARGS], usize, usize)> {
    let (argc, mut at) = length(buf, 0, b'*')?;
    let (mut args, mut kept) = ([b"".as_slice(); TAP_ARGS], 0);
    for _ in 0..argc {
        let (len, start) = length(buf, at, b'$')?;
        let arg = buf.get(start..start.checked_add(len)?)?;
        at = start + len + 2;
        if let Some(place) = args.get_mut(kept) {
            *place = &arg[..len.min(TAP_MAX)];
            kept += 1;
        }
    }
    args[0] = name;
    (at <= buf.len()).then_some((args, kept, at))
}

/// The argument of at most `max` bytes at the start of `buf`, and its length on the wire. `None`: cut.
pub(super) fn read_arg(buf: &[u8], max: usize) -> Result<Option<(&[u8], usize)>, NotResp> {
    let Some((len, start)) = header(buf, 0, b'$')? else { return Ok(None) };
    let len = usize::try_from(len).ok().filter(|len| *len <= max).ok_or(NotResp("too long"))?;
    let used = start + len + 2;
    Ok((used <= buf.len()).then(|| (&buf[start..start + len], used)))
}

/// The arguments that are complete at the start of the array command in `buf`.
pub(super) fn read_beginning(buf: &[u8]) -> Vec<&[u8]> {
    let mut args = Vec::new();
    let Ok(Some((argc, mut at))) = header(buf, 0, b'*') else { return args };
    while let Ok(Some((arg, used))) = read_arg(&buf[at..], buf.len()) {
        args.push(arg);
        at += used;
        if args.len() as i64 == argc {
            break;
        }
    }
    args
}

/// The arguments of an inline request, by the rules of Redis' `sdssplitargs`. `None`: unbalanced quotes.
pub(super) fn split_inline(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut args = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(is_space) {
            at += 1;
        }
        if at >= line.len() {
            return Some(args);
        }
        let mut arg = Vec::new();
        at = inline_word(line, at, &mut arg)?;
        args.push(Bytes::from(arg));
    }
}

/// C's `isspace`.
fn is_space(c: &u8) -> bool {
    matches!(c, b' ' | b'\t'..=b'\r')
}

/// One word from `at` on; returns where it ends.
fn inline_word(line: &[u8], mut at: usize, arg: &mut Vec<u8>) -> Option<usize> {
    while let Some(&c) = line.get(at) {
        match c {
            b'"' | b'\'' => {
                at = inline_quoted(line, at + 1, c, arg)?;
                // a closing quote must be followed by a space or nothing
                return line.get(at).is_none_or(is_space).then_some(at);
            }
            b' ' | b'\t' | b'\r' | b'\n' => return Some(at),
            c => arg.push(c),
        }
        at += 1;
    }
    Some(at)
}

fn inline_quoted(line: &[u8], mut at: usize, quote: u8, arg: &mut Vec<u8>) -> Option<usize> {
    loop {
        let c = *line.get(at)?;
        at += 1;
        match c {
            c if c == quote => return Some(at),
            b'\\' if quote == b'"' && line.get(at) == Some(&b'x') && hex(line, at + 1).is_some() => {
                arg.push(hex(line, at + 1)?);
                at += 3;
            }
            b'\\' if quote == b'"' || line.get(at) == Some(&b'\'') => {
                let escaped = *line.get(at)?;
                at += 1;
                arg.push(match escaped {
                    b'n' if quote == b'"' => b'\n',
                    b'r' if quote == b'"' => b'\r',
                    b't' if quote == b'"' => b'\t',
                    b'b' if quote == b'"' => 8,
                    b'a' if quote == b'"' => 7,
                    other => other,
                });
            }
            c => arg.push(c),
        }
    }
}

fn hex(line: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*line.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// Counts off what follows the head of a command while it streams through; with a tap it keeps the beginning of each
/// argument.
#[derive(Debug)]
pub(super) struct Tail {
    args: u32,
    body: u64,
    tap: Option<Vec<Vec<u8>>>,
    /// The argument is beyond those that are kept.
    over: bool,
    /// Bytes that are kept of each, at most.
    room: usize,
}

impl Tail {
    /// `args` arguments are still to come. `tap` holds those before them if somebody wants to read along.
    pub(super) fn new(args: u32, tap: Option<Vec<Vec<u8>>>) -> Tail {
        Tail { args, body: 0, tap, over: false, room: TAP_MAX }
    }

    /// So much is kept of each argument.
    pub(super) fn with_room(self, room: usize) -> Tail {
        Tail { room, ..self }
    }

    /// Whether exactly so many arguments are still to come, and nothing of the next one has.
    pub(super) fn stands_before(&self, left: u32) -> bool {
        self.args == left && self.body == 0
    }

    /// The next argument was dealt with by somebody else. `true`: it was the last.
    pub(super) fn skip(&mut self) -> bool {
        self.args = self.args.saturating_sub(1);
        self.args == 0
    }

    /// How many of the bytes belong to this command. `true`: that was its end. It stops when `left` arguments are still
    /// to come.
    pub(super) fn advance(&mut self, buf: &[u8], left: u32) -> Result<(usize, bool), NotResp> {
        let mut at = 0;
        loop {
            if self.body > 0 {
                let take = self.body.min((buf.len() - at) as u64) as usize;
                self.keep(&buf[at..at + take]);
                at += take;
                self.body -= take as u64;
                if self.body > 0 {
                    return Ok((at, false));
                }
                self.args -= 1;
            }
            if self.args == 0 {
                return Ok((at, true));
            }
            if self.args == left {
                return Ok((at, false));
            }
            let Some((len, start)) = header(buf, at, b'$')? else { return Ok((at, false)) };
            let len = u64::try_from(len).map_err(|_| NotResp("a negative length"))?;
            at = start;
            self.body = len + 2;
            self.over = self.tap.as_ref().is_some_and(|t| t.len() >= TAP_ARGS);
            if let Some(tap) = self.tap.as_mut().filter(|_| !self.over) {
                tap.push(Vec::new());
            }
        }
    }

    /// The tapped arguments, once the end was reached.
    pub(super) fn into_tapped(self) -> Option<Vec<Vec<u8>>> {
        self.tap
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (body, room) = (self.body, self.room);
        let Some(arg) = self.tap.as_mut().filter(|_| !self.over).and_then(|t| t.last_mut()) else { return };
        // the last two bytes of the body are its CRLF
        let content = body.saturating_sub(2).min(bytes.len() as u64) as usize;
        let room = room.saturating_sub(arg.len()).min(content);
        arg.extend_from_slice(&bytes[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_requests_split_as_redis_splits_them() {
        let split = |s: &str| split_inline(s.as_bytes()).map(|a| a.into_iter().map(|b| b.to_vec()).collect::<Vec<_>>());
        assert_eq!(split("PING\r\n"), Some(vec![b"PING".to_vec()]));
        assert_eq!(split(" set  a \"b c\\n\" "), Some(vec![b"set".to_vec(), b"a".to_vec(), b"b c\n".to_vec()]));
        assert_eq!(split(r"'it\'s' \x"), Some(vec![b"it's".to_vec(), b"\\x".to_vec()]));
        assert_eq!(split(r#""\x41\x+1""#), Some(vec![b"Ax+1".to_vec()]));
        assert_eq!(split("\x0b a\x0bb"), Some(vec![b"a\x0bb".to_vec()]));
        assert_eq!(split(r#""a"b"#), None);
        assert_eq!(split(r#""a"#), None);
    }

    #[test]
    fn the_tail_is_counted_off_in_any_cut() {
        let tail = b"$3\r\nabc\r\n$0\r\n\r\n$2\r\nde\r\n";
        for cut in 1..tail.len() {
            let mut walk = Tail::new(3, Some(vec![]));
            let (used, done) = walk.advance(&tail[..cut], 0).unwrap();
            assert!(!done);
            assert_eq!(walk.advance(&tail[used..], 0), Ok((tail.len() - used, true)), "cut at {cut}");
            assert_eq!(walk.into_tapped(), Some(vec![b"abc".to_vec(), vec![], b"de".to_vec()]));
        }
    }
}
