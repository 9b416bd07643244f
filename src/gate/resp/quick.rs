//! The way of almost everything: whole commands that nobody wants to know more of, and whole short replies to them. They
//! are counted off in one walk over their headers, without the machinery for what is cut, odd or of interest; whatever
//! is not as plain as that is left where it stands, for the rest of the gate. Both walks do just what the long way would.

use super::client::ClientAt;
use super::command::{FIRST_MAX, NAME_MAX, TAP_MAX};
use super::footing::Footing;
use super::owed::{Change, Noted, Owed};
use super::session::ReplyMode;
use super::verdict::{Name, Verdict};
use super::{Mode, RespGate};
use crate::dialect;
use crate::gate::Action;

/// What is owed grows by no more than this in one walk.
const RUN_MAX: u32 = 4_096;

/// Commands with more arguments are read along as they stream.
const ARGS_MAX: usize = 8;

/// A whole command.
struct Quick {
    verdict: Verdict,
    /// How long its name is.
    name: usize,
    argc: usize,
    used: usize,
}

impl RespGate {
    /// How many bytes of whole commands stand at the start of `buf` that need no more than this. They have been entered
    /// into what is owed, and are to be forwarded.
    pub(super) fn quick_commands(&mut self, buf: &[u8], out: &mut Vec<Action>) -> usize {
        if self.session.replies != ReplyMode::On {
            return 0;
        }
        let (mut at, mut plain, mut name) = (0, 0, [0; NAME_MAX]);
        for _ in 0..RUN_MAX {
            let Some(command) = self.quick_command(&buf[at..], &mut name) else { break };
            let late = plain > 0;
            if !matches!(command.verdict, Verdict::Stream) {
                self.enter(std::mem::take(&mut plain));
                if self.owed.is_full() && !self.ending {
                    break;
                }
            }
            let name = &name[..command.name];
            match command.verdict {
                Verdict::Stream => plain += 1,
                Verdict::Tap => {
                    let mut args = [b"".as_slice(); ARGS_MAX];
                    let Some(args) = arguments(&buf[at..at + command.used], &mut args) else { break };
                    args[0] = name;
                    self.tapped(args, out);
                }
                Verdict::Whole
                    if command.argc == 1
                        && self.is_frame(name)
                        // judged once more if something before it had not been entered
                        && (!late || self.footing(name) == Footing::Sure) =>
                {
                    self.bare(name, out);
                }
                _ => break,
            }
            at += command.used;
        }
        self.enter(plain);
        if at > 0 {
            self.client = ClientAt::Start;
        }
        at
    }

    /// So many plain commands.
    fn enter(&mut self, count: u32) {
        if count > 0 {
            if let Some(transaction) = &mut self.session.transaction {
                transaction.queued += count;
            }
            self.owed.push(Owed::Plain(count));
        }
    }

    /// Whether a command without arguments begins or ends a transaction, and does nothing else.
    fn is_frame(&self, name: &[u8]) -> bool {
        match &self.session.transaction {
            None => name == b"multi",
            Some(transaction) => name == b"exec" && !transaction.odd,
        }
    }

    /// The command at the start of `buf`, if it is all there. Its name is written to `lower`, in lower case.
    #[inline(always)]
    fn quick_command(&mut self, buf: &[u8], lower: &mut [u8; NAME_MAX]) -> Option<Quick> {
        let (argc, at) = length(buf, 0, b'*')?;
        let (name, start) = length(buf, at, b'$').filter(|(len, _)| argc > 0 && *len <= NAME_MAX)?;
        let word = match buf.get(..start + name)?.last_chunk::<8>() {
            // a loop over the few letters would cost more
            Some(word) if (1..=8).contains(&name) => {
                let word = lower_case(u64::from_le_bytes(*word) >> (64 - 8 * name));
                *lower.first_chunk_mut::<8>()? = word.to_le_bytes();
                word
            }
            _ => {
                lower[..name].copy_from_slice(&buf[start..start + name]);
                lower[..name].make_ascii_lowercase();
                0
            }
        };
        let mut at = start + name + 2;
        let mut first = None;
        for number in 1..argc {
            let (len, start) = length(buf, at, b'$')?;
            if number == 1 && len <= FIRST_MAX {
                first = Some(start..start + len);
            }
            at = start.checked_add(len)?.checked_add(2)?;
        }
        if at > buf.len() {
            return None;
        }
        let verdict = self.verdict(Name::of_word(&lower[..name], word), argc, first.map(|first| &buf[first]));
        Some(Quick { verdict, name, argc, used: at })
    }

    /// How many bytes of whole short replies stand at the start of `buf` that answer commands of which nobody wants to
    /// know more, or confirm what has been noted of them. They have been taken off what is owed, and are to be forwarded.
    pub(super) fn quick_replies(&mut self, buf: &[u8], out: &mut Vec<Action>) -> usize {
        if !matches!(self.owed.front(), Some(Owed::Plain(_) | Owed::Multi(_) | Owed::Noted(_))) {
            return 0;
        }
        let odd = self.session.monitor || self.session.subscribed_resp2() || self.owed.sync().is_some();
        if odd || self.mode != Mode::Running {
            return 0;
        }
        let mut at = 0;
        loop {
            match self.owed.front() {
                Some(&Owed::Plain(owed)) => {
                    let mut count = 0;
                    while count < owed
                        && let Some(used) = reply(&buf[at..])
                    {
                        at += used;
                        count += 1;
                    }
                    self.owed.pop_plain(count);
                    if count < owed {
                        return at;
                    }
                }
                Some(Owed::Multi(_)) if buf[at..].starts_with(b"+OK\r\n") => {
                    at += 5;
                    self.owed.pop();
                }
                Some(Owed::Noted(noted)) if let Some(used) = confirmation(noted, &buf[at..]) => {
                    at += used;
                    self.confirmed(out);
                }
                _ => return at,
            }
        }
    }

    /// The front is confirmed, all of it.
    fn confirmed(&mut self, out: &mut Vec<Action>) {
        if let Some(Owed::Noted(noted)) = self.owed.pop() {
            dialect::confirmed(noted.notes, |event| out.push(Action::Event(event)));
        }
    }
}

/// The arguments of the whole command in `buf`, as much of them as a tap keeps; `None`: there are many.
fn arguments<'a, 'b>(buf: &'a [u8], args: &'b mut [&'a [u8]; ARGS_MAX]) -> Option<&'b mut [&'a [u8]]> {
    let (argc, mut at) = length(buf, 0, b'*')?;
    let args = args.get_mut(..argc)?;
    for arg in args.iter_mut() {
        let (len, start) = length(buf, at, b'$')?;
        *arg = &buf[start..start + len.min(TAP_MAX)];
        at = start + len + 2;
    }
    Some(args)
}

/// The length of the reply at the start of `buf`, if it is a string, a scalar or a few of them, and all there.
#[inline(always)]
fn reply(buf: &[u8]) -> Option<usize> {
    leaf(buf).or_else(|| array(buf).map(|(used, _)| used))
}

/// The length of an array of a few of them, and whether one is an error.
#[inline(never)]
fn array(buf: &[u8]) -> Option<(usize, bool)> {
    let (count, mut at) = length(buf, 0, b'*').filter(|(count, _)| *count <= LEAVES_MAX)?;
    let mut has_error = false;
    for _ in 0..count {
        let rest = &buf[at..];
        at += leaf(rest)?;
        has_error |= rest[0] == b'-';
    }
    Some((at, has_error))
}

/// The length of the reply at the start of `buf`, if it confirms all that has been noted and changes nothing else.
fn confirmation(noted: &Noted, buf: &[u8]) -> Option<usize> {
    let used = match &noted.change {
        Change::None if *buf.first()? != b'-' => leaf(buf)?,
        // of `*0` nobody knows whether it was executed
        Change::Exec { doubted } if doubted.is_empty() && buf.get(1) != Some(&b'0') => {
            array(buf).filter(|(_, has_error)| !has_error)?.0
        }
        _ => return None,
    };
    (!noted.has_requests()).then_some(used)
}

#[inline(always)]
fn leaf(buf: &[u8]) -> Option<usize> {
    match buf {
        // almost all
        [b':', digit, b'\r', b'\n', ..] if digit.is_ascii_digit() => Some(4),
        [b'+', b'Q', b'U', b'E', b'U', b'E', b'D', b'\r', b'\n', ..] => Some(9),
        [b'+', b'O', b'K', b'\r', b'\n', ..] | [b'$', b'-', b'1', b'\r', b'\n', ..] => Some(5),
        [b'$', ..] => {
            let (len, start) = length(buf, 0, b'$')?;
            let end = start.checked_add(len)?.checked_add(2)?;
            (end <= buf.len()).then_some(end)
        }
        _ => line(buf),
    }
}

/// The same of one that is only a line.
#[inline(never)]
fn line(buf: &[u8]) -> Option<usize> {
    if !matches!(buf.first()?, b'+' | b'-' | b':' | b'_' | b'#' | b',') {
        return None;
    }
    // most are a few bytes long: a call to memchr would cost more
    let end = buf.iter().take(LINE_MAX).position(|byte| *byte == b'\n')?;
    (end > 1 && buf[end - 1] == b'\r').then_some(end + 1)
}

/// Longer arrays are left to the scanner.
const LEAVES_MAX: usize = 16;
/// A longer line is left to the scanner.
const LINE_MAX: usize = 48;
/// As many digits as any length of interest has.
const DIGITS_MAX: usize = 9;

/// The header line `kind` number at `at`: its number, and where it ends. `None`: not there, cut, or not as usual.
#[inline(always)]
pub(super) fn length(buf: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let line = buf.get(at..)?;
    let &[first, ten, one, third] = line.first_chunk()?;
    if first != kind {
        return None;
    }
    let digit = |byte: u8| byte.wrapping_sub(b'0');
    // almost all are of one or two digits
    if [one, third] == *b"\r\n" && digit(ten) < 10 {
        return Some((usize::from(digit(ten)), at + 4));
    }
    if third == b'\r' && line.get(4) == Some(&b'\n') && digit(ten) < 10 && digit(one) < 10 {
        return Some((usize::from(digit(ten)) * 10 + usize::from(digit(one)), at + 5));
    }
    long_length(line, kind).map(|(number, used)| (number, at + used))
}

/// Eight letters at once.
fn lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // a byte's high bit: it is from A on, it is beyond Z (bytes beyond ASCII are neither)
    let low = word & (EACH * 0x7f);
    let (from_a, beyond_z) = (low + EACH * (0x80 - b'A' as u64), low + EACH * (0x7f - b'Z' as u64));
    word | (from_a & !beyond_z & !word & (EACH << 7)) >> 2
}

/// The same of a line of any usual length.
#[cold]
fn long_length(line: &[u8], kind: u8) -> Option<(usize, usize)> {
    let mut number = 0;
    for (digits, byte) in line.strip_prefix(&[kind])?.iter().take(DIGITS_MAX + 1).enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..10 => number = 10 * number + usize::from(digit),
            _ => return (digits > 0 && line[1 + digits..].starts_with(b"\r\n")).then_some((number, digits + 3)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_small_and_nothing_else_changes() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut word = *b"aZ\xda\0[@z~";
                word[at] = byte;
                let expected = word.map(|byte| byte.to_ascii_lowercase());
                assert_eq!(lower_case(u64::from_le_bytes(word)).to_le_bytes(), expected);
            }
        }
    }

    #[test]
    fn short_headers_are_read_as_long_ones() {
        let odd = [b'0', b'9', b'/', b':', b'5', b'\r', b'\n', b'$', b'*', 0, 0xff];
        let pick = |n: usize, i: u32| odd[n / odd.len().pow(i) % odd.len()];
        for n in 0..odd.len().pow(5) {
            let line = [b'$', pick(n, 0), pick(n, 1), pick(n, 2), pick(n, 3), pick(n, 4)];
            for cut in 0..=line.len() {
                assert_eq!(length(&line[..cut], 0, b'$'), long_length(&line[..cut], b'$'), "{:?}", &line[..cut]);
                assert_eq!(length(&line[..cut], 0, b'*'), None);
            }
        }
    }

    #[test]
    fn only_what_is_whole_and_usual_is_counted() {
        for (text, len) in [
            ("+OK\r\n", 5),
            (":-12\r\n", 6),
            ("$3\r\nabc\r\n", 9),
            ("$0\r\n\r\n", 6),
            ("$-1\r\n", 5),
            ("*0\r\n", 4),
            ("*2\r\n:1\r\n$1\r\na\r\n", 15),
        ] {
            let next = format!("{text}+next\r\n");
            assert_eq!(reply(next.as_bytes()), Some(len), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(reply(&text.as_bytes()[..cut]), None, "{text:?} cut at {cut}");
            }
        }
        for odd in [
            "*17\r\n",
            "*1\r\n*1\r\n:1\r\n",
            "*-1\r\n",
            ">1\r\n+a\r\n",
            "$-2\r\n",
            "+OK\n",
            "\r\n",
            "$1x\r\n",
            "$9999999999\r\n",
        ] {
            assert_eq!(reply(odd.as_bytes()), None, "{odd:?}");
        }
    }
}
