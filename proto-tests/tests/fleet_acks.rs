//! Job systems whose workers tell the broker of each job's end: RQ, BullMQ, Dramatiq and their like.

use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::{Script, play};

#[test]
fn ends_are_exact() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 is bullmq
        c1 poll q
        c1 gets t1
        c1 poll q
        c1 gets t2
        drain d all
        ? 10.0.0.5 sealed exact running=2
        c1 end t1
        ? 10.0.0.5 sealed exact running=1
        c1 requeue t2
        ? 10.0.0.5 drained exact
    ",
    );
}

/// Only jobs that are due later than the margin (10 minutes) are left out, and only by a drain that does not wait for them.
#[test]
fn jobs_that_come_due_later() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 is dramatiq
        c1 poll q
        c1 gets t1 eta=+9m
        c1 poll q
        c1 gets t2 eta=+2h
        drain d all
        drain e all delayed
        ? drain d sealed
        c1 end t1
        ? 10.0.0.5 drained exact running=0 delayed=1 safe=7212s
        ? drain d drained safe=7212s
        ? drain e sealed
        c1 end t2
        ? drain e drained
    ",
    );
}

/// Its end is told by a child, on a connection of its own.
#[test]
fn an_rq_worker_is_idle_when_it_says_so() {
    play(
        "
        + c1 10.0.0.5
        c1 born rq w1
        c1 fetch q
        c1 gets j1
        drain d w1
        ? w1 sealed exact running=1
        + c2 10.0.0.5
        - c2
        ? w1 sealed running=1
        c1 idle
        ? w1 drained exact
    ",
    );
}

/// Two workers behind one address: the word of one says nothing of the other.
#[test]
fn the_word_of_one_of_two_tells_of_its_own_jobs_only() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +12s
        c1 born rq w1
        c2 born rq w2
        +12s
        c1 fetch q
        c1 gets j1
        c2 fetch q
        c2 gets j2
        drain d all
        c1 idle
        ? @c1 sealed running=1
        c2 idle
        ? @c1 drained exact
    ",
    );
}

#[test]
fn a_worker_met_in_mid_life_is_unknown() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 is dramatiq
        c1 poll q
        c1 nil
        drain d all
        ? 10.0.0.5 sealed unknown blocked~mid-life
        ? drain d sealed cannot-tell hint~restart
    ",
    );
}

/// Under the same name and address: the mark was the old one's.
#[test]
fn another_birth_under_the_same_name_is_another_worker() {
    play(
        "
        + c1 10.0.0.5
        c1 born rq w1
        c1 fetch q
        c1 gets j1
        drain d w1
        +1s
        - c1 broker
        +1s
        + c2 10.0.0.5
        ? c2 marked
        +1s
        c2 born rq w1
        ? c2 free
    ",
    );
}

/// Its connections find their process one after the other: what was delivered on one, and ended on another, is counted
/// as if they had been one worker's all the time.
#[test]
fn connections_that_are_looked_up_one_by_one() {
    play(
        "
        + c1 10.0.0.5 local
        + c2 10.0.0.5 local
        + c3 10.0.0.5 local
        c1 fetch marker
        c2 is bullmq
        c2 poll q
        c2 gets t1
        c2 poll q
        c2 gets t2
        c3 is bullmq
        c3 end t1
        = c1 100:7@20s
        = c3 100:7@20s
        = c2 100:7@20s
        drain d all
        c1 parked
        ? @c1 sealed exact running=1
        c2 end t2
        ? @c1 drained exact
    ",
    );
    // a child that does not fetch is its parent's
    play(
        "
        + c2 10.0.0.5 local
        c2 is rq
        c2 end t1
        = c2 101:8@21s < 100:7@20s
        + c1 10.0.0.5 local
        c1 is rq
        c1 fetch q
        c1 gets t1
        = c1 100:7@20s
        drain d all
        ? @c1 drained exact
    ",
    );
}

/// Jobs from before the gate's restart would renew their locks.
#[test]
fn locks_that_nobody_renews_show_that_nothing_is_left() {
    play(
        "
        + c1 10.0.0.5
        c1 is bullmq
        c1 lease 30s
        c1 poll q
        c1 gets t1
        restart
        + c2 10.0.0.5
        c2 is bullmq
        drain d all
        c2 poll q
        c2 lease 30s
        ? @c2 sealed unknown running=1
        +15s
        c2 renewed 30s
        +31s
        ? @c2 sealed unknown running=1
        +2s
        ? @c2 drained reported
    ",
    );
}

/// Nobody who waits for a drain may give up before that: with locks of ten minutes it takes ten minutes, and then it is
/// known.
#[test]
fn whoever_waits_is_not_told_that_the_gate_cannot_tell_while_only_time_is_missing() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 is bullmq
        c1 lease 600s
        c1 poll q
        c1 nil
        drain d all
        ? drain d sealed can-tell hint~lock
        +601s
        ? drain d sealed can-tell
        +2s
        ? drain d drained
        # with something in the way that no time removes it is said
        + c2 10.0.0.6
        c2 is bullmq
        c2 lease 600s
        c2 poll q
        c2 nil
        c2 blocked a pop within MULTI
        drain e ip=10.0.0.6
        ? drain e cannot-tell
    ",
    );
}

/// A job of ten minutes says nothing of its worker; the other one's small ones do.
#[test]
fn one_that_has_been_silent_over_a_long_job_is_still_there() {
    play(
        "
        + c1 10.0.0.5
        c1 born rq w1
        + c2 10.0.0.5
        c2 born rq w2
        c1 fetch q
        c1 gets long
        +2m
        c2 fetch q
        c2 gets short
        c2 named rq w2
        drain d all
        c2 idle
        ? @c1 sealed running=1
        c1 idle
        ? @c1 drained exact
    ",
    );
}

/// After the gate's restart nobody speaks for the one that is at work.
#[test]
fn the_word_of_one_of_two_after_a_restart() {
    play(
        "
        + c1 10.0.0.5
        c1 born rq w1
        + c2 10.0.0.5
        c2 born rq w2
        c1 fetch q
        c1 gets long
        +2m
        restart
        drain d all
        + c3 10.0.0.5
        c3 fetch q
        c3 idle
        c3 named rq w2
        c3 idle
        ? @c3 sealed running=1
    ",
    );
}

/// What came through a blind pipe renews its locks from its own beginning on.
#[test]
fn a_lease_begins_anew_with_every_gap() {
    play(
        "
        + c1 10.0.0.5
        c1 is bullmq
        c1 lease 30s
        c1 poll q
        c1 nil
        + c2 10.0.0.5
        +1h
        c2 opaque
        +5m
        drain d all
        - c2 gate
        ? @c1 sealed unknown
        +31s
        ? @c1 sealed unknown
        +2s
        ? @c1 drained reported
    ",
    );
}
