//! A consume or a get of a worker that is marked.

use crate::script::play;

const MARKED: &str = "
    handshake
    W= 1 declare q durable
    B= 1 declare-ok q
    DRAIN
";

/// The question about a queue that this connection has not seen, on a channel of the gate's own.
const ASKS: &str = "
    B> 2047 open
    HELD
    B< 2047 open-ok
    B> 2047 consume x draingate-probe x-priority=?
";

#[test]
fn a_consume_is_answered_and_kept() {
    play(&format!(
        "{MARKED}
        W> 1 consume q t
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        W> 1 consume q t2 nowait
        E FetchAsked gate q blocking
        # the last word counts
        W> 1 cancel t
        W< 1 cancel-ok t
        E FetchAnswered gate vanished blocking
        W> 1 cancel t2 nowait
        E FetchAnswered gate vanished blocking
        W= 1 cancel t3
        B= 1 cancel-ok t3
        SAFE
        "
    ));
}

#[test]
fn a_tag_that_the_broker_was_to_choose_is_chosen() {
    play(&format!(
        "{MARKED}
        W> 1 consume q -
        E FetchAsked gate q blocking
        W< 1 consume-ok amq.ctag-draingate.7.1
        W> 1 consume q -
        E FetchAsked gate q blocking
        W< 1 consume-ok amq.ctag-draingate.7.2
        "
    ));
}

#[test]
fn the_answer_does_not_come_within_a_message() {
    play(&format!(
        "{MARKED}
        B= 1 return
        W> 1 consume q t
        E FetchAsked gate q blocking
        B= 1 header 3
        B= 1 body abc
        W< 1 consume-ok t
        "
    ));
}

#[test]
fn a_queue_that_was_not_seen_is_asked_for() {
    play(&format!(
        "
        handshake
        DRAIN
        W+ 1 consume x t
        W> 1 qos 3
        {ASKS}
        B< 2047 close 406 60/20
        W< 1 consume-ok t
        E FetchAsked gate x blocking
        B> 2047 close-ok
        B> 1 qos 3
        # now it is known
        W> 1 consume x t2
        W< 1 consume-ok t2
        E FetchAsked gate x blocking
        B= 1 qos-ok
        SAFE
        "
    ));
}

/// The broker's own answer: channel.close 404 with class and method of the consume.
#[test]
fn a_missing_queue_is_refused_by_the_broker() {
    play(&format!(
        "
        handshake
        DRAIN
        W> 1 consume x t
        {ASKS}
        B< 2047 close 404 60/20
        B> 2047 close-ok
        B> 1 consume x t
        E FetchAsked broker x blocking
        B= 1 close 404 60/20
        E FetchAnswered broker vanished blocking
        W= 1 close-ok
        W= 1 open
        B= 1 open-ok
        "
    ));
}

/// Whatever else it would refuse, it says so itself: the user may not read the queue, or it is another connection's own.
#[test]
fn who_may_not_consume_hears_it_from_the_broker() {
    for code in [403, 405] {
        play(&format!(
            "
            handshake
            DRAIN
            W> 1 consume x t
            {ASKS}
            B< 2047 close {code} 60/20
            B> 2047 close-ok
            B> 1 consume x t
            E FetchAsked broker x blocking
            B= 1 close {code} 60/20
            E FetchAnswered broker vanished blocking
            W= 1 close-ok
            "
        ));
    }
}

/// Another broker may know no priorities: the consumer is gone at once, with what it was given.
#[test]
fn a_broker_that_takes_any_priority() {
    play(&format!(
        "
        handshake
        DRAIN
        W> 1 consume x t
        {ASKS}
        B< 2047 consume-ok draingate-probe
        W< 1 consume-ok t
        E FetchAsked gate x blocking
        B> 2047 close 200 0/0
        B< 2047 message draingate-probe 1 abc
        B< 2047 close-ok
        "
    ));
}

#[test]
fn after_a_second_nobody_is_asked_any_more() {
    play(&format!(
        "
        handshake
        DRAIN
        W> 1 consume x t
        {ASKS}
        +999ms
        HELD
        +1ms
        W< 1 consume-ok t
        E FetchAsked gate x blocking
        FREE
        B< 2047 close 406 60/20
        B> 2047 close-ok
        "
    ));
}

#[test]
fn the_client_may_want_the_number_of_the_gates_channel() {
    play(&format!(
        "{MARKED}
        W> 1 consume q t
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        UNDRAIN
        B> 2047 open
        W> 2047 open
        HELD
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q t
        B< 2047 close-ok
        B> 2047 open
        B= 2047 open-ok
        FREE
        "
    ));
}

#[test]
fn without_a_free_channel_nobody_is_asked() {
    play(
        "
        handshake 1
        DRAIN
        W> 1 consume x t
        W< 1 consume-ok t
        E FetchAsked gate x blocking
        ",
    );
}

#[test]
fn a_get_finds_nothing_in_its_turn() {
    play(&format!(
        "{MARKED}
        W= 1 bind q ex
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W= 1 qos 3
        B< 1 bind-ok
        W< 1 bind-ok
        W< 1 get-empty
        B= 1 qos-ok
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W< 1 get-empty
        "
    ));
}

#[test]
fn a_get_from_a_missing_queue_is_refused_by_the_broker() {
    play(&format!(
        "
        handshake
        DRAIN
        W> 1 get x
        {ASKS}
        B< 2047 close 404 60/20
        B> 2047 close-ok
        B> 1 get x
        E FetchAsked broker x poll
        B= 1 close 404 60/70
        E FetchAnswered broker error poll
        W= 1 close-ok
        "
    ));
}

#[test]
fn a_parked_tag_cannot_be_used_twice() {
    play(&format!(
        "{MARKED}
        W> 1 consume q t
        E FetchAsked gate q blocking
        W< 1 consume-ok t
        W> 1 consume q t
        E FetchAnswered gate vanished blocking
        CLOSED consumer tag
        # and what is closed has nothing to say any more
        PAUSE q
        "
    ));
}

/// Numbers go up to 65,535 where the broker limits none, and the client may use the highest itself.
#[test]
fn the_highest_number_of_a_channel() {
    play(
        "
        W= greeting
        B= 0 start
        W= 0 start-ok
        E User guest
        B= 0 tune
        W= 0 tune-ok 0
        W= 0 connection.open
        B= 0 connection.open-ok
        W= 65535 open
        B= 65535 open-ok
        DRAIN
        W> 65535 consume x t
        B> 65534 open
        B< 65534 open-ok
        B> 65534 consume x draingate-probe x-priority=?
        B< 65534 close 406 60/20
        W< 65535 consume-ok t
        E FetchAsked gate x blocking
        B> 65534 close-ok
        W= 65534 open
        B= 65534 open-ok
        ",
    );
}
