//! The flight recorder and the estimates: what was, and what it says about what is to come.

use draingate::fleet::FleetSettings;
use draingate::fleet::view::{Departure, JobEnd, JobKind, ReportView};
use draingate::job::System;
use proto_tests::fleet_script::{Script, ZERO, play, play_with};

fn report(script: &Script, back: u64) -> ReportView {
    script.fleet.went_away(script.now(), script.now() - back)
}

/// Where an ack is the end.
fn play_late(text: &str) -> Script {
    play_with(FleetSettings { celery_acks_late: true, ..FleetSettings::default() }, text)
}

fn only(report: &ReportView) -> &Departure {
    assert_eq!(report.lost.len(), 1, "{report:?}");
    &report.lost[0]
}

/// Two workers and nobody drains: one runs a job that it acknowledged at its start and has another in its memory, one
/// is idle. Both are killed.
const KILLED: &str = "
    + c1 10.0.0.5
    c1 named celery w1@a
    c1 beat active=0 processed=0
    c1 fetch celery
    c1 gets t1 id=x1 queue=celery
    c1 ack t1
    c1 beat active=1 processed=1
    c1 fetch celery
    c1 gets t2 id=x2 queue=celery
    + c2 10.0.0.6
    c2 named celery w2@a
    c2 beat active=0 processed=0
    c2 fetch celery
    10s
    - c1
    - c2
    5m
";

#[test]
fn who_was_lost_is_told_with_what_was_in_its_hands() {
    let script = play(KILLED);
    let report = report(&script, 3_600_000);
    assert_eq!(report.gone, 1);
    let lost = only(&report);
    assert_eq!((lost.name.as_str(), lost.system, lost.at), ("w1@a", System::Celery, ZERO + 10_000));
    let jobs: Vec<_> = lost.jobs.iter().map(|job| (job.id.as_str(), job.kind, job.kept_by_broker)).collect();
    assert_eq!(jobs, [("x1", JobKind::Running, false), ("x2", JobKind::Prefetched, true)]);
}

#[test]
fn the_report_looks_back_as_far_as_asked_and_outlives_the_gate() {
    let mut script = play(KILLED);
    let before = report(&script, 3_600_000);
    script.play("restart\n +1s");
    let after = report(&script, 3_601_000);
    assert_eq!((after.gone, &after.lost, after.watched_since), (before.gone, &before.lost, before.watched_since));
    script.play("1h");
    let later = report(&script, 600_000);
    assert!(later.lost.is_empty() && later.gone == 0, "{later:?}");
    assert_eq!(only(&report(&script, 2 * 3_600_000)).name, "w1@a");
}

#[test]
fn a_worker_that_comes_back_in_time_was_not_lost() {
    let script = play(
        "
        + c1 10.0.0.5
        c1 named sidekiq h:1:abc
        c1 sidekiq c=1 busy=0
        c1 fetch queue:default
        c1 gets j1 id=j1
        - c1
        +20s
        + c2 10.0.0.5
        c2 named sidekiq h:1:abc
        5m
        ",
    );
    let report = report(&script, 3_600_000);
    assert!(report.lost.is_empty() && report.gone == 0, "{report:?}");
}

#[test]
fn producers_are_no_workers_and_leave_no_trace() {
    let script = play("+ c1 10.0.0.5\n - c1\n 5m");
    assert_eq!(report(&script, 3_600_000).gone, 0);
}

#[test]
fn the_last_jobs_are_kept_with_their_times_and_outcomes() {
    let script = play_late(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 fetch celery
        c1 gets t1 id=x1 queue=celery
        3s
        c1 ack t1
        c1 fetch celery
        c1 gets t2 id=x2 queue=celery
        4s
        c1 requeue t2
        ",
    );
    let worker = script.fleet.workers(script.now(), None, false).expect("a list")[0].id.clone();
    let recent = script.fleet.worker(script.now(), &worker.0).expect("there").worker.recent;
    let jobs: Vec<_> =
        recent.iter().map(|job| (job.id.as_str(), job.delivered_at - ZERO, job.ended_at - ZERO, job.end)).collect();
    assert_eq!(jobs, [("x1", 0, 3_000, JobEnd::Finished), ("x2", 3_000, 4_000, JobEnd::Requeued)]);
}

#[test]
fn the_recorder_keeps_the_newest() {
    let mut text = String::from("+ c1 10.0.0.5\n c1 named celery w1@a\n");
    for n in 0..30 {
        text += &format!("c1 fetch celery\n c1 gets t{n} id=x{n} queue=celery\n c1 ack t{n}\n");
    }
    let script = play_late(&(text + "- c1\n 5m"));
    let gone = script.fleet.workers(script.now(), None, true).expect("a list");
    let ids: Vec<&str> = gone[0].recent.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[19]), (20, "x10", "x29"));
}

/// Ten jobs of 1, 2, ... 10 seconds, then one that has run for six: those that took longer than six say how long.
#[test]
fn an_estimate_speaks_of_the_jobs_that_took_longer_than_this_one_has() {
    let mut text = String::from("+ c1 10.0.0.5\n c1 named celery w1@a\n");
    for n in 1..=10 {
        text += &format!("c1 fetch celery\n c1 gets t{n} id=x{n} queue=celery\n +{n}s\n c1 ack t{n}\n");
    }
    let mut script = play_late(
        &(text
            + "c1 fetch celery\n c1 gets t11 id=x11 queue=celery\n +6s\n c1 beat active=1 processed=11\n drain d all"),
    );
    let estimate = |script: &Script| {
        let drain = script.fleet.drain_named(script.now(), "d").expect("there");
        drain.estimate.map(|estimate| (estimate.p50, estimate.p95))
    };
    assert_eq!(estimate(&script), Some((2_000, 4_000)));
    script.play("+10s");
    assert_eq!(estimate(&script), None, "it takes longer than any before");
}

#[test]
fn few_durations_say_nothing_and_an_idle_worker_has_no_estimate() {
    let mut text = String::from("+ c1 10.0.0.5\n c1 named celery w1@a\n");
    for n in 1..=4 {
        text += &format!("c1 fetch celery\n c1 gets t{n} id=x{n} queue=celery\n +1s\n c1 ack t{n}\n");
    }
    let mut script = play_late(&text);
    let estimate = |script: &Script| script.fleet.workers(script.now(), None, false).expect("a list")[0].estimate;
    assert_eq!(estimate(&script), None);
    script.play("c1 fetch celery\n c1 gets t5 id=x5 queue=celery");
    assert_eq!(estimate(&script), None, "four are too few");
    script.play("+1s\n c1 ack t5\n c1 fetch celery\n c1 gets t6 id=x6 queue=celery");
    assert_eq!(estimate(&script).map(|e| (e.p50, e.p95)), Some((1_000, 1_000)));
}

/// A warm stop: its tasks have run to their ends, which no heartbeat says any more. `results`: what passed before it left.
fn stopped_behind(results: &str) -> ReportView {
    let begun = "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 beat active=0 processed=0
        c1 fetch celery
        c1 gets t1 id=x1
        c1 gets t2 id=x2
        c1 ack t1
        c1 ack t2
        c1 beat active=2 processed=2
    ";
    report(&play(&format!("{begun}{results}\n- c1\n61s")), 1_000_000)
}

#[test]
fn what_has_stored_its_result_was_not_lost() {
    let warm = stopped_behind("c1 result x1\nc1 result x2");
    assert_eq!((warm.gone, warm.lost.len()), (1, 0), "{warm:?}");
    let jobs: Vec<String> = only(&stopped_behind("c1 result x1")).jobs.iter().map(|job| job.id.clone()).collect();
    assert_eq!(jobs, ["x2"]);
}
