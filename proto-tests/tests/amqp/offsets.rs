//! Messages that were in a stream before they came into another queue (a shovel keeps their headers) still say where they
//! stood there. Their consumer is resumed as any other: RabbitMQ closes the channel of who names a place in a queue that
//! is no stream (406, measured on 3.10 and 4.0).

use crate::script::play;

/// A consumer that has got such a message and was drained, of a queue declared so; `asked` comes behind its cancel.
fn drained(declare: &str, consume: &str, asked: &str) -> String {
    let proof = "B> 1 cancel ~draingate-7\nB< 1 cancel-ok ~draingate-7";
    // the leader of a quorum queue is asked in between
    let led = format!(
        "{proof}
        +1s
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        B> 1 cancel ~draingate-7
        B< 2047 close-ok
        B< 1 cancel-ok ~draingate-7"
    );
    let proof = if declare.contains("quorum") { &led } else { proof };
    format!(
        "
        handshake
        W= 1 declare q durable {declare}
        B= 1 declare-ok q
        W= 1 consume q t {consume}
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc offset=41
        E Delivered 7.1.1 q - -
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        {asked}
        W= 1 ack 1
        {proof}
        E Ended 7.1.1 finished
        "
    )
}

/// The mark is lifted.
fn lifted(again: &str) -> String {
    format!(
        "
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q t {again}
        "
    )
}

#[test]
fn a_place_is_named_only_in_a_stream() {
    for (kind, again) in [("classic", ""), ("quorum", ""), ("stream", "x-stream-offset=42")] {
        play(&format!("{}{}", drained(&format!("x-queue-type={kind}"), "", ""), lifted(again)));
    }
}

/// A virtual host may have a type of its own for queues that are declared without one.
#[test]
fn of_a_queue_without_a_type_it_is_asked() {
    for (kind, again) in [("'classic'", ""), ("none", ""), ("'stream'", "x-stream-offset=42"), ("cut o", "")] {
        let asked = format!(
            "
            B> 2047 open
            B< 2047 open-ok
            B> 2047 declare q durable x-queue-type=?
            B< 2047 close 406 50/10 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received '?' but current is {kind}
            B> 2047 close-ok
            "
        );
        play(&format!("{}{}", drained("", "", &asked), lifted(again)));
    }
}

/// Nobody could say what it is: who has named a place itself reads a stream.
#[test]
fn where_nobody_tells_the_clients_own_words_do() {
    let asked = "
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q durable x-queue-type=?
        B< 2047 close 403 50/10 ACCESS_REFUSED
        B> 2047 close-ok
    ";
    play(&format!("{}{}", drained("", "x-stream-offset=7", asked), lifted("x-stream-offset=42")));
    play(&format!("{}{}", drained("", "", asked), lifted("")));
}
