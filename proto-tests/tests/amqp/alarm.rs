//! RabbitMQ is short of memory or disk: it reads nothing more from a connection that publishes, until that is over. What the
//! gate says there is not answered, and nobody but the gate waits for it.

use crate::script::{CONSUMER, play};

/// What a worker's page says meanwhile.
const DEAF: &str =
    "RabbitMQ is short of memory or disk and reads nothing from its connection: its consumers cannot be cancelled";

/// A connection that publishes while the broker is short of memory is not read: the cancel-ok may not come for long.
#[test]
fn a_blocked_connection_stays_draining_and_goes_on() {
    play(&format!(
        "{CONSUMER}
        B= 0 connection.blocked
        DRAIN
        E Bound {DEAF}
        +20ms
        B> 1 cancel t
        W> 0 heartbeat
        W> 1 ack 3
        +979ms
        HELD
        +1ms
        B> 0 heartbeat
        B> 1 ack 3
        FREE
        +60s
        B= 0 heartbeat
        B= 0 connection.unblocked
        E Unbound {DEAF}
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    ));
}

/// It is blocked while the gate has a question under way.
fn asked(then: &str) {
    play(&format!(
        "
        handshake
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        DRAIN
        B> 2047 open
        FREE
        B= 0 connection.blocked
        E Bound {DEAF}
        W= 0 heartbeat
        B= 0 heartbeat
        W= 1 ack 3
        W> 1 consume other u
        HELD
        +1s
        E FetchAsked gate other blocking
        W< 1 consume-ok u
        FREE
        +60s
        W= 0 heartbeat
        {then}"
    ));
}

/// Nobody waits for the answer but the gate, and not for ever.
#[test]
fn a_question_to_a_blocked_connection_holds_nobody_up() {
    asked(&format!(
        "B= 0 connection.unblocked
        E Unbound {DEAF}
        B< 2047 open-ok
        B> 2047 declare q durable x-queue-type=?
        B< 2047 close 406 50/10 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': \
         received '?' but current is 'classic'
        B> 2047 close-ok
        B> 2047 open
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        FREE
        B< 2047 open-ok
        B> 2047 consume other draingate-probe x-priority=?
        B< 2047 close 406 60/20
        B> 2047 close-ok
        # the queue of the one that was kept is kept alive
        B> 2047 open
        "
    ));
    // lifted meanwhile, nothing has to be cancelled
    asked(&format!(
        "UNDRAIN
        E Unbound {DEAF}
        W= 0 heartbeat
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        "
    ));
    // nor does the client's end wait
    asked(
        "W= 1 ack 4
        W gone
        E FetchAnswered broker vanished blocking
        E FetchAnswered gate vanished blocking
        CLOSED
        ",
    );
}
