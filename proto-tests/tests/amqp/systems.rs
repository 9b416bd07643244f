//! Job systems other than Celery: what their messages say of a job, in the header or only in the body.

use crate::script::play;

const CONSUMER: &str = "
    handshake
    W= 1 consume default t
    E FetchAsked broker default blocking
    B= 1 consume-ok t
";

fn scene(lines: &str) {
    play(&format!("{CONSUMER}{lines}"));
}

/// Dramatiq 2.2: no header, no property, all in the body, with the arguments before the id.
const DRAMATIQ: &str = r#"{"queue_name":"default","actor_name":"run","args":["x","message_id"],"kwargs":{"actor_name":1},"options":{"eta":5},"message_id":"m1","message_timestamp":1795277316395}"#;

#[test]
fn a_job_of_dramatiq_is_named_by_its_body() {
    scene(&format!(
        "
        B= 1 message t 1 {DRAMATIQ}
        E Recognised dramatiq
        E Delivered 7.1.1 default run m1 eta=5
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        B= 1 message t 2 {DRAMATIQ} redelivered
        E HandedOutAgain m1 default
        E Delivered 7.1.2 default run m1 eta=5
        "
    ));
}

/// Its parts may come in any number of frames, with other frames between; it is told when the last has come.
#[test]
fn the_body_comes_in_pieces() {
    let (first, second) = DRAMATIQ.split_at(70);
    scene(&format!(
        "
        B= 1 deliver t 1
        B= 1 header {}
        B= 1 body {first}
        UNSAFE
        B= 0 heartbeat
        B= 1 body {second}
        E Recognised dramatiq
        E Delivered 7.1.1 default run m1 eta=5
        ",
        DRAMATIQ.len()
    ));
}

#[test]
fn what_waits_in_a_delay_queue_is_due_later() {
    scene(
        r#"
        W= 1 consume default.DQ d
        E Recognised dramatiq
        E FetchAsked broker default.DQ blocking
        B= 1 consume-ok d
        B= 1 message d 1 {"queue_name":"default.DQ","actor_name":"run","options":{"eta":1700000600000.5},"message_id":"m"}
        E Delivered 7.1.1 default.DQ run m eta=1700000600000
        B= 1 message t 2 {"queue_name":"default","actor_name":"run","options":{},"message_id":"m"}
        E Delivered 7.1.2 default run m
        "#,
    );
}

/// Bodies of others are nobody's business, and cost no more than their beginning.
#[test]
fn other_bodies_name_nothing() {
    for body in [
        "abc",
        r#"{"actor_name":"run","message_id":"m"}"#,
        "[1,2]",
        r#"{"queue_name":"other","actor_name":"run","message_id":"m"}"#,
    ] {
        scene(&format!(
            "
            B= 1 message t 1 {body} message=x
            E Delivered 7.1.1 default - x
            B= 1 message t 2 - message=y
            E Delivered 7.1.2 default - y
            "
        ));
    }
    let long = format!(r#"{{"args":"{}",{}"#, "x".repeat(16 * 1024), &DRAMATIQ[1..]);
    scene(&format!(
        "
        B= 1 message t 1 {long}
        E Delivered 7.1.1 default - -
        "
    ));
}

/// A worker that is known for Dramatiq's is read through, whatever its arguments' size.
#[test]
fn a_long_body_of_a_known_worker() {
    let long = format!(r#"{{"args":"{}",{}"#, "x".repeat(16 * 1024), &DRAMATIQ[1..]);
    scene(&format!(
        "
        B= 1 message t 1 {DRAMATIQ}
        E Recognised dramatiq
        E Delivered 7.1.1 default run m1 eta=5
        B= 1 message t 2 {long}
        E Delivered 7.1.2 default run m1 eta=5
        "
    ));
}

/// A connection that ends inside a body has brought no job: the broker has it still.
#[test]
fn a_body_that_never_ends() {
    scene(
        "
        B= 1 deliver t 1
        B= 1 header 9
        B= 1 body abc
        B gone
        CLOSED
        E FetchAnswered broker vanished blocking
        ",
    );
}

/// taskiq 0.13 over aio-pika.
#[test]
fn a_job_of_taskiq_is_named_by_its_header() {
    scene(
        "
        B= 1 deliver t 1
        B= 1 header 3 task_id=a0123 task_name=app:run
        E Recognised taskiq
        E Delivered 7.1.1 default app:run a0123
        B= 1 body abc
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
    );
}

/// Also of a worker that is marked before it has asked for anything.
#[test]
fn an_idle_worker_of_dramatiq_is_known_by_its_delay_queue() {
    play(
        "
        handshake
        W= 1 declare default.DQ
        B= 1 declare-ok default.DQ
        DRAIN
        W> 1 consume default.DQ d
        E Recognised dramatiq
        E FetchAsked gate default.DQ blocking
        W< 1 consume-ok d
        SYSTEM celery
        W> 1 consume default.DQ e
        E FetchAsked gate default.DQ blocking
        W< 1 consume-ok e
        ",
    );
}

/// Nameko 2.14, one channel for all: a job that is in hand waits for the answer to its own call.
#[test]
fn a_service_hears_the_answers_to_its_calls_while_it_is_drained() {
    play(
        "
        handshake
        W= 1 qos 10
        B= 1 qos-ok
        W= 1 declare rpc.reply-a-89b52737 durable x-expires=300000
        B= 1 declare-ok rpc.reply-a-89b52737
        W= 1 consume rpc.reply-a-89b52737 1
        B= 1 consume-ok 1
        W= 1 declare rpc-a durable
        B= 1 declare-ok rpc-a
        W= 1 consume rpc-a 2
        E FetchAsked broker rpc-a blocking
        B= 1 consume-ok 2
        DRAIN
        +20ms
        B> 1 cancel 2
        B< 1 cancel-ok 2
        E FetchMoved gate
        B= 1 message 1 1 abc correlation=c
        W= 1 ack 1
        SAFE
        ",
    );
}
