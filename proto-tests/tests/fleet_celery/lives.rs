//! Lives with a gap: met in mid-life, cut, back again, followed by another.

use super::story;
use proto_tests::fleet_script::play;

/// What came before the gate is not in the ledger.
#[test]
fn a_worker_met_in_mid_life_is_unknown_until_it_reports_idle_twice() {
    play(
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        c4 named celery w1@a
        c4 beat active=1 processed=41    # more than was ever delivered here
        drain d all
        ? w1@a sealed unknown running=1 blocked~mid-life
        2s
        c4 beat active=0 processed=41
        ? w1@a sealed unknown running=0
        4s
        c4 beat active=0 processed=41
        ? w1@a drained reported
    ",
    );
}

#[test]
fn an_ack_of_an_unknown_job_makes_the_ledger_doubtful_and_voids_reports() {
    story(
        "
        drain d all
        c1 parked
        ? w1@a drained exact
        c2 ack ghost
        ? w1@a sealed unknown
        2s
        c4 beat active=0 processed=1
        ? w1@a sealed unknown
        4s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// wire notes, section 12: Celery 5.5 says active 1 for ever after a cut, and the ack does not come.
#[test]
fn a_late_ack_that_never_comes_after_a_cut_stays_sealed_with_the_reason() {
    story(
        "
        c1 gets t1
        - c1 broker
        - c2 broker
        - c4 broker
        - c11 broker
        +1s
        + c1 10.0.0.5
        + c4 10.0.0.5
        c4 named celery w1@a
        c4 beat active=1 processed=1
        drain d all
        20s
        c4 beat active=1 processed=1
        ? w1@a sealed running=1 blocked~cut
        1h
        ? w1@a sealed
    ",
    );
}

#[test]
fn an_early_ack_survives_a_cut_and_is_reported() {
    story(
        "
        c1 gets t1
        c2 ack t1
        - c4 broker
        +1s
        + c5 10.0.0.5
        c5 named celery w1@a
        drain d all
        +1s
        c5 beat active=1 processed=1
        ? w1@a sealed running=1
        +2s
        c5 beat active=0 processed=1
        +2s
        c5 beat active=0 processed=1
        ? w1@a drained reported
        ? workers 1
    ",
    );
}

/// In containers the pid is often 1, and a count of 0 is no lower than a count of 0: but the old process had started a
/// job that the new one does not know of.
#[test]
fn a_successor_with_the_same_pid_does_not_report_the_old_ones_jobs_over() {
    story(
        "
        c1 gets t1
        c2 ack t1
        - c1
        - c2
        - c4
        - c11                            # killed in mid-job, before the next heartbeat
        drain d w1@a
        +1s
        + n4 10.0.0.5
        n4 named celery w1@a
        n4 online active=0 processed=0
        +2s
        n4 beat active=0 processed=0
        +2s
        n4 beat active=0 processed=0
        ? w1@a sealed running=1
        ? n4 marked
    ",
    );
}

/// The same with a job that it had in hand for a while, and began only behind its last heartbeat.
#[test]
fn a_successor_does_not_report_a_job_over_that_began_late() {
    story(
        "
        c1 gets t1 eta=+3s
        2s
        c4 beat active=0 processed=0
        3s
        c2 ack t1
        - c1
        - c2
        - c4
        - c11
        drain d w1@a
        +1s
        + n4 10.0.0.5
        n4 named celery w1@a
        n4 online active=0 processed=0
        +2s
        n4 beat active=0 processed=0
        +2s
        n4 beat active=0 processed=0
        ? w1@a sealed running=1
    ",
    );
}

/// Its jobs came before anybody knew what it was: their acks will not be recognised.
#[test]
fn jobs_from_before_the_system_was_known_are_over_when_it_reports_idle() {
    play(
        "
        + c1 10.0.0.5
        c1 gets raw
        c1 named celery w1@a
        c1 online processed=0
        drain d all
        ? w1@a sealed unknown
        2s
        c1 beat active=1 processed=1
        ? w1@a sealed unknown
        4s
        c1 beat active=0 processed=1
        6s
        c1 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_worker_back_from_a_restart_proves_itself_before_it_may_go() {
    story(
        "
        drain d w1@a
        c1 parked
        ? w1@a drained
        restart
        ? w1@a gone                      # as it was
        + n1 10.0.0.5
        n1 fetch celery
        ? w1@a sealed unknown
        - n1
        ? w1@a sealed
        61s
        ? drain d lost
    ",
    );
}

/// Celery's own reconnect after a cut, while its process is looked up: it is the same life.
#[test]
fn a_process_that_reconnects_is_the_same_life() {
    play(
        "
        + c1 local
        = c1 100:5
        c1 named celery w1@a
        c1 online pid=100 processed=0
        c1 gets t1
        c1 ack t1
        2s
        c1 beat active=1 pid=100 processed=1
        - c1 broker
        3s
        drain d w1@a
        + c2 local
        c2 named celery w1@a
        c2 online active=1 pid=100 processed=1
        = c2 100:5
        ? w1@a sealed running=1 conns=1
        5s
        c2 beat active=0 pid=100 processed=1
        7s
        c2 beat active=0 pid=100 processed=1
        ? w1@a drained reported
    ",
    );
}

/// The heartbeat before the cut knew of a job whose ack came behind it. The process is known, so its count is believed.
#[test]
fn a_process_that_reconnects_need_not_explain_its_count() {
    play(
        "
        + c1 local
        + c4 local
        = c1 100:5
        = c4 100:5
        c4 named celery w1@a
        c4 online processed=0
        c1 gets t1
        2s
        c4 beat active=1 processed=1
        c1 ack t1                        # sent before that heartbeat, on another connection
        - c4 broker
        drain d w1@a
        3s
        + n4 local
        = n4 100:5
        n4 named celery w1@a
        n4 beat active=0 processed=1
        5s
        n4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// A half-open connection kept the old life up for a while; what the new one said meanwhile was counted with the acks of
/// both and is no base for its own.
#[test]
fn a_life_that_was_split_off_starts_its_counts_anew() {
    story(
        "
        c1 gets t1
        c2 ack t1
        c1 gets t2
        c2 ack t2
        2s
        c4 beat active=0 processed=2
        4s
        c4 beat active=0 processed=2
        - c1
        - c2
        - c11                            # killed, and c4 stays half-open
        +1s
        + n1 10.0.0.5
        + n2 10.0.0.5
        + n4 10.0.0.5
        n4 named celery w1@a
        n4 online pid=2 active=0 processed=0
        7s
        n4 beat pid=2 active=0 processed=0
        - c4
        9s
        n4 beat pid=2 active=0 processed=0
        n1 gets t3
        drain d w1@a
        10.99s
        n2 ack t3
        11s
        n4 beat pid=2 active=0 processed=0   # composed before t3 was started
        ? @n4 sealed running=1
    ",
    );
}

/// Its process ended by itself, say: there is nobody whose heartbeats could be waited for.
#[test]
fn a_worker_without_a_connection_is_said_to_have_none() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1
        c1 ack t1
        drain d all
        - c1 broker
        +46s
        ? w1@a sealed running=1 blocked~no_connection_for_46_s
        +15s
        ? w1@a lost
    ",
    );
}

/// Its network stood still, and it made new connections before the old ones were known to be gone. It is the same process
/// all the same, and its mark stays.
#[test]
fn a_process_that_reconnects_before_its_old_connections_are_gone_is_the_same_life() {
    story(
        "
        c1 gets t1
        c2 ack t1
        2s
        c4 beat active=1 processed=1
        drain d all
        4s
        c4 beat active=1 processed=1
        5s
        + c21 10.0.0.5
        + c24 10.0.0.5
        c24 named celery w1@a
        c21 fetch celery
        ? c21 marked
        6s
        c24 beat active=1 processed=1
        7s
        - c1
        - c2
        - c4
        - c11
        8s
        c24 beat active=1 processed=1
        ? c21 marked
        ? w1@a sealed running=1
        10s
        c24 beat active=0 processed=1
        12s
        c24 beat active=0 processed=1
        ? c21 marked
        ? w1@a drained reported
    ",
    );
}
