//! Workers without a connection: what is said of them, and what they count as.

use draingate::job::{ConnId, Job, JobEvent, JobKey};
use proto_tests::fleet_script::{Script, ZERO, play};

/// A consumer on RabbitMQ with a job in hand that is marked, behind a restart of the gate.
fn taken_back() -> Script {
    let mut script = play("+ c1 10.0.0.5 amqp\nc1 fetch q");
    let key = JobKey::Delivery { seed: 7, channel: 1, tag: 1 };
    let job = Job { key, id: String::new(), name: String::new(), queue: "q".into(), eta: None };
    script.fleet.event(ZERO, ConnId(1), JobEvent::Delivered(job));
    script.play(
        "
        drain d all
        c1 parked
        ? 10.0.0.5 sealed exact running=1
        restart
        ? 10.0.0.5 sealed unknown blocked~RabbitMQ_took_back
    ",
    );
    script
}

/// RabbitMQ has its job again, but the process may be at it until it is seen again.
#[test]
fn what_rabbitmq_took_back_may_still_run() {
    taken_back().play(
        "
        10s
        ? 10.0.0.5 sealed unknown
        + c2 10.0.0.5 amqp
        c2 fetch q
        ? 10.0.0.5 drained exact
    ",
    );
    taken_back().play("61s\n? 10.0.0.5 gone exact");
}

/// It had nothing in hand: there is nothing to wait for.
#[test]
fn a_drained_consumer_stays_so_over_a_restart() {
    play(
        "
        + c1 10.0.0.5 amqp
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 drained exact
        restart
        ? 10.0.0.5 gone exact
    ",
    );
}

/// One that is away is said to have jobs only if it is known to have any.
#[test]
fn a_worker_that_is_away_is_said_to_have_what_it_is_known_to_have() {
    play(
        "
        + c1 10.0.0.5
        c1 named bullmq w1
        c1 fetch q
        c1 nil
        restart
        + c2 10.0.0.5
        c2 named bullmq w1
        c2 fetch q
        c2 nil
        - c2
        3s
        ? w1 unknown
        ? w1 blocked~may_have_jobs
        + c3 10.0.0.5
        c3 named bullmq w1
        c3 gets j1
        - c3
        6s
        ? w1 blocked~with_jobs_in_flight
    ",
    );
}

/// Measured with late acks: when RabbitMQ closes one connection, Celery closes the others by itself, and its pool goes on
/// with the tasks that are taken back so.
#[test]
fn what_a_celery_worker_goes_on_with_when_its_connections_go() {
    play(
        "
        + c1 10.0.0.5 amqp
        c1 named celery w1@a
        c1 beat active=0 processed=0
        + c2 10.0.0.5 amqp
        c2 fetch celery
        c2 delivers t1 id=x
        2s
        c1 beat active=1 processed=1
        drain d all
        c2 parked
        ? w1@a sealed running=1
        - c1 broker
        c2 requeue t1
        ? w1@a sealed unknown
        - c2
        ? w1@a sealed unknown
        3s
        + c3 10.0.0.5 amqp
        c3 named celery w1@a
        c3 beat active=1 processed=1
        ? w1@a sealed unknown
        7s
        c3 beat active=0 processed=1
        ? w1@a drained
    ",
    );
}
