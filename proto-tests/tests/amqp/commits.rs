//! Transactions. While a tx.commit is not answered RabbitMQ closes the connection (504) for whatever comes on that channel:
//! so the gate says nothing there until the commit-ok is back. (Measured on 3.10 and 4.0: a commit of messages is answered
//! when the queues have them on their disks, one of acks alone at once.)

use crate::script::play;

/// A consumer of jobs on channel 1, in a transaction, with a job in hand.
const CONSUMER: &str = "
    consumer
    W= 1 tx.select
    B= 1 tx.select-ok
    B= 1 message t 1 abc message=m
    E Delivered 7.1.1 q - m
";

#[test]
fn a_cancel_waits_for_the_commit() {
    play(&format!(
        "{CONSUMER}
        W= 1 ack 1
        W= 1 send - other abc
        W= 1 tx.commit
        DRAIN
        FREE
        # only this channel is silent
        W= 0 heartbeat
        +700ms
        B= 1 tx.commit-ok
        E Ended 7.1.1 finished
        HELD
        +1ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        FREE
        "
    ));
}

/// A job for the room that the commit has made may be on its way, as behind an ack.
#[test]
fn a_commit_makes_room() {
    play(&format!(
        "{CONSUMER}
        W= 1 ack 1
        +1s
        W= 1 tx.commit
        B= 1 tx.commit-ok
        E Ended 7.1.1 finished
        DRAIN
        +249ms
        +1ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    ));
}

#[test]
fn a_commit_that_takes_longer_than_a_hold() {
    play(&format!(
        "{CONSUMER}
        W= 1 send - other abc
        W= 1 tx.commit
        DRAIN
        +5s
        FREE
        B= 1 tx.commit-ok
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    ));
}

#[test]
fn a_proof_waits_for_the_commit() {
    play(
        "
        handshake
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        W= 1 ack 1
        W= 1 tx.select
        B= 1 tx.select-ok
        W= 1 send - other abc
        W= 1 tx.commit
        +5s
        B= 1 tx.commit-ok
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
    );
}

/// Replies keep the order of what was sent: what the client says next comes behind what the gate has to say.
#[test]
fn a_resumed_consumer_waits_for_the_commit() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        W= 1 send - other abc
        W= 1 tx.commit
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B< 2047 close-ok
        FREE
        W> 1 declare q durable
        HELD
        B= 1 tx.commit-ok
        B> 1 qos 1
        B> 1 consume q ~
        B> 1 qos 2
        B> 1 declare q durable
        B< 1 qos-ok
        B< 1 qos-ok
        B= 1 declare-ok q
        B< 1 consume-ok ~
        FREE
        "
    ));
}

/// Nobody is held up where the gate has nothing to say: a commit of acks alone is answered before what comes behind it.
#[test]
fn what_comes_behind_a_commit_passes() {
    play(&format!(
        "{CONSUMER}
        W+ 1 ack 1
        W+ 1 tx.commit
        W> 1 get q
        B> 1 ack 1
        B> 1 tx.commit
        B> 1 get q
        E FetchAsked broker q poll
        FREE
        B= 1 tx.commit-ok
        E Ended 7.1.1 finished
        B= 1 get-empty
        E FetchAnswered broker empty poll
        "
    ));
}

/// What a transaction has settled and not committed goes back with its channel.
#[test]
fn a_transaction_that_does_not_end() {
    play(&format!(
        "{CONSUMER}
        W= 1 ack 1
        W= 1 send - other abc
        W= 1 tx.commit
        DRAIN
        B= 1 close 406 90/20 PRECONDITION_FAILED - partial tx completion
        E Ended 7.1.1 requeued
        E FetchAnswered broker vanished blocking
        W= 1 close-ok
        SAFE
        "
    ));
}
