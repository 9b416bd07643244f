//! The inside of a JSON string: how far it goes as it stands, and what an escape in it means.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    No,
    Slash,
    Unicode { digits: u8, code: u16 },
}

/// The next byte of a string with escapes in it.
pub(super) enum Next {
    /// This stands in the text.
    Char(char),
    /// This byte does.
    Byte(u8),
    /// Not told yet.
    In(Escape),
    /// No string.
    Lost,
}

impl Escape {
    /// Goes on behind a backslash.
    pub(super) fn next(self, byte: u8) -> Next {
        match (self, byte) {
            (Escape::No, byte) => Next::Byte(byte),
            (Escape::Slash, b'u') => Next::In(Escape::Unicode { digits: 0, code: 0 }),
            (Escape::Slash, b'n') => Next::Byte(b'\n'),
            (Escape::Slash, b't') => Next::Byte(b'\t'),
            (Escape::Slash, b'r') => Next::Byte(b'\r'),
            (Escape::Slash, b'b') => Next::Byte(8),
            (Escape::Slash, b'f') => Next::Byte(12),
            (Escape::Slash, other) => Next::Byte(other),
            (Escape::Unicode { digits, code }, byte) => {
                let Some(digit) = char::from(byte).to_digit(16) else { return Next::Lost };
                let code = (code << 4) | digit as u16;
                match digits {
                    // halves of a surrogate pair show as a replacement: names for people, no identities
                    3 => Next::Char(char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER)),
                    _ => Next::In(Escape::Unicode { digits: digits + 1, code }),
                }
            }
        }
    }
}

/// Where the first quote or backslash stands; the end if there is none.
#[inline(always)]
pub(super) fn until_mark(text: &[u8]) -> usize {
    // most strings are short: a call to memchr would cost more
    let near = &text[..text.len().min(NEAR)];
    for (number, word) in near.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = zeros(word ^ (EACH * u64::from(b'"'))) | zeros(word ^ (EACH * u64::from(b'\\')));
        if marks != 0 {
            return number * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    until_mark_behind(text, near.len() & !7)
}

/// The same of a text that has none before `near`.
#[cold]
fn until_mark_behind(text: &[u8], near: usize) -> usize {
    near + memchr::memchr2(b'"', b'\\', &text[near..]).unwrap_or(text.len() - near)
}

/// So many bytes are looked at first, in words of eight.
const NEAR: usize = 40;
/// One in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The high bit of the lowest byte that is zero, and maybe bits above it.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & (EACH << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_stands() {
        for len in 0..80 {
            let plain: Vec<u8> = (0..len).map(|at| b"a!#[]\x80\xa2\xdc\0\xff"[at % 10]).collect();
            assert_eq!(until_mark(&plain), len);
            for at in 0..len {
                for mark in *b"\"\\" {
                    let mut text = plain.clone();
                    text[at] = mark;
                    // the first one counts
                    text[len - 1] = mark;
                    assert_eq!(until_mark(&text), at, "{text:?}");
                }
            }
        }
    }
}
