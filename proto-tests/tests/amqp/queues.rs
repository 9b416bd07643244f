//! Queues that this connection has not declared: cancelling the last consumer of an auto-delete queue deletes it with all
//! its jobs. And queues that expire while nobody consumes them.

use crate::script::{play, play_with};
use draingate::gate::amqp::AmqpSettings;

/// A consumer of a queue that was declared elsewhere; a mark, and the gate's question.
const ASKS: &str = "
    handshake
    W= 1 consume q t
    E FetchAsked broker q blocking
    B= 1 consume-ok t
    DRAIN
    FREE
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q durable x-queue-type=?
    # the client is not held for that
    W= 1 ack 9
";

/// The cancel, as ever.
const CANCELLED: &str = "
    B> 2047 close-ok
    HELD
    +20ms
    B> 1 cancel t
    B< 1 cancel-ok t
    E FetchMoved gate
    FREE
";

fn refusal(argument: &str, rest: &str) -> String {
    format!("406 50/10 PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q' in vhost '/': received {rest}")
}

#[test]
fn an_ordinary_queue_differs_in_its_type_alone() {
    let plain = refusal("x-queue-type", "the value '?' of type 'longstr' but current is none");
    play(&format!("{ASKS}\nB< 2047 close {plain}\n{CANCELLED}"));
    let classic = refusal("x-queue-type", "'?' but current is 'classic'");
    play(&format!("{ASKS}\nB< 2047 close {classic}\n{CANCELLED}"));
}

#[test]
fn an_auto_delete_queue_is_left_alone() {
    let refused = refusal("auto_delete", "'false' but current is 'true'");
    play(&format!(
        "{ASKS}
        B< 2047 close {refused}
        B> 2047 close-ok
        E Bound its consumer of q cannot be stopped: it reads an auto-delete queue, *
        FREE
        +5s
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        # nobody asks twice
        UNDRAIN
        DRAIN
        +5s
        B= 1 close 406 60/80
        E Ended 7.1.1 requeued
        E FetchAnswered broker vanished blocking
        E Unbound *
        "
    ));
}

#[test]
fn a_transient_queue_is_asked_for_as_one() {
    let refused = refusal("durable", "'true' but current is 'false'");
    let plain = refusal("x-queue-type", "the value '?' of type 'longstr' but current is none");
    play(&format!(
        "{ASKS}
        B< 2047 close {refused}
        B> 2047 close-ok
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q x-queue-type=?
        B< 2047 close {plain}
        {CANCELLED}
        "
    ));
}

/// What a refusal names goes into the next question, until nothing but the type differs.
fn asked_again(learned: &[(&str, &str, &str)], end: &str) {
    let mut script = ASKS.to_owned();
    let mut said = vec!["x-queue-type=?".to_owned()];
    for (argument, value, kind) in learned {
        said.push(format!("{argument}={value}"));
        said.sort_unstable();
        let refused = refusal(argument, &format!("none but current is the value '{value}' of type '{kind}'"));
        script += &format!(
            "
            B< 2047 close {refused}
            B> 2047 close-ok
            B> 2047 open
            B< 2047 open-ok
            B> 2047 declare q durable {}
            ",
            said.join(" ")
        );
    }
    let last = refusal("x-queue-type", "'?' but current is 'quorum'");
    play(&format!("{script}\nB< 2047 close {last}\n{end}"));
}

/// Another consumer would start while this one works, and RabbitMQ 3 crashes the queue.
#[test]
fn a_single_active_consumer_is_left_alone_whoever_declared_its_queue() {
    let learned = [("x-overflow", "reject-publish", "longstr"), ("x-single-active-consumer", "true", "bool")];
    let told = "
        B> 2047 close-ok
        E Bound its consumer of q cannot be stopped: it is a single active consumer*
        FREE
        +5s
    ";
    asked_again(&learned, told);
    asked_again(&[("x-single-active-consumer", "false", "bool")], CANCELLED);
}

/// A quorum queue names its dead letters' exchange before its expiry. No question keeps it.
#[test]
fn an_expiry_is_found_behind_other_arguments() {
    let learned = [("x-dead-letter-exchange", "dlx", "longstr"), ("x-expires", "600000", "signedint")];
    let told = "
        B> 2047 close-ok
        E Bound its consumer of q cannot be stopped: it reads a quorum queue with an x-expires, *
        +5s
    ";
    asked_again(&learned, told);
}

/// What its declare does not say may be the virtual host's own type.
#[test]
fn of_a_queue_that_expires_the_type_is_asked() {
    let learned = refusal("x-expires", "none but current is the value '6000' of type 'signedint'");
    let classic = refusal("x-queue-type", "the value '?' of type 'longstr' but current is none");
    let asks = ASKS.replace("handshake", "handshake\nW= 1 declare q durable x-expires=6000\nB= 1 declare-ok q");
    play(&format!(
        "{asks}
        B< 2047 close {learned}
        B> 2047 close-ok
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q durable x-expires=6000 x-queue-type=?
        B< 2047 close {classic}
        {CANCELLED}
        +1999ms
        +1ms
        {KEPT}
        "
    ));
}

/// No permission to configure, or a broker that speaks in other words: then it is not tried.
#[test]
fn what_cannot_be_told_is_not_tried() {
    for refused in ["403 50/10 ACCESS_REFUSED - configure access to queue", "406 50/10 PRECONDITION_FAILED - no"] {
        let refused = format!("{ASKS}\nB< 2047 close {refused}");
        play(&format!(
            "{refused}
            B> 2047 close-ok
            E Bound its consumer of q cannot be stopped: it reads a queue that may be auto-delete*
            FREE
            +5s
            "
        ));
        // unless the operator has said what it is
        let fetch = globset::Glob::new("q").expect("a glob");
        let fetch = globset::GlobSetBuilder::new().add(fetch).build().expect("globs");
        let settings = AmqpSettings { fetch, ..AmqpSettings::default() };
        play_with(settings, &format!("{refused}\n{CANCELLED}"));
    }
}

/// The client has agreed on so few channels that one more might be one too many.
#[test]
fn where_no_channel_is_to_spare_nothing_is_asked() {
    play(
        "
        handshake 1
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        DRAIN
        E Bound its consumer of q cannot be stopped: it reads a queue that may be auto-delete or have a single active consumer, and its connection has no channels*
        FREE
        +5s
        ",
    );
}

/// A broker that takes the declare for a good one has said nothing.
#[test]
fn a_declare_that_fits_says_nothing() {
    play(&format!(
        "{ASKS}
        B< 2047 declare-ok q
        B> 2047 close 200 0/0
        E Bound its consumer of q cannot be stopped: it reads a queue that may be auto-delete*
        B< 2047 close-ok
        "
    ));
}

/// It was deleted in that moment: nothing of it can be lost.
#[test]
fn a_queue_that_is_not_there_is_not_made() {
    let refused = "406 50/10 PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': ?";
    play(&format!("{ASKS}\nB< 2047 close {refused}\n{CANCELLED}"));
}

#[test]
fn lifted_meanwhile_nothing_is_cancelled() {
    let plain = refusal("x-queue-type", "the value '?' of type 'longstr' but current is none");
    play(&format!(
        "{ASKS}
        UNDRAIN
        B< 2047 close {plain}
        B> 2047 close-ok
        +5s
        # known by now
        DRAIN
        HELD
        +20ms
        B> 1 cancel t
        "
    ));
}

/// A declare that nobody answers may have been refused.
#[test]
fn a_declare_without_an_answer_proves_nothing() {
    play(
        "
        handshake
        W= 1 declare q durable nowait
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        W= 1 declare r auto_delete nowait
        W= 1 consume r u
        E FetchAsked broker r blocking
        E Bound its consumer of r cannot be stopped: it reads an auto-delete queue, *
        B= 1 consume-ok u
        DRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q durable x-queue-type=?
        ",
    );
}

/// One question for all consumers of a queue, in one hold all cancels.
#[test]
fn two_consumers_of_one_queue_need_one_question() {
    let plain = refusal("x-queue-type", "the value '?' of type 'longstr' but current is none");
    play(&format!(
        "
        handshake
        W= 1 consume q a
        E FetchAsked broker q blocking
        B= 1 consume-ok a
        W= 1 consume q b
        E FetchAsked broker q blocking
        B= 1 consume-ok b
        DRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q durable x-queue-type=?
        B< 2047 close {plain}
        B> 2047 close-ok
        +20ms
        B> 1 cancel a
        B> 1 cancel b
        "
    ));
}

fn parked(declare: &str) -> String {
    format!(
        "
        handshake
        W= 1 declare q {declare}
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    )
}

const KEPT: &str = "
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q passive
    B< 2047 declare-ok q
    B> 2047 close 200 0/0
    B< 2047 close-ok
";

/// A queue that expires is kept by a passive declare; so is one that a policy could let expire.
#[test]
fn the_queue_of_a_parked_consumer_is_kept_alive() {
    for (declare, period) in [("x-expires=6000", 2_000), ("x-expires=86400000", 20_000), ("", 20_000)] {
        let twice = format!("+{}ms\n+1ms\n{KEPT}", period - 1).repeat(2);
        play(&format!(
            "{}
            {twice}
            UNDRAIN
            {}
            B< 1 consume-ok t
            +60s
            ",
            parked(&format!("durable x-queue-type=classic {declare}")),
            KEPT.replace("B> 2047 close", "E FetchMoved broker\nB> 2047 close")
                .replace("B< 2047 close-ok", "B> 1 consume q t\nB< 2047 close-ok")
        ));
    }
}

#[test]
fn the_shortest_expiry_counts() {
    play(&format!(
        "{}
        W= 1 declare r durable x-expires=3000 x-queue-type=classic
        B= 1 declare-ok r
        W> 1 consume r u
        E FetchAsked gate r blocking
        W< 1 consume-ok u
        +999ms
        +1ms
        {KEPT}
        {}
        ",
        parked("durable"),
        KEPT.replace(" q", " r")
    ));
}

/// Nobody is left to keep it for, and nothing to wake up for.
#[test]
fn a_client_that_leaves_keeps_nothing_alive() {
    play(&format!("{}\nW ending\n+60s\nW gone\nE FetchAnswered gate vanished blocking\nCLOSED", parked("durable")));
}

/// It is gone all the same: that is told when it matters.
#[test]
fn a_queue_that_is_deleted_while_its_consumer_is_parked() {
    play(&format!(
        "{}
        +19999ms
        +1ms
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 close 404 50/10
        B> 2047 close-ok
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 close 404 50/10
        E Bound its consumer of q could not be resumed: the queue has been deleted
        B> 2047 close-ok
        # it may be back: its node was away, or it has been made anew
        +19999ms
        +1ms
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 close 404 50/10
        B> 2047 close-ok
        +20s
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        E Unbound its consumer of q could not be resumed: the queue has been deleted
        B> 2047 close 200 0/0
        B> 1 consume q t
        B< 2047 close-ok
        B< 1 consume-ok t
        # what it was like before says nothing
        DRAIN
        B> 2047 open
        ",
        parked("durable")
    ));
}
