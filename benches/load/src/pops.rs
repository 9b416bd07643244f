//! Blocking pops, and who feeds them.

use crate::net::{Role, Wire};
use crate::world::World;
use traffic::resp::{command, reply};

/// Digits of a stamp.
const STAMP: usize = 20;
/// Jobs pushed in one command run.
const PUSH_AT_ONCE: usize = 64;
/// What stands in a job where its stamp will be.
pub(crate) const HERE: &str = "SSSSSSSSSSSSSSSSSSSS";

/// A job of so many bytes.
pub(crate) fn plain(size: usize) -> String {
    format!("{HERE}{}", "x".repeat(size.saturating_sub(STAMP)))
}

/// Where the stamp of a job stands.
pub(crate) fn stamp_in(job: &str) -> usize {
    job.find(HERE).unwrap_or_default()
}

/// Reads it.
pub(crate) fn read_stamp(bytes: &[u8]) -> u64 {
    let digits = bytes.get(..STAMP).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

struct Producer {
    push: Vec<u8>,
    stamp: usize,
}

/// Pushes `job`, stamped, as often as one is due.
pub(crate) fn producer(queue: &str, job: String) -> Box<dyn Role> {
    let push = command(&[b"LPUSH", queue.as_bytes(), job.as_bytes()]);
    let stamp = push.len() - 2 - job.len() + stamp_in(&job);
    Box::new(Producer { push, stamp })
}

impl Role for Producer {
    fn feeds(&self) -> bool {
        true
    }

    fn heard(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.take(wire.input().len());
    }

    fn poked(&mut self, wire: &mut Wire, world: &mut World) {
        for _ in 0..PUSH_AT_ONCE {
            let Some(stamp) = world.next(world.now()) else { break };
            self.push[self.stamp..self.stamp + STAMP].copy_from_slice(format!("{stamp:020}").as_bytes());
            wire.send(&self.push);
        }
    }
}

struct Popper {
    pop: Vec<u8>,
    size: usize,
}

/// Pops jobs of `size` bytes, one after the other.
pub(crate) fn popper(queue: &str, size: usize) -> Box<dyn Role> {
    Box::new(Popper { pop: command(&[b"BRPOP", queue.as_bytes(), b"5"]), size: size.max(STAMP) })
}

impl Role for Popper {
    fn started(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(&self.pop);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some(length) = reply(wire.input()) {
            if length > self.size {
                world.finish(read_stamp(&wire.input()[length - 2 - self.size..]));
            }
            wire.take(length);
            wire.send(&self.pop);
        }
    }
}
