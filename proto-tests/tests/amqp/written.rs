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

/// Its consumer is cancelled, and cannot be given more.
const SEALED: &str = "
    DRAIN
    HELD
    +20ms
    B> 1 cancel t
    B< 1 cancel-ok t
    E FetchMoved gate
    FREE
    ";

fn marked(kind: &str) -> String {
    in_hand(kind) + SEALED
}

/// The leader is asked, and answers.
const LEADER: &str = "
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q passive
    B< 2047 declare-ok q
    B> 2047 close 200 0/0
    B> 1 cancel ~draingate-7
    B< 2047 close-ok
    ";

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
        {LEADER}
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        UNSAFE
        +600ms
        {LEADER}
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
        {LEADER}
        +3s
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        # this one's second is over by now
        {LEADER}
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
        {LEADER}
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        SAFE
        ",
        in_hand("quorum")
    ));
}

/// A second behind an ack, the leader is asked.
fn asked() -> String {
    format!(
        "{}
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        +1s
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        ",
        marked("quorum")
    )
}

/// RabbitMQ answers without a leader that stands still, after a quarter of a second. The next one is sent the ack anew.
#[test]
fn a_leader_that_stands_still_is_asked_again() {
    play(&format!(
        "{}
        +250ms
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        B< 2047 close-ok
        UNSAFE
        +999ms
        UNSAFE
        +1ms
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        +201ms
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        B< 2047 close-ok
        +1s
        {LEADER}
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
        asked()
    ));
}

/// An answer that came in time is for what the channel has had for a second, and not for what comes later.
#[test]
fn another_ack_does_not_pass_by_the_leader() {
    play(&format!(
        "{}
        +100ms
        W= 1 ack 2
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        +100ms
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        B> 1 cancel ~draingate-7
        B< 2047 close-ok
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        +900ms
        {LEADER}
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.2 finished
        SAFE
        ",
        asked()
    ));
}

/// Nobody can say more of a queue that the broker does not speak of.
#[test]
fn a_refused_question_holds_up_nothing() {
    for why in ["403 50/10 ACCESS_REFUSED", "404 50/10 NOT_FOUND"] {
        play(&format!(
            "{}
            B< 2047 close {why}
            B> 2047 close-ok
            B> 1 cancel ~draingate-7
            B< 1 cancel-ok ~draingate-7
            E Ended 7.1.1 finished
            ",
            asked()
        ));
    }
}

/// When the drain is lifted nobody waits for the leader any more.
#[test]
fn a_drain_that_is_lifted_asks_no_leader() {
    play(&format!(
        "{}
        UNDRAIN
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 1
        B> 1 consume q ~
        B> 1 qos 2
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
        asked()
    ));
}

/// A drained worker's acks, one and then so many at once, of a queue that was declared like this.
fn acks_at_once(declare: &str, more: u64) -> String {
    let lines = |line: &dyn Fn(u64) -> String| (1..=more + 1).map(line).collect::<String>();
    let jobs = lines(&|tag| format!("B= 1 message t {tag} abc message=m{tag}\nE Delivered 7.1.{tag} q - m{tag}\n"));
    let acks = lines(&|tag| if tag == 1 { String::new() } else { format!("W= 1 ack {tag}\n") });
    format!(
        "
        handshake
        W= 1 qos 40
        B= 1 qos-ok
        W= 1 declare q {declare}
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        {jobs}
        {SEALED}
        W= 1 ack 1
        B> 1 cancel ~draingate-7
        {acks}
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        "
    )
}

fn ended(tags: std::ops::RangeInclusive<u64>) -> String {
    tags.map(|tag| format!("E Ended 7.1.{tag} finished\n")).collect()
}

/// A virtual host may make quorum queues of those that are declared without a type.
#[test]
fn many_acks_of_a_queue_whose_type_is_not_known_are_given_the_second_too() {
    play(&format!(
        "{}
        UNSAFE
        +999ms
        UNSAFE
        +1ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        {}
        SAFE
        ",
        acks_at_once("durable", 16),
        ended(2..=17)
    ));
}

#[test]
fn a_few_acks_of_such_a_queue_wait_for_nothing() {
    play(&format!("{}{}SAFE", acks_at_once("durable", 15), ended(2..=16)));
}

/// A host's own type is not for queues that a quorum queue could not be.
#[test]
fn many_acks_of_a_queue_that_is_no_quorum_queue_wait_for_nothing() {
    play(&format!("{}{}SAFE", acks_at_once("durable x-queue-type=classic", 39), ended(2..=40)));
    play(&format!("{}{}SAFE", acks_at_once("", 39), ended(2..=40)));
}
