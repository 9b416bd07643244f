//! Heartbeats that come later than they were sent, or seldom.

use super::{WORKER, story};
use draingate::job::{ConnId, JobEvent, Report};
use proto_tests::fleet_script::{ZERO, play};

/// The network stood still for heartbeats, and not for the job that began meanwhile: what comes then is from before it.
#[test]
fn heartbeats_that_come_late_together_prove_nothing() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        8s
        c1 gets t1
        drain d all
        8.1s
        c2 ack t1
        9s
        c4 beat ts=4s active=0 processed=0
        c4 beat ts=6s active=0 processed=0
        ? w1@a sealed running=1
        c4 beat ts=8s active=0 processed=0
        ? w1@a sealed running=1
        10s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1
        12s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// Clocks are apart, and are set. Which heartbeats come late can be told again after some of them.
#[test]
fn a_clock_that_is_set_back_delays_the_proof_for_a_while() {
    let beats: Vec<String> = (2..9)
        .map(|n| format!("{}s\nc4 beat ts={}s active=0 processed=0\n? w1@a sealed", 2 * n, 2 * n + 100))
        .collect();
    story(&format!(
        "
        1s
        c4 beat ts=1h active=0 processed=0
        2s
        c1 gets t1
        drain d all
        2.1s
        c2 ack t1
        {}
        18s
        c4 beat ts=118s active=0 processed=0
        ? w1@a drained reported
        ",
        beats.join("\n")
    ));
}

/// The heartbeats' connection stood still from the very first: the last of those that it brings is the quickest so far,
/// and has been under way for nearly a period.
#[test]
fn two_heartbeats_that_were_late_from_the_first_on_prove_nothing() {
    play(
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        c1 fetch celery
        c4 named celery w1@a
        c1 gets t1
        drain d w1@a
        10.5s
        c1 ack t1
        12s
        c4 beat ts=6s active=0
        c4 beat ts=8s active=0
        c4 beat ts=10s active=0          # before the job began
        ? w1@a sealed running=1
        12.01s
        c4 beat ts=12s active=1
        ? w1@a sealed running=1
        14s
        c4 beat ts=14s active=0
        ? w1@a drained reported
    ",
    );
}

/// The first one was late by itself, and those behind it came together, late as well: how late the quickest was cannot be told
/// before two in a row have come equally late. Then it can.
#[test]
fn a_heartbeat_that_was_late_by_itself_proves_nothing_of_the_next() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + c4 10.0.0.5
        c1 fetch celery
        c4 named celery w1@a
        c1 gets t1
        0.3s
        c2 ack t1
        1.4s
        c1 gets t2
        c1 gets t3
        drain d w1@a
        2.1s
        c2 ack t2
        2.2s
        c4 beat ts=0s active=0 processed=0
        7.1s
        c2 ack t3
        7.3s
        c4 beat ts=2.1s active=0 processed=1
        c4 beat ts=4.1s active=0 processed=2         # before the last one began
        ? w1@a sealed
        7.4s
        c4 beat ts=6.1s active=0 processed=2
        ? w1@a sealed
        8.2s
        c4 beat ts=8.2s active=1 processed=3
        ? w1@a sealed
        10.3s
        c4 beat ts=10.3s active=0 processed=3
        ? w1@a drained reported
    ",
    );
}

/// However uneven the network is, it is known after some of them.
#[test]
fn heartbeats_on_an_uneven_network_are_believed_after_a_while() {
    let beats: Vec<String> = (1..8)
        .map(|n| format!("{}.{}s\nc4 beat ts={}s active=0 processed=0\n? w1@a sealed", 2 * n, n % 2 * 6, 2 * n))
        .collect();
    play(&format!(
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        c1 fetch celery
        c4 named celery w1@a
        c1 gets t1
        c1 ack t1
        drain d w1@a
        {}
        16s
        c4 beat ts=16s active=0 processed=1
        ? w1@a drained reported
        ",
        beats.join("\n")
    ));
}

/// The same for the counts: acks that came long before such a heartbeat are none that it knows of.
#[test]
fn counts_of_heartbeats_that_were_late_from_the_first_on_do_not_match() {
    play(
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        c1 fetch celery
        c4 named celery w1@a
        c1 gets t1
        c1 gets t2
        1s
        c1 ack t1
        drain d w1@a
        11s
        c1 ack t2
        12s
        c4 beat ts=0s active=0 processed=0
        c4 beat ts=2s active=0 processed=1
        ? w1@a sealed running=2
        c4 beat ts=10s active=0 processed=1
        ? w1@a sealed running=2
        12.01s
        c4 beat ts=12s active=1 processed=2
        ? w1@a sealed running=2
        14s
        c4 beat ts=14s active=0 processed=2
        ? w1@a drained reported
    ",
    );
}

/// Late ones strike out nothing that was begun behind them either.
#[test]
fn busy_heartbeats_that_come_late_strike_out_nothing_that_began_meanwhile() {
    story(
        "
        2s
        c4 beat active=0 processed=0
        c1 gets t1
        c2 ack t1
        c1 gets t2
        7.5s
        c2 ack t2
        8s
        c4 beat ts=4s active=1 processed=1
        c4 beat ts=6s active=1 processed=1
        ? w1@a running=2
        10s
        c4 beat active=1 processed=2
        12s
        c4 beat active=1 processed=2
        ? w1@a running=1
    ",
    );
}

/// A heartbeat says how often they are sent: the two that prove a worker idle are so far apart.
#[test]
fn heartbeats_that_are_sent_less_often_are_further_apart() {
    story(
        "
        2s
        c1 gets t1
        c2 ack t1
        drain d all
        4s
        c4 beat active=0 ts=4s every=5s
        8s
        c4 beat active=0 ts=8s every=5s
        ? w1@a sealed
        13s
        c4 beat active=0 ts=13s every=5s
        ? w1@a drained reported
    ",
    );
}

/// Whatever a heartbeat claims of clocks and periods, no sum of it turns over.
#[test]
fn figures_beyond_all_measure_prove_nothing() {
    let mut script = play(&format!("{WORKER}\n1s\nc1 gets t1\nc2 ack t1\ndrain d all"));
    let farthest = (1 << 63) + ZERO + 1_000;
    for (timestamp, period) in [(farthest, 2_000), (0, 2_000), (u64::MAX, u64::MAX), (0, u64::MAX), (ZERO, u64::MAX)] {
        let (pid, active, processed) = (Some(1), Some(0), Some(0));
        let (timestamp, period) = (Some(timestamp), Some(period));
        let beat = Report::Celery { pid, active, processed, timestamp, period };
        script.fleet.event(ZERO + 1_000, ConnId(3), JobEvent::Report(beat));
        script.play("? w1@a sealed running=1");
    }
}
