//! One epoll and all connections.

use crate::world::World;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;

/// Read at once.
const READ: usize = 256 * 1024;
/// Events per wake-up.
const EVENTS: usize = 1024;

/// A connection without blocking.
pub(crate) struct Wire {
    socket: TcpStream,
    /// Its number.
    pub(crate) number: usize,
    input: Vec<u8>,
    /// Of it.
    taken: usize,
    output: Vec<u8>,
    sent: usize,
    /// The peer will send no more.
    pub(crate) ended: bool,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, number: usize) -> io::Result<Wire> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Wire { socket, number, input: Vec::new(), taken: 0, output: Vec::new(), sent: 0, ended: false })
    }

    /// What has come and was not taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Forgets so many bytes of it.
    pub(crate) fn take(&mut self, number: usize) {
        self.taken += number;
    }

    /// Puts bytes in line; they are written at the end of the turn.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// What waits to be written.
    pub(crate) fn backlog(&self) -> usize {
        self.output.len() - self.sent
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.backlog() > 0 {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(number) => self.sent += number,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads what there is.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => self.ended = true,
                Ok(number) => {
                    self.input.extend_from_slice(&buffer[..number]);
                    if number == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    pub(crate) fn add(&self, poll: &OwnedFd) -> io::Result<()> {
        let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        Ok(epoll::add(poll, &self.socket, EventData::new_u64(self.number as u64), wanted)?)
    }
}

/// What a connection does.
pub(crate) trait Role {
    /// It feeds the queue: it is poked whenever jobs may be due.
    fn feeds(&self) -> bool {
        false
    }

    /// It stands. A role that has something to say first is not ready until it says so.
    fn connected(&mut self, _wire: &mut Wire, world: &mut World) {
        world.unready -= 1;
    }

    /// The work begins.
    fn started(&mut self, _wire: &mut Wire, _world: &mut World) {}

    /// Bytes have come.
    fn heard(&mut self, wire: &mut Wire, world: &mut World);

    /// Something may be due.
    fn poked(&mut self, _wire: &mut Wire, _world: &mut World) {}

    /// A letter from another connection.
    fn mail(&mut self, _stamp: u64, _wire: &mut Wire) {}
}

/// See the module.
pub(crate) struct Loop {
    poll: OwnedFd,
    lines: Vec<(Wire, Box<dyn Role>)>,
    pub(crate) world: World,
    buffer: Vec<u8>,
}

impl Loop {
    pub(crate) fn new(world: World) -> io::Result<Loop> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Loop { poll, lines: Vec::new(), world, buffer: vec![0; READ] })
    }

    pub(crate) fn connect(&mut self, address: &str, role: Box<dyn Role>) -> io::Result<()> {
        self.adopt(TcpStream::connect(address)?, role)
    }

    pub(crate) fn adopt(&mut self, socket: TcpStream, mut role: Box<dyn Role>) -> io::Result<()> {
        let mut wire = Wire::new(socket, self.lines.len())?;
        if role.feeds() {
            self.world.feeders.push(wire.number);
        }
        self.world.unready += 1;
        role.connected(&mut wire, &mut self.world);
        wire.flush()?;
        wire.add(&self.poll)?;
        self.lines.push((wire, role));
        Ok(())
    }

    pub(crate) fn until_ready(&mut self) -> io::Result<()> {
        while self.world.unready > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// Until all is done.
    pub(crate) fn work(&mut self) -> io::Result<()> {
        self.world.begin();
        for (wire, role) in &mut self.lines {
            role.started(wire, &mut self.world);
            wire.flush()?;
        }
        while self.world.done < self.world.goal {
            self.feed()?;
            self.turn()?;
        }
        Ok(())
    }

    /// Pokes those who may send.
    fn feed(&mut self) -> io::Result<()> {
        self.world.moved = false;
        if self.world.open_loop {
            let connections = self.lines.len() as u64;
            while self.world.idle() == Some(0) {
                self.poke((self.world.sent % connections) as usize)?;
            }
        }
        for at in 0..self.world.feeders.len() {
            self.poke(self.world.feeders[at])?;
        }
        Ok(())
    }

    fn poke(&mut self, number: usize) -> io::Result<()> {
        let (wire, role) = &mut self.lines[number];
        role.poked(wire, &mut self.world);
        wire.flush()
    }

    /// One wake-up.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let idle = if self.world.moved { Some(0) } else { self.world.idle().filter(|_| self.world.running) };
        let timeout =
            idle.map(|ns| Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 });
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            result => result?,
        };
        for event in &events {
            let (flags, data) = (event.flags, event.data);
            let (wire, role) = &mut self.lines[data.u64() as usize];
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                let before = wire.input().len();
                wire.fill(&mut self.buffer)?;
                if wire.input().len() > before {
                    role.heard(wire, &mut self.world);
                }
                if wire.ended {
                    return Err(io::Error::other(format!("connection {} was closed by its peer", wire.number)));
                }
            }
            if flags.contains(EventFlags::OUT) && wire.backlog() > 0 {
                wire.flush()?;
            }
            wire.flush()?;
        }
        for (number, stamp) in std::mem::take(&mut self.world.mail) {
            let (wire, role) = &mut self.lines[number];
            role.mail(stamp, wire);
            wire.flush()?;
        }
        Ok(())
    }
}
