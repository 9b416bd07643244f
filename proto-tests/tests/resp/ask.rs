//! The gate's own question: how it comes to a worker, and what becomes of the answer.

use crate::support::{play, play_rows};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where the answer to question `number` goes to.
fn address(number: u64, list: &str) -> String {
    format!("draingate.answer.{:016x}.{number:016x}.{list}", 7)
}

/// What comes with a command.
fn arguments(command: &str) -> &'static str {
    match command {
        "active" => r#"{"safe": true}"#,
        "registered" => r#"{"taskinfoitems": ["Strategy", "acks_late"]}"#,
        _ => "{}",
    }
}

/// The question as it comes to the worker, in kombu's envelope.
fn question(number: u64, command: &str) -> String {
    let address = address(number, if command == "registered" { "t" } else { &command[..1] });
    let arguments = arguments(command);
    let body = format!(
        r#"{{"method": "{command}", "arguments": {arguments}, "destination": null, "pattern": null, "matcher": null, "ticket": "{address}", "reply_to": {{"exchange": "", "routing_key": "{address}"}}}}"#
    );
    let body = STANDARD.encode(body);
    format!(
        r#"'{{"body": "{body}", "content-encoding": "utf-8", "content-type": "application/json", "headers": {{}}, "properties": {{"delivery_mode": 2, "delivery_info": {{"exchange": "celery.pidbox", "routing_key": ""}}, "priority": 0, "body_encoding": "base64", "delivery_tag": "{address}"}}}}'"#
    )
}

/// An answer as kombu pushes it.
fn answer(body: &str) -> String {
    let body = STANDARD.encode(body);
    format!(
        r#"'{{"body": "{body}", "content-encoding": "utf-8", "content-type": "application/json", "headers": {{"ticket": "x", "clock": 7}}, "properties": {{"delivery_tag": "u-1"}}}}'"#
    )
}

const SUBSCRIBE: &str = "set nonce 7
    W= HELLO 3
    B= %1 $$proto :3
    W= PSUBSCRIBE /0.celery.pidbox
    B= >3 $$psubscribe $$/0.celery.pidbox :1
    E Listens true
";

#[test]
fn the_question_comes_like_any_message_of_the_broker() {
    let ask = question(3, "active");
    play(&format!("{SUBSCRIBE} ASK 3\n W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${ask}"));
    // RESP2, and a plain subscription with a prefix
    play(&format!(
        "set nonce 7\n W= SUBSCRIBE p/0.celery.pidbox\n B= *3 $$subscribe $$p/0.celery.pidbox :1\n E Listens true
        ASK 3\n W< *3 $$message $$p/0.celery.pidbox $${ask}\n W= PING\n B= *2 $$pong $$"
    ));
    // all lists, in the direction in which tasks go
    let [scheduled, reserved, active] = ["scheduled", "reserved", "active"].map(|command| question(9, command));
    play(&format!(
        "{SUBSCRIBE} ASK 9 all
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${scheduled}
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${reserved}
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${active}"
    ));
}

/// With the first question to a process: what does it know?
#[test]
fn tasks_that_it_begins_in_a_way_of_their_own_are_asked_for() {
    let [registered, active] = ["registered", "active"].map(|command| question(9, command));
    play(&format!(
        "{SUBSCRIBE} ASK 9 first
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${registered}
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${active}"
    ));
    let usual = (0..4_000).map(|n| format!(r#""a.t{n} [Strategy=celery.worker.strategy:default acks_late=False]""#));
    let usual: Vec<String> = usual.collect();
    let batches = r#""a.many [Strategy=<bound method Batches.Strategy of <@task: a.many of a>> acks_late=False]""#;
    let (key, of) =
        (address(9, "t"), |n: usize| answer(&format!(r#"{{"w1@vm": [{}, {batches}]}}"#, usual[..n].join(", "))));
    play(&format!("set nonce 7\n W> LPUSH {key} {}\n W< :1\n E Answered 9 registered [a.many]", of(2)));
    // many are read, and very many are not
    play(&format!("set nonce 7\n W> LPUSH {key} {}\n W< :1\n E Answered 9 registered [a.many]", of(1_000)));
    play(&format!("set nonce 7\n W> LPUSH {key} {}\n W< :1\n E Answered 9 registered ?", of(4_000)));
}

#[test]
fn it_waits_until_the_broker_has_said_its_word() {
    let ask = question(4, "active");
    // in the middle of another message; of two that wait the newer one counts
    play(&format!(
        r#"{SUBSCRIBE}
        B<raw ">4\r\n$8\r\npmessage\r\n$16\r\n/0.celery.pidbox\r\n$16\r\n/0.celery.pidbox\r\n$10\r\nabcde"
        W<raw ">4\r\n$8\r\npmessage\r\n$16\r\n/0.celery.pidbox\r\n$16\r\n/0.celery.pidbox\r\n$10\r\nabcde"
        ASK 3
        ASK 4
        B<raw "fghij\r\n"
        W<raw "fghij\r\n"
        W< >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox $${ask}"#
    ));
}

#[test]
fn it_is_put_to_nobody_who_does_not_listen() {
    // never subscribed, not to remote control, to the replies, to a pattern; and no more
    play("set nonce 7\n W= PING\n B= +PONG\n ASK 3\n W= PING\n B= +PONG");
    play_rows(
        "set nonce 7
        W= PSUBSCRIBE <1>
        B= *3 $$psubscribe $$<1> :1
        ASK 3
        W= PING
        B= *2 $$pong $$",
        &["/0.celeryev/worker.*", "/0.9a.reply.celery.pidbox", "/0.*.pidbox", "news"],
    );
    play(&format!(
        "{SUBSCRIBE} W= PUNSUBSCRIBE /0.celery.pidbox\n B= >3 $$punsubscribe $$/0.celery.pidbox :0\n E Listens false
        ASK 3\n W= PING\n B= +PONG"
    ));
    play(&format!("{SUBSCRIBE} W= RESET\n B= +RESET\n ASK 3\n W= PING\n B= +PONG"));
}

#[test]
fn the_answer_is_kept_from_the_broker() {
    let (key, message) = (address(3, "a"), answer(r#"{"w1@vm": [{"id": "t1"}, {"id": "t2"}]}"#));
    play(&format!("set nonce 7\n W> LPUSH {key} {message}\n W< :1\n E Answered 3 active [t1,t2]\n SAFE"));
    // with a key prefix, and in lower case
    play(&format!("set nonce 7\n W> lpush app:{key} {message}\n W< :1\n E Answered 3 active [t1,t2]"));
    // the other lists
    let (reserved, scheduled) = (address(3, "r"), address(3, "s"));
    let (none, later) = (answer(r#"{"w1@vm": []}"#), answer(r#"{"w1@vm": [{"eta": null, "request": {"id": "t3"}}]}"#));
    play(&format!("set nonce 7\n W> LPUSH {reserved} {none}\n W< :1\n E Answered 3 reserved []"));
    play(&format!("set nonce 7\n W> LPUSH {scheduled} {later}\n W< :1\n E Answered 3 scheduled [t3]"));
}

#[test]
fn its_own_answer_comes_in_order() {
    let (key, message) = (address(3, "a"), answer(r#"{"w1@vm": []}"#));
    play(&format!(
        "set nonce 7
        W+ GET a
        W+ LPUSH {key} {message}
        W> GET b
        B>raw \"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nb\\r\\n\"
        E Answered 3 active []
        B< $$x
        W< $$x :1
        B= $$y"
    ));
    // nobody wants an answer
    play(&format!(
        "set nonce 7\n W= CLIENT REPLY OFF\n W> LPUSH {key} {message}\n E Answered 3 active []\n W= CLIENT REPLY ON\n B= +OK"
    ));
}

#[test]
fn its_own_answer_waits_until_the_broker_has_said_its_word() {
    let (key, message) = (address(3, "a"), answer(r#"{"w1@vm": []}"#));
    play(&format!(
        r#"set nonce 7
        W= HELLO 3
        B= %1 $$proto :3
        B<raw ">2\r\n$10\r\ninvalidate\r\n*1\r\n$10\r\nabcde"
        W<raw ">2\r\n$10\r\ninvalidate\r\n*1\r\n$10\r\nabcde"
        W> LPUSH {key} {message}
        E Answered 3 active []
        B<raw "fghij\r\n"
        W<raw "fghij\r\n:1\r\n"
        W= PING
        B= +PONG"#
    ));
}

#[test]
fn what_cannot_be_kept_passes() {
    let (key, message) = (address(3, "a"), answer(r#"{"w1@vm": []}"#));
    play(&format!("set nonce 7\n W= MULTI\n B= +OK\n W= LPUSH {key} {message}\n B= +QUEUED\n W= EXEC\n B= *1 :1"));
    // two elements, or none; another gate's question; another's keys; nothing is asked here
    play(&format!("set nonce 7\n W= LPUSH {key} {message} {message}\n B= :2"));
    play(&format!("set nonce 7\n W= LPUSH {key}\n B= '-ERR wrong number of arguments'"));
    play(&format!("set nonce 8\n W= LPUSH {key} {message}\n B= :1"));
    play(&format!("set nonce 7\n W= RPUSH {key} {message}\n B= :1"));
    play(&format!("set nonce 7\n W= LPUSH {key}x {message}\n B= :1"));
    play(&format!("W= LPUSH {key} {message}\n B= :1"));
}

#[test]
fn an_answer_that_cannot_be_read_says_nothing() {
    let key = address(3, "a");
    let huge = answer(&format!(r#"{{"w1@vm": [{{"id": "t1", "args": "{}"}}]}}"#, "x".repeat(300_000)));
    play(&format!("set nonce 7\n W> LPUSH {key} {huge}\n W< :1\n E Answered 3 active ?\n W= PING\n B= +PONG"));
    let error = answer(r#"{"w1@vm": {"error": "no"}}"#);
    for other in [error.as_str(), "pickled", r#"'{"body": "!", "content-type": "x"}'"#] {
        play(&format!("set nonce 7\n W> LPUSH {key} {other}\n W< :1\n E Answered 3 active ?"));
    }
}

#[test]
fn a_client_that_ends_within_its_answer_leaves_nothing_behind() {
    let key = address(3, "a");
    let head = format!("*3\\r\\n$5\\r\\nLPUSH\\r\\n${}\\r\\n{key}\\r\\n$900\\r\\nabc", key.len());
    play(&format!("set nonce 7\n W>raw \"{head}\"\n UNSAFE\n W gone\n CLOSED"));
    // and one that loses step
    let bad = format!("*3\\r\\n$5\\r\\nLPUSH\\r\\n${}\\r\\n{key}\\r\\nnonsense\\r\\n", key.len());
    play(&format!("set nonce 7\n W>raw \"{bad}\"\n CLOSED expected"));
}

/// Tasks that are published reach every worker that has subscribed, drained or not.
#[test]
fn a_broadcast_queue_cannot_be_held() {
    let why = "tasks of the exchange bcast are published to it (Broadcast), which cannot be held";
    play_rows(
        &format!(
            "DRAIN
            W= PSUBSCRIBE <1>
            B= *3 $$psubscribe $$<1> :1
            E Bound {why}
            W= PUNSUBSCRIBE <1>
            B= *3 $$punsubscribe $$<1> :0
            E Unbound {why}"
        ),
        &["/0.bcast/celery", "/15.bcast", "{p}:/0.bcast/celery", "p/0.bcast"],
    );
    play_rows(
        "set pass calm*
        W= HELLO 3\n B= %1 $$proto :3
        W= SUBSCRIBE <1>
        B= >3 $$subscribe $$<1> :1",
        &[
            "/0.celeryev/worker.*",
            "/0.events/worker.*",
            "/0.events/*",
            "/0.calm/celery",
            "/0.",
            "/x.bcast",
            "0.bcast",
            "news/",
        ],
    );
}
