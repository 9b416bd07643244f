//! Workers that know tasks of which neither heartbeats nor lists tell when they run.

use crate::asking::{WORKER, asks, story};
use proto_tests::fleet_script::play_with;

/// `a.many` is acknowledged when a batch begins. That is in no list.
#[test]
fn a_worker_that_has_begun_something_is_unknown() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        ? asked c3
        c6 answers c3 registered:a.many
        ? w1@a sealed unknown running=0 blocked~celery-batches
        +31s
        ? drain d cannot-tell hint~acks_late
        ? asked
        +1m
        ? w1@a sealed unknown
    ",
    );
    // its heartbeats do not tell either
    story(
        "
        1s
        + c4 10.0.0.5
        c4 named celery w1@a
        c4 beat active=0 processed=0
        c1 gets t1
        c2 ack t1
        drain d all
        c6 answers c3 registered:a.many
        3s
        c4 beat active=0 processed=0
        5s
        c4 beat active=0 processed=0
        7s
        c4 beat active=0 processed=0
        ? w1@a sealed unknown blocked~celery-batches
        - c3
        9s
        c4 beat active=0 processed=0
        11s
        c4 beat active=0 processed=0
        ? w1@a sealed unknown blocked~celery-batches
    ",
    );
}

/// Nothing was begun, or every ack is an end.
#[test]
fn a_worker_that_has_begun_nothing_is_drained() {
    story("20s\n c1 nil\n drain d all\n ? w1@a drained exact\n ? asked");
    let late = draingate::fleet::FleetSettings { celery_acks_late: true, ..asks() };
    play_with(late, &format!("{WORKER}\n 20s\n c1 gets t1\n drain d all\n c2 ack t1\n ? asked\n ? w1@a drained exact"));
}

/// A worker that the gate has not seen from its beginning may be at a batch.
#[test]
fn a_worker_met_in_mid_life_is_unknown() {
    let restarted =
        format!("{WORKER}\n 20s\n c1 nil\n restart\n {WORKER}\n c1 nil\n +10s\n drain d all\n ? asked c3*\n");
    play_with(
        asks(),
        &format!("{restarted} c6 answers c3 registered:a.many\n ? w1@a sealed unknown blocked~celery-batches"),
    );
    play_with(asks(), &format!("{restarted} c6 answers c3\n ? w1@a drained"));
}

/// It is asked once; another process is another matter.
#[test]
fn each_process_is_asked_what_it_knows() {
    let mut script = story("20s\n c1 gets t1 id=a\n c2 ack t1\n drain d all\n c6 answers c3 a\n +2s\n ? asked c3 c3");
    script.play("c6 answers c3 registered:a.many\n ? w1@a drained");
    story(
        "
        + d1 10.0.0.5
        + d3 10.0.0.5
        d3 named celery w2@a
        d1 fetch celery
        d3 listens
        20s
        c1 gets t1 id=a
        c2 ack t1
        drain d all
        d1 nil
        ? asked c3 d3
        c6 answers c3
        c6 answers d3 registered:a.many
        ? @c1 sealed unknown blocked~celery-batches
    ",
    );
}
