//! Jobs that nobody ends: how many of them are kept, and what is said of a worker when not all are.

use super::{WORKER, asking, story};
use draingate::job::{ConnId, Job, JobEvent, JobKey};
use proto_tests::fleet_script::{Script, ZERO, play};

/// The connections of [`WORKER`], in their order.
const FETCHES: ConnId = ConnId(1);
const ACKS: ConnId = ConnId(2);

/// A job is delivered to the worker. (Without the script's checks behind it: there are so many.)
fn gets(script: &mut Script, n: usize) {
    let key = JobKey::Text(format!("t{n}"));
    let job = Job { key, id: format!("i{n}"), name: "task".into(), queue: "celery".into(), eta: None };
    script.fleet.event(ZERO, FETCHES, JobEvent::Delivered(job));
}

fn acks(script: &mut Script, n: usize) {
    script.fleet.event(ZERO, ACKS, JobEvent::Acked(JobKey::Text(format!("t{n}"))));
}

/// An ack of many at once: none of them is dropped before it, and no more than the limit is kept behind it. What was
/// dropped is not forgotten: only a report that knows of all acks clears it.
#[test]
fn what_is_acknowledged_together_is_bounded_and_not_forgotten() {
    let mut script = play(&format!("{WORKER}\nc1 parked\nc4 beat active=0 processed=0"));
    (0..5_000).for_each(|n| gets(&mut script, n));
    script.play("? w1@a active prefetched=5000");
    (0..5_000).for_each(|n| acks(&mut script, n));
    script.play(
        "
        drain d all
        ? w1@a sealed running=2000 prefetched=0
        +2s
        c4 beat active=0 processed=2000     # as many as are kept, but not all that were started
        ? w1@a sealed running=2000
        +2s
        c4 beat active=0 processed=5000
        ? w1@a drained reported running=0
    ",
    );
}

/// The same if they were acknowledged a few at a time, and if more come then.
#[test]
fn the_oldest_go_and_what_may_still_be_acknowledged_stays() {
    let mut script = play(&format!("{WORKER}\nc1 parked"));
    gets(&mut script, 0);
    for n in 1..=4_000 {
        gets(&mut script, n);
        acks(&mut script, n);
    }
    script.play("? w1@a active running=2000 prefetched=1");
    (0..50).for_each(|n| gets(&mut script, 20_000 + n));
    script.play("? w1@a active running=2000 prefetched=51");
}

/// Which of the processes behind an address had what was dropped, nobody knows: one that is lost from sight may be at it.
#[test]
fn nobody_speaks_for_a_lost_process_whose_job_was_dropped() {
    let mut script = asking::story(
        "
        + d1 10.0.0.5
        d1 fetch celery
        20s
        c1 nil
        d1 gets t0
        c2 ack t0
    ",
    );
    for n in 1..=2_000 {
        gets(&mut script, n);
        acks(&mut script, n);
    }
    script.play(
        "
        drain d all
        ? asked c3*
        ? @c1 sealed running=2000
        - d1
        c6 answers c3
        ? @c1 sealed
        +10m
        c6 answers c3
        ? @c1 sealed
    ",
    );
}

/// A job that the next life under a name has started is moved to it before its first report: what is said of it then is
/// said by reports, as of any that has started one.
#[test]
fn a_life_that_is_split_off_has_started_what_is_moved_to_it() {
    story(
        "
        5s
        - c1
        - c2
        - c4
        - c11
        +1s
        + d1 10.0.0.5
        + d2 10.0.0.5
        + d4 10.0.0.5
        d4 named celery w1@a
        d1 fetch celery
        d1 gets t1
        d2 ack t1
        +1s
        d4 beat active=1 processed=1 pid=2
        drain d ip=10.0.0.5
        +2s
        d4 beat active=0 processed=1 pid=2
        +2s
        d4 beat active=0 processed=1 pid=2
        ? @d1 drained reported
    ",
    );
}
