//! SET and GET in turn: the next when the last is answered, or whenever one is due.

use crate::net::{Role, Wire};
use crate::world::World;
use std::collections::VecDeque;
use traffic::resp::{command, reply};

struct Client {
    commands: [Vec<u8>; 2],
    turn: usize,
    /// When the commands that are not answered were due.
    owed: VecDeque<u64>,
}

/// With values of so many bytes.
pub(crate) fn client(size: usize) -> Box<dyn Role> {
    let key = b"key:000000000042";
    let commands = [command(&[b"SET", key, &vec![b'x'; size]]), command(&[b"GET", key])];
    Box::new(Client { commands, turn: 0, owed: VecDeque::new() })
}

impl Client {
    fn ask(&mut self, wire: &mut Wire, world: &mut World) {
        if let Some(stamp) = world.next(world.now()) {
            self.owed.push_back(stamp);
            wire.send(&self.commands[self.turn % 2]);
            self.turn += 1;
        }
    }
}

impl Role for Client {
    fn started(&mut self, wire: &mut Wire, world: &mut World) {
        if !world.has_rate() {
            self.ask(wire, world);
        }
    }

    fn heard(&mut self, wire: &mut Wire, world: &mut World) {
        while let Some(length) = reply(wire.input()) {
            wire.take(length);
            world.finish(self.owed.pop_front().unwrap_or_default());
            if !world.has_rate() {
                self.ask(wire, world);
            }
        }
    }

    fn poked(&mut self, wire: &mut Wire, world: &mut World) {
        self.ask(wire, world);
    }
}
