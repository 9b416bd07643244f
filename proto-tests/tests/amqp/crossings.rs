//! What the client or the broker says crosses what the gate says about the same consumer.

use crate::script::play;

/// A consumer of jobs on channel 1.
const CONSUMER: &str = "
    handshake
    W= 1 qos 2
    B= 1 qos-ok
    W= 1 declare q durable
    B= 1 declare-ok q
    W= 1 consume q t
    E FetchAsked broker q blocking
    B= 1 consume-ok t
";

#[test]
fn the_clients_own_cancel_crosses_the_gates() {
    play(&format!(
        "{CONSUMER}
        B= 0 connection.blocked
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

/// Deliveries that were on their way when the client cancelled without waiting count.
#[test]
fn a_cancel_without_an_answer_is_no_end_of_deliveries() {
    play(&format!(
        "{CONSUMER}
        W= 1 cancel t nowait
        E FetchAnswered broker vanished blocking
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        DRAIN
        FREE
        W> 1 consume q t
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        "
    ));
}
