//! A process that has closed its connections goes on with the jobs that it has: the answers of the others behind its
//! address do not speak for it.

use crate::asking::{asks, story};
use proto_tests::fleet_script::play_with;

/// A warm shutdown, or a reconnect that takes its time. All of them are called the same, or the names are too old.
#[test]
fn nobody_speaks_for_a_process_that_has_closed_its_connections() {
    for (later, name) in [("20s", "w1@a"), ("90s", "w2@a")] {
        story(&format!(
            "
            {later}
            + d1 10.0.0.5
            + d3 10.0.0.5
            d3 named celery {name}
            d3 listens
            d1 fetch celery
            100s
            c1 gets t1 id=a
            d1 gets t2 id=b
            c2 ack t1
            c2 ack t2
            drain d all
            ? asked c3 d3
            - c1
            - c3
            d3 answers d3
            ? @d1 sealed
            +2s
            d3 answers d3
            ? @d1 sealed running=2
            + c1 10.0.0.5               # it is back
            + c3 10.0.0.5
            c3 listens
            c1 fetch celery
            +3s
            ? asked c3                  # the other has said so
            c3 answers c3 a
            ? @d1 sealed
            +2s
            c3 answers c3
            ? @d1 drained
            "
        ));
    }
}

/// Nobody can ask it, and nothing names it.
#[test]
fn nobody_speaks_for_a_lost_process_that_did_not_listen() {
    story(
        "
        + d1 10.0.0.5
        d1 fetch celery
        20s
        c1 nil
        d1 gets t1
        c2 ack t1
        drain d all
        ? asked c3
        - d1
        c6 answers c3
        ? @c1 sealed
        +10m
        c6 answers c3
        ? @c1 sealed
    ",
    );
}

/// The broker cuts the connection of a process that acknowledges when a job is over: it goes on with that.
#[test]
fn nobody_speaks_for_a_process_that_was_cut() {
    play_with(
        asks(),
        "
        + c1 10.0.0.5
        + d1 10.0.0.5
        c1 is celery
        c1 acknowledges
        d1 acknowledges
        c1 named celery w1@a
        c1 listens
        c1 fetch celery
        d1 fetch celery
        20s
        c1 gets t1 id=a
        d1 gets t2 id=b
        c1 ack t1
        - d1 broker
        drain d all
        ? asked c1*
        c1 answers c1
        ? @c1 sealed
    ",
    );
}

/// One process that comes back while the broker still has the fetch of its old connection is no second one.
#[test]
fn a_process_that_is_back_speaks_for_itself() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        - c3
        + d1 10.0.0.5
        + d3 10.0.0.5
        d3 named celery w1@a
        d3 listens
        d1 fetch celery
        +1s
        - c1
        - c2
        - c6
        +1s
        d1 nil
        drain d all
        d3 answers d3
        ? w1@a drained
    ",
    );
}

/// One of two behind an address sends heartbeats, and nothing names the other.
#[test]
fn nobody_beats_for_a_process_that_sends_no_heartbeats() {
    play_with(
        Default::default(),
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        + d1 10.0.0.5
        c1 is celery
        d1 is celery
        c4 named celery w1@a
        c1 fetch celery
        d1 fetch celery
        c4 beat active=0 processed=0
        c1 gets t1
        d1 gets t2
        c1 ack t1
        d1 ack t2
        drain d all
        +2s
        c4 beat active=0 processed=1
        +2s
        c4 beat active=0 processed=1
        +2s
        c4 beat active=0 processed=1
        ? @c1 sealed running=2
        - d1
        +2s
        c4 beat active=0 processed=1
        ? @c1 sealed running=2
        ",
    );
}
