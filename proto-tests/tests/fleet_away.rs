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
        ? w1@a sealed unknown blocked~1_running_task
        7s
        c3 beat active=0 processed=1
        ? w1@a drained
    ",
    );
}

/// A Celery worker that has run a job, and has said since that it is idle; another one, which has nothing to do.
fn idle_celery() -> Script {
    play(
        "
        + d1 10.0.0.6
        d1 named celery w2@b
        d1 online active=0 processed=0
        d1 fetch celery
        + c1 local
        = c1 100:5
        c1 named celery w1@a
        c1 online active=0 processed=0
        c1 fetch celery
        c1 gets t1
        c1 ack t1
        c1 result t1
        c1 fetch celery
        +2s
        c1 beat active=0 processed=1
        +2s
        c1 beat active=0 processed=1
        ? w1@a active reported
    ",
    )
}

/// Without a connection it can get no job: what it said before it went holds for a drain that comes later, too.
#[test]
fn who_said_that_it_is_idle_and_went_is_drained_whenever_it_is_marked() {
    let later = "
        drain e all
        d1 parked
        ? drain e drained workers=2
        +61s
        ? drain e drained
        ? no notice lost
    ";
    idle_celery().play(&format!("- c1\n +1s\n {later}"));
    // it was drained already, and that drain was lifted once it was gone
    idle_celery().play(&format!(
        "
        drain d w1@a
        c1 parked
        +2s
        c1 beat active=0 processed=1
        +2s
        c1 beat active=0 processed=1
        ? drain d drained
        - c1
        undrain d
        +1s
        {later}"
    ));
}
