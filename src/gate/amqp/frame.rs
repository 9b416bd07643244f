//! The frame scan: seven bytes of head say how long a frame is and whose, and bodies are never looked into.
//!
//! ```text
//! kind (1) │ channel (2) │ size (4) │ payload (size) │ 0xCE
//! ```

/// Bytes before a frame's payload.
pub(super) const HEAD: usize = 7;
/// Bytes around a payload: the head and the end octet.
pub(super) const AROUND: usize = HEAD + 1;
/// Behind every payload.
pub(super) const END: u8 = 0xCE;
/// Method and header frames up to this size are read as a whole; larger ones stream through unread.
pub(super) const WHOLE_MAX: usize = 128 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Method,
    Header,
    Body,
    Heartbeat,
}

/// The first seven bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) channel: u16,
    /// Of the payload.
    pub(super) size: usize,
}

/// The bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAmqp(pub(super) &'static str);

impl Head {
    /// Reads the head at the start of `input`; `None`: not enough bytes yet.
    pub(super) fn read(input: &[u8]) -> Result<Option<Head>, NotAmqp> {
        let Some(&first) = input.first() else { return Ok(None) };
        let kind = match first {
            1 => Kind::Method,
            2 => Kind::Header,
            3 => Kind::Body,
            8 => Kind::Heartbeat,
            _ => return Err(NotAmqp("a frame of an unknown type")),
        };
        let Some(&[_, c0, c1, s0, s1, s2, s3]) = input.first_chunk::<HEAD>() else { return Ok(None) };
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        Ok(Some(Head { kind, channel: u16::from_be_bytes([c0, c1]), size }))
    }

    /// The whole frame's length.
    pub(super) fn whole(&self) -> usize {
        self.size.saturating_add(AROUND)
    }
}

/// Where the bytes of one side are.
///
/// ```text
/// Greeting ──8 bytes──▶ Boundary ◀──last byte── Passing
///                          └──a frame that nobody reads──▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Before the protocol header (client only).
    Greeting,
    /// Between two frames: the only place where a frame of the gate's own may go in.
    Boundary,
    /// So many bytes of a streaming frame are still to come, the end octet among them.
    Passing {
        left: usize,
        /// The channel whose body it is, if somebody reads along.
        tap: Option<u16>,
    },
    /// The same of a frame that is for the gate itself.
    Dropping { left: usize },
}

/// Takes typed fields off the front of a payload. Everything is `None` once the payload is too short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn longlong(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn shortstr(&mut self) -> Option<&'a [u8]> {
        let n = self.octet()?;
        self.take(usize::from(n))
    }

    pub(super) fn longstr(&mut self) -> Option<&'a [u8]> {
        let n = self.long()?;
        self.take(n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_all_of_it_is_there() {
        let frame = [1, 0, 7, 0, 0, 0, 4, 9, 9, 9, 9, END];
        assert_eq!(Head::read(&frame[..6]), Ok(None));
        let head = Head::read(&frame).expect("a frame").expect("all of it");
        assert_eq!(head, Head { kind: Kind::Method, channel: 7, size: 4 });
        assert_eq!(head.whole(), frame.len());
        assert!(Head::read(b"GET / HTTP/1.0").is_err());
        assert_eq!(Head::read(&[3, 0, 0, 255, 255, 255, 255]).map(|h| h.map(|h| h.size)), Ok(Some(0xFFFF_FFFF)));
    }
}
