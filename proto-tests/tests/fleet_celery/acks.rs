//! Acks and what they mean: started, finished, delayed, or nothing.

use super::{WORKER, story};
use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::{play, play_with};

#[test]
fn a_worker_that_never_started_a_job_is_exactly_idle() {
    story(
        "
        ? w1@a active exact system=celery queues=celery conns=4
        drain d w1@a
        ? w1@a draining                  # the fetch is still at the broker
        c1 parked
        ? w1@a drained exact held=1
        ? drain d drained
    ",
    );
}

/// Measured with 5.7: the process that runs a short task stores its result before the main one has heard that it started,
/// and acknowledges that. What comes behind the result (`after_return`, the counting of chords) may run for long then.
#[test]
fn an_ack_behind_the_result_is_not_the_end() {
    story(
        "
        c1 gets t1 id=x
        drain d all
        ? w1@a sealed prefetched=1
        +1s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1 prefetched=0
        c11 result x
        ? w1@a sealed running=1          # a result alone never finishes a job
        +0.9s
        c2 ack t1
        ? w1@a sealed running=1
        3s
        c4 beat active=1 processed=1
        5s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        7s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_result_alone_never_finishes() {
    story(
        "
        c1 gets t1 id=x
        c11 result x
        drain d all
        +1h
        ? w1@a sealed
        ? drain d sealed
    ",
    );
}

#[test]
fn an_early_ack_means_started() {
    story(
        "
        c1 gets t1 id=x
        c2 ack t1
        drain d all
        ? w1@a sealed running=1
        c11 result x                     # behind the ack: proves nothing
        ? w1@a sealed running=1
        +2s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        +2s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

#[test]
fn declared_late_acks_are_finished_exactly() {
    let settings = FleetSettings { celery_acks_late: true, ..FleetSettings::default() };
    let text = "
        c1 gets t1
        drain d all
        ? w1@a sealed
        c2 ack t1
        ? w1@a drained exact declared
    ";
    play_with(settings.clone(), &format!("{WORKER}\n{text}"));
    // it came on a connection whose process was found only later
    let text = "
        + c1 local
        = c1 100:7@0s
        c1 named celery w1@a
        c1 fetch q
        c1 gets t1
        + c2 local
        drain d all
        c2 ack t1
        = c2 100:7@0s
        ? w1@a drained exact declared
    ";
    play_with(settings, text);
}

/// Drained is a condition, no milestone.
#[test]
fn an_ack_of_an_ignored_delayed_job_turns_drained_back() {
    story(
        "
        c1 gets t1 eta=+2h
        drain d all
        ? w1@a drained exact delayed=1 safe=2h
        ? drain d drained safe=2h
        c2 ack t1                        # the worker's clock is wrong, or it was revoked
        ? w1@a sealed running=1
        2s
        c4 beat active=0 processed=1
        4s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// From the margin on it is a job like any other.
#[test]
fn a_delayed_job_that_comes_due_within_the_margin_counts() {
    story(
        "
        c1 gets t1 eta=+30m
        drain d all
        ? w1@a drained delayed=1 safe=30m
        20m
        ? w1@a sealed delayed=1
        ? drain d sealed
        ? notice w1@a drained -> sealed
        30m
        ? w1@a sealed delayed=0 prefetched=1
    ",
    );
}

#[test]
fn a_delayed_job_due_soon_is_waited_for_from_the_start() {
    story("c1 gets t1 eta=+9m\n drain d all\n ? w1@a sealed delayed=1");
}

#[test]
fn delayed_jobs_are_waited_for_on_request() {
    story(
        "
        c1 gets t1 eta=+2h
        drain d all delayed
        ? drain d sealed
        c2 requeue t1
        ? drain d drained
    ",
    );
}

/// Unknown is never drained.
#[test]
fn a_worker_without_heartbeats_that_started_jobs_is_never_drained() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 named celery w1@a
        c1 gets t1
        c2 ack t1
        drain d all
        ? w1@a sealed running=1          # a heartbeat may still come
        10s
        ? w1@a sealed running=0 unknown blocked~no_heartbeat
        ? drain d sealed cannot-tell hint~--without-heartbeat
        1h
        ? w1@a sealed unknown
    ",
    );
}

#[test]
fn jobs_stay_in_flight_when_the_heartbeats_stop() {
    story(
        "
        c1 gets t1
        c2 ack t1
        2s
        c4 beat active=1 processed=1
        drain d all
        1m
        ? w1@a sealed running=1 blocked~heartbeats_stopped
        ? drain d sealed can-tell
    ",
    );
}

#[test]
fn the_same_tag_delivered_twice_is_two_jobs() {
    story(
        "
        c1 gets t1 id=x
        c1 gets t1 id=x
        drain d all
        ? w1@a sealed prefetched=2
        c11 result x
        c2 ack t1
        ? w1@a sealed running=1 prefetched=1
        c11 result x
        c2 ack t1
        ? w1@a sealed running=2
        2s
        c4 beat active=0 processed=2
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_requeued_job_is_out() {
    story("c1 gets t1\n drain d all\n ? w1@a sealed\n c2 requeue t1\n ? w1@a drained exact");
}

#[test]
fn a_job_put_back_is_out() {
    story(
        "c1 gets t1\n drain d all\n ? w1@a sealed\n c1 returned t1\n ? w1@a drained exact\n ? notice returned celery",
    );
}

#[test]
fn a_require_above_the_evidence_is_not_met() {
    story(
        "
        c1 gets t1
        c2 ack t1
        drain d all require=exact
        2s
        c4 beat active=0 processed=1
        4s
        c4 beat active=0 processed=1
        ? w1@a drained reported          # by the configured requirement
        ? drain d sealed cannot-tell hint~reported
    ",
    );
}

/// It was safe to kill it then; what comes due later is no loss of it.
#[test]
fn a_worker_that_went_away_with_an_ignored_delayed_job_stays_gone() {
    story(
        "
        c1 gets t1 eta=+30m
        drain d w1@a
        ? w1@a drained
        + b1 10.0.0.6
        b1 named celery w2@b
        b1 online processed=0
        b1 gets t2
        drain e worker=w*
        - c1
        - c2
        - c4
        - c11
        ? w1@a gone
        25m
        ? w1@a gone
        b1 requeue t2
        ? drain e drained
        ? no notice lost
    ",
    );
}

#[test]
fn two_job_systems_behind_one_address_are_not_judged() {
    story(
        "
        c1 gets t1
        c2 ack t1
        + s1 10.0.0.5
        s1 named sidekiq host:1:aaaa
        s1 sidekiq c=1 busy=0
        drain d all
        2s
        c4 beat active=0 processed=1
        4s
        c4 beat active=0 processed=1
        ? @c4 sealed unknown blocked~two_job_systems
        drain e system=celery ! cannot be told apart
    ",
    );
}
