//! Acknowledgements of a quorum queue's jobs: the channel's word that it has them is not yet the queue's.

use crate::script::play;

/// Two jobs in hand and no room, so that a mark cancels at once.
fn in_hand(kind: &str) -> String {
    format!(
        "
        handshake
        W= 1 qos 2
        B= 1 qos-ok
        W= 1 declare q durable x-queue-type={kind}
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc message=m1
        E Delivered 7.1.1 q - m1
        B= 1 message t 2 abc message=m2
        E Delivered 7.1.2 q - m2
        "
    )
}

fn marked(kind: &str) -> String {
    format!(
        "{}
        DRAIN
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        FREE
        ",
        in_hand(kind)
    )
}

#[test]
fn a_quorum_queue_is_given_a_second_to_write_them() {
    play(&format!(
        "{}
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        +100ms
        B< 1 cancel-ok ~draingate-7
        +600ms
        W= 1 ack 2
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        +399ms
        UNSAFE
        +1ms
        # behind the second there is nothing to wait for with the first
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        UNSAFE
        +600ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        SAFE
        ",
        marked("quorum")
    ));
}

/// On their way to the broker, or while it stands still, they take longer than the second: it has them only now.
#[test]
fn the_second_begins_when_the_channel_has_them() {
    play(&format!(
        "{}
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        +5s
        W= 1 ack 2
        B< 1 cancel-ok ~draingate-7
        B> 1 cancel ~draingate-7
        +999ms
        B< 1 cancel-ok ~draingate-7
        UNSAFE
        +1ms
        B> 1 cancel ~draingate-7
        +3s
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        # this one's second is over by now
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        SAFE
        ",
        marked("quorum")
    ));
}

#[test]
fn a_classic_queue_has_them_with_the_proof() {
    play(&format!(
        "{}
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
        marked("classic")
    ));
}

/// Whose worker is not marked waits for nobody.
#[test]
fn a_proof_that_was_asked_before_the_mark_is_asked_again() {
    play(&format!(
        "{}
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        W= 1 ack 2
        +250ms
        B> 1 cancel ~draingate-7
        DRAIN
        B< 1 cancel-ok ~draingate-7
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        +980ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        SAFE
        ",
        in_hand("quorum")
    ));
}
