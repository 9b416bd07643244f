//! What is no good AMQP, and what RabbitMQ refuses: the client hears from the broker itself, word by word what it would have
//! heard without a gate; the gate writes one line; nobody else notices.

use crate::support::rabbit::Release;
use crate::support::{World, eventually, secs};
use std::io::{Read, Write};
use std::net::TcpStream;

pub(super) const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
pub(super) const HEARTBEAT: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 0xCE];

pub(super) fn shortstr(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

pub(super) fn longstr(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(longstr(payload));
    frame.push(0xCE);
    frame
}

pub(super) fn method(channel: u16, class: u16, method: u16, fields: &[&[u8]]) -> Vec<u8> {
    let id = [class.to_be_bytes(), method.to_be_bytes()].concat();
    frame(1, channel, &[id, fields.concat()].concat())
}

/// start-ok of a client that can be told why it is refused and that it is blocked, tune-ok and connection.open.
pub(super) fn opening(user: &str, password: &str, vhost: &str) -> Vec<u8> {
    opening_frames(&[], user, password, vhost).concat()
}

/// The same, one by one, with more of the client's properties.
pub(super) fn opening_frames(properties: &[u8], user: &str, password: &str, vhost: &str) -> [Vec<u8>; 3] {
    let capability = |name: &str| [shortstr(name), b"t\x01".to_vec()].concat();
    let all = ["authentication_failure_close", "connection.blocked"].map(capability).concat();
    let capabilities = [shortstr("capabilities"), b"F".to_vec(), longstr(&all)].concat();
    let properties = longstr(&[&capabilities[..], properties].concat());
    let response = format!("\0{user}\0{password}");
    let start_ok = [properties, shortstr("PLAIN"), longstr(response.as_bytes()), shortstr("en_US")];
    [
        method(0, 10, 11, &[&start_ok.concat()]),
        method(0, 10, 31, &[&2047_u16.to_be_bytes(), &131_072_u32.to_be_bytes(), &60_u16.to_be_bytes()]),
        method(0, 10, 40, &[&shortstr(vhost), &[0, 0]]),
    ]
}

fn open() -> Vec<u8> {
    [GREETING, &opening("guest", "guest", "/")].concat()
}

/// Says something and hears all of the answer: up to the end, or to a connection.close, which is answered.
fn answer(address: &str, says: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(secs(20))).expect("set");
    stream.write_all(says).expect("written");
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return heard,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return heard,
            Ok(n) => heard.extend(&piece[..n]),
            Err(error) => panic!("{error} after {heard:02x?}"),
        }
        if methods(&heard).contains(&(10, 50)) {
            stream.write_all(&method(0, 10, 51, &[])).expect("written");
        }
    }
}

pub(super) fn methods(mut bytes: &[u8]) -> Vec<(u16, u16)> {
    let mut found = Vec::new();
    while let Some(&[kind, _, _, s0, s1, s2, s3, ref payload @ ..]) = bytes.get(..7).and(Some(bytes)) {
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        let Some(payload) = payload.get(..size + 1) else { break };
        if kind == 1 {
            found.push((u16::from(payload[1]), u16::from(payload[3])));
        }
        bytes = &bytes[7 + payload.len()..];
    }
    found
}

/// What the client says, and what stands in the broker's answer.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let with = |more: &[u8]| [open(), more.to_vec()].concat();
    let wrong_end = [&HEARTBEAT[..7], b"\x00", HEARTBEAT].concat();
    // 131,072 are agreed on, and RabbitMQ takes a few more
    let oversized = frame(1, 1, &[0; 131_100]);
    let unopened = method(7, 60, 10, &[&[0; 7]]);
    let unknown = frame(5, 0, b"what");
    vec![
        ("garbage for a greeting", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "AMQP"),
        ("an older protocol", b"AMQP\x00\x00\x08\x00".to_vec(), "AMQP"),
        ("a frame without its end", with(&wrong_end), "FRAME_ERROR"),
        ("a frame of no type", with(&unknown), "FRAME_ERROR"),
        ("a frame that is too large", with(&oversized), "FRAME_ERROR"),
        ("a method on a channel that is not open", with(&unopened), "CHANNEL_ERROR"),
        ("a virtual host that is not there", [GREETING, &opening("guest", "guest", "nowhere")].concat(), "NOT_ALLOWED"),
        ("a wrong password", [GREETING, &opening("guest", "guess", "/")].concat(), "ACCESS_REFUSED"),
    ]
}

fn bad_input(release: Release) {
    let world = World::with(release);
    let gate = world.worker_address();
    let mut other = TcpStream::connect(&gate).expect("the gate accepts");
    other.set_read_timeout(Some(secs(20))).expect("set");
    other.write_all(&open()).expect("written");
    let opened = |stream: &mut TcpStream| {
        let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
        while !methods(&heard).contains(&(20, 11)) && !methods(&heard).contains(&(10, 41)) {
            let n = stream.read(&mut piece).expect("an answer");
            assert!(n > 0, "closed after {heard:02x?}");
            heard.extend(&piece[..n]);
        }
    };
    opened(&mut other);
    for (what, says, hears) in cases() {
        let before = world.gate().metric("draingate_protocol_errors_total");
        let direct = answer(&world.broker_address(), &says);
        let through = answer(&gate, &says);
        let text = String::from_utf8_lossy(&through);
        assert!(text.contains(hears), "{what}: {text}");
        assert_eq!(through, direct, "{what}: {text} but directly {}", String::from_utf8_lossy(&direct));
        eventually(&format!("the gate counts {what}"), secs(10), || {
            (world.gate().metric("draingate_protocol_errors_total") == before + 1.0).then_some(())
        });
    }
    // one line in a while, with the number of those that were left out
    let log = std::fs::read_to_string(world.path().join("gate.log")).expect("the gate's log");
    let said = log.lines().filter(|line| line.contains("a connection was given up or refused")).count();
    assert!((1..=cases().len()).contains(&said), "{log}");
    // the other client is as it was
    other.write_all(&method(1, 20, 10, &[&[0]])).expect("written");
    opened(&mut other);
}

#[test]
fn bad_input_on_3() {
    bad_input(Release::Three);
}

#[test]
fn bad_input_on_4() {
    bad_input(Release::Four);
}
