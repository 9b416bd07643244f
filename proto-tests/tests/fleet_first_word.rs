//! A worker that was met for the first time may have worked elsewhere before (behind another gate, on the broker itself)
//! and be in the middle of a job. Until it has said so, or has had the time to, it is not idle.

use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::{Script, play};

/// Moved here in mid-job: its system is unknown, nothing was delivered, and all its fetches are held.
#[test]
fn a_celery_worker_in_mid_job_is_not_idle_before_its_first_heartbeat() {
    play(
        "
        + c1 10.0.0.5
        c1 fetch q
        ? 10.0.0.5 active unknown system=unknown
        drain d all
        c1 parked
        ? 10.0.0.5 sealed unknown
        + c2 10.0.0.5
        +1.9s
        c2 is celery
        c2 named celery w1@a
        c2 beat active=1 processed=7 ts=1.9s
        ? w1@a sealed running=1 blocked~mid-life
        +2s
        c2 beat active=0 processed=7 ts=3.9s
        ? w1@a sealed
        +2s
        c2 beat active=0 processed=7 ts=5.9s
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_sidekiq_process_in_mid_job_is_not_idle_before_or_behind_its_first_heartbeat() {
    for word in ["c2 work j9\n c2 sidekiq c=2 busy=1", "c2 sidekiq c=2 busy=1", "c2 sidekiq c=2 busy=0\n c2 work j9"] {
        play(&format!(
            "
            + c1 10.0.0.5
            c1 fetch q
            drain d all
            c1 parked
            +9.9s
            ? 10.0.0.5 sealed unknown
            + c2 10.0.0.5
            c2 named sidekiq host:1:aaaa
            ? host:1:aaaa sealed unknown
            {word}
            ? host:1:aaaa sealed running=1
            c2 fetch q
            ? host:1:aaaa drained inferred"
        ));
    }
}

#[test]
fn the_first_heartbeat_vouches() {
    play(
        "+ c1 10.0.0.5\n c1 named celery w1@a\n drain d all\n ? w1@a sealed\n c1 beat processed=0\n ? w1@a drained exact",
    );
    play(
        "+ c1 10.0.0.5\n c1 named sidekiq h:1:a\n drain d all\n ? h:1:a sealed\n c1 sidekiq c=1 busy=0\n ? h:1:a drained",
    );
}

/// Those that never report are not waited for longer than it takes others. The drain is woken for it.
#[test]
fn who_says_nothing_is_idle_after_twelve_seconds() {
    play(
        "
        + c1 10.0.0.5
        c1 fetch q
        drain d all
        c1 parked
        +11.9s
        ? drain d sealed
        +0.2s
        ? 10.0.0.5 drained exact
        ? notice 10.0.0.5 sealed -> drained
    ",
    );
}

/// A process that connects right after its start has no past; one that is an hour old may have.
#[test]
fn a_young_process_needs_no_word() {
    play("5s\n + c1 local\n = c1 100:5@1s\n c1 fetch q\n drain d all\n c1 parked\n ? @c1 drained exact");
    play(
        "1h\n + c1 local\n = c1 100:5@1s\n c1 fetch q\n drain d all\n c1 parked\n ? @c1 sealed\n +12s\n ? @c1 drained",
    );
    play("5s\n + c1 local\n c1 tag blue\n = c1 100:5@1s\n c1 fetch q\n drain d all\n c1 parked\n ? blue drained exact");
}

/// In its first minute the gate cannot know who was there before. A birth that it has seen is one; but others may be behind the
/// same address whose connections went with the gate before this one, and who are at work.
#[test]
fn births_show_whole_lives_when_the_first_minute_is_over() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 born rq w1
        c1 fetch q
        + c0 10.0.0.6
        + c2 10.0.0.6
        c2 born rq w2
        c2 fetch q
        drain d all
        c1 parked
        c2 parked
        +40s
        ? w1 sealed unknown blocked~begun
        ? no notice w1 sealed -> drained
        60s
        ? notice w1 sealed -> drained
        ? w1 drained exact
        ? w2 sealed unknown             # whose is c0?
    ",
    );
}

/// Of several behind one address each has to be born.
#[test]
fn births_of_several_show_whole_lives() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c2 born rq w2
        c1 fetch q
        c2 fetch q
        + c3 10.0.0.6
        + c4 10.0.0.6
        + c5 10.0.0.6
        c5 born rq w5
        c3 born rq w3
        + c6 10.0.0.7
        + c7 10.0.0.7
        c7 born rq w7
        c6 named rq w6
        + c8 10.0.0.8
        c8 born rq w8
        +20s
        + c9 10.0.0.8
        c9 named rq w9                  # it was at work, and had no connection
        61s
        drain d all
        c1 parked
        c2 parked
        ? @c1 sealed unknown
        c1 born rq w1
        ? @c1 drained exact
        ? @c3 sealed unknown            # whose is c4?
        c4 named rq w3
        ? @c3 drained exact
        ? @c6 sealed unknown            # not born here
        ? @c8 sealed unknown
    ",
    );
}

/// It says so in its own way, and may have no name.
#[test]
fn one_that_has_just_begun_is_whole() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 named dramatiq u1
        c1 begun
        c1 poll q
        c1 nil
        + c2 10.0.0.6
        c2 is arq
        c2 begun
        c2 poll q
        c2 nil
        + c3 10.0.0.7
        + c4 10.0.0.7
        c4 is arq
        c4 begun
        c4 poll q
        c4 nil
        drain d all
        ? @c1 sealed unknown
        ? @c2 sealed unknown
        60s
        ? @c1 drained exact
        ? @c2 drained exact
        ? @c4 sealed unknown            # whose is c3?
        - c3
        ? @c4 sealed unknown
        # from now on who comes first to an address is alone there
        + c5 10.0.0.8
        c5 named resque vm:1
        c5 begun
        drain e ip=10.0.0.8
        ? vm:1 drained exact
    ",
    );
}

/// Their first reports tell of those that make them.
#[test]
fn others_may_be_silent_beside_who_reports() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d all
        ? w1@a sealed unknown blocked~begun
        +20s
        c1 beat active=0 processed=0
        + c2 10.0.0.5
        c2 named celery w2@a
        c2 beat active=1 processed=1    # it goes on with what it began before
        60s
        c1 beat active=0 processed=0
        c2 beat active=1 processed=1
        ? @c1 sealed
        c2 beat active=0 processed=1 ts=61s
        c1 beat active=0 processed=0 ts=61s
        +2s
        c2 beat active=0 processed=1 ts=63s
        c1 beat active=0 processed=0 ts=63s
        ? @c1 drained reported
    ",
    );
}

/// Who has gone by itself in that minute is not lost.
#[test]
fn one_that_goes_in_the_first_minute_has_gone() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 beat processed=0
        + c2 10.0.0.6
        c2 born rq w2
        + c3 10.0.0.7
        c3 is arq
        c3 begun
        c3 poll q
        c3 nil
        drain d all
        +5s
        - c1
        - c2
        - c3
        +30s
        ? drain d sealed
        +31s
        ? notice w1@a sealed -> gone
        ? notice w2 sealed -> gone
        ? notice 10.0.0.7 sealed -> gone
    ",
    );
}
