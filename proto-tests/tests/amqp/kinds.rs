//! Which consumers a mark stops: those of jobs, and of them only those that lose nothing by it.

use crate::script::play;

#[test]
fn what_cannot_be_cancelled_is_told_and_left_alone() {
    for (declare, consume, reason) in [
        ("durable auto_delete", "", "auto-delete"),
        ("durable x-expires=1000", "", "x-expires"),
        ("durable x-single-active-consumer=true", "", "single active consumer"),
        ("durable", "exclusive", "exclusive consumer"),
    ] {
        play(&format!(
            "
            handshake
            W= 1 declare q {declare}
            B= 1 declare-ok q
            W= 1 consume q t {consume}
            E FetchAsked broker q blocking
            E Bound its consumer of q cannot be stopped: it *
            B= 1 consume-ok t
            DRAIN
            FREE
            +2s
            B= 1 message t 1 abc message=m1
            E Delivered 7.1.1 q - m1   # {reason}
            # a reason goes with its consumer
            W= 1 cancel t
            B= 1 cancel-ok t
            E FetchAnswered broker vanished blocking
            E Unbound its consumer of q cannot be stopped: it *
            "
        ));
    }
}

#[test]
fn a_consumer_that_does_not_acknowledge_is_stopped_and_told() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q t no_ack
        E FetchAsked broker q blocking
        E Blocked it takes jobs from q without acknowledging them (no_ack)
        B= 1 consume-ok t
        B= 1 message t 1 abc
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        ",
    );
}

#[test]
fn control_queues_are_never_touched() {
    for (declare, name, consume) in [
        (None, "w@vm.celery.pidbox", "no_ack"),
        (None, "celeryev.0123", "no_ack"),
        (None, "amq.rabbitmq.reply-to", "no_ack"),
        (None, "amq.gen-JzTY20BRgKO", ""),
        (Some("exclusive"), "0123-uuid", ""),
        (Some("auto_delete"), "replies", "no_ack"),
    ] {
        let declare = declare.map(|d| format!("W= 1 declare {name} {d}\nB= 1 declare-ok {name}")).unwrap_or_default();
        let events = if name.ends_with("celery.pidbox") {
            "E Recognised celery\nE Named celery w@vm\nE Listens true"
        } else {
            ""
        };
        play(&format!(
            "
            handshake
            {declare}
            W= 1 consume {name} t {consume}
            {events}
            B= 1 consume-ok t
            DRAIN
            FREE
            +2s
            B= 1 message t 1 abc
            W= 1 consume {name} t2 {consume}
            {events}
            "
        ));
    }
}

#[test]
fn a_consumer_without_a_name_is_told() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 consume q - nowait
        E FetchAsked broker q blocking
        E Blocked its consumer of q cannot be stopped: it has no name *
        W= 1 consume celeryev.1 - no_ack
        W+ 1 consume q - no_ack
        W> 1 ack 1
        HELD
        B= 1 consume-ok amq.ctag-1
        B> 1 consume q - no_ack
        E FetchAsked broker q blocking
        E Blocked it takes jobs from q without acknowledging them (no_ack)
        B> 1 ack 1
        B= 1 consume-ok amq.ctag-2
        DRAIN
        +20ms
        B> 1 cancel amq.ctag-2
        ",
    );
}

#[test]
fn a_queue_named_by_the_broker_is_no_job_queue() {
    play(
        "
        handshake
        W= 1 declare -
        B= 1 declare-ok amq.gen-1
        W= 1 consume - t
        DRAIN
        FREE
        B= 1 consume-ok t
        +2s
        ",
    );
}
