//! Field tables and content headers, walked in place: a job's headers may be large (Celery repeats the arguments there),
//! and only a few values of them are wanted.

use super::frame::Fields;

/// A value of a table, as far as anybody asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a [u8]),
    Integer(i64),
    /// Anything else.
    Other,
}

/// The entries of a table, without its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a>(Fields<'a>);

impl<'a> Entries<'a> {
    /// Of the table at the front of `fields`, which go on behind it.
    fn take(fields: &mut Fields<'a>) -> Option<Entries<'a>> {
        Some(Entries(Fields(fields.longstr()?)))
    }

    /// Of a table as it is written.
    pub(crate) fn of(table: &'a [u8]) -> Entries<'a> {
        Entries::take(&mut Fields(table)).unwrap_or(Entries::bare(&[]))
    }

    /// Of one that is written without its length.
    pub(super) fn bare(entries: &'a [u8]) -> Entries<'a> {
        Entries(Fields(entries))
    }

    /// The value under a key.
    pub(crate) fn get(mut self, key: &[u8]) -> Option<Value<'a>> {
        self.find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// All entries, their values unread.
    pub(crate) fn raw(self) -> impl Iterator<Item = (&'a [u8], Raw<'a>)> {
        let mut fields = self.0;
        std::iter::from_fn(move || Some((fields.shortstr()?, Raw::take(&mut fields)?)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.shortstr()?;
        Some((key, Raw::take(&mut self.0)?.value()))
    }
}

/// A value as it is written: its type, and its bytes without their length. The types are RabbitMQ's, which are not all those
/// of the specification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    #[inline(always)]
    fn take(fields: &mut Fields<'a>) -> Option<Raw<'a>> {
        let kind = fields.octet()?;
        let bytes = match kind {
            b'S' | b'F' | b'A' | b'x' => fields.longstr()?,
            b'V' => &[],
            b't' | b'b' | b'B' => fields.take(1)?,
            b's' | b'U' | b'u' => fields.take(2)?,
            b'I' | b'i' | b'f' => fields.take(4)?,
            b'l' | b'L' | b'd' | b'T' => fields.take(8)?,
            b'D' => fields.take(5)?,
            _ => return None,
        };
        Some(Raw { kind, bytes })
    }

    /// Its bytes, if it is a text.
    pub(crate) fn text(self) -> Option<&'a [u8]> {
        (self.kind == b'S').then_some(self.bytes)
    }

    pub(crate) fn value(self) -> Value<'a> {
        let negative = self.bytes.first().is_some_and(|b| b & 0x80 != 0);
        let number = |all: i64| self.bytes.iter().fold(all, |n, b| n << 8 | i64::from(*b));
        match self.kind {
            b'b' | b's' | b'U' | b'I' | b'l' | b'L' => Value::Integer(number(if negative { -1 } else { 0 })),
            b'B' | b'u' | b'i' => Value::Integer(number(0)),
            b'S' => Value::Text(self.bytes),
            _ => Value::Other,
        }
    }
}

/// Writes a table with one integer set, the other entries as they are.
pub(super) fn set_integer(table: &[u8], key: &[u8], number: i64, into: &mut Vec<u8>) -> Option<()> {
    let mut fields = Fields(table);
    let mut entries = Fields(fields.longstr()?);
    let mut kept = Vec::with_capacity(table.len() + 16);
    while !entries.0.is_empty() {
        let before = entries.0;
        let found = entries.shortstr()?;
        Raw::take(&mut entries)?;
        if found != key {
            kept.extend_from_slice(&before[..before.len() - entries.0.len()]);
        }
    }
    super::method::push_shortstr(&mut kept, key)?;
    kept.push(b'l');
    kept.extend_from_slice(&number.to_be_bytes());
    into.extend_from_slice(&u32::try_from(kept.len()).ok()?.to_be_bytes());
    into.extend_from_slice(&kept);
    Some(())
}

/// A content header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Properties<'a> {
    pub(crate) headers: Entries<'a>,
    pub(crate) correlation_id: Option<&'a [u8]>,
    pub(crate) message_id: Option<&'a [u8]>,
    pub(crate) kind: Option<&'a [u8]>,
}

/// The flags of those properties.
const WANTED: u16 = 1 << 13 | 1 << 10 | 1 << 7 | 1 << 5;

/// The size of the body that a content header announces.
pub(super) fn body_size(payload: &[u8]) -> Option<u64> {
    Fields(payload.get(4..)?).longlong()
}

impl<'a> Properties<'a> {
    /// Reads a content header's payload; what cannot be read is as good as absent.
    #[inline(always)]
    pub(super) fn read(payload: &'a [u8]) -> Properties<'a> {
        let mut read = Properties { headers: Entries::bare(&[]), correlation_id: None, message_id: None, kind: None };
        read.fill(Fields(payload.get(12..).unwrap_or_default()));
        read
    }

    fn fill(&mut self, mut fields: Fields<'a>) -> Option<()> {
        let mut flags = fields.short()?;
        if flags & 1 != 0 {
            return None; // no client sends a second word of flags
        }
        // what comes behind the last one that anybody wants is not walked over
        while flags & WANTED != 0 {
            let bit = flags.ilog2();
            flags &= !(1 << bit);
            match bit {
                13 => self.headers = Entries::take(&mut fields)?,
                12 | 11 => fields.octet().map(|_| ())?,
                10 => self.correlation_id = Some(fields.shortstr()?),
                7 => self.message_id = Some(fields.shortstr()?),
                6 => fields.longlong().map(|_| ())?,
                5 => self.kind = Some(fields.shortstr()?),
                _ => fields.shortstr().map(|_| ())?,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[u8]) -> Vec<u8> {
        let mut table = u32::try_from(entries.len()).expect("small").to_be_bytes().to_vec();
        table.extend_from_slice(entries);
        table
    }

    #[test]
    fn values_of_all_types_are_walked_over() {
        let mut entries = Vec::new();
        for (key, value) in [
            ("a", &b"t\x01"[..]),
            ("b", b"b\xff"),
            ("c", b"s\xff\xfe"),
            ("d", b"I\x00\x00\x01\x00"),
            ("e", b"l\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("f", b"d\0\0\0\0\0\0\0\0"),
            ("g", b"D\0\0\0\0\0"),
            ("h", b"A\0\0\0\x01V"),
            ("i", b"V"),
            ("j", b"F\0\0\0\x04\x01xt\x01"),
            ("k", b"S\0\0\0\x02hi"),
        ] {
            super::super::method::push_shortstr(&mut entries, key.as_bytes());
            entries.extend_from_slice(value);
        }
        let table = table(&entries);
        let entries = Entries::of(&table);
        assert_eq!(entries.count(), 11);
        assert_eq!(entries.get(b"b"), Some(Value::Integer(-1)));
        assert_eq!(entries.get(b"c"), Some(Value::Integer(-2)));
        assert_eq!(entries.get(b"d"), Some(Value::Integer(256)));
        assert_eq!(entries.get(b"e"), Some(Value::Integer(-1)));
        assert_eq!(entries.get(b"j"), Some(Value::Other));
        assert_eq!(entries.get(b"k"), Some(Value::Text(b"hi")));
    }

    #[test]
    fn an_integer_is_set_among_other_entries() {
        let before = table(b"\x01aS\0\0\0\x05first\x01bt\x01");
        let mut after = Vec::new();
        set_integer(&before, b"a", 7, &mut after).expect("a table");
        assert_eq!(Entries::of(&after).get(b"a"), Some(Value::Integer(7)));
        assert_eq!(Entries::of(&after).get(b"b"), Some(Value::Other));
        assert_eq!(Entries::of(&after).count(), 2);
    }
}
