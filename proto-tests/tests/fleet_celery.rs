//! What the gate says of a Celery worker: truth rules 1 to 4, 6, 7 and 8.

use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::{play, play_with};

/// A worker at 10.0.0.5: `c1` fetches, `c2` acknowledges, `c4` sends the heartbeats, `c11` is a child with results.
const WORKER: &str = "
    + c1 10.0.0.5
    + c2 10.0.0.5
    + c4 10.0.0.5
    c4 named celery w1@a
    c4 online active=0 processed=0
    + c11 10.0.0.5
    c1 fetch celery
";

fn story(text: &str) {
    play(&format!("{WORKER}\n{text}"));
}

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

#[test]
fn a_late_ack_behind_its_result_is_finished_exactly() {
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
        ? w1@a drained exact
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
    play_with(settings, &format!("{WORKER}\n{text}"));
}

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
        ? w1@a sealed running=1
        8s
        c4 beat active=1 processed=2
        ? w1@a sealed running=1
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

/// Rule 3: the seal too is an event that could start a job.
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

/// Rule 1: drained is a condition.
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

/// Rule 7.
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

/// Rule 8.
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

/// Rule 6: what came before the gate is not in the ledger.
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
        ? w1@a sealed prefetched=1
        c11 result x
        c2 ack t1
        ? w1@a drained exact
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
