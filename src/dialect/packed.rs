//! A streaming reader that takes a few texts out of a packed message (Protocol Buffers) and skips the rest, whatever its
//! size: asynq writes a task's id behind its payload.

/// How much of a text is kept.
pub const TEXT_MAX: usize = 256;

/// ```text
/// Key ──▶ Number ──▶ Key
///   ├───▶ Length ──▶ Content ──▶ Key
///   └─8 or 4 bytes─▶ Content
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Key,
    Number,
    /// Of the content of this field.
    Length(u64),
    /// So many bytes of it are still to come.
    Content(u64),
    /// No such message: whatever follows is ignored.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub struct Packed {
    wanted: &'static [u64],
    found: Vec<(u64, Vec<u8>)>,
    at: At,
    /// The content is that of the last one found.
    keep: bool,
    /// The number being read, and how many of its bits are there.
    number: u64,
    bits: u32,
}

impl Packed {
    /// A reader for the texts in these fields of one message.
    pub fn new(wanted: &'static [u64]) -> Packed {
        Packed { wanted, found: Vec::new(), at: At::Key, keep: false, number: 0, bits: 0 }
    }

    /// Reads a whole message at once.
    pub fn of(wanted: &'static [u64], message: &[u8]) -> Packed {
        let mut packed = Packed::new(wanted);
        packed.feed(message);
        packed
    }

    /// The beginning of the text in a wanted field. `None`: it is not there, or the message is none.
    pub fn get(&self, field: u64) -> Option<&[u8]> {
        let whole = self.at == At::Key && self.bits == 0;
        self.found.iter().rev().find(|(of, _)| whole && *of == field).map(|(_, text)| text.as_slice())
    }

    /// The next piece of the message.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.at {
                At::Lost => return,
                At::Content(left) => {
                    let (content, behind) = rest.split_at(rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
                    self.keep(content);
                    self.at = At::content(left - content.len() as u64);
                    rest = behind;
                }
                At::Key | At::Number | At::Length(_) => {
                    self.digit(byte);
                    rest = tail;
                }
            }
        }
    }

    fn keep(&mut self, content: &[u8]) {
        if let Some((_, text)) = self.found.last_mut().filter(|_| self.keep) {
            text.extend_from_slice(&content[..content.len().min(TEXT_MAX - text.len())]);
        }
    }

    /// Seven bits more of a number, the lowest first.
    fn digit(&mut self, byte: u8) {
        if self.bits > 63 {
            self.at = At::Lost;
            return;
        }
        self.number |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        if byte < 0x80 {
            self.bits = 0;
            let number = std::mem::take(&mut self.number);
            self.at = self.behind(number);
        }
    }

    fn behind(&mut self, number: u64) -> At {
        match (self.at, number & 7) {
            (At::Length(field), _) => {
                self.keep = self.wanted.contains(&field);
                if self.keep {
                    self.found.push((field, Vec::new()));
                }
                At::content(number)
            }
            (At::Number, _) => At::Key,
            (_, 0) => At::Number,
            (_, 2) => At::Length(number >> 3),
            (_, kind @ (1 | 5)) => {
                self.keep = false;
                At::content(if kind == 1 { 8 } else { 4 })
            }
            _ => At::Lost,
        }
    }
}

impl At {
    fn content(left: u64) -> At {
        if left == 0 { At::Key } else { At::Content(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &[u64] = &[1, 3];

    #[test]
    fn wanted_texts_are_found_in_any_cut() {
        let payload = [b"\x12\xac\x02".as_slice(), &[0xff; 300]].concat();
        let message = [
            b"\x0a\x04work",
            payload.as_slice(),
            b"\x1a\x02id\x28\x83\x01\x39\x00\x00\x00\x00\x00\x00\x00\x00\x7a\x00\x45\x00\x00\x00\x00",
        ]
        .concat();
        for cut in 0..=message.len() {
            let mut packed = Packed::new(WANTED);
            packed.feed(&message[..cut]);
            packed.feed(&message[cut..]);
            assert_eq!((packed.get(1), packed.get(3)), (Some(b"work".as_slice()), Some(b"id".as_slice())), "{cut}");
            assert_eq!((packed.get(2), packed.get(15)), (None, None));
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let message = [b"\x1a\xac\x02".as_slice(), &[b'x'; 300]].concat();
        assert_eq!(Packed::of(WANTED, &message).get(3), Some([b'x'; TEXT_MAX].as_slice()));
    }

    #[test]
    fn what_is_no_message_yields_nothing() {
        let endless = [&b"\x0a\x04work"[..], &[0xff; 12]].concat();
        for text in
            [&b"\x0a\x04work\x1a\x02i"[..], b"\x0a\x04work\x1a", b"\x0a\x04work\x0b", b"{\"id\":1}", &endless, b""]
        {
            assert_eq!(Packed::of(WANTED, text).get(1), None, "{text:?}");
        }
    }
}
