//! Heartbeats: which of them counts, and what it proves.

use super::story;
use proto_tests::fleet_script::play;

/// The measured trap: a countdown job started at 7.05 s while the heartbeats at 1.8, 3.9 and 5.9 s said active 0.
#[test]
fn heartbeats_from_before_the_start_of_a_job_prove_nothing() {
    story(
        "
        1.0s
        c1 gets t1 eta=+6s
        1.1s
        drain d all delayed
        1.8s
        c4 beat active=0 processed=0
        3.9s
        c4 beat active=0 processed=0
        5.9s
        c4 beat active=0 processed=0
        ? w1@a sealed delayed=1
        7.05s
        c2 ack t1
        ? w1@a sealed running=1
        ? drain d sealed
        7.9s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        9.9s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// The ack passed on another connection while the heartbeat was on its way: composed before, arrived after.
#[test]
fn a_heartbeat_that_crosses_an_ack_proves_nothing() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        c1 gets t1
        drain d all
        3.99s
        c2 ack t1
        4s
        c4 beat active=0 processed=0     # composed before the start
        ? w1@a sealed running=1
        6s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        8s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// Here the crossing heartbeat says that an earlier job has ended: its count rose, but not far enough.
#[test]
fn a_count_that_rose_for_another_job_does_not_cover_the_last_ack() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        c1 gets t1
        2.5s
        c2 ack t1
        c1 gets t2
        drain d all
        3.99s
        c2 ack t2
        4s
        c4 beat active=0 processed=1     # knows of t1, which is over, and not of t2
        ? w1@a sealed running=2
        6s
        c4 beat active=1 processed=2
        ? w1@a sealed
        8s
        c4 beat active=0 processed=2
        ? w1@a drained reported
    ",
    );
}

/// The base of the comparison was itself crossed by an ack: acks are counted from the heartbeat before the base.
#[test]
fn an_ack_that_crossed_the_base_is_counted_too_often_not_too_rarely() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        c1 gets t1
        c1 gets t2
        drain d all
        3.99s
        c2 ack t1
        4s
        c4 beat active=0 processed=0     # composed before t1 was started
        5.99s
        c2 ack t2
        6s
        c4 beat active=0 processed=1     # knows of t1 (over), not of t2
        ? w1@a sealed running=2
    ",
    );
}

/// A late-acked job raises `processed` without an ack and would hide an early-acked one.
#[test]
fn a_silent_start_does_not_make_the_counts_match() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        4s
        c4 beat active=0 processed=0
        c1 gets late id=late
        c1 gets early id=early
        drain d all
        5.99s
        c2 ack early
        6s
        c4 beat active=0 processed=1     # `late` ran and is over, its ack is on its way; `early` not known yet
        c11 result late
        c2 ack late
        ? w1@a sealed running=2
        8s
        c4 beat active=1 processed=2
        ? w1@a sealed running=2
    ",
    );
}

/// Where the counts cannot be matched: two heartbeats after the last ack, their own timestamps a period apart.
#[test]
fn two_heartbeats_a_period_apart_decide_where_counts_do_not() {
    story(
        "
        c1 gets t1
        c2 ack t1
        drain d all
        2s
        c4 beat active=0 ts=2s
        ? w1@a sealed
        3s
        c4 beat active=0 ts=3.9s         # less than a period behind the first
        ? w1@a sealed
        4s
        c4 beat active=0 ts=4s
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_delivery_after_the_report_voids_it() {
    story(
        "
        c1 gets t1
        c2 ack t1
        c1 fetch celery
        2s
        c4 beat active=0 processed=1
        4s
        c4 beat active=0 processed=1
        drain d all
        ? w1@a draining
        c1 gets t2                       # the fetch that was at the broker
        ? w1@a sealed prefetched=1
        6s
        c4 beat active=0 processed=1
        ? w1@a sealed
        c2 ack t2
        8s
        c4 beat active=0 processed=2
        ? w1@a drained reported
    ",
    );
}

/// The seal too is an event that could start a job.
#[test]
fn a_report_from_before_the_seal_is_void() {
    story(
        "
        c1 gets t1
        c2 ack t1
        2s
        c4 beat active=0 processed=1
        4s
        c4 beat active=0 processed=1
        ? w1@a active reported running=0
        drain d all
        ? w1@a sealed unknown running=0
        ? drain d sealed cannot-tell
        6s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// The ledger of a busy worker does not grow: a heartbeat with active 1 leaves one started job.
#[test]
fn started_jobs_of_a_busy_worker_are_pruned_to_what_it_reports() {
    story(
        "
        c1 gets t1
        c2 ack t1
        c1 gets t2
        c2 ack t2
        c1 gets t3
        c2 ack t3
        ? w1@a running=3
        2s
        c4 beat active=1 processed=3
        ? w1@a running=3                 # composed perhaps before the last ack
        4s
        c4 beat active=1 processed=3
        ? w1@a running=1
    ",
    );
}

/// A job that ran and was given back has raised `processed` without an ack.
#[test]
fn a_job_given_back_counts_like_an_ack() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        c1 gets back
        c1 gets early
        drain d all
        3s
        c2 requeue back
        3.99s
        c2 ack early
        4s
        c4 beat active=0 processed=1     # `back` ran; `early` is not known yet
        ? w1@a sealed running=1
    ",
    );
}

/// A name that comes without any heartbeat is the same life that reports later, and no report by itself.
#[test]
fn a_name_ahead_of_the_heartbeats_is_the_same_life() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + c3 10.0.0.5
        c1 named celery w1@a
        c2 fetch celery
        c2 gets t1 id=x
        c2 ack t1
        drain d w1@a
        ? w1@a sealed reported running=1
        10s
        ? w1@a sealed unknown blocked~no_heartbeat
        c3 named celery w1@a
        c3 beat active=1 processed=1 ts=11s pid=1
        11s
        c3 beat active=0 processed=1 ts=13s pid=1
        13s
        c3 beat active=0 processed=1 ts=15s pid=1
        15s
        c3 beat active=0 processed=1 ts=17s pid=1
        ? w1@a drained reported
    ",
    );
}
