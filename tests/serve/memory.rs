//! What the gate's process takes: next to nothing for an idle connection, and no more for a large message or for a side
//! that does not read. The kernel's word for it is what counts, not the gate's.

use crate::gate::{Gate, SURELY, config};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// What a stream of any length may take: some buffers, and what the allocator makes of them.
const FLAT: usize = 8 * MIB;
/// Nothing moves any more if so long nothing can be written.
const STUCK: Duration = Duration::from_millis(500);

/// A gate in front of a broker that does what a test says.
struct Between {
    gate: Gate,
    broker: TcpListener,
    _dir: tempfile::TempDir,
}

impl Between {
    fn start(protocol: &str) -> Between {
        let dir = tempfile::tempdir().expect("a directory");
        let broker = TcpListener::bind("127.0.0.1:0").expect("bound");
        let listener = format!("protocol = \"{protocol}\"\nupstream = \"{protocol}://");
        let config = config(broker.local_addr().expect("bound"), "").replace("upstream = \"redis://", &listener);
        Between { gate: Gate::start(dir.path(), &config), broker, _dir: dir }
    }

    /// Both ends of a connection through the gate: the client's and the broker's.
    fn connect(&self) -> [TcpStream; 2] {
        let client = TcpStream::connect(self.gate.listener).expect("connected");
        let (broker, _) = self.broker.accept().expect("the gate connects");
        for socket in [&client, &broker] {
            socket.set_read_timeout(Some(SURELY)).expect("set");
        }
        [client, broker]
    }
}

/// These bytes pass.
fn pass(mut from: &TcpStream, mut to: &TcpStream, bytes: &[u8]) {
    from.write_all(bytes).expect("written");
    let mut there = vec![0; bytes.len()];
    to.read_exact(&mut there).expect("they come");
    assert!(there == bytes, "{:?} became {:?}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(&there));
}

/// A long stream of such pieces passes.
fn stream(from: &TcpStream, to: &TcpStream, piece: &[u8], times: usize) {
    thread::scope(|scope| {
        scope.spawn(|| (0..times).for_each(|_| (&mut &*from).write_all(piece).expect("written")));
        let mut there = vec![0; piece.len()];
        for _ in 0..times {
            (&mut &*to).read_exact(&mut there).expect("it comes");
            assert!(there == piece, "it comes as it was sent");
        }
    });
}

/// Writes such pieces until nobody takes more of them, at most so many. How many bytes were taken.
fn write_until_stuck(mut to: &TcpStream, piece: &[u8], times: usize) -> usize {
    to.set_write_timeout(Some(STUCK)).expect("set");
    let mut taken = 0;
    while taken < times * piece.len() {
        match to.write(&piece[taken % piece.len()..]) {
            Ok(number) => taken += number,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return taken,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("all was taken, and nobody read it");
}

/// Reads so many bytes, all of them.
fn read_all(from: &TcpStream, number: usize) {
    let read = std::io::copy(&mut from.take(number as u64), &mut std::io::sink()).expect("read");
    assert_eq!(read as usize, number, "nothing is missing");
}

#[track_caller]
fn assert_flat(gate: &Gate, before: usize) {
    let most = gate.most_memory();
    assert!(most < before + FLAT, "{} MiB before, {} MiB at most", before / MIB, most / MIB);
}

#[test]
fn a_client_that_does_not_read_its_replies_costs_no_memory() {
    let between = Between::start("redis");
    let [client, broker] = between.connect();
    let before = between.gate.most_memory();
    let get = b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n";
    pass(&client, &broker, &get.repeat(100));
    let reply = [b"$1048576\r\n".as_slice(), &vec![b'x'; MIB], b"\r\n"].concat();
    let taken = write_until_stuck(&broker, &reply, 100);
    assert_flat(&between.gate, before);
    read_all(&client, taken);
}

#[test]
fn a_broker_that_does_not_read_costs_no_memory() {
    let between = Between::start("redis");
    let [client, broker] = between.connect();
    let before = between.gate.most_memory();
    let set = [b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$1048576\r\n".as_slice(), &vec![b'x'; MIB], b"\r\n"].concat();
    let taken = write_until_stuck(&client, &set, 100);
    assert_flat(&between.gate, before);
    read_all(&broker, taken);
}

#[test]
fn a_value_of_500_mb_passes_both_ways_and_costs_no_memory() {
    let between = Between::start("redis");
    let [client, broker] = between.connect();
    let before = between.gate.most_memory();
    let piece = vec![b'x'; MIB];
    pass(&client, &broker, b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$524288000\r\n");
    stream(&client, &broker, &piece, 500);
    pass(&client, &broker, b"\r\n");
    pass(&broker, &client, b"+OK\r\n");
    pass(&client, &broker, b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
    pass(&broker, &client, b"$524288000\r\n");
    stream(&broker, &client, &piece, 500);
    pass(&broker, &client, b"\r\n");
    // and nothing is out of step
    pass(&client, &broker, b"*1\r\n$4\r\nPING\r\n");
    pass(&broker, &client, b"+PONG\r\n");
    assert_flat(&between.gate, before);
}

/// A frame of AMQP.
fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    frame
}

fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat())
}

#[test]
fn a_message_of_500_mb_passes_both_ways_and_costs_no_memory() {
    const BODY: usize = 128 * 1024 - 8;
    const BODIES: usize = 4_000;
    let between = Between::start("amqp");
    let [client, broker] = between.connect();
    let tune = [&[0, 0][..], &(128_u32 * 1024).to_be_bytes(), &[0, 0]].concat();
    pass(&client, &broker, b"AMQP\x00\x00\x09\x01");
    pass(&broker, &client, &method(0, 10, 10, b"\x00\x09\x00\x00\x00\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US"));
    pass(&client, &broker, &method(0, 10, 11, b"\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x04\x00u\x00p\x05en_US"));
    pass(&broker, &client, &method(0, 10, 30, &tune));
    pass(&client, &broker, &method(0, 10, 31, &tune));
    pass(&client, &broker, &method(0, 10, 40, b"\x01/\x00\x00"));
    pass(&broker, &client, &method(0, 10, 41, b"\x00"));
    pass(&client, &broker, &method(1, 20, 10, b"\x00"));
    pass(&broker, &client, &method(1, 20, 11, b"\x00\x00\x00\x00"));
    let before = between.gate.most_memory();
    let head = frame(2, 1, &[&[0, 60, 0, 0][..], &((BODY * BODIES) as u64).to_be_bytes(), &[0, 0]].concat());
    let body = frame(3, 1, &vec![b'x'; BODY]);
    pass(&client, &broker, &method(1, 60, 40, b"\x00\x00\x00\x01q\x00"));
    pass(&client, &broker, &head);
    stream(&client, &broker, &body, BODIES);
    pass(&client, &broker, &method(1, 60, 70, b"\x00\x00\x01q\x00"));
    pass(&broker, &client, &method(1, 60, 71, b"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x01q\x00\x00\x00\x00"));
    pass(&broker, &client, &head);
    stream(&broker, &client, &body, BODIES);
    pass(&client, &broker, &method(1, 60, 80, b"\x00\x00\x00\x00\x00\x00\x00\x01\x00"));
    assert_flat(&between.gate, before);
}

/// So many connections of this process, each with its broker's end, are open at the same time.
fn raise_limit(connections: usize) {
    let wanted = (4 * connections + 256) as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("the limit of open files is too low for this test");
    }
}

/// Connections that have said something once, and are silent.
fn idle(between: &Between, number: usize) -> Vec<[TcpStream; 2]> {
    let connections: Vec<_> = (0..number).map(|_| between.connect()).collect();
    for [client, broker] in &connections {
        pass(client, broker, b"*1\r\n$4\r\nPING\r\n");
        pass(broker, client, b"+PONG\r\n");
    }
    connections
}

#[test]
fn an_idle_connection_takes_little_and_gives_it_back() {
    const NUMBER: usize = 2_000;
    raise_limit(NUMBER);
    let mut between = Between::start("redis");
    // what is made once
    drop(idle(&between, 50));
    let before = between.gate.memory();
    let little = |gate: &Gate| (gate.memory() < before + NUMBER * 7_000).then_some(());
    // what each round left behind would add up
    for _ in 0..4 {
        let connections = idle(&between, NUMBER);
        between.gate.eventually("a connection takes little", little);
        let taken = between.gate.memory() - before;
        drop(connections);
        let given_back = |gate: &Gate| (gate.memory() < before + taken / 2).then_some(());
        between.gate.eventually("memory is given back", given_back);
    }
}
