//! A pool goes on with what its worker had in hand when a connection went. That raises `processed`, and no ack tells of it:
//! from then on the two cannot be matched.

use proto_tests::fleet_script::play;

/// A worker of RabbitMQ with early acks runs one job, has two more in hand, and has said so.
const WORKER: &str = "
    + c1 10.0.0.5 amqp
    c1 named celery w1@a
    c1 beat active=0 processed=0
    + c2 10.0.0.5 amqp
    c2 fetch celery
    c2 delivers t1 id=a
    c2 delivers t2 id=b
    c2 delivers t3 id=c
    1s
    c2 ack t1
    2s
    c1 beat active=1 processed=1
";

/// It is back, has begun what was taken back from it, and then a job that it got anew. A heartbeat that was composed before
/// that arrives behind its ack.
const CROSSES: &str = "
    + c3 10.0.0.5 amqp
    c3 fetch celery
    4s
    c1 beat active=2 processed=1
    6s
    c1 beat active=2 processed=1
    7.9s
    c3 delivers t9 id=z
    7.91s
    c3 ack t9
    drain d all
    c3 parked
    7.92s
    c1 beat active=0 processed=3
    ? w1@a sealed
    10s
    c1 beat active=1 processed=4
    ? w1@a sealed running=1
    12s
    c1 beat active=0 processed=4
    ? w1@a drained reported
";

#[test]
fn what_was_taken_back_with_a_connection_has_begun_later() {
    play(&format!(
        "{WORKER}
        c2 requeue t2
        c2 requeue t3
        - c2
        {CROSSES}"
    ));
}

#[test]
fn what_a_lost_broker_handed_out_again_has_begun_later() {
    play(&format!(
        "{WORKER}
        - c2 broker
        + o1 10.0.0.6 amqp
        o1 fetch celery
        o1 again t4 id=b
        o1 delivers t4 id=b
        o1 again t5 id=c
        o1 delivers t5 id=c
        {CROSSES}"
    ));
}

/// What it had only prefetched when it gave its connections up never began there: it is not waited for that its count
/// reaches as far.
#[test]
fn what_was_taken_back_with_a_connection_need_not_have_begun() {
    play(&format!(
        "{WORKER}
        drain d all
        c2 parked
        3s
        c2 requeue t2
        c2 requeue t3
        - c2
        - c1
        + c3 10.0.0.5 amqp
        c3 named celery w1@a
        + c4 10.0.0.5 amqp
        c4 held celery
        4s
        c3 beat active=0 processed=1
        6s
        c3 beat active=0 processed=1
        8s
        c3 beat active=0 processed=1
        ? w1@a drained reported
        "
    ));
}

/// The same on Redis, where the worker says itself that they are in their queue again.
#[test]
fn what_it_gave_back_need_not_have_begun() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 beat active=0 processed=0
        + c2 10.0.0.5
        c2 fetch celery
        c2 gets t1 id=a
        c2 fetch celery
        c2 gets t2 id=b
        1s
        c2 ack t1
        2s
        c1 beat active=1 processed=1
        drain d all
        3s
        c2 restores t2
        - c2
        - c1
        + c3 10.0.0.5
        c3 named celery w1@a
        + c4 10.0.0.5
        c4 held celery
        4s
        c3 beat active=0 processed=1
        6s
        c3 beat active=0 processed=1
        8s
        c3 beat active=0 processed=1
        ? w1@a drained reported
        ",
    );
}

/// With late acks a job was begun, and counted, long before its ack. That must not be waited for once more when the
/// connections go behind it.
#[test]
fn a_late_ack_is_of_a_job_that_was_counted_before() {
    play(&format!(
        "{WORKER}
        drain d all
        c2 parked
        4s
        c1 beat active=2 processed=3
        4.5s
        c2 ack t2
        c2 ack t3
        - c2
        - c1
        + c3 10.0.0.5 amqp
        c3 named celery w1@a
        + c4 10.0.0.5 amqp
        c4 held celery
        6s
        c3 beat active=0 processed=3
        8s
        c3 beat active=0 processed=3
        10s
        c3 beat active=0 processed=3
        ? w1@a drained reported
        "
    ));
}

/// Tasks that are revoked, or come too late, are acknowledged and never begin. If the connections go before the next
/// heartbeat, nobody can tell the worker from another process of the same pid that has begun fewer: that is said.
#[test]
fn a_count_that_never_comes_so_far_is_a_reason() {
    play(&format!(
        "{WORKER}
        2.2s
        c2 delivers t4 id=d
        2.5s
        c2 requeue t2
        c2 requeue t3
        c2 ack t4
        drain d all
        c2 parked
        - c2
        - c1
        + c3 10.0.0.5 amqp
        c3 named celery w1@a
        + c4 10.0.0.5 amqp
        c4 held celery
        ? w1@a sealed running=2
        4.5s
        c3 beat active=0 processed=1
        6.5s
        c3 beat active=0 processed=1
        8.5s
        c3 beat active=0 processed=1
        ? w1@a sealed running=2 blocked~revoked
        c3 beat active=0 processed=2
        10.5s
        c3 beat active=0 processed=2
        12.5s
        c3 beat active=0 processed=2
        ? w1@a drained reported
        "
    ));
}
