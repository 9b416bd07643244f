//! Blocking pops, and who feeds them.

use crate::celery::Template;
use crate::net::{Role, Wire};
use crate::world::World;
use traffic::resp::{command, reply, words};

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

/// The first words of a worker: its user name, in which a gate finds who it is.
#[derive(Clone)]
pub(crate) struct Login {
    auth: Vec<u8>,
    done: bool,
}

impl Login {
    pub(crate) fn new(user: &str) -> Login {
        Login { auth: words(&format!("AUTH {user} any")), done: false }
    }

    pub(crate) fn say(&self, wire: &mut Wire) {
        wire.send(&self.auth);
    }

    /// Takes its answer.
    pub(crate) fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        if !self.done
            && let Some(length) = reply(wire.input())
        {
            wire.take(length);
            world.unready -= 1;
            self.done = true;
        }
    }
}

struct Producer {
    push: Template,
    stamp: usize,
}

/// Pushes `job`, stamped, as often as one is due.
pub(crate) fn producer(queue: &str, job: String) -> Box<dyn Role> {
    let push = command(&[b"LPUSH", queue.as_bytes(), job.as_bytes()]);
    let stamp = push.len() - 2 - job.len() + stamp_in(&job);
    Box::new(Producer { push: Template::new(push), stamp })
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
            let push = self.push.of(stamp);
            push[self.stamp..self.stamp + STAMP].copy_from_slice(format!("{stamp:020}").as_bytes());
            wire.send(push);
        }
    }
}

struct Popper {
    login: Login,
    pop: Vec<u8>,
    size: usize,
}

/// Pops jobs of `size` bytes, one after the other.
pub(crate) fn popper(queue: &str, size: usize, user: &str) -> Box<dyn Role> {
    let pop = command(&[b"BRPOP", queue.as_bytes(), b"5"]);
    Box::new(Popper { login: Login::new(user), pop, size: size.max(STAMP) })
}

impl Role for Popper {
    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        self.login.say(wire);
    }

    fn started(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(&self.pop);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        self.login.heard(wire, world);
        while let Some(length) = reply(wire.input()) {
            if length > self.size {
                world.finish(read_stamp(&wire.input()[length - 2 - self.size..]));
            }
            wire.take(length);
            wire.send(&self.pop);
        }
    }
}
