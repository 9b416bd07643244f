//! A mark is lifted: consumers go on with the client's own words and no more than its prefetch.

use crate::script::play;

/// A consumer with a prefetch of 3 that was drained, with so many jobs in hand.
pub(crate) fn drained(in_hand: usize, qos: &str) -> String {
    let jobs: Vec<String> =
        (1..=in_hand).map(|n| format!("B= 1 message None4 {n} abc id=j{n}\nE Delivered 7.1.{n} q - j{n}")).collect();
    format!(
        "
        handshake
        W= 1 qos {qos}
        B= 1 qos-ok
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q None4 x-priority=5
        E FetchAsked broker q blocking
        B= 1 consume-ok None4
        {}
        DRAIN
        +20ms
        B> 1 cancel None4
        B< 1 cancel-ok None4
        E FetchMoved gate
        ",
        jobs.join("\n")
    )
}

/// The mark is lifted, and the queue is still there.
pub(crate) const LIFTED: &str = "
    UNDRAIN
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q passive
    B< 2047 declare-ok q
";

#[test]
fn with_nothing_in_hand_the_same_consume_is_said_again() {
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q None4 x-priority=5
        B< 2047 close-ok
        FREE
        B< 1 consume-ok None4
        B= 1 message None4 1 abc id=x
        E Delivered 7.1.1 q - x
        ",
        drained(0, "3")
    ));
}

/// The limit is per consumer, and what is unsettled does not count against a new one. Where the old tag has unsettled
/// jobs RabbitMQ 3.x crashes on it: the tag at the broker is another one of the same length.
#[test]
fn what_is_in_hand_is_taken_off_the_prefetch() {
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 2
        B> 1 consume q ~~~~~ x-priority=5
        B> 1 qos 3
        B< 2047 close-ok
        B< 1 qos-ok
        B< 1 consume-ok ~~~~~
        B< 1 qos-ok
        B< 1 message ~~~~~ 2 abc id=x
        E Delivered 7.1.2 q - x
        W< 1 message None4 2 abc id=x
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        W> 1 cancel None4
        B> 1 cancel ~~~~~
        B< 1 cancel-ok ~~~~~
        E FetchAnswered broker vanished blocking
        W< 1 cancel-ok None4
        ",
        drained(1, "3")
    ));
}

#[test]
fn with_all_of_the_prefetch_in_hand_it_waits_for_room() {
    play(&format!(
        "{}{LIFTED}
        B> 2047 close 200 0/0
        B< 2047 close-ok
        +1s
        W= 1 ack 1 multiple
        E FetchMoved broker
        B> 1 qos 1
        B> 1 consume q ~~~~~ x-priority=5
        B> 1 qos 3
        ",
        drained(3, "3")
    ));
}

/// Celery on RabbitMQ 3.x: the limit is the channel's, and the broker watches it.
#[test]
fn a_limit_of_the_channel_is_the_brokers_business() {
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q ~~~~~ x-priority=5
        ",
        drained(2, "3 global")
    ));
}

#[test]
fn the_prefetch_in_force_at_the_clients_consume_is_restored() {
    play(&format!(
        "{}
        W= 1 qos 1
        B= 1 qos-ok
        {LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 3
        B> 1 consume q None4 x-priority=5
        B> 1 qos 1
        B< 1 qos-ok
        B< 1 qos-ok
        B< 1 consume-ok None4
        ",
        drained(0, "3")
    ));
}

/// A consumer that was resumed with less is renewed as soon as that helps, and whole when it has nothing in hand.
#[test]
fn a_short_consumer_is_renewed() {
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 2
        B> 1 consume q ~~~~~ x-priority=5
        B> 1 qos 3
        B< 2047 close-ok
        B< 1 qos-ok
        B< 1 qos-ok
        B< 1 consume-ok ~~~~~
        B< 1 message ~~~~~ 2 abc id=x
        E Delivered 7.1.2 q - x
        W< 1 message None4 2 abc id=x
        +3s
        B= 0 heartbeat
        FREE              # what was in hand then still is
        W= 1 ack 1
        HELD
        +249ms
        +1ms
        B> 1 cancel ~~~~~
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~~~~~
        E FetchMoved gate
        FREE
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        B< 2047 close-ok
        +1s
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        W= 1 ack 2
        E FetchMoved broker
        B> 1 consume q None4 x-priority=5
        B< 1 consume-ok None4
        +20s
        B> 1 cancel ~draingate-7
        ",
        drained(1, "3")
    ));
}

/// Private tags are never used twice: a job that came under one may still be in hand when the next is made.
#[test]
fn each_private_tag_is_a_new_one() {
    let again = |tag: &str| {
        format!(
            "
            DRAIN
            +20ms
            B> 1 cancel {tag}
            B< 1 cancel-ok {tag}
            E FetchMoved gate
            {LIFTED}
            E FetchMoved broker
            B> 2047 close 200 0/0
            "
        )
    };
    let consumed = |tag: &str| {
        format!(
            "
            B> 1 consume q {tag} x-priority=5
            B< 2047 close-ok
            B< 1 consume-ok {tag}
            "
        )
    };
    let first = format!("{LIFTED}\nE FetchMoved broker\nB> 2047 close 200 0/0");
    let tags = ["~~~~~", "~~~~!", "~~~~0"].map(consumed);
    play(&format!(
        "{}{first}{}{}{}{}{}",
        drained(1, "3 global"),
        tags[0],
        again("~~~~~"),
        tags[1],
        again("~~~~!"),
        tags[2]
    ));
}

#[test]
fn a_stream_goes_on_behind_the_last_that_was_delivered() {
    play(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 consume s t x-stream-offset=first
        E FetchAsked broker s blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc offset=41
        E Delivered 7.1.1 s - -
        W= 1 ack 1
        DRAIN
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        +250ms
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
        B> 1 consume s t x-stream-offset=42
        ",
    );
}

#[test]
fn a_queue_that_has_gone_is_told_and_the_channel_lives() {
    play(&format!(
        "{}
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 close 404 50/10
        E Bound its consumer of q could not be resumed: the queue has been deleted
        B> 2047 close-ok
        # marked again it waits like any other, and the queue may be back
        DRAIN
        E Unbound its consumer of q could not be resumed: the queue has been deleted
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 close 405 50/10
        E Bound its consumer of q could not be resumed: the queue is now exclusive to another connection
        B> 2047 close-ok
        W> 1 cancel None4
        W< 1 cancel-ok None4
        E FetchAnswered gate vanished blocking
        E Unbound its consumer of q could not be resumed: the queue is now exclusive to another connection
        W= 1 ack 1
        ",
        drained(1, "3")
    ));
}

/// Lifted while the cancel is under way, the consume waits for the cancel-ok; marked again while the consume is under
/// way, the cancel waits for the consume-ok.
#[test]
fn marks_that_change_quickly_wait_for_each_other() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        DRAIN
        +20ms
        B> 1 cancel t
        UNDRAIN
        FREE
        B< 1 cancel-ok t
        E FetchMoved gate
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q t
        DRAIN
        W> 1 cancel t
        HELD
        B< 1 consume-ok t
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        W< 1 cancel-ok t
        E FetchAnswered gate vanished blocking
        ",
    );
}

#[test]
fn what_was_parked_by_the_client_itself_is_consumed() {
    play(&format!(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        DRAIN
        W> 1 consume q t
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        {LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q t
        B< 1 consume-ok t
        "
    ));
}

/// A client that asks for the very tag that stands for one of its own: 530 would close the connection.
#[test]
fn a_private_tag_is_no_obstacle_to_the_client() {
    for nowait in ["", "nowait"] {
        let answer = if nowait.is_empty() { "W< 1 consume-ok ~~~~~" } else { "" };
        play(&format!(
            "{}{LIFTED}
            E FetchMoved broker
            B> 2047 close 200 0/0
            B> 1 consume q ~~~~~ x-priority=5
            B< 2047 close-ok
            B< 1 consume-ok ~~~~~
            W> 1 consume q ~~~~~ {nowait}
            B> 1 consume q ~~~~!
            E FetchAsked broker q blocking
            B< 1 consume-ok ~~~~!
            {answer}
            B< 1 message ~~~~! 3 abc id=a
            E Delivered 7.1.3 q - a
            W< 1 message ~~~~~ 3 abc id=a
            B< 1 message ~~~~~ 4 abc id=b
            E Delivered 7.1.4 q - b
            W< 1 message None4 4 abc id=b
            W> 1 cancel ~~~~~
            B> 1 cancel ~~~~!
            B< 1 cancel-ok ~~~~!
            W< 1 cancel-ok ~~~~~
            E FetchAnswered broker vanished blocking
            ",
            drained(2, "3 global")
        ));
    }
}
