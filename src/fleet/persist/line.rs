//! Writing a record: each job writes several, so they go straight to where they stay.

use crate::job::{JobKey, Millis};

/// Lines in the making.
#[derive(Clone, Debug, Default)]
pub(in crate::fleet) struct Lines {
    pub(in crate::fleet) bytes: Vec<u8>,
    /// There is a line that must not wait for others.
    urgent: bool,
    /// Since when the others wait.
    waiting_since: Option<Millis>,
    /// What stood in the record before stands in the next one: the jobs of a read have come in one moment, on one channel.
    moment: Again<Millis>,
    channel: Again<(u64, u16)>,
}

/// Digits that were written last, and what of.
#[derive(Clone, Debug, Default)]
struct Again<T> {
    of: Option<T>,
    text: [u8; ROOM],
    len: usize,
}

/// A record in the making, behind whatever stands before it.
pub(in crate::fleet) struct Record<'a>(&'a mut Vec<u8>);

/// The longest number of 64 bits.
const DIGITS: usize = 20;
/// Of a number with its tab, and of the name of a channel with its tab and its dots. So much is copied whatever the length:
/// that takes a few moves instead of a call.
const ROOM: usize = 24;

/// A line that is not urgent waits so long for others, in milliseconds: a write takes a third of what sending to a socket
/// does.
const PATIENCE: Millis = 25;
/// Or until there is so much, in bytes.
const MUCH: usize = 32 * 1024;

impl Lines {
    pub(in crate::fleet) fn line(&mut self, record: &str) {
        self.bytes.extend_from_slice(record.as_bytes());
        self.end_line(true);
    }

    /// Ends a line.
    pub(in crate::fleet) fn end_line(&mut self, urgent: bool) {
        self.bytes.push(b'\n');
        self.urgent |= urgent;
    }

    /// When they have to be written, if there are any.
    pub(in crate::fleet) fn due(&mut self, now: Millis) -> Option<Millis> {
        if self.bytes.is_empty() {
            return None;
        }
        let at_once = self.urgent || self.bytes.len() > MUCH;
        Some(if at_once { now } else { *self.waiting_since.get_or_insert(now) + PATIENCE })
    }

    /// They have been written; `kept` bytes of room stay for the next ones.
    pub(in crate::fleet) fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        (self.urgent, self.waiting_since) = (false, None);
    }

    /// Begins a record.
    pub(in crate::fleet) fn begin(&mut self, letter: u8) -> Record<'_> {
        Record::begin(&mut self.bytes, letter)
    }

    /// Goes on with it.
    pub(in crate::fleet) fn record(&mut self) -> Record<'_> {
        Record(&mut self.bytes)
    }

    /// A number that mostly is that of the record before.
    pub(in crate::fleet) fn moment(&mut self, at: Millis) {
        self.moment.append(at, &mut self.bytes, |digits| {
            let at = decimal(at, digits, ROOM);
            begin_field(digits, at)
        });
    }

    pub(in crate::fleet) fn key(&mut self, key: &JobKey) {
        let (seed, channel, tag) = match key {
            JobKey::Text(text) => return Record(&mut self.bytes).text(text),
            JobKey::Delivery { seed, channel, tag } => (*seed, *channel, *tag),
        };
        self.channel.append((seed, channel), &mut self.bytes, |digits| {
            digits[ROOM - 1] = b'.';
            let at = decimal(u64::from(channel), digits, ROOM - 1) - 1;
            digits[at] = b'.';
            let at = hexadecimal(seed, digits, at);
            begin_field(digits, at)
        });
        let mut digits = [0; 2 * ROOM];
        let at = decimal(tag, &mut digits, ROOM);
        append(&mut self.bytes, &digits, at);
    }
}

impl<T: Copy + PartialEq> Again<T> {
    /// Appends the digits of this. `write` writes them so that they end at [`ROOM`], and returns where they begin.
    fn append(&mut self, of: T, into: &mut Vec<u8>, write: impl FnOnce(&mut [u8; 2 * ROOM]) -> usize) {
        if self.of != Some(of) {
            let mut digits = [0; 2 * ROOM];
            let at = write(&mut digits);
            self.text.copy_from_slice(&digits[at..at + ROOM]);
            (self.of, self.len) = (Some(of), ROOM - at);
        }
        let end = into.len() + self.len;
        into.extend_from_slice(&self.text);
        into.truncate(end);
    }
}

/// A tab stands before the digits.
fn begin_field(digits: &mut [u8; 2 * ROOM], at: usize) -> usize {
    digits[at - 1] = b'\t';
    at - 1
}

/// Appends what stands in `digits` from there to [`ROOM`].
fn append(into: &mut Vec<u8>, digits: &[u8; 2 * ROOM], at: usize) {
    let end = into.len() + ROOM - at;
    if let Some(window) = digits[at..].first_chunk::<ROOM>() {
        into.extend_from_slice(window);
        into.truncate(end);
    }
}

impl<'a> Record<'a> {
    pub(in crate::fleet) fn begin(into: &'a mut Vec<u8>, letter: u8) -> Record<'a> {
        into.push(letter);
        Record(into)
    }

    /// Whole fields, each with its tab before it, and with nothing in them that is to be escaped.
    #[inline(always)]
    pub(in crate::fleet) fn constant<const N: usize>(&mut self, fields: &[u8; N]) {
        self.0.extend_from_slice(fields);
    }

    /// A field with nothing in it that is to be escaped.
    pub(in crate::fleet) fn plain(&mut self, field: &str) {
        self.0.push(b'\t');
        self.0.extend_from_slice(field.as_bytes());
    }

    pub(in crate::fleet) fn text(&mut self, field: &str) {
        self.0.push(b'\t');
        if field.is_empty() {
            return;
        }
        // hardly any has something to be escaped
        if field.bytes().fold(true, |none, b| none & (b >= b' ') & (b != b'\\')) {
            return self.0.extend_from_slice(field.as_bytes());
        }
        for byte in field.bytes() {
            match byte {
                b'\t' => self.0.extend_from_slice(b"\\t"),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                byte => self.0.push(byte),
            }
        }
    }

    pub(in crate::fleet) fn number(&mut self, number: u64) {
        const { assert!(DIGITS < ROOM) };
        let mut digits = [0; 2 * ROOM];
        let at = decimal(number, &mut digits, ROOM);
        let at = begin_field(&mut digits, at);
        append(self.0, &digits, at);
    }

    /// A number or nothing.
    pub(in crate::fleet) fn optional(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.0.extend_from_slice(b"\t-"),
        }
    }

    pub(in crate::fleet) fn end(self) {
        self.0.extend_from_slice(b"\t.");
    }
}

/// Writes a number so that it ends before `end`, as `{number}` does, which takes ten times as long. Returns where it
/// begins.
fn decimal(number: u64, into: &mut [u8], end: usize) -> usize {
    in_pairs(number, into, end, const { &pairs::<100>(10) })
}

/// The same as `{number:x}`.
fn hexadecimal(number: u64, into: &mut [u8], end: usize) -> usize {
    in_pairs(number, into, end, const { &pairs::<256>(16) })
}

#[inline(always)]
fn in_pairs<const N: usize>(mut number: u64, into: &mut [u8], mut end: usize, pairs: &[[u8; 2]; N]) -> usize {
    while number >= N as u64 {
        into[end - 2..end].copy_from_slice(&pairs[(number % N as u64) as usize]);
        number /= N as u64;
        end -= 2;
    }
    let [high, low] = pairs[number as usize];
    into[end - 1] = low;
    if high == b'0' {
        return end - 1;
    }
    into[end - 2] = high;
    end - 2
}

/// The numbers of two digits to this base.
const fn pairs<const N: usize>(base: usize) -> [[u8; 2]; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; N];
    let mut n = 0;
    while n < N {
        pairs[n] = [DIGITS[n / base], DIGITS[n % base]];
        n += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::text::{Fields, record};
    use super::*;

    #[test]
    fn numbers_and_keys_are_written_as_they_are_shown() {
        let powers = (0..20).map(|n| 10_u64.pow(n)).chain((0..64).map(|n| 1 << n));
        let mut lines = Lines::default();
        for number in powers.flat_map(|n| [n - 1, n, n.wrapping_add(1), n / 3]).chain([99, 100, 101, u64::MAX]) {
            let key = JobKey::Delivery { seed: number, channel: number as u16, tag: number };
            let next = JobKey::Delivery { seed: number, channel: number as u16, tag: 7 };
            lines.begin(b'D').number(number);
            lines.key(&key);
            lines.key(&next);
            lines.moment(number);
            lines.moment(number);
            let mut record = Record(&mut lines.bytes);
            record.optional(Some(number));
            record.optional(None);
            record.end();
            let line = format!("D\t{number}\t{key}\t{next}\t{number}\t{number}\t{number}\t-\t.");
            assert_eq!(lines.bytes, line.into_bytes());
            lines.bytes.clear();
        }
    }

    #[test]
    fn what_breaks_a_line_is_escaped() {
        let line = record('N', &["a\tb", "\r\n\\ü", "", "plain"]);
        assert_eq!(line, "N\ta\\tb\t\\r\\n\\\\ü\t\tplain\t.");
        let (_, mut fields) = Fields::of(&line).expect("a record");
        assert_eq!(fields.text("").as_deref(), Ok("a\tb"));
        assert_eq!(fields.text("").as_deref(), Ok("\r\n\\ü"));
    }
}
