//! A Celery worker on Redis: the consumer's connection, a child's, and the heartbeats'.

use crate::net::{Role, Wire};
use crate::pops::{HERE, read_stamp, stamp_in};
use crate::world::World;
use std::collections::VecDeque;
use traffic::celery::{TAG, beat, envelope};
use traffic::redis::{celery_acked, celery_fetch, celery_kept, celery_result};
use traffic::resp::{command, reply};

/// Jobs between two heartbeats: as many in every round, however fast it is.
const JOBS_PER_BEAT: u64 = 20;

/// The envelope of a task with a body of so many bytes.
pub(crate) fn task(size: usize) -> String {
    envelope(HERE, size)
}

/// The three connections of a worker, of which the first has that number.
pub(crate) fn worker(queue: &str, size: usize, first: usize) -> [Box<dyn Role>; 3] {
    let task = task(size);
    let consumer = Consumer {
        fetch: celery_fetch(queue),
        kept: celery_kept(&task),
        acked: celery_acked(),
        tail: task.len() - stamp_in(&task),
        child: first + 1,
        at: At::Fetch,
        jobs: 0,
    };
    let child = Child { result: celery_result(), owed: VecDeque::new(), answers: 0 };
    let beat = command(&[b"PUBLISH", b"/0.celeryev/worker.heartbeat", beat().as_bytes()]);
    [Box::new(consumer), Box::new(child), Box::new(Beats { beat })]
}

/// ```text
/// Fetch ──job──▶ Kept(4) ──4 replies──▶ Acked(4) ──4 replies──▶ Fetch
/// ```
enum At {
    Fetch,
    Kept(usize),
    Acked(usize),
}

struct Consumer {
    fetch: Vec<u8>,
    kept: Vec<u8>,
    acked: Vec<u8>,
    /// From the stamp to the end of a task.
    tail: usize,
    child: usize,
    at: At,
    jobs: u64,
}

impl Role for Consumer {
    fn started(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(&self.fetch);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some(length) = reply(wire.input()) {
            self.at = match self.at {
                At::Fetch if length > TAG.len() => {
                    let stamp = read_stamp(&wire.input()[length - 2 - self.tail..]);
                    world.mail.push((self.child, stamp));
                    wire.send(&self.kept);
                    At::Kept(4)
                }
                At::Fetch => {
                    wire.send(&self.fetch);
                    At::Fetch
                }
                At::Kept(1) => {
                    wire.send(&self.acked);
                    At::Acked(4)
                }
                At::Kept(left) => At::Kept(left - 1),
                At::Acked(1) => {
                    wire.send(&self.fetch);
                    self.jobs += 1;
                    if self.jobs.is_multiple_of(JOBS_PER_BEAT) {
                        world.mail.push((self.child + 1, 0));
                    }
                    At::Fetch
                }
                At::Acked(left) => At::Acked(left - 1),
            };
            wire.take(length);
        }
    }
}

struct Child {
    result: Vec<u8>,
    owed: VecDeque<u64>,
    answers: usize,
}

impl Role for Child {
    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some(length) = reply(wire.input()) {
            wire.take(length);
            self.answers += 1;
            if self.answers == 5 {
                self.answers = 0;
                world.finish(self.owed.pop_front().unwrap_or_default());
            }
        }
    }

    fn mail(&mut self, stamp: u64, wire: &mut Wire) {
        self.owed.push_back(stamp);
        wire.send(&self.result);
    }
}

struct Beats {
    beat: Vec<u8>,
}

impl Role for Beats {
    fn heard(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.take(wire.input().len());
    }

    fn mail(&mut self, _stamp: u64, wire: &mut Wire) {
        wire.send(&self.beat);
    }
}
