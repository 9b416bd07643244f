//! Putting back: the commands that return an element to the end where it was popped, for a client that vanished before
//! it got it. A member that is there again meanwhile keeps its new score. They go out on the connection that popped it: right database, user and ACL.

use super::pop::Pop;
use super::reply::Leaf;
use super::table::Undo;
use bytes::Bytes;

impl Pop {
    /// The commands that put back what the reply holds. `None`: it need not or cannot be put back.
    pub(super) fn put_back(&self, reply: &[Leaf], now_ms: u64) -> Option<Vec<Vec<Bytes>>> {
        let word = Bytes::from_static;
        let key = self.keys().first()?.clone();
        let named = |reply: &[Leaf]| reply.first().map(|l| l.bytes());
        Some(match self.undo() {
            Undo::Stays => return None,
            Undo::Left | Undo::Right => {
                let (key, elements) = if self.reply_names_key() { (named(reply)?, &reply[1..]) } else { (key, reply) };
                vec![push_back(self.undo() == Undo::Left, key, elements)]
            }
            Undo::Side => {
                let left = self.side_word()?.eq_ignore_ascii_case(b"left");
                vec![push_back(left, named(reply)?, &reply[1..])]
            }
            Undo::Move => {
                let element = reply.first()?.bytes();
                let (from_left, to_left) = self.move_sides();
                let destination = self.args().get(2)?.clone();
                let take = if to_left { word(b"1") } else { word(b"-1") };
                vec![
                    // what the client watches must not abort this
                    vec![word(b"UNWATCH")],
                    vec![word(b"MULTI")],
                    vec![word(b"LREM"), destination, take, element.clone()],
                    vec![if from_left { word(b"LPUSH") } else { word(b"RPUSH") }, key, element],
                    vec![word(b"EXEC")],
                ]
            }
            Undo::Scored => {
                let (key, pairs) = if self.reply_names_key() { (named(reply)?, &reply[1..]) } else { (key, reply) };
                let mut command = vec![word(b"ZADD"), key, word(b"NX")];
                for pair in pairs.chunks_exact(2) {
                    command.push(pair[1].bytes());
                    command.push(pair[0].bytes());
                }
                vec![command]
            }
            Undo::Members => {
                let mut command = vec![word(b"SADD"), key];
                command.extend(reply.iter().map(Leaf::bytes));
                vec![command]
            }
            Undo::Due => {
                let now = Bytes::from(format!("{}.{:03}", now_ms / 1000, now_ms % 1000));
                let mut command = vec![word(b"ZADD"), key, word(b"NX")];
                command.extend(reply.iter().flat_map(|member| [now.clone(), member.bytes()]));
                vec![command]
            }
        })
    }
}

/// `LPUSH`/`RPUSH` of elements in the order in which they were popped at that end.
fn push_back(left: bool, key: Bytes, elements: &[Leaf]) -> Vec<Bytes> {
    let mut command = vec![Bytes::from_static(if left { b"LPUSH" } else { b"RPUSH" }), key];
    command.extend(elements.iter().rev().map(Leaf::bytes));
    command
}
