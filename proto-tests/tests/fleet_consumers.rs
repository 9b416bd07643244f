//! Consumers on RabbitMQ: what they have in hand, and what becomes of it when the broker goes.

use draingate::job::{ConnId, Job, JobEvent, JobKey, Outcome, Settling};
use proto_tests::fleet_script::{ZERO, play};

/// The broker's restart: what was in hand may be the only copy, until the broker hands it out again, to whomever.
#[test]
fn what_a_lost_broker_had_handed_out() {
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        c1 delivers t1 id=a
        c1 delivers t2 id=b
        drain d all
        - c1 broker
        ? 10.0.0.5 sealed unknown running=2 blocked~cut
        + c2 10.0.0.5 amqp
        c2 fetch q
        + c3 10.0.0.6 amqp
        c3 fetch q
        c3 again t3 id=a
        c3 delivers t3 id=a
        ? 10.0.0.5 sealed unknown running=1
        c3 again t4 id=c
        c3 delivers t4 id=c
        ? 10.0.0.5 sealed unknown running=1
        c3 again t5 id=b
        c3 delivers t5 id=b
        ? 10.0.0.5 drained exact
    ",
    );
}

/// A broker that stands still: a worker that stays draining says why.
#[test]
fn a_broker_that_does_not_answer_is_told() {
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        drain d all
        +4s
        ? 10.0.0.5 draining unblocked
        +1s
        ? 10.0.0.5 draining blocked~confirmed
        c1 parked
        ? 10.0.0.5 drained unblocked
    ",
    );
}

/// The ids of messages need not be different: one `correlation_id` may be that of all jobs of a request.
#[test]
fn another_job_of_the_same_id_is_not_the_one_that_a_lost_broker_had_handed_out() {
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        c1 delivers t1 id=a
        c1 delivers t2 id=a
        drain d all
        - c1 broker
        + c2 10.0.0.5 amqp
        c2 fetch q
        + c3 10.0.0.6 amqp
        c3 fetch q
        # one that was never handed out before, and one of another queue
        c3 delivers t3 id=a
        c3 again t4 id=a queue=other
        c3 delivers t4 id=a queue=other
        ? 10.0.0.5 sealed unknown running=2
        # one of the two
        c3 again t5 id=a
        c3 delivers t5 id=a
        ? 10.0.0.5 sealed unknown running=1
        c3 again t6 id=a
        c3 delivers t6 id=a
        ? 10.0.0.5 drained exact
    ",
    );
}

/// Two connections keep no order: what the broker took back with one of them may come on another before the first has ended.
#[test]
fn what_is_handed_out_again_before_the_end_of_its_connection_is_heard() {
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        c1 delivers t1 id=a
        c1 delivers t2 id=b
        c1 delivers t3 id=c
        + c3 10.0.0.6 amqp
        c3 fetch q
        drain d 10.0.0.5
        c3 again t4 id=a
        c3 delivers t4 id=a
        c3 again t5 id=b queue=other
        c3 delivers t5 id=b queue=other
        c1 parked
        # so far it may be another of the same id, which somebody has given back
        ? 10.0.0.5 sealed exact running=3
        # the client takes its time to answer a connection.close
        +30s
        c3 again t6 id=c
        c3 delivers t6 id=c
        - c1 broker
        ? 10.0.0.5 sealed unknown running=1
        + c2 10.0.0.5 amqp
        c2 fetch q
        ? 10.0.0.5 sealed unknown running=1
        c3 again t7 id=b
        c3 delivers t7 id=b
        ? 10.0.0.5 drained exact
    ",
    );
}

/// One that came again long before says nothing of what a broker took along later; nor does one that came before the job
/// did, or on the same connection.
#[test]
fn what_was_handed_out_again_for_another_reason() {
    play(
        "
        + c1 10.0.0.5 amqp
        + c3 10.0.0.6 amqp
        +12s
        c1 fetch q
        c3 fetch q
        c1 delivers t1 id=a
        c3 again t2 id=a
        c3 delivers t2 id=a
        +35s
        c3 again t3 id=b
        c3 delivers t3 id=b
        +6s
        c1 delivers t4 id=b
        c1 again t5 id=c
        c1 delivers t5 id=c
        drain d 10.0.0.5
        - c1 broker
        ? 10.0.0.5 sealed unknown running=3
    ",
    );
}

/// A consumer without a prefetch is given the whole queue, and acknowledges all of it.
#[test]
fn a_whole_queue_in_one_hand() {
    let mut script = play("+ c1 10.0.0.5 amqp\nc1 fetch q");
    let key = |tag| JobKey::Delivery { seed: 7, channel: 1, tag };
    let mut tell = |event| script.fleet.event(ZERO, ConnId(1), event);
    for tag in 1..=10_100 {
        let (id, name) = (String::new(), String::new());
        tell(JobEvent::Delivered(Job { key: key(tag), id, name, queue: "q".into(), eta: None }));
    }
    for tag in 3..=10_100 {
        tell(JobEvent::Ended { key: key(tag), outcome: Outcome::Finished });
    }
    script.play("drain d all\nc1 parked\n? 10.0.0.5 sealed exact running=2");
    for tag in 1..=2 {
        script.fleet.event(ZERO, ConnId(1), JobEvent::Ended { key: key(tag), outcome: Outcome::Finished });
    }
    script.play("? 10.0.0.5 drained exact");
}

/// As it comes from one channel, with what the gate had not seen delivered, too.
#[test]
fn what_is_settled_together_is_settled_one_by_one() {
    let key = |tag| JobKey::Delivery { seed: 7, channel: 1, tag };
    for (how, unseen) in [Settling::Acked, Settling::Ended(Outcome::Finished), Settling::Ended(Outcome::Requeued)]
        .into_iter()
        .flat_map(|how| [(how, 1), (how, 9)])
    {
        let keys = [key(2), key(3), key(unseen), key(5)];
        let one = |key| match how {
            Settling::Acked => JobEvent::Acked(key),
            Settling::Ended(outcome) => JobEvent::Ended { key, outcome },
        };
        let told = |events: Vec<JobEvent>| {
            let mut script = play("+ c1 10.0.0.5 amqp\nc1 fetch q");
            for tag in 1..=5 {
                let (id, name) = (format!("id{tag}"), "add".to_owned());
                let job = Job { key: key(tag), id, name, queue: "q".into(), eta: None };
                script.fleet.event(ZERO, ConnId(1), JobEvent::Delivered(job));
            }
            events.into_iter().for_each(|event| script.fleet.event(ZERO, ConnId(1), event));
            let worker = script.fleet.workers(ZERO, None, false).expect("all")[0].id.0.clone();
            (script.fleet.worker(ZERO, &worker), script.fleet.export_journal(), script.fleet.take_effects())
        };
        let together = told(vec![JobEvent::Settled { keys: keys.to_vec(), how }]);
        assert_eq!(together, told(keys.into_iter().map(one).collect()), "{how:?} {unseen}");
    }
}

/// Acknowledgements say nothing of what came another way, from Redis or unseen.
#[test]
fn a_consumer_that_gets_jobs_in_another_way_as_well() {
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        + r1 10.0.0.5
        r1 fetch q
        r1 gets t1
        drain d all
        c1 parked
        ? 10.0.0.5 sealed unknown blocked~two_job_systems
    ",
    );
    play(
        "
        + c1 10.0.0.5 amqp
        +12s
        c1 fetch q
        c1 blocked no_ack
        + c2 10.0.0.5 amqp
        - c1
        drain d all
        ? 10.0.0.5 sealed unknown blocked~cannot_follow
    ",
    );
}
