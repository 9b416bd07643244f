//! Paused queues: their consumers are parked on every connection, and the others are left alone.

use crate::script::play;

/// Two consumers, of two queues.
const TWO: &str = "
    handshake
    W= 1 declare q durable
    B= 1 declare-ok q
    W= 1 declare r durable
    B= 1 declare-ok r
    W= 1 consume q cq
    E FetchAsked broker q blocking
    B= 1 consume-ok cq
    W= 1 consume r cr
    E FetchAsked broker r blocking
    B= 1 consume-ok cr
";

/// The first of them is paused, and parked.
const PARKED: &str = "
    PAUSE q
    E PausesTaken 1 [q]
    HELD
    +20ms
    B> 1 cancel cq
    B< 1 cancel-ok cq
    E FetchMoved gate
    E PausesTaken 1 []
    FREE
";

/// It is consumed again.
const RESUMED: &str = "
    B> 2047 open
    B< 2047 open-ok
    B> 2047 declare q passive
    B< 2047 declare-ok q
    E FetchMoved broker
    B> 2047 close 200 0/0
    B> 1 consume q cq
    B< 2047 close-ok
    B< 1 consume-ok cq
";

#[test]
fn the_consumer_of_a_paused_queue_is_parked_and_the_other_goes_on() {
    play(&format!(
        "{TWO}{PARKED}
        B= 1 message cr 1 abc id=x
        E Delivered 7.1.1 r - x
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        RESUME
        E PausesTaken 2 []
        {RESUMED}
        B= 1 message cq 2 abc id=y
        E Delivered 7.1.2 q - y
        "
    ));
}

#[test]
fn a_delivery_that_races_the_cancel_counts() {
    play(&format!(
        "{TWO}
        PAUSE q
        E PausesTaken 1 [q]
        +20ms
        B> 1 cancel cq
        B= 1 message cq 1 abc id=x
        E Delivered 7.1.1 q - x
        B< 1 cancel-ok cq
        E FetchMoved gate
        E PausesTaken 1 []
        "
    ));
}

#[test]
fn a_consume_of_a_paused_queue_is_parked_and_a_get_finds_nothing() {
    play(&format!(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        PAUSE q
        E PausesTaken 1 []
        W> 1 consume q cq
        E FetchAsked gate q blocking
        W< 1 consume-ok cq
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W< 1 get-empty
        W= 1 get r
        E FetchAsked broker r poll
        B= 1 get-empty
        E FetchAnswered broker empty poll
        W= 1 consume r cr
        E FetchAsked broker r blocking
        B= 1 consume-ok cr
        RESUME
        E PausesTaken 2 []
        {RESUMED}
        "
    ));
}

#[test]
fn a_get_that_was_asked_before_is_answered() {
    play(
        "
        handshake
        W= 1 declare q durable
        B= 1 declare-ok q
        W= 1 get q
        E FetchAsked broker q poll
        PAUSE q
        E PausesTaken 1 [q]
        B= 1 get-empty
        E FetchAnswered broker empty poll
        E PausesTaken 1 []
        ",
    );
}

#[test]
fn a_mark_and_a_pause_lift_each_by_itself() {
    // marked while paused: the parked one is cancelled already
    play(&format!(
        "{TWO}{PARKED}
        DRAIN
        HELD
        +20ms
        B> 1 cancel cr
        B< 1 cancel-ok cr
        E FetchMoved gate
        FREE
        UNDRAIN
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare r passive
        B< 2047 declare-ok r
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume r cr
        B< 2047 close-ok
        B< 1 consume-ok cr
        +5s
        RESUME
        E PausesTaken 2 []
        {RESUMED}
        "
    ));
    // paused while marked: nothing is under way, and it stays parked when the mark goes
    play(&format!(
        "{TWO}
        PAUSE r
        E PausesTaken 1 [r]
        +20ms
        B> 1 cancel cr
        B< 1 cancel-ok cr
        E FetchMoved gate
        E PausesTaken 1 []
        DRAIN
        +20ms
        B> 1 cancel cq
        B< 1 cancel-ok cq
        E FetchMoved gate
        PAUSE q,r
        E PausesTaken 2 []
        UNDRAIN
        +5s
        PAUSE r
        E PausesTaken 3 []
        {RESUMED}
        "
    ));
}

#[test]
fn what_must_not_be_cancelled_is_said() {
    play(
        "
        handshake
        W= 1 declare q durable auto_delete
        B= 1 declare-ok q
        W= 1 consume q cq
        E FetchAsked broker q blocking
        E Bound its consumer of q cannot be stopped: it reads an auto-delete queue, which would be deleted with its jobs
        B= 1 consume-ok cq
        PAUSE q
        E PausesTaken 1 [q (its consumer of q cannot be stopped: it reads an auto-delete queue, which would be deleted with its jobs)]
        FREE
        +5s
        B= 1 message cq 1 abc id=x
        E Delivered 7.1.1 q - x
        W= 1 cancel cq
        B= 1 cancel-ok cq
        E FetchAnswered broker vanished blocking
        E Unbound its consumer of q*
        E PausesTaken 1 []
        ",
    );
}

#[test]
fn control_and_the_delay_queue() {
    // remote control is no job queue, whatever it is called; what waits for its time follows its queue
    play(
        "
        handshake
        PAUSE w1@a.celery.pidbox
        E PausesTaken 1 []
        W= 1 declare w1@a.celery.pidbox auto_delete
        B= 1 declare-ok w1@a.celery.pidbox
        W= 1 consume w1@a.celery.pidbox p no_ack
        E Recognised celery
        E Named celery w1@a
        E Listens true
        B= 1 consume-ok p
        ",
    );
    play(
        "
        handshake
        PAUSE jobs
        E PausesTaken 1 []
        W= 1 declare jobs.DQ durable
        B= 1 declare-ok jobs.DQ
        W> 1 consume jobs.DQ d
        E Recognised dramatiq
        E FetchAsked gate jobs.DQ blocking
        W< 1 consume-ok d
        ",
    );
}

#[test]
fn who_leaves_while_parked_leaves_nothing_behind() {
    play(&format!(
        "{TWO}{PARKED}
        W> 1 cancel cq
        E FetchAnswered gate vanished blocking
        W< 1 cancel-ok cq
        SAFE
        W gone
        E FetchAnswered broker vanished blocking
        CLOSED
        "
    ));
}

/// A consumer that waits at a stream's end would skip what is published while it is parked: its place is kept, and that of
/// a consumer whose stream is not paused is left alone.
#[test]
fn a_streams_consumer_goes_on_where_it_was() {
    play(
        "
        handshake
        W= 1 qos 9
        B= 1 qos-ok
        W= 1 declare s durable x-queue-type=stream
        B= 1 declare-ok s
        W= 1 declare r durable x-queue-type=stream
        B= 1 declare-ok r
        W= 1 consume s cs
        E FetchAsked broker s blocking
        B= 1 consume-ok cs
        W= 1 consume r cr
        E FetchAsked broker r blocking
        B= 1 consume-ok cr
        PAUSE s
        E PausesTaken 1 [s]
        B> 2047 open
        B< 2047 open-ok
        B> 2047 qos 1
        B> 2047 consume s draingate-anchor
        B< 2047 qos-ok
        B< 2047 consume-ok draingate-anchor
        +20ms
        B> 1 cancel cs
        B< 1 cancel-ok cs
        E FetchMoved gate
        E PausesTaken 1 []
        +5s
        B< 2047 message draingate-anchor 1 abc offset=41
        B> 2047 close 200 0/0
        B< 2047 close-ok
        RESUME
        E PausesTaken 2 []
        B> 2047 open
        B< 2047 open-ok
        B> 2047 declare s passive
        B< 2047 declare-ok s
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume s cs x-stream-offset=41
        ",
    );
}
