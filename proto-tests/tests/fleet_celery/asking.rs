//! The gate's own question: when it is put, and what the answer is worth.

use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::{Script, play_with};

/// At 10.0.0.5: `c1` fetches, `c2` acknowledges, `c3` listens to remote control, `c6` is where it answers.
pub(super) const WORKER: &str = "
    + c1 10.0.0.5
    + c2 10.0.0.5
    + c3 10.0.0.5
    + c6 10.0.0.5
    c3 named celery w1@a
    c3 listens
    c1 fetch celery
";

/// A process of its own on the gate's host: `c1` fetches, `c3` listens. It has begun a job, and is drained.
pub(super) const LOCAL: &str = "
    + c1 127.0.0.1 local
    + c3 127.0.0.1 local
    = c1 100:7@10s
    = c3 100:7@10s
    c3 named celery w1@a
    c3 listens
    c1 fetch celery
    20s
    c1 gets t1
    c1 ack t1
    drain d all
";

pub(super) fn asks() -> FleetSettings {
    FleetSettings { asks: Some(7), ..FleetSettings::default() }
}

pub(super) fn story(text: &str) -> Script {
    play_with(asks(), &format!("{WORKER}\n{text}"))
}

#[test]
fn an_empty_answer_drains() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        ? w1@a active
        ? asked                     # never when it is not marked
        drain d all
        ? asked c3                  # sealed, and its jobs are started: at once
        ? w1@a sealed running=1
        c6 answers c3 t1
        ? w1@a sealed running=1
        +1.9s
        ? asked
        +0.1s
        ? asked c3
        c6 answers c3
        ? w1@a drained reported unblocked running=0
        ? drain d drained
        +1m
        ? asked                     # it knows
    ",
    );
}

/// Each as soon as it is over, though others still run: whose ack was confirmed before the question and who is not in the
/// answer has ended.
#[test]
fn a_job_that_is_not_active_any_more_is_over() {
    story(
        "
        20s
        c1 gets t1 id=a
        c1 gets t2 id=b
        c2 ack t1
        c2 ack t2
        +1s
        drain d all
        ? w1@a sealed running=2
        c6 answers c3 b
        ? w1@a sealed running=1
        +2s
        c6 answers c3
        ? w1@a drained reported
    ",
    );
}

/// The countdown job starts between the question and the answer's arrival; and one whose ack comes in that moment.
#[test]
fn an_answer_to_a_question_from_before_the_last_ack_proves_nothing() {
    story(
        "
        20s
        c1 gets t1 id=a
        c2 ack t1
        c1 gets t2 id=b
        drain d all
        ? asked c3
        c2 ack t2                   # started behind the question, in its very millisecond
        c6 answers c3
        ? w1@a sealed running=2
        +2s
        ? asked c3
        c6 answers c3 b
        ? w1@a sealed running=1
        +2s
        c6 answers c3
        ? w1@a drained
    ",
    );
}

#[test]
fn unacknowledged_jobs_are_never_struck_out() {
    story(
        "
        20s
        c1 gets t1 id=a
        c1 gets t2 id=b
        c1 gets t3 id=c eta=+60s
        c2 ack t1
        drain d all delayed
        ? asked c3
        c6 answers c3               # t1 is over; the others are in its memory
        ? w1@a sealed running=0 prefetched=1 delayed=1
        +10s
        ? asked                     # the ack of the next begins another epoch
        c2 ack t2
        ? asked c3
        c6 answers c3
        ? w1@a sealed delayed=1
        +60s
        ? asked
        c2 ack t3
        ? asked c3
        ? w1@a sealed running=1
        c6 answers c3
        ? w1@a drained
    ",
    );
}

/// It has published its next attempt, which waits under the same id for its time, and has not come to its own end.
#[test]
fn a_job_that_has_put_itself_off_still_runs() {
    story(
        "
        20s
        c1 gets t1 id=a
        c2 ack t1
        c1 gets t2 id=a eta=+2h
        drain d all
        ? asked c3
        c6 answers c3 a
        ? w1@a sealed running=1 delayed=1
        +2s
        ? asked c3
        c6 answers c3
        ? w1@a drained reported running=0 delayed=1
    ",
    );
}

/// The same, and only what waits was seen to come. That it stands in `scheduled` is no news.
#[test]
fn what_was_put_off_before_a_gap_still_runs() {
    play_with(
        asks(),
        &format!(
            "{WORKER}
            20s
            c1 gets t1 id=x
            restart
            {WORKER}
            c1 gets t2 id=a eta=+2h
            drain d all
            ? asked c3*
            c6 answers c3 scheduled:a a
            ? w1@a sealed delayed=1
            +2s
            ? asked c3*
            c6 answers c3 scheduled:a
            ? w1@a drained delayed=1"
        ),
    );
}

#[test]
fn a_late_ack_is_asked_about_as_well() {
    story(
        "
        20s
        c1 gets t1
        drain d all
        +5s
        ? asked
        ? w1@a sealed prefetched=1
        c2 ack t1
        ? asked c3
        c6 answers c3
        ? w1@a drained reported
    ",
    );
}

/// Nothing was started: it needs no answer.
#[test]
fn who_has_started_nothing_is_not_asked() {
    story("20s\n c1 nil\n drain d all\n ? w1@a drained exact\n +1m\n ? asked");
}

#[test]
fn who_does_not_listen_stays_unknown() {
    play_with(
        asks(),
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 is celery
        c1 fetch celery
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        ? @c1 sealed unknown running=0 blocked~no_heartbeat
        +31s
        ? asked
        ? drain d cannot-tell hint~worker_enable_remote_control
    ",
    );
}

/// Remote control may be dead, or answer in a form that cannot be read.
#[test]
fn who_never_answers_becomes_unknown() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        ? asked c3
        +29.9s
        ? asked
        ? w1@a sealed running=1
        +0.1s
        ? asked c3
        +30s
        ? w1@a sealed unknown running=0 blocked~no_heartbeat
        ? asked c3
        +30m
        ? w1@a sealed unknown
        c6 answers c3               # the solo pool: its task is over
        ? w1@a drained reported
    ",
    );
    // ten questions and no more
    let mut script = story("20s\n c1 gets t1\n c2 ack t1\n drain d all\n +1h");
    script.play("? asked c3 c3 c3 c3 c3 c3 c3 c3 c3 c3\n +1h\n ? asked");
}

#[test]
fn an_answer_that_cannot_be_read_is_no_idle_one() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        c6 answers c3 ?
        ? w1@a sealed running=1 reported
        ? asked c3
        +2s
        ? asked c3
        +10m
        c6 answers c3 ?
        ? w1@a sealed running=1 reported
        +2s
        c6 answers c3
        ? w1@a drained
    ",
    );
}

/// An answer counts once, for its own question, and only while nothing has happened.
#[test]
fn old_answers_prove_nothing() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        ? asked c3
        undrain d
        c1 gets t2
        c2 ack t2
        c6 answers c3               # the question is from before t2
        ? w1@a active running=2
        +1s
        drain d2 all
        ? w1@a sealed running=2
        +1s
        ? asked c3
        c6 answers c3/1
        ? w1@a sealed running=2
        c6 answers c3
        ? w1@a drained
        undrain d2
        c1 gets t3
        c2 ack t3
        +2s
        drain d3 all
        ? asked c3
        ? w1@a sealed running=1
        c6 answers c3/2
        ? w1@a sealed running=1
        c6 answers c3
        ? w1@a drained
        c6 answers c3 t3            # twice
        ? w1@a drained
    ",
    );
}

#[test]
fn it_can_be_switched_off() {
    proto_tests::fleet_script::play(&format!(
        "{WORKER}
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        ? asked
        ? w1@a sealed unknown
        +1h
        ? asked"
    ));
}
