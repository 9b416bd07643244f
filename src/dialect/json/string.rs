//! The inside of a JSON string: how far it goes as it stands, and what an escape in it means.

use memchr::memchr2;

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
    // most strings are short, and what looks at many bytes at once is slow to begin
    let near = &text[..text.len().min(NEAR)];
    find(near).unwrap_or_else(|| until_mark_behind(text, near.len()))
}

/// The same of a text that is short up to there, as a key.
#[inline(always)]
pub(super) fn until_near_mark(text: &[u8]) -> usize {
    find(text).unwrap_or(text.len())
}

/// The same of a text that has none before `near`.
#[cold]
fn until_mark_behind(text: &[u8], near: usize) -> usize {
    near + memchr2(b'"', b'\\', &text[near..]).unwrap_or(text.len() - near)
}

/// So many bytes are looked at first.
const NEAR: usize = 64;

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn find(text: &[u8]) -> Option<usize> {
    match memchr::arch::x86_64::sse2::memchr::Two::new(b'"', b'\\') {
        Some(two) => two.find(text),
        None => memchr2(b'"', b'\\', text),
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn find(text: &[u8]) -> Option<usize> {
    memchr2(b'"', b'\\', text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_stands() {
        for len in 0..150 {
            let plain: Vec<u8> = (0..len).map(|at| b"a!#[]\x80\xa2\xdc\0\xff"[at % 10]).collect();
            assert_eq!((until_mark(&plain), until_near_mark(&plain)), (len, len));
            for at in 0..len {
                for mark in *b"\"\\" {
                    let mut text = plain.clone();
                    text[at] = mark;
                    // the first one counts
                    text[len - 1] = mark;
                    assert_eq!((until_mark(&text), until_near_mark(&text)), (at, at), "{text:?}");
                }
            }
        }
    }
}
