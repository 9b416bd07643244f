//! Random pipelines that switch the modes of a connection, sent to a server and, through the gate, to its twin: the same
//! bytes must come back.

use crate::support::gate::Gate;
use crate::support::redis::{Client, Redis, Server};
use crate::support::{rounds_or, secs};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Who subscribes, who opens transactions, what switches modes, and what shows that replies are still paired. No more than
/// one channel of each kind: servers keep no order among several.
const COMMANDS: [&[&str]; 4] = [
    &["SUBSCRIBE a", "PSUBSCRIBE x*", "SSUBSCRIBE s", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE s", "SUBSCRIBE"],
    &["MULTI", "MULTI", "EXEC", "DISCARD", "RESET", "WATCH k", "MULTI x", "AUTH nomulti p"],
    &["HELLO 3", "HELLO 2", "HELLO 9", "CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "CLIENT SETNAME x"],
    &["PING", "PUBLISH a m", "LRANGE l 0 1", "NO x", "BRPOP l 0", "BLPOP l 5", "LPOP l", "BLMOVE l m LEFT RIGHT 0"],
];
/// RESET ends all modes, and only a gate that has lost no reply answers what comes then.
const END: [&str; 3] = ["RESET", "BRPOP l 0", "ECHO the-end"];

fn pipeline(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    let length = rng.usize(2..12);
    let any = || COMMANDS[rng.usize(..COMMANDS.len())];
    let kinds: Vec<_> = std::iter::repeat_with(any).take(length).collect();
    let mut lines: Vec<_> = kinds.into_iter().map(|kind| kind[rng.usize(..kind.len())]).collect();
    // without replies nobody but the server knows at once whether it has subscribed, and what it then refuses
    if lines.iter().any(|line| ["CLIENT REPLY OFF", "CLIENT REPLY SKIP"].contains(line)) {
        lines.retain(|line| !COMMANDS[0].contains(line));
    }
    lines.into_iter().chain(END).collect()
}

/// What comes back until the end, or until nothing does.
fn played(address: &str, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(secs(10))).expect("set");
    let command = |line: &&str| {
        let words: Vec<String> = line.split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        format!("*{}\r\n{}", words.len(), words.concat())
    };
    stream.write_all(lines.iter().map(command).collect::<String>().as_bytes()).expect("written");
    let (mut all, mut buffer) = (Vec::new(), [0; 16_384]);
    while !all.ends_with(b"\r\nthe-end\r\n") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => all.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    // each connection has a number of its own
    let text = String::from_utf8_lossy(&all).into_owned();
    let mut parts = text.split("\r\nid\r\n:").map(str::to_owned);
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |all, part| all + "\r\nid\r\n" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn story(server: Server) {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let twins = [0, 1].map(|twin| Redis::start(server, dirs[twin].path()));
    let gate = Gate::start(dirs[0].path(), &[&twins[1].address()]);
    let addresses = [twins[0].address(), gate.listener(0)];
    let mut owners = [0, 1].map(|twin| Client::connect(&twins[twin].address()).expect("connected"));
    for owner in &mut owners {
        owner.command(&["ACL", "SETUSER", "nomulti", "on", ">p", "+@all", "-multi", "~*", "&*"]).expect("answered");
    }
    let seed = std::env::var("DRAINGATE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(fastrand::u64(..));
    println!("DRAINGATE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds_or(1) * 500 {
        let lines = pipeline(&mut rng);
        for owner in &mut owners {
            owner.command(&["DEL", "l", "m"]).expect("answered");
            let elements = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"];
            owner.command(&[&["RPUSH", "l"], &elements[..]].concat()).expect("answered");
        }
        let [direct, through] = [0, 1].map(|way| played(&addresses[way], &lines));
        assert!(direct.ends_with("the-end\r\n"), "{lines:?}: {direct}");
        assert_eq!(through, direct, "{lines:?}");
    }
}

#[test]
fn on_redis_7() {
    story(Server::Redis7);
}

#[test]
fn on_redis_8() {
    story(Server::Redis8);
}

#[test]
fn on_valkey_8() {
    story(Server::Valkey8);
}

#[test]
fn on_valkey_9() {
    story(Server::Valkey9);
}
