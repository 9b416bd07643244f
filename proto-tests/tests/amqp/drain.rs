//! A mark: hold, cancel, cancel-ok, go on. Each of these was an accident with a real broker.

use crate::script::{CONSUMER, play};

/// Two consumers on one channel: remote control and jobs, as Celery has them.
const CELERY: &str = "
    handshake
    W= 1 declare w1@vm.celery.pidbox exclusive auto_delete x-expires=10000
    B= 1 declare-ok w1@vm.celery.pidbox
    W= 1 consume w1@vm.celery.pidbox None1 no_ack
    E Recognised celery
    E Named celery w1@vm
    E Listens true
    B= 1 consume-ok None1
    W= 1 qos 8 global
    B= 1 qos-ok
    W= 1 declare celery durable
    B= 1 declare-ok celery
    W= 1 consume celery None4
    E FetchAsked broker celery blocking
    B= 1 consume-ok None4
";

#[test]
fn only_the_job_consumer_is_cancelled() {
    play(&format!(
        "{CELERY}
        +1s
        DRAIN
        HELD
        +1ms
        B> 1 cancel None4
        HELD
        B< 1 cancel-ok None4
        E FetchMoved gate
        FREE
        # remote control goes on, in both directions
        B= 1 message None1 1 ping
        W= 1 send reply.celery.pidbox - pong
        "
    ));
}

/// Cancelled right behind an ack, a quorum queue counts a delivery that never arrives.
#[test]
fn the_cancel_keeps_its_distance_from_the_last_ack() {
    play(&format!(
        "{CONSUMER}
        B= 1 message t 1 abc id=x
        E Delivered 7.1.1 q - x
        W= 1 ack 1
        DRAIN
        # the mark lets nothing lie: the ack's own proof is asked at once
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        HELD
        # a job for the room that the ack has made may be on its way
        +249ms
        +1ms
        B> 1 cancel t
        W> 1 ack 2        # waits: it would free credit while the cancel is under way
        B< 1 cancel-ok t
        E FetchMoved gate
        B> 1 ack 2
        "
    ));
}

/// With all of the prefetch in hand nothing can be on its way.
#[test]
fn a_consumer_that_has_been_filled_again_is_cancelled_at_once() {
    play(&format!(
        "{CONSUMER}
        B= 1 message t 1 abc id=x
        E Delivered 7.1.1 q - x
        B= 1 message t 2 abc id=y
        E Delivered 7.1.2 q - y
        W= 1 nack 1 requeue
        DRAIN
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 requeued
        +100ms
        HELD
        B= 1 message t 3 abc id=z
        E Delivered 7.1.3 q - z
        +1ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        FREE
        "
    ));
}

#[test]
fn deliveries_that_race_the_cancel_pass_and_count() {
    play(&format!(
        "{CONSUMER}
        DRAIN
        +20ms
        B> 1 cancel t
        B= 1 message t 1 abc id=x
        E Delivered 7.1.1 q - x
        B+ 1 message t 2 abc id=y
        B< 1 cancel-ok t
        W< 1 message t 2 abc id=y
        E Delivered 7.1.2 q - y
        E FetchMoved gate
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        W= 1 ack 2
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        "
    ));
}

/// 541 closes the connection when a cancel follows a consume whose consume-ok is not back.
#[test]
fn a_cancel_waits_for_the_consume_ok() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        DRAIN
        FREE
        +5s
        B= 1 consume-ok t
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        FREE
        ",
    );
}

#[test]
fn a_consume_without_an_answer_is_established_when_it_is_sent() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q t nowait
        E FetchAsked broker q blocking
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        ",
    );
}

/// consume-ok comes from the queue, and other replies overtake it.
#[test]
fn answers_are_matched_by_their_tags() {
    play(
        "
        handshake
        W= 1 declare a
        B= 1 declare-ok a
        W= 1 declare b
        B= 1 declare-ok b
        W= 1 consume a t1
        E FetchAsked broker a blocking
        W= 1 consume b t2
        E FetchAsked broker b blocking
        W= 1 qos 5
        W= 1 declare x
        B= 1 qos-ok
        B= 1 declare-ok x
        B= 1 consume-ok t2
        DRAIN
        +20ms
        B> 1 cancel t2
        B= 1 consume-ok t1
        +20ms
        B> 1 cancel t1
        B< 1 cancel-ok t1
        E FetchMoved gate
        HELD
        B< 1 cancel-ok t2
        E FetchMoved gate
        FREE
        ",
    );
}

/// 505 closes the connection when a method comes between a publish, its header and its body.
#[test]
fn nothing_is_put_into_a_message() {
    play(&format!(
        "{CONSUMER}
        W= 1 publish - other
        DRAIN
        FREE
        +100ms
        W= 1 header 6
        +100ms
        W= 1 body abc
        FREE
        +100ms
        W+ 1 body def
        W> 1 ack 9
        B> 1 body def
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        B> 1 ack 9
        "
    ));
}

/// Heartbeats are both sides' own, and come at any time: within a message, and while the client is held.
#[test]
fn heartbeats_pass_within_messages() {
    play(&format!(
        "{CONSUMER}
        W= 1 publish - other
        W= 0 heartbeat
        W= 1 header 6
        B= 1 deliver t 1
        B= 0 heartbeat
        B< 1 header 4 id=x
        W< 1 header 4 id=x
        B= 0 heartbeat
        W= 1 body abc
        W= 0 heartbeat
        W= 1 body def
        B= 1 body ab
        B= 0 heartbeat
        DRAIN
        +20ms
        B> 1 cancel t
        B= 0 heartbeat
        B= 1 body cd
        E Delivered 7.1.1 q - x
        B< 1 cancel-ok t
        E FetchMoved gate
        W= 0 heartbeat
        "
    ));
}

#[test]
fn other_channels_are_no_obstacle() {
    play(&format!(
        "{CONSUMER}
        W= 2 open
        B= 2 open-ok
        W= 2 publish - other
        DRAIN
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        W= 2 header 3
        W= 2 body abc
        "
    ));
}

/// A client that never ends its message is not waited for; the cancel goes out when it does.
#[test]
fn after_a_second_the_client_goes_on() {
    play(&format!(
        "{CONSUMER}
        W= 1 publish - other
        DRAIN
        +1s
        +5s
        W+ 1 header 3
        W+ 1 body abc
        W> 1 ack 9
        B> 1 header 3
        B> 1 body abc
        B> 1 cancel t
        B> 1 ack 9
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    ));
}

#[test]
fn a_client_that_ends_meanwhile_is_heard_to_its_end() {
    play(&format!(
        "{CONSUMER}
        B= 1 message t 1 abc id=x
        E Delivered 7.1.1 q - x
        DRAIN
        +20ms
        B> 1 cancel t
        W+ 1 ack 1
        W> 1 close 200 0/0
        W gone
        B> 1 ack 1
        B> 1 close 200 0/0
        E Ended 7.1.1 finished
        E FetchAnswered broker vanished blocking
        CLOSED
        "
    ));
}
