//! A Celery worker on Redis: the consumer's connection, a child's, and the heartbeats'.

use crate::net::{Role, Wire};
use crate::pops::{HERE, Login, read_stamp, stamp_in};
use crate::world::World;
use std::collections::VecDeque;
use traffic::celery::{ID, OWN, TAG, beat, envelope};
use traffic::redis::{celery_acked, celery_fetch, celery_kept, celery_result};
use traffic::resp::{command, reply};

/// Jobs between two heartbeats: as many in every round, however fast it is.
const JOBS_PER_BEAT: u64 = 20;

/// The envelope of a task with a body of so many bytes.
pub(crate) fn task(size: usize) -> String {
    envelope(HERE, size)
}

/// Bytes in which an id or a tag stands, which are made each job's own.
pub(crate) struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    pub(crate) fn new(bytes: Vec<u8>) -> Template {
        let ends = [ID, TAG].map(|text| text.as_bytes()[text.len() - OWN..].to_vec());
        let places = bytes.windows(OWN).enumerate().filter(|(_, some)| ends.iter().any(|end| end == some));
        let places = places.map(|(at, _)| at).collect();
        Template { bytes, places }
    }

    /// Of the job with this stamp.
    pub(crate) fn of(&mut self, stamp: u64) -> &mut [u8] {
        let own = format!("{:0OWN$}", stamp % 1_000_000_000_000);
        self.places.iter().for_each(|&at| self.bytes[at..at + OWN].copy_from_slice(own.as_bytes()));
        &mut self.bytes
    }
}

/// The three connections of a worker, of which the first has that number.
pub(crate) fn worker(queue: &str, size: usize, first: usize, user: &str) -> [Box<dyn Role>; 3] {
    let task = task(size);
    let login = Login::new(user);
    let consumer = Consumer {
        login: login.clone(),
        stamp: 0,
        fetch: celery_fetch(queue),
        kept: Template::new(celery_kept(&task)),
        acked: Template::new(celery_acked()),
        tail: task.len() - stamp_in(&task),
        child: first + 1,
        at: At::Fetch,
        jobs: 0,
    };
    let child =
        Child { login: login.clone(), result: Template::new(celery_result()), owed: VecDeque::new(), answers: 0 };
    [Box::new(consumer), Box::new(child), Box::new(Beats { login })]
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
    login: Login,
    /// Of the job in hand.
    stamp: u64,
    fetch: Vec<u8>,
    kept: Template,
    acked: Template,
    /// From the stamp to the end of a task.
    tail: usize,
    child: usize,
    at: At,
    jobs: u64,
}

impl Role for Consumer {
    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        self.login.say(wire);
    }

    fn started(&mut self, wire: &mut Wire, _world: &mut World) {
        wire.send(&self.fetch);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        self.login.heard(wire, world);
        while let Some(length) = reply(wire.input()) {
            self.at = match self.at {
                At::Fetch if length > TAG.len() => {
                    let stamp = read_stamp(&wire.input()[length - 2 - self.tail..]);
                    self.stamp = stamp;
                    world.mail.push((self.child, stamp));
                    wire.send(self.kept.of(stamp));
                    At::Kept(4)
                }
                At::Fetch => {
                    wire.send(&self.fetch);
                    At::Fetch
                }
                At::Kept(1) => {
                    wire.send(self.acked.of(self.stamp));
                    At::Acked(4)
                }
                At::Kept(left) => At::Kept(left - 1),
                At::Acked(1) => {
                    wire.send(&self.fetch);
                    self.jobs += 1;
                    if self.jobs.is_multiple_of(JOBS_PER_BEAT) {
                        world.mail.push((self.child + 1, self.jobs));
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
    login: Login,
    result: Template,
    owed: VecDeque<u64>,
    answers: usize,
}

impl Role for Child {
    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        self.login.say(wire);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        self.login.heard(wire, world);
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
        wire.send(self.result.of(stamp));
    }
}

/// Says how many jobs have begun, as a worker does that runs one at a time and is never idle.
struct Beats {
    login: Login,
}

impl Role for Beats {
    fn connected(&mut self, wire: &mut Wire, _world: &mut World) {
        self.login.say(wire);
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        self.login.heard(wire, world);
        wire.take(wire.input().len());
    }

    fn mail(&mut self, jobs: u64, wire: &mut Wire) {
        let beat = beat(jobs / JOBS_PER_BEAT, 1, jobs);
        wire.send(&command(&[b"PUBLISH", b"/0.celeryev/worker.heartbeat", beat.as_bytes()]));
    }
}
