//! What the client or the broker says crosses what the gate says about the same consumer.

use crate::script::{CONSUMER, play};

#[test]
fn the_clients_own_cancel_crosses_the_gates() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        +980ms
        W= 1 cancel t
        B< 1 cancel-ok t
        B= 1 cancel-ok t
        E FetchAnswered broker vanished blocking
        "
    ));
}

#[test]
fn a_queue_that_is_deleted_ends_its_consumer() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        B= 1 cancel t nowait
        E FetchAnswered broker vanished blocking
        FREE
        B< 1 cancel-ok t
        W= 1 ack 9
        "
    ));
}

/// Cancel and consume of one tag, in one write: the consume waits until the tag is free.
#[test]
fn a_tag_is_used_again_when_its_cancel_ok_is_back() {
    play(&format!(
        "{CONSUMER}
        W+ 1 cancel t
        W> 1 consume q t
        B> 1 cancel t
        HELD
        B= 1 cancel-ok t
        E FetchAnswered broker vanished blocking
        B> 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        "
    ));
}

/// The broker closes the connection meanwhile: it hears what has waited, and the close-ok behind it.
#[test]
fn a_connection_that_is_closed_lets_nobody_wait() {
    play(&format!(
        "{CONSUMER}
        W+ 1 cancel t
        W> 1 consume q t
        B> 1 cancel t
        HELD
        B= 0 connection.close 320 CONNECTION_FORCED - shutdown
        B> 1 consume q t
        W= 0 connection.close-ok
        B gone
        E FetchAnswered broker vanished blocking
        CLOSED
        "
    ));
}

/// So does a channel: its number is another's when the close-ok of its former life is back.
#[test]
fn a_channel_is_opened_again_when_its_close_ok_is_back() {
    play(&format!(
        "{CONSUMER}
        W+ 1 close 200 0/0
        W> 1 open
        B> 1 close 200 0/0
        HELD
        B= 1 close-ok
        E FetchAnswered broker vanished blocking
        B> 1 open
        B= 1 open-ok
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        "
    ));
}

/// The broker ends a consumer whose cancel by the gate is unanswered, and the client begins another of that name: the
/// cancel-ok is not for the client.
#[test]
fn an_answer_that_comes_late_is_not_the_clients() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        B= 1 cancel t nowait
        E FetchAnswered broker vanished blocking
        UNDRAIN
        W= 1 consume q t
        E FetchAsked broker q blocking
        B< 1 cancel-ok t
        B= 1 consume-ok t
        W= 1 cancel t
        B= 1 cancel-ok t
        E FetchAnswered broker vanished blocking
        "
    ));
}

/// What is on its way when the client cancels without waiting counts, and comes before the second of two answers. (Measured
/// on 3.10 and 4.0: fifty deliveries of a classic queue came between the first and the second.)
#[test]
fn a_cancel_without_an_answer_is_no_end_of_deliveries() {
    play(&format!(
        "{CONSUMER}
        W= 1 cancel t nowait
        DRAIN
        B> 1 cancel ~draingate-7
        FREE
        B< 1 cancel-ok ~draingate-7
        B> 1 cancel ~draingate-7
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        W> 1 consume q t
        HELD
        B< 1 cancel-ok ~draingate-7
        E FetchAnswered broker vanished blocking
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        FREE
        "
    ));
}

/// The same of a worker that is not drained: there is time.
#[test]
fn a_cancel_without_an_answer_is_proven_with_the_acks() {
    play(&format!(
        "{CONSUMER}
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        W= 1 cancel t nowait
        W= 1 ack 1
        +249ms
        +1ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E FetchAnswered broker vanished blocking
        +60s
        # begun again at once it is the new one that brings what still comes
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        W= 1 cancel t nowait
        W= 1 consume q t
        E FetchAsked broker q blocking
        E FetchAnswered broker vanished blocking
        B= 1 message t 2 abc message=n
        E Delivered 7.1.2 q - n
        B= 1 consume-ok t
        +60s
        "
    ));
}

/// The gate's own cancel is under way: its cancel-ok comes behind all deliveries.
#[test]
fn a_cancel_without_an_answer_crosses_the_gates() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        +980ms
        W= 1 cancel t nowait
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok t
        E FetchAnswered broker vanished blocking
        B< 1 cancel-ok ~draingate-7
        +60s
        "
    ));
}

/// The broker's cancel crosses the client's, which begins another consumer of that name before it has its answer. That is
/// not the answer to the gate's cancel of the new one, which jobs may still come for.
#[test]
fn an_answer_that_comes_late_is_not_the_gates() {
    for (crossing, over) in [
        ("W= 1 cancel t\nB= 1 cancel t nowait\nE FetchAnswered broker vanished blocking", ""),
        ("B= 1 cancel t nowait\nE FetchAnswered broker vanished blocking\nW= 1 cancel t", ""),
        ("W= 1 cancel t nowait\nW= 1 cancel t", "E FetchAnswered broker vanished blocking"),
    ] {
        play(&format!(
            "{CONSUMER}
            {crossing}
            W= 1 declare q durable
            W= 1 consume q t nowait
            E FetchAsked broker q blocking
            {over}
            DRAIN
            +20ms
            B> 1 cancel t
            B= 1 cancel-ok t
            B= 1 declare-ok q
            B= 1 message t 1 abc message=m
            E Delivered 7.1.1 q - m
            HELD
            B< 1 cancel-ok t
            E FetchMoved gate
            FREE
            "
        ));
    }
}

/// Cancelled twice, the second time by a name that nobody has any more.
#[test]
fn each_cancel_is_answered() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        +980ms
        W= 1 cancel t nowait
        B> 1 cancel ~draingate-7
        W= 1 cancel t
        B< 1 cancel-ok t
        B= 1 cancel-ok t
        E FetchAnswered broker vanished blocking
        B< 1 cancel-ok ~draingate-7
        W= 1 cancel t
        B= 1 cancel-ok t
        "
    ));
}

/// Who closes a channel hears nothing else on it: an answer that waits for its turn is dropped.
#[test]
fn what_was_due_is_not_said_on_a_channel_that_is_closed() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        W= 1 declare other durable
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W= 1 close 200 0/0
        B= 1 declare-ok other
        B= 1 close-ok
        E FetchAnswered gate vanished blocking
        W= 1 open
        B= 1 open-ok
        +60s
        "
    ));
}

/// What a client has asked for and does not wait for is over with the channel, each of them.
#[test]
fn gets_on_a_channel_that_is_closed() {
    play(
        "
        handshake
        W= 1 get q
        E FetchAsked broker q poll
        W= 1 get q
        E FetchAsked broker q poll
        W= 1 get q
        E FetchAsked broker q poll
        W= 1 close 200 0/0
        B= 1 get-ok 1
        E FetchAnswered broker error poll
        B= 1 header 3
        B= 1 body abc
        B= 1 get-ok 2
        E FetchAnswered broker error poll
        B= 1 header 0
        B= 1 close-ok
        E FetchAnswered broker error poll
        ",
    );
}
