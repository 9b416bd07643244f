//! A client goes, and in the same moment something is pushed for it: both its sockets are readable at once for the gate.
//! Nothing may be lost or doubled, whatever it was waiting with and however it went.

use crate::support::redis::Client;
use crate::support::{World, eventually, secs};

/// Of each way.
const ROUNDS: usize = 60;
/// Clients at the same time.
const AT_ONCE: usize = 20;

/// command | push; `<q>` is the round's key
const WAYS: &[(&str, &str)] = &[
    ("BRPOP <q> 0", "RPUSH <q> job"),
    ("BLPOP <q> 1", "RPUSH <q> job"),
    ("BLMOVE <q> elsewhere LEFT RIGHT 0", "RPUSH <q> job"),
    ("BRPOPLPUSH <q> elsewhere 30", "RPUSH <q> job"),
    ("BLMPOP 0 1 <q> RIGHT", "RPUSH <q> job"),
    ("BZPOPMIN <q> 0", "ZADD <q> 1 job"),
];

#[test]
fn what_is_pushed_at_the_moment_of_the_end_stays() {
    vanish(&World::new());
}

#[test]
fn what_is_pushed_at_the_moment_of_the_end_stays_over_a_unix_socket() {
    vanish(&World::over_unix_socket());
}

fn vanish(world: &World) {
    let mut pusher = Client::connect(&world.redis.address()).expect("the broker");
    let keys: Vec<String> = (0..WAYS.len() * ROUNDS).map(|number| format!("q{number}")).collect();
    let words = |text: &str, key: &str| text.split(' ').map(|word| word.replace("<q>", key)).collect::<Vec<String>>();
    for (number, part) in keys.chunks(AT_ONCE).enumerate() {
        let clients: Vec<(Client, &String, &str)> = part
            .iter()
            .enumerate()
            .map(|(at, key)| {
                let (command, push) = WAYS[(number * AT_ONCE + at) % WAYS.len()];
                let mut client = Client::connect(&world.worker_address()).expect("the gate accepts");
                client.send(&refer(&words(command, key))).expect("sent");
                (client, key, push)
            })
            .collect();
        eventually("the fetches are at the broker", secs(10), || {
            (world.redis.info("blocked_clients") >= part.len() as u64).then_some(())
        });
        for (client, key, push) in clients {
            client.leave();
            pusher.command(&refer(&words(push, key))).expect("pushed");
        }
        eventually("all is settled", secs(10), || (world.redis.info("blocked_clients") == 0).then_some(()));
    }
    eventually("what was handed out is back", secs(10), || {
        let there = |key: &String| pusher.command(&["EXISTS", key]).expect("asked") == "1";
        keys.iter().all(there).then_some(())
    });
    assert_eq!(pusher.command(&["EXISTS", "elsewhere"]).expect("asked"), "0");
    for (number, key) in keys.iter().enumerate() {
        let count = if WAYS[number % WAYS.len()].0.starts_with("BZ") { "ZCARD" } else { "LLEN" };
        assert_eq!(pusher.command(&[count, key]).expect("counted"), "1", "{key}");
    }
    assert_eq!(world.gate().metric("draingate_orphan_replies_total{action=\"lost\"}"), 0.0);
}

fn refer(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
