//! Writing a record: each job writes several, so they go straight to where they stay.

use crate::job::JobKey;

/// A record in the making, behind whatever stands before it.
pub(in crate::fleet) struct Record<'a>(&'a mut Vec<u8>);

/// The longest number of 64 bits.
const DIGITS: usize = 20;

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
        const ROOM: usize = DIGITS + 4;
        let mut digits = [0; 2 * ROOM];
        let at = decimal(number, &mut digits, ROOM) - 1;
        digits[at] = b'\t';
        self.digits::<ROOM>(&digits, at);
    }

    /// Appends what stands in `digits` from there to `ROOM`. So much is copied whatever its length: that takes a few moves
    /// instead of a call.
    #[inline(always)]
    fn digits<const ROOM: usize>(&mut self, digits: &[u8], at: usize) {
        let end = self.0.len() + ROOM - at;
        if let Some(window) = digits[at..].first_chunk::<ROOM>() {
            self.0.extend_from_slice(window);
            self.0.truncate(end);
        }
    }

    pub(in crate::fleet) fn key(&mut self, key: &JobKey) {
        match key {
            JobKey::Text(text) => self.text(text),
            JobKey::Delivery { seed, channel, tag } => {
                const ROOM: usize = DIGITS + 5 + 16 + 7;
                let mut digits = [0; 2 * ROOM];
                let mut at = decimal(*tag, &mut digits, ROOM) - 1;
                digits[at] = b'.';
                at = decimal(u64::from(*channel), &mut digits, at) - 1;
                digits[at] = b'.';
                at = hexadecimal(*seed, &mut digits, at) - 1;
                digits[at] = b'\t';
                self.digits::<ROOM>(&digits, at);
            }
        }
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

/// Writes a number so that it ends before `end`, as `{number}` does, which takes ten times as long. Returns where it begins.
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
        for number in powers.flat_map(|n| [n - 1, n, n.wrapping_add(1), n / 3]).chain([99, 100, 101, u64::MAX]) {
            let mut line = Vec::new();
            let key = JobKey::Delivery { seed: number, channel: number as u16, tag: number };
            let mut record = Record::begin(&mut line, b'D');
            record.number(number);
            record.key(&key);
            record.optional(Some(number));
            record.optional(None);
            record.end();
            assert_eq!(line, format!("D\t{number}\t{key}\t{number}\t-\t.").into_bytes());
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
