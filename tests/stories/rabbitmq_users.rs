//! Users who may not do everything: a drained worker hears from RabbitMQ itself, word by word what it would have heard
//! without a gate, what it may not do; and what the gate must not ask about for want of rights costs no worker anything.

use super::rabbitmq_bad_input::{GREETING, method, methods, opening, shortstr};
use crate::support::gate::text;
use crate::support::process::Proc;
use crate::support::queues::{Consumers, declare, run};
use crate::support::rabbit::Release;
use crate::support::story::System;
use crate::support::{World, eventually, secs};
use std::io::{Read, Write};
use std::net::TcpStream;

const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CONSUME_OK: (u16, u16) = (60, 21);
const GET_EMPTY: (u16, u16) = (60, 72);

fn consume(queue: &str, bits: u8) -> Vec<u8> {
    method(1, 60, 20, &[&[0, 0], &shortstr(queue), &shortstr("t"), &[bits, 0, 0, 0, 0]])
}

fn get(queue: &str) -> Vec<u8> {
    method(1, 60, 70, &[&[0, 0], &shortstr(queue), &[0]])
}

/// Opens a channel, says something on it and hears all up to this answer.
fn answer(address: &str, user: &str, says: &[u8], until: (u16, u16)) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(secs(20))).expect("set");
    let open = method(1, 20, 10, &[&[0]]);
    stream.write_all(&[GREETING, &opening(user, user, "/"), &open, says].concat()).expect("written");
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    while !methods(&heard).contains(&until) {
        let n = stream.read(&mut piece).unwrap_or_else(|error| panic!("{error} after {:?}", methods(&heard)));
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&heard));
        heard.extend(&piece[..n]);
    }
    (stream, heard)
}

/// What it is about, who says it, what is said, and the last that is heard.
type Case = (&'static str, &'static str, Vec<u8>, (u16, u16));

/// `writer` may not read, `reader` may do nothing else.
fn cases() -> Vec<Case> {
    const NOWAIT: u8 = 8;
    vec![
        ("a consume without the right", "writer", consume("jobs", 0), CHANNEL_CLOSE),
        ("one without an answer", "writer", consume("jobs", NOWAIT), CHANNEL_CLOSE),
        ("a get without the right", "writer", get("jobs"), CHANNEL_CLOSE),
        ("a consume of nothing", "guest", consume("nothing", 0), CHANNEL_CLOSE),
        ("a get of nothing", "guest", get("nothing"), CHANNEL_CLOSE),
        ("a consume of another's queue", "guest", consume("own", 0), CHANNEL_CLOSE),
        ("a get of another's queue", "guest", get("own"), CHANNEL_CLOSE),
        ("a consume with no other right", "reader", consume("jobs", 0), CONSUME_OK),
        ("a get with no other right", "reader", get("jobs"), GET_EMPTY),
    ]
}

fn users(release: Release) {
    let mut world = World::with(release);
    world.gate_mut().set("DRAINGATE__GATE__FETCH", "named");
    world.gate_mut().kill();
    world.gate_mut().up();
    let rabbit = world.rabbit.as_ref().expect("it is there");
    for (user, configure, write, read) in [("writer", ".*", ".*", "^$"), ("reader", "^$", "^$", ".*")] {
        rabbit.ctl(&["add_user", user, user]);
        rabbit.ctl(&["set_permissions", user, configure, write, read]);
    }
    declare(&world, "jobs", r#"{"durable": true}"#);
    declare(&world, "named", r#"{"durable": true}"#);
    who_may_not_configure(&world);
    // last: a process that asks for jobs itself is the worker that its children belong to
    same_words(&world);
}

/// All connections are those of drained workers: what they ask for is asked for by the gate first.
fn same_words(world: &World) {
    const EXCLUSIVE: u8 = 4;
    let declares = method(1, 50, 10, &[&[0, 0], &shortstr("own"), &[EXCLUSIVE, 0, 0, 0, 0]]);
    let _owner = answer(&world.broker_address(), "guest", &declares, (50, 11));
    world.gate().cli(&["drain", "all", "--standing", "--allow-empty", "--name", "all"]).expect(0);
    for (what, user, says, until) in cases() {
        let (_, direct) = answer(&world.broker_address(), user, &says, until);
        let (_, through) = answer(&world.worker_address(), user, &says, until);
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(through, direct, "{what}: {} but directly {}", words(&through), words(&direct));
    }
    world.gate().cli(&["undrain", "all"]).expect(0);
}

/// RabbitMQ tells such a user nothing about a queue: without a word of the operator's its consumer is left alone.
fn who_may_not_configure(world: &World) {
    let start = |name: &str, queue: &str| {
        let mut run = run(world, &world.worker_address(), &["worker", "1"]);
        run.env("WORKER", name).env("CONNECTION_NAME", name).env("QUEUE", queue).env("PREFETCH", "1");
        let mut process = Proc::start(run.env("BROKER_USER", "reader"), &world.path().join(format!("{name}.log")));
        world.log().await_ready(name, &mut process);
        world.gate().await_known(name);
        process
    };
    let _workers = [start("a", "jobs"), start("b", "named")];
    let system = Consumers { queue: "jobs", prefetch: 1, number: 1, fed: &["jobs", "named"] };
    let mut producer = system.producer(world);
    (0..4).for_each(|number| producer.push(&format!("job{number}"), 0.5, 0.0));
    world.gate().cli(&["drain", "worker=a", "worker=b", "--name", "d"]).expect(0);
    let blocked = eventually("it is told", secs(10), || {
        let of = |worker: &serde_json::Value| worker["blocked"].as_array().is_some_and(|reasons| !reasons.is_empty());
        world.gate().worker("a").filter(of)
    });
    assert_eq!(blocked["state"], "draining", "{blocked}");
    assert!(text(&blocked["blocked"][0]).contains("RabbitMQ tells only whom it lets configure the queue"), "{blocked}");
    world.gate().await_worker("b", "drained", secs(20));
    producer.push("more", 0.1, 0.0);
    producer.push("held", 0.1, 0.0);
    drop(producer);
    world.log().await_line("end", "more", secs(20));
    assert_eq!(world.log().find("start", "held"), None);
    world.gate().cli(&["undrain", "d"]).expect(0);
    world.log().await_all_ended(secs(20));
    world.log().assert_exactly_once(&[]);
}

#[test]
fn users_on_3() {
    users(Release::Three);
}

#[test]
fn users_on_4() {
    users(Release::Four);
}
