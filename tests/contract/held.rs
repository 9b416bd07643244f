//! What a held fetch looks like: an empty queue, for exactly as long as the client itself wants to wait.

use crate::support::World;
use crate::support::redis::Client;
use std::time::{Duration, Instant};

/// command | its time-out in milliseconds
const FETCHES: &[(&str, u64)] = &[
    ("BRPOP q 1", 1_000),
    ("BLPOP q p 0.4", 400),
    ("BRPOP q 2.5", 2_500),
    ("BLMOVE q p LEFT RIGHT 1.2", 1_200),
    ("BRPOPLPUSH q p 1", 1_000),
    ("BLMPOP 2.2 1 q LEFT", 2_200),
    ("BZPOPMIN z 0.3", 300),
    ("BZMPOP 1 1 z MIN", 1_000),
    ("XREADGROUP GROUP g c BLOCK 700 STREAMS s >", 700),
];

#[test]
fn nothing_comes_at_the_clients_own_time_out() {
    let world = World::new();
    world.redis.command(&["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]);
    let mut first = Client::connect(&world.worker_address()).expect("the gate accepts");
    first.command(&["CLIENT", "SETNAME", "held"]).expect("named");
    world.gate().await_known("held");
    world.gate().cli(&["drain", "held"]).expect(0);
    for key in ["q", "z"] {
        let push: &[&str] = if key == "z" { &["ZADD", "z", "1", "job"] } else { &["RPUSH", "q", "job"] };
        world.redis.command(push);
    }
    world.redis.command(&["XADD", "s", "*", "a", "b"]);
    for protocol in ["2", "3"] {
        let waits: Vec<_> = FETCHES
            .iter()
            .map(|(command, millis)| {
                let address = world.worker_address();
                std::thread::spawn(move || {
                    let mut client = Client::connect(&address).expect("the gate accepts");
                    client.command(&["HELLO", protocol]).expect("greeted");
                    let began = Instant::now();
                    let words: Vec<&str> = command.split(' ').collect();
                    let reply = client.command(&words).expect("answered");
                    (command, Duration::from_millis(*millis), began.elapsed(), reply)
                })
            })
            .collect();
        for wait in waits {
            let (command, wanted, took, reply) = wait.join().expect("no panic");
            assert_eq!(reply, "nil", "RESP{protocol} {command}");
            // the upper bound leaves room for a busy machine
            assert!(took >= wanted && took < wanted + Duration::from_millis(400), "RESP{protocol} {command}: {took:?}");
        }
    }
}

/// 0 is for ever: a "nothing" would end some workers.
#[test]
fn nothing_ever_comes_where_the_time_out_is_infinite() {
    let world = World::new();
    let mut client = Client::connect(&world.worker_address()).expect("the gate accepts");
    client.command(&["CLIENT", "SETNAME", "held"]).expect("named");
    client.send(&["BRPOP", "q", "0"]).expect("sent");
    world.gate().await_known("held");
    world.gate().cli(&["drain", "held", "--ttl", "5s", "--name", "d"]).expect(0);
    // what had come before the seal would be its own
    world.gate().cli(&["wait", "d", "--for", "sealed", "--timeout", "4s"]).expect(0);
    world.redis.command(&["RPUSH", "q", "job"]);
    let began = Instant::now();
    // what comes in the end comes because the drain has expired
    assert_eq!(client.reply().expect("served"), "q\njob");
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
}
