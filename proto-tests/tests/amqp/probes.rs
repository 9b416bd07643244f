//! One consumer of another client's is on the queue when a drain is lifted: it may be an exclusive one. That is tried on a
//! channel of the gate's own, so that it is not the worker's that the broker closes.

use crate::script::play;

/// A worker with a job in hand, drained; and lifted. The queue has so many consumers, then.
fn lifted(declare: &str, consumers: u32) -> String {
    format!(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare q durable {declare}
        B= 1 declare-ok q
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc message=m
        E Delivered 7.1.1 q - m
        DRAIN
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q {consumers}
        "
    )
}

const CLOSED: &str = "
    B> 2047 close 200 0/0
    B< 2047 close-ok
";

const RESUMED: &str = "
    B> 1 qos 8
    B> 1 consume q ~
    B> 1 qos 9
";

/// What the queue is like is asked, and what the broker says of its type.
fn asked(kind: &str) -> String {
    format!(
        "
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q durable x-queue-type=?
        B< 2047 close 406 50/10 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': \
         received '?' but current is '{kind}'
        "
    )
}

/// A message fills the channel's hand, then comes the consume. The queue's name has the gate's seed and a number.
const TRIED: &str = "
    B> 2047 close-ok
    B> 2047 open
    B< 2047 open-ok
    B> 2047 qos 1
    B> 2047 qos 1 global
    B> 2047 declare draingate.7.4 exclusive auto_delete
    B> 2047 send-nothing draingate.7.4
    B> 2047 consume draingate.7.4 draingate-plug
    B< 2047 qos-ok
    B< 2047 qos-ok
    B< 2047 declare-ok draingate.7.4
    B< 2047 consume-ok draingate-plug
    B< 2047 deliver draingate-plug 1
    B> 2047 consume q draingate-probe
    B< 2047 header 0
";

#[test]
fn an_exclusive_consumer_is_told_and_the_workers_channel_lives() {
    play(&format!(
        "{}{CLOSED}{}{TRIED}
        B< 2047 close 403 60/20 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use
        B> 2047 close-ok
        E Bound its consumer of q could not be resumed: the queue is in exclusive use by another consumer
        # what it works at goes on
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        +1s
        # the next time it may be another's turn
        DRAIN
        E Unbound *
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare q passive
        B< 2047 declare-ok q
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q t
        ",
        lifted("x-queue-type=classic", 1),
        asked("classic")
    ));
}

/// It is one like ours. Should the broker hand out something all the same, the client sees nothing of it.
#[test]
fn where_another_is_admitted_the_consumer_is_resumed() {
    play(&format!(
        "{}{CLOSED}{}{TRIED}
        B< 2047 consume-ok draingate-probe
        E FetchMoved broker
        B> 2047 close 200 0/0
        {RESUMED}
        B< 2047 message draingate-probe 2 a-job-that-should-not-come
        B< 2047 close-ok
        B< 1 consume-ok ~
        B< 1 message ~ 2 abc message=n
        E Delivered 7.1.2 q - n
        W< 1 message t 2 abc message=n
        ",
        lifted("x-queue-type=classic", 1),
        asked("classic")
    ));
}

/// With none nobody can refuse it; of two neither is exclusive; and other types know no exclusive consumers.
#[test]
fn nothing_is_tried_where_nobody_can_refuse() {
    for (declare, consumers) in
        [("x-queue-type=classic", 0), ("x-queue-type=classic", 2), ("x-queue-type=quorum", 1), ("", 0)]
    {
        let script = lifted(declare, consumers);
        play(&format!("{script}\nE FetchMoved broker\nB> 2047 close 200 0/0\n{RESUMED}\nB< 2047 close-ok"));
    }
}

/// The type is asked anew, whatever the worker has declared: on a quorum queue the trial would end the connection. The queue
/// may have been replaced since, and RabbitMQ can be told to take the declare of a classic queue for a quorum queue's.
#[test]
fn the_type_is_asked_before_anything_is_tried() {
    for declare in ["", "x-queue-type=classic"] {
        let script = lifted(declare, 1);
        play(&format!("{script}{CLOSED}{}{TRIED}", asked("classic")));
        play(&format!("{script}{CLOSED}{}E FetchMoved broker\nB> 2047 close-ok\n{RESUMED}", asked("quorum")));
    }
}

/// The user may not make queues: then it is as if nobody had thought of it.
#[test]
fn what_cannot_be_tried_is_done() {
    play(&format!(
        "{}{CLOSED}{}
        B> 2047 close-ok
        B> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 qos 1 global
        B> 2047 declare draingate.7.4 exclusive auto_delete
        B> 2047 send-nothing draingate.7.4
        B> 2047 consume draingate.7.4 draingate-plug
        B< 2047 qos-ok
        B< 2047 qos-ok
        B< 2047 close 403 50/10 ACCESS_REFUSED - configure access to queue
        E FetchMoved broker
        B> 2047 close-ok
        {RESUMED}
        ",
        lifted("x-queue-type=classic", 1),
        asked("classic")
    ));
}
