//! A broker of RabbitMQ's protocol that costs next to nothing: it has messages without end for whoever consumes, and no
//! use for what is published. What a proxy can do at most shows only in front of it.

use crate::amqp::{frame, method_of, name_behind_method};
use crate::net::{Loop, Role, Wire};
use crate::world::World;
use std::io;
use std::net::TcpListener;
use std::thread;
use traffic::amqp::{self, Fields, METHOD, Properties, method};

/// As the loader asks for it.
const CONSUMER: &str = "ctag1.4f6a";
const PREFETCH: u64 = 100;

/// One thread per connection would share the processor badly; one loop per connection is as good as one for all, and
/// needs no way to adopt connections while it waits.
pub(crate) fn run(at: &str, size: usize) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    println!("ready {}", listener.local_addr()?);
    for socket in listener.incoming() {
        let socket = socket?;
        thread::spawn(move || {
            // ends with its connection
            let _ = serve(socket, size);
        });
    }
    Ok(())
}

fn serve(socket: std::net::TcpStream, size: usize) -> io::Result<()> {
    let mut all = Loop::new(World::new(0, 0, 0))?;
    let delivery = amqp::deliver(1, CONSUMER, 0, "jobs", &Properties::plain(false), &vec![b'x'; size.max(8)]);
    all.adopt(socket, Box::new(Broker { greeted: false, consumed: false, delivery, tag: 0, acked: 0 }))?;
    loop {
        all.turn()?;
    }
}

struct Broker {
    greeted: bool,
    consumed: bool,
    delivery: Vec<u8>,
    tag: u64,
    acked: u64,
}

impl Broker {
    fn method(&mut self, asked: u32, at: usize, wire: &mut Wire) {
        match asked {
            // whatever is cancelled: a gate hears by this that the acks before it have been taken
            method::CANCEL => {
                let tag = name_behind_method(&wire.input()[at..]).to_owned();
                wire.send(&Fields::of(method::CANCEL_OK).name(&tag).frame(1));
            }
            method::ACK => self.acked += 1,
            method::CHANNEL_CLOSE => wire.send(&Fields::of(method::CHANNEL_CLOSE_OK).frame(1)),
            _ => {
                self.consumed |= asked == method::CONSUME;
                wire.send(&amqp::answer(1, asked, "jobs", CONSUMER).unwrap_or_default());
            }
        }
    }
}

impl Role for Broker {
    fn connected(&mut self, _wire: &mut Wire, _world: &mut World) {}

    fn heard(&mut self, wire: &mut Wire, _world: &mut World) {
        if !self.greeted && wire.input().len() >= amqp::GREETING.len() {
            self.greeted = true;
            wire.take(amqp::GREETING.len());
            wire.send(&amqp::start());
        }
        let mut at = 0;
        while let Some((kind, length)) = frame(&wire.input()[at..]).filter(|_| self.greeted) {
            let asked = if kind == METHOD { method_of(&wire.input()[at..]) } else { 0 };
            if asked > 0 {
                self.method(asked, at, wire);
            }
            at += length;
        }
        wire.take(at);
        let place = amqp::tag_in_deliver(CONSUMER);
        while self.consumed && self.tag < self.acked + PREFETCH {
            self.tag += 1;
            self.delivery[place..place + 8].copy_from_slice(&self.tag.to_be_bytes());
            wire.send(&self.delivery);
        }
    }
}
