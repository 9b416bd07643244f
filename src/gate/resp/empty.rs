//! What an empty queue looks like: the exact bytes per command and protocol (measured against Redis 7.0.15).

use bytes::Bytes;

/// The protocol that the client speaks at the moment of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Proto {
    /// RESP2, what every connection begins with.
    #[default]
    Two,
    /// RESP3, after `HELLO 3`.
    Three,
}

/// The shapes of "nothing there".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// Blocking pops at their time-out, pops with a count of lists, LMPOP, ZMPOP, XREADGROUP.
    NullArray,
    /// LPOP, RPOP, SPOP without a count, LMOVE, RPOPLPUSH; a pop script that returns nil.
    NullBulk,
    /// A pop script of Laravel's.
    TwoNulls,
    /// ZPOPMIN, ZPOPMAX, XCLAIM.
    Array,
    /// SPOP with a count.
    Set,
    /// XAUTOCLAIM of Redis 7: next cursor, entries, deleted ids.
    Autoclaim,
}

impl Empty {
    /// The reply's bytes.
    pub(super) fn reply(self, proto: Proto) -> Bytes {
        Bytes::from_static(match (self, proto) {
            (Empty::NullArray, Proto::Two) => b"*-1\r\n",
            (Empty::NullBulk, Proto::Two) => b"$-1\r\n",
            (Empty::NullArray | Empty::NullBulk, Proto::Three) => b"_\r\n",
            (Empty::TwoNulls, Proto::Two) => b"*2\r\n$-1\r\n$-1\r\n",
            (Empty::TwoNulls, Proto::Three) => b"*2\r\n_\r\n_\r\n",
            (Empty::Array, _) | (Empty::Set, Proto::Two) => b"*0\r\n",
            (Empty::Set, Proto::Three) => b"~0\r\n",
            (Empty::Autoclaim, _) => b"*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n",
        })
    }
}
