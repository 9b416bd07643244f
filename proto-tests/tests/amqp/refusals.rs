//! What RabbitMQ refuses or ends by itself, drained or not, as it was measured on 3.10 and 4.0: the client hears it, and
//! the accounts follow.

use crate::script::play;

const CONSUMER: &str = "
    consumer
    B= 1 message t 1 abc message=m
    E Delivered 7.1.1 q - m
";
const DRAINED: &str = "
    DRAIN
    +20ms
    B> 1 cancel t
    B< 1 cancel-ok t
    E FetchMoved gate
";
const LIFTED: &str = "
    UNDRAIN
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q passive
    B< 2047 declare-ok q
    E FetchMoved broker
    B> 2047 close 200 0/0
";

/// consumer_timeout goes on while a worker is drained: half an hour behind its delivery a job is taken back.
#[test]
fn a_job_in_hand_for_too_long_goes_back() {
    play(&format!(
        "{CONSUMER}{DRAINED}
        B= 1 close 406 0/0 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out
        E Ended 7.1.1 requeued
        E FetchAnswered gate vanished blocking
        W= 1 close-ok
        # nothing of the old channel is resumed on the new one
        W= 1 open
        B= 1 open-ok
        UNDRAIN
        +60s
        "
    ));
}

#[test]
fn channel_flow_is_answered_in_its_turn() {
    play(&format!(
        "{CONSUMER}{DRAINED}
        W+ 1 flow on
        W> 1 get q
        B> 1 flow on
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        # get-empty does not overtake it
        B< 1 flow-ok on
        W< 1 flow-ok on
        W< 1 get-empty
        W= 1 flow off
        B= 0 connection.close 540 NOT_IMPLEMENTED
        W= 0 connection.close-ok
        B gone
        E Ended 7.1.1 requeued
        E FetchAnswered gate vanished blocking
        CLOSED 540 NOT_IMPLEMENTED
        "
    ));
}

#[test]
fn a_recover_without_requeue_is_not_implemented() {
    play(&format!(
        "{CONSUMER}
        W= 1 recover keep
        B= 0 connection.close 540 NOT_IMPLEMENTED
        B gone
        E Ended 7.1.1 requeued
        E FetchAnswered broker vanished blocking
        CLOSED 540
        "
    ));
}

/// 404 with class and method of the consume, also where nobody waits for an answer.
#[test]
fn a_missing_queue_is_refused_without_waiting_too() {
    play(
        "
        handshake
        DRAIN
        W> 1 consume x t nowait
        B> 2047 open
        HELD
        B< 2047 open-ok
        B> 2047 consume x draingate-probe x-priority=?
        B< 2047 close 404 60/20
        B> 2047 close-ok
        B> 1 consume x t nowait
        E FetchAsked broker x blocking
        # sent is consumed, as far as the gate knows: what would a cancel do?
        B> 2047 open
        B= 1 close 404 60/20
        E FetchAnswered broker vanished blocking
        W= 1 close-ok
        ",
    );
}

/// The channel's limit is the broker's business, also when it changes while nothing is consumed.
#[test]
fn a_limit_of_the_channel_that_changes_meanwhile() {
    play(&format!(
        "{CONSUMER}
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        {DRAINED}
        W= 1 qos 9 global
        B= 1 qos-ok
        {LIFTED}
        B> 1 consume q t
        "
    ));
}

/// 530: the broker knows the consumer.
#[test]
fn a_tag_that_is_in_use_is_refused_by_the_broker() {
    play(&format!(
        "{CONSUMER}
        W= 1 consume q t
        B= 0 connection.close 530 NOT_ALLOWED - attempt to reuse consumer tag
        W= 0 connection.close-ok
        B gone
        E Ended 7.1.1 requeued
        E FetchAnswered broker vanished blocking
        CLOSED 530
        "
    ));
}

/// A stream goes on behind the last that was delivered, also where the client had begun at `next`.
#[test]
fn a_stream_from_its_end() {
    play(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 consume s t x-priority=1
        E FetchAsked broker s blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc offset=7
        E Delivered 7.1.1 s - -
        B= 1 message t 2 abc offset=9
        E Delivered 7.1.2 s - -
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare s passive
        B< 2047 declare-ok s
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 7
        B> 1 consume s ~ x-priority=1 x-stream-offset=10
        B> 1 qos 9
        ",
    );
}

/// Resumed on a queue that another has taken exclusively in that very moment: the broker closes the channel (403).
#[test]
fn a_resumed_consumer_may_be_refused() {
    play(&format!(
        "{CONSUMER}
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        {DRAINED}{LIFTED}
        B> 1 consume q t
        B< 2047 close-ok
        B= 1 close 403 60/20 ACCESS_REFUSED
        E FetchAnswered broker vanished blocking
        W= 1 close-ok
        SAFE
        "
    ));
}

/// Deliveries to a consumer that nobody knows: those of a nowait cancel that crossed them.
#[test]
fn deliveries_for_an_unknown_tag_pass() {
    play(&format!("{CONSUMER}\nB= 1 message who 2 abc message=n\nW= 1 ack 2\n+1s"));
}
