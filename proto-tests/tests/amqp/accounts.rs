//! What is in flight: deliveries, settlements, and when the broker has confirmed them.

use crate::script::play;

fn with_jobs(n: usize) -> String {
    let jobs: Vec<String> =
        (1..=n).map(|n| format!("B= 1 message t {n} abc message=m{n}\nE Delivered 7.1.{n} q - m{n}")).collect();
    format!(
        "
        handshake
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        {}
        ",
        jobs.join("\n")
    )
}

/// The proof comes back: what was settled before it is confirmed.
const PROVEN: &str = "
    +250ms
    B> 1 cancel ~draingate-7
    B< 1 cancel-ok ~draingate-7
";

#[test]
fn a_job_is_written_down_before_any_of_it_goes_on() {
    play(
        "
        handshake
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 deliver t 1
        B= 1 header 6 id=abc task=app.add eta=2026-11-21T16:08:36.395461+00:00 argsrepr=(5,5)
        E Recognised celery
        E Delivered 7.1.1 q app.add abc eta=1795277316395
        B= 1 body abc
        UNSAFE
        B= 0 heartbeat
        B= 1 body def
        B= 1 message t 2 - message=m correlation=c type=kind
        E Delivered 7.1.2 q kind m
        ",
    );
}

#[test]
fn acks_are_struck_out_when_they_are_confirmed() {
    play(&format!(
        "{}
        W= 1 ack 2
        W= 1 ack 1
        UNSAFE
        {PROVEN}
        E Ended 7.1.2 finished
        E Ended 7.1.1 finished
        W= 1 ack 3
        {PROVEN}
        E Ended 7.1.3 finished
        SAFE
        ",
        with_jobs(3)
    ));
}

#[test]
fn multiple_and_zero_mean_what_they_mean_to_the_broker() {
    play(&format!(
        "{}
        W= 1 ack 2 multiple
        {PROVEN}
        E Ended 7.1.1 finished
        E Ended 7.1.2 finished
        W= 1 nack 3 requeue
        {PROVEN}
        E Ended 7.1.3 requeued
        W= 1 ack 0 multiple
        {PROVEN}
        E Ended 7.1.4 finished
        E Ended 7.1.5 finished
        W= 1 ack 0 multiple
        +1s
        SAFE
        ",
        with_jobs(5)
    ));
}

#[test]
fn what_is_rejected_is_over_or_goes_back() {
    play(&format!(
        "{}
        W= 1 reject 1
        W= 1 reject 2 requeue
        W= 1 nack 4 multiple
        {PROVEN}
        E Ended 7.1.1 finished
        E Ended 7.1.2 requeued
        E Ended 7.1.3 finished
        E Ended 7.1.4 finished
        ",
        with_jobs(4)
    ));
}

/// The broker closes the channel and takes everything back.
#[test]
fn a_wrong_ack_ends_nothing_by_itself() {
    play(&format!(
        "{}
        W= 1 ack 99 multiple
        W= 1 ack 0
        +1s
        B= 1 close 406 60/80
        E Ended 7.1.1 requeued
        E Ended 7.1.2 requeued
        E FetchAnswered broker vanished blocking
        W= 1 close-ok
        SAFE
        ",
        with_jobs(2)
    ));
}

#[test]
fn a_publishers_confirms_are_no_acks() {
    play(&format!(
        "{}
        W= 1 confirm.select
        B= 1 confirm.select-ok
        W= 1 send - other abc
        B= 1 ack 1
        B= 1 ack 2 multiple
        +1s
        UNSAFE
        ",
        with_jobs(2)
    ));
}

#[test]
fn recover_gives_everything_back() {
    play(&format!(
        "{}
        W= 1 recover
        B= 1 recover-ok
        E Ended 7.1.1 requeued
        E Ended 7.1.2 requeued
        B= 1 message t 3 abc message=m1
        E Delivered 7.1.3 q - m1
        ",
        with_jobs(2)
    ));
}

/// It has no answer.
#[test]
fn recover_async_gives_everything_back_when_that_is_confirmed() {
    play(&format!(
        "{}
        W= 1 ack 1
        W= 1 recover-async
        {PROVEN}
        E Ended 7.1.1 finished
        E Ended 7.1.2 requeued
        B= 1 message t 3 abc message=m1
        E Delivered 7.1.3 q - m1
        ",
        with_jobs(2)
    ));
}

/// What a transaction has settled is not given back by a recover.
#[test]
fn recover_in_a_transaction() {
    for (end, outcome) in [("commit", "E Ended 7.1.1 finished"), ("rollback", "")] {
        play(&format!(
            "{}
            W= 1 tx.select
            B= 1 tx.select-ok
            W= 1 ack 1
            W= 1 recover
            B= 1 recover-ok
            E Ended 7.1.2 requeued
            W= 1 tx.{end}
            B= 1 tx.{end}-ok
            {outcome}
            ",
            with_jobs(2)
        ));
    }
}

#[test]
fn a_channel_that_is_closed_gives_back_what_was_not_settled() {
    play(&format!(
        "{}
        W= 1 ack 1
        W= 1 close 200 0/0
        # still on its way
        B= 1 message t 3 abc
        B= 1 close-ok
        E Ended 7.1.1 finished
        E Ended 7.1.2 requeued
        E FetchAnswered broker vanished blocking
        SAFE
        W= 1 open
        B= 1 open-ok
        ",
        with_jobs(2)
    ));
}

#[test]
fn so_does_a_connection() {
    for end in ["W= 0 connection.close\nB= 0 connection.close-ok", "W gone"] {
        let closed = if end.ends_with("gone") { "CLOSED" } else { "" };
        play(&format!(
            "{}
            {end}
            E Ended 7.1.1 requeued
            E FetchAnswered broker vanished blocking
            {closed}
            ",
            with_jobs(1)
        ));
    }
}

/// A broker that has gone may have forgotten it: the worker may have the only copy in its hands.
#[test]
fn what_a_lost_broker_had_handed_out_is_not_over() {
    // of a broker that leaves in due form the client's end may be heard first
    let leaves = "B= 0 connection.close 320 CONNECTION_FORCED - shutdown\nW= 0 connection.close-ok";
    for end in ["B gone", &format!("{leaves}\nB gone"), &format!("{leaves}\nW gone")] {
        play(&format!(
            "{}
            W= 1 ack 1
            {end}
            E Ended 7.1.1 finished
            E FetchAnswered broker vanished blocking
            CLOSED
            ",
            with_jobs(2)
        ));
    }
}

#[test]
fn a_transaction_settles_when_it_is_committed() {
    play(&format!(
        "{}
        W= 1 tx.select
        B= 1 tx.select-ok
        W= 1 ack 1
        W= 1 tx.rollback
        B= 1 tx.rollback-ok
        W= 1 ack 2
        W= 1 tx.commit
        B= 1 tx.commit-ok
        E Ended 7.1.2 finished
        W= 1 ack 1
        W= 1 tx.commit
        B= 1 tx.commit-ok
        E Ended 7.1.1 finished
        +1s
        ",
        with_jobs(2)
    ));
}

/// Celery acknowledges when it starts a job.
#[test]
fn a_celery_ack_is_no_end() {
    play(&format!("{}\nSYSTEM celery\nW= 1 ack 1\n{PROVEN}\nE Acked 7.1.1", with_jobs(1)));
}

/// RabbitMQ says of a message whether it had handed it out before.
#[test]
fn what_was_handed_out_before_is_told_as_such() {
    play(
        "
        handshake
        W= 1 consume q t
        E FetchAsked broker q blocking
        B= 1 consume-ok t
        B= 1 message t 1 abc message=a
        E Delivered 7.1.1 q - a
        B= 1 message t 2 abc message=a redelivered
        E HandedOutAgain a q
        E Delivered 7.1.2 q - a
        # nobody could tell which
        B= 1 message t 3 abc redelivered
        E Delivered 7.1.3 q - -
        B= 1 deliver t 4 redelivered
        B= 1 header 3 correlation=b
        B= 1 body abc
        E HandedOutAgain b q
        E Delivered 7.1.4 q - b
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-ok 5 redelivered
        B= 1 header 0 message=c
        E HandedOutAgain c q
        E Delivered 7.1.5 q - c
        E FetchAnswered broker job poll
        ",
    );
}

#[test]
fn a_proof_does_not_go_into_a_message() {
    play(&format!(
        "{}
        W= 1 ack 1
        W= 1 publish - other
        +1s
        W= 1 header 3
        W> 1 body abc
        B> 1 body abc
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        ",
        with_jobs(1)
    ));
}

#[test]
fn a_workers_events_and_results_are_read() {
    let beat =
        r#"{"hostname":"w1@vm","type":"worker-heartbeat","pid":7,"active":1,"processed":4,"timestamp":9.5,"freq":2.0}"#;
    play(&format!(
        r#"
        handshake
        W= 1 send celeryev worker.heartbeat {beat} hostname=w1@vm
        E Recognised celery
        E Named celery w1@vm
        E Report celery pid=7 active=1 processed=4 at=9500 period=2000
        W= 1 send celeryev task.multi [] hostname=w1@vm
        W= 1 send - 0123 {{"task_id":"x","status":"SUCCESS","result":10}} correlation=x
        E Result x
        W= 1 send - 0123 {{"task_id":"x","status":"RETRY"}} correlation=x
        W= 1 send - celery {{"status":"SUCCESS"}} correlation=x task=app.add id=x
        "#
    ));
}
