//! A stream's consumer that has got nothing before it is parked: where it goes on is kept by a consumer of the gate's own.

use crate::script::play;

/// A consumer that waits at a stream's end; a mark, and the anchor that is set before anything is cancelled.
fn anchored(arguments: &str) -> String {
    format!(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 consume s t {arguments}
        E FetchAsked broker s blocking
        B= 1 consume-ok t
        DRAIN
        FREE
        B> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 consume s draingate-anchor {arguments}
        B< 2047 qos-ok
        +1s
        B< 2047 consume-ok draingate-anchor
        HELD
        +20ms
        B> 1 cancel t
        "
    )
}

const PARKED: &str = "
    B< 1 cancel-ok t
    E FetchMoved gate
    FREE
";

/// Found while nothing is marked; the number of the gate's channel is the highest that is free.
fn exists(number: u16) -> String {
    format!(
        "
        B> {number} open
        B< {number} open-ok
        B> {number} declare s passive
        B< {number} declare-ok s
        "
    )
}

#[test]
fn what_was_published_meanwhile_is_not_skipped() {
    for arguments in ["", "x-stream-offset=next", "x-stream-offset=last", "x-stream-offset=1h"] {
        let [before, after] =
            if arguments.is_empty() { ["", "x-stream-offset=41"] } else { ["x-stream-offset=41", ""] };
        play(&format!(
            "{}{PARKED}
            +5s
            B< 2047 message draingate-anchor 1 abc offset=41
            B> 2047 close 200 0/0
            # nothing else is wanted, and nothing of it reaches the client
            B< 2047 message draingate-anchor 2 abc offset=42
            B< 2047 close-ok
            UNDRAIN
            {}
            E FetchMoved broker
            B> 2047 close 200 0/0
            B> 1 consume s t {before} {after}
            ",
            anchored(arguments),
            exists(2047)
        ));
    }
}

/// Nothing has been published: it goes on with the first that is.
#[test]
fn lifted_with_nothing_new_it_waits_for_the_first() {
    play(&format!(
        "{}{PARKED}
        UNDRAIN
        {}
        B> 2046 close 200 0/0
        B< 2046 close-ok
        +10s
        B< 2047 message draingate-anchor 1 abc offset=0
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume s t x-stream-offset=0
        B< 2047 close-ok
        B< 1 consume-ok t
        B= 1 message t 1 abc offset=0
        E Delivered 7.1.1 s - -
        ",
        anchored(""),
        exists(2046)
    ));
}

/// The client got the first itself before its cancel-ok.
#[test]
fn what_has_reached_the_client_counts() {
    play(&format!(
        "{}
        B= 1 message t 1 abc offset=41
        E Delivered 7.1.1 s - -
        B> 2047 close 200 0/0
        {PARKED}
        B< 2047 message draingate-anchor 1 abc offset=41
        B< 2047 close-ok
        UNDRAIN
        {}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 8
        B> 1 consume s ~ x-stream-offset=42
        B> 1 qos 9
        ",
        anchored("x-stream-offset=next"),
        exists(2047)
    ));
}

/// Where it began is said by its own words, now as then.
#[test]
fn some_need_no_anchor() {
    for arguments in ["x-stream-offset=first", "x-stream-offset=7"] {
        play(&format!(
            "
            handshake
            W= 1 declare s durable x-queue-type=stream
            B= 1 declare-ok s
            W= 1 consume s t {arguments}
            E FetchAsked broker s blocking
            B= 1 consume-ok t
            DRAIN
            +20ms
            B> 1 cancel t
            {PARKED}
            UNDRAIN
            {}
            E FetchMoved broker
            B> 2047 close 200 0/0
            B> 1 consume s t {arguments}
            ",
            exists(2047)
        ));
    }
}

/// Consumed while marked it begins then, as far as the client knows. What kind of queue it is is asked first: from a queue
/// of another kind an anchor would take a job.
#[test]
fn a_consume_of_a_marked_worker_has_its_place_from_then_on() {
    let consumed = |kind: &str| {
        format!(
            "
            handshake
            DRAIN
            W> 1 consume s t x-stream-offset=next
            B> 2047 open
            B< 2047 open-ok
            B> 2047 consume s draingate-probe x-priority=?
            B< 2047 close 406 60/20
            E FetchAsked gate s blocking
            B> 2047 close-ok
            W< 1 consume-ok t
            B> 2047 open
            B< 2047 open-ok
            B> 2047 declare s durable x-queue-type=?
            B< 2047 close 406 50/10 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 's' in vhost '/': \
             received '?' but current is '{kind}'
            "
        )
    };
    play(&format!("{}\nB> 2047 close-ok", consumed("classic")));
    play(&format!(
        "{}
        B> 2047 close-ok
        B> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 consume s draingate-anchor x-stream-offset=next
        ",
        consumed("stream")
    ));
}

/// The consumer leaves, or its channel does; or it is never cancelled.
#[test]
fn an_anchor_goes_with_its_consumer() {
    let cancelled = "
        W> 1 cancel t
        E FetchAnswered gate vanished blocking
        B> 2047 close 200 0/0
        W< 1 cancel-ok t
        B< 2047 close-ok
        UNDRAIN
        +1s
    ";
    play(&format!("{}{PARKED}{cancelled}", anchored("")));
    let closed = "
        W= 1 close 200 0/0
        B= 1 close-ok
        E FetchAnswered gate vanished blocking
        B> 2047 close 200 0/0
        B< 2047 close-ok
    ";
    play(&format!("{}{PARKED}{closed}", anchored("")));
    let lifted = anchored("").replace("HELD\n        +20ms\n        B> 1 cancel t", "UNDRAIN\nB> 2047 close 200 0/0");
    play(&format!("{lifted}\nB< 2047 close-ok\n+60s"));
}

/// What cannot be kept is told: who is at the broker stays there, who is parked stays parked.
#[test]
fn a_place_that_is_lost_is_told() {
    let refused =
        anchored("").replace("B< 2047 consume-ok draingate-anchor\n        HELD\n", "#").replace("B> 1 cancel t", "#");
    play(&format!(
        "{refused}
        B< 2047 close 403 60/20 ACCESS_REFUSED
        B> 2047 close-ok
        E Bound its consumer of s cannot be stopped: it reads a stream, and where it stands there cannot be told
        +5s
        "
    ));
    // the client wants the channel's number
    play(&format!(
        "{}{PARKED}
        W> 2047 open
        E Bound its consumer of s could not be resumed: the queue is a stream, and where it stood there is not known
        B> 2047 close 200 0/0
        HELD
        B< 2047 close-ok
        B> 2047 open
        B= 2047 open-ok
        ",
        anchored("")
    ));
}

/// The broker counts the channels of a connection, and closes it for one too many (530).
#[test]
fn there_are_no_more_anchors_than_channels() {
    play(
        "
        handshake 4
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 consume s a
        E FetchAsked broker s blocking
        B= 1 consume-ok a
        W= 1 consume s b
        E FetchAsked broker s blocking
        B= 1 consume-ok b
        DRAIN
        E Bound its consumer of s cannot be stopped: it reads a stream, and where it stands there cannot be told
        B> 4 open
        B< 4 open-ok
        B> 4 qos 1
        B> 4 consume s draingate-anchor
        ",
    );
}

/// A stream that is paused: its consumer's place is kept as that of a marked worker's, and a consumer of another queue has
/// none.
#[test]
fn a_paused_stream_is_gone_on_with_too() {
    play(&format!(
        "
        handshake
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 declare r durable x-queue-type=stream
        B= 1 declare-ok r
        W= 1 consume s t
        E FetchAsked broker s blocking
        B= 1 consume-ok t
        W= 1 consume r u
        E FetchAsked broker r blocking
        B= 1 consume-ok u
        PAUSE s
        E PausesTaken 1 [s]
        B> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 consume s draingate-anchor
        B< 2047 consume-ok draingate-anchor
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        E PausesTaken 1 []
        B< 2047 message draingate-anchor 1 abc offset=41
        B> 2047 close 200 0/0
        B< 2047 close-ok
        RESUME
        E PausesTaken 2 []
        {}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume s t x-stream-offset=41
        ",
        exists(2047)
    ));
}

/// The client opens the channel that an anchor is being set on: it waits until it is set, and gets it then.
#[test]
fn a_client_that_wants_the_channel_of_an_anchor_gets_it() {
    play(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 consume s t
        E FetchAsked broker s blocking
        B= 1 consume-ok t
        DRAIN
        B> 2047 open
        W> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 consume s draingate-anchor
        B< 2047 qos-ok
        B< 2047 consume-ok draingate-anchor
        E Bound its consumer of s cannot be stopped: it reads a stream, and where it stands there cannot be told
        B> 2047 close 200 0/0
        B< 2047 close-ok
        B> 2047 open
        B= 2047 open-ok
        ",
    );
}

/// The stream has been deleted, and maybe made anew: what is waited for will never come.
#[test]
fn an_anchor_that_the_broker_ends_is_told() {
    play(&format!(
        "{}{PARKED}
        B< 2047 cancel draingate-anchor nowait
        E Bound its consumer of s could not be resumed: the queue is a stream, and where it stood there is not known
        B> 2047 close 200 0/0
        B< 2047 close-ok
        ",
        anchored("")
    ));
}
