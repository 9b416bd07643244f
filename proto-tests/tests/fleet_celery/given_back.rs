//! A message that stands in its queue again is no proof that nobody is at it: any worker gives back what has not been
//! acknowledged within the visibility time-out, also what it runs itself.

use crate::{WORKER, asking, story};
use draingate::fleet::view::JobKind;
use proto_tests::fleet_script::play;

/// Late acks, and a job that takes longer than the visibility time-out: measured, the worker that runs it gives it back.
#[test]
fn a_job_that_is_given_back_while_it_runs_is_in_flight_until_its_ack() {
    story(
        "
        c1 gets t1
        drain d all
        ? w1@a sealed
        c2 restores t1
        ? w1@a sealed
        1s
        c4 beat active=1 processed=1
        3s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        c11 result t1
        c2 ack t1
        ? w1@a sealed running=1
        5s
        c4 beat active=0 processed=1
        7s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// The one that gives it back may be the one that gets it next.
#[test]
fn a_job_that_came_twice_has_two_ends() {
    story(
        "
        c1 gets t1
        c2 restores t1
        c1 fetch celery
        c1 gets t1
        drain d all
        c11 result t1
        c2 ack t1
        ? w1@a sealed running=1 prefetched=1
        c11 result t1
        c2 ack t1
        ? w1@a sealed running=2
        2s
        c4 beat active=0 processed=2
        4s
        c4 beat active=0 processed=2
        ? w1@a drained reported
    ",
    );
}

/// After a cut a worker gives back what it drops; that it did so only its reports can say.
#[test]
fn what_was_dropped_is_over_when_the_worker_reports_to_be_idle() {
    story(
        "
        c1 gets t1
        c1 fetch celery
        c1 gets t2 eta=+5m
        drain d all
        c2 restores t1
        c2 restores t2
        1s
        c4 beat active=0 processed=0
        ? w1@a sealed prefetched=1 delayed=1
        3s
        c4 beat active=0 processed=0
        ? w1@a sealed prefetched=0 delayed=1
        ? notice requeued celery
        c2 restores t2              # again: it is still the same one
        ? w1@a sealed delayed=1
    ",
    );
    story(
        "
        c1 gets t1
        drain d all
        c2 restores t1
        1s
        c4 beat active=0 processed=0
        3s
        c4 beat active=0 processed=0
        ? w1@a drained reported     # nobody has confirmed its end
    ",
    );
}

/// The end of every worker with something in its memory.
#[test]
fn a_worker_that_gives_back_what_it_has_and_leaves_is_not_lost() {
    story(
        "
        c1 gets t1
        c1 fetch celery
        c1 gets t2 eta=+5m
        drain d all
        + c17 10.0.0.5
        c17 restores t1
        c17 restores t2
        - c1
        - c2
        - c4
        - c11
        ? w1@a sealed
        - c17
        ? w1@a gone prefetched=0 delayed=0
        +2m
        ? notice requeued celery
        ? drain d drained
    ",
    );
}

#[test]
fn what_it_has_not_given_back_is_lost() {
    story(
        "
        c1 gets t1
        c1 fetch celery
        c1 gets t2
        c2 restores t1
        - c1
        - c2
        - c4
        - c11
        +2m
        ? notice lost w1@a with task[t2]
    ",
    );
}

/// A warm shutdown with a job running: what is listed is that job, not what went back to its queue.
#[test]
fn what_it_has_given_back_is_not_listed_when_it_has_gone() {
    let script = play(&format!(
        "{WORKER}
        c1 gets t1
        c2 ack t1
        c1 fetch celery
        c1 gets t2
        drain d all
        c2 restores t2
        - c1
        - c2
        - c4
        - c11
        ? w1@a sealed running=1 prefetched=0"
    ));
    assert_eq!(script.jobs("w1@a"), [("t1".to_owned(), JobKind::Running)]);
}

/// It looks after the jobs of others: that says nothing of its own.
#[test]
fn a_worker_that_gives_back_what_another_had_is_not_suspected() {
    story(
        "
        c2 restores t9
        c1 nil
        drain d all
        ? w1@a drained exact unblocked
    ",
    );
}

#[test]
fn a_worker_without_heartbeats_is_asked() {
    asking::story(
        "
        20s
        c1 gets t1
        drain d all
        ? asked
        c2 restores t1
        ? asked c3*
        c6 answers c3 t1
        ? w1@a sealed
        +2s
        ? asked c3*
        c6 answers c3
        ? w1@a drained reported
    ",
    );
}

/// A worker whose connections were cut is at what it has given back all the same, and comes back; then it says so.
#[test]
fn what_was_given_back_counts_while_a_worker_that_was_cut_off_is_awaited() {
    story(
        "
        c1 gets t1
        drain d all
        c2 restores t1
        - c1 broker
        - c2
        - c4 broker
        - c11
        ? w1@a sealed
        +50s
        ? w1@a sealed
        +20s
        ? w1@a gone
        ? notice requeued celery
    ",
    );
}
