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

/// In a gate's first minute an address may have been in use before. A worker of Resque's that has begun vouches for itself at
/// once, and for its address when all others there have had the time to say that they work.
#[test]
fn a_resque_worker_that_has_begun_vouches_for_its_address_after_the_first_minute() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        + c1 10.0.0.5
        c1 named resque vm:1
        c1 begun
        + c2 10.0.0.6
        c2 named resque vm:2
        c2 begun
        + c3 10.0.0.7
        c3 named resque vm:3
        c3 poll q
        c3 nil
        drain d all
        +30s
        c1 named resque vm:1
        c2 named resque vm:2
        ? vm:1 sealed unknown
        + c4 10.0.0.6
        c4 named resque vm:4            # it was at work
        +30s
        c1 named resque vm:1
        c2 named resque vm:2
        c3 named resque vm:3
        ? vm:1 drained exact
        ? @c2 sealed unknown
        ? vm:3 sealed unknown           # not born here
    ",
    );
}
