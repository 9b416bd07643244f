//! Its heartbeats: what they report, and when they decide alone.

use super::story;
use proto_tests::fleet_script::play;

#[test]
fn reported_needs_a_heartbeat_from_after_the_seal() {
    story(
        "
        c1 gets j1
        +1s
        c1 fetch default
        +4s
        c3 work
        c3 sidekiq busy=0
        drain d all require=reported
        c1 parked
        c2 parked
        ? drain d sealed
        +5s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained reported
        ? drain d drained
    ",
    );
}

#[test]
fn a_heartbeat_that_says_busy_or_shows_work_does_not_report_idle() {
    story(
        "
        c1 gets j1
        drain d all require=reported
        c2 parked
        c1 fetch default
        +5s
        c3 work j1
        c3 sidekiq busy=0
        ? drain d sealed
        +5s
        c3 work
        c3 sidekiq busy=1
        ? drain d sealed
        +5s
        c3 sidekiq busy=0                # without its work hash
        ? drain d sealed
        +5s
        c3 work
        c3 sidekiq busy=0
        ? drain d drained
    ",
    );
}

/// A quieted process: its threads have ended, so they never fetch again. Two heartbeats decide.
#[test]
fn two_heartbeats_decide_for_a_quieted_process() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        +2s
        c2 nil
        +10s
        ? host:1:aaaa sealed running=2
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa sealed
        +3s
        c3 work
        c3 sidekiq busy=0          # too near
        ? host:1:aaaa sealed
        +2s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained reported running=0
    ",
    );
}

/// The network holds up a job on its way to its thread, and one of the heartbeats on their way to the gate. Neither of the two
/// knows of the job: the first had been composed before it was handed out, and the second before it came.
#[test]
fn a_heartbeat_from_before_the_job_has_come_is_no_word_of_it() {
    story(
        "
        drain d all
        c2 parked
        5s
        c1 gets j1
        +0.1s
        c3 work
        c3 sidekiq busy=0 beat=4.3s
        9.3s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa sealed running=1
        14.3s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained reported
    ",
    );
}

#[test]
fn the_heartbeats_own_clock_must_go_on() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        +5s
        c3 work
        c3 sidekiq busy=0 beat=3s
        +5s
        c3 work
        c3 sidekiq busy=0 beat=3s        # the same one again
        ? host:1:aaaa sealed running=1
    ",
    );
}

#[test]
fn a_heartbeat_before_the_last_delivery_is_void() {
    story(
        "
        c2 gets j0
        drain d all
        +5s
        c3 work
        c3 sidekiq busy=0                # c1's fetch is still at the broker
        c1 gets j1
        +5s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa sealed running=2
        +5s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained reported
    ",
    );
}

#[test]
fn without_the_number_of_threads_nothing_is_known() {
    play(
        "
        + c1 10.0.0.7
        c1 is sidekiq
        c1 named sidekiq host:1:aaaa
        c1 gets j1
        drain d all
        c1 fetch default
        ? host:1:aaaa sealed unknown blocked~threads
    ",
    );
}

#[test]
fn what_is_running_is_listed_and_forgotten() {
    story(
        "
        c1 gets j1
        c2 gets j2
        ? host:1:aaaa running=2
        +5s
        c3 work j1
        c3 sidekiq busy=1
        c2 fetch default
        ? host:1:aaaa running=1
        +5s
        c3 work j1
        c3 sidekiq busy=1
        ? notice finished sidekiq
        c1 fetch default
        ? host:1:aaaa running=0 inferred
    ",
    );
}

/// What it no longer names is over, and not lost with it; a job that came after it last wrote that down may not be in it yet.
#[test]
fn what_a_process_names_no_more_is_not_lost_with_it() {
    for (later, lost) in [("", "task[aa]"), ("c2 gets j3 id=cc", "task[aa] task[cc]")] {
        story(&format!(
            "
            +1s
            c1 gets j1 id=aa
            c2 gets j2 id=bb
            +5s
            c3 work aa
            c3 sidekiq busy=1
            +5s
            {later}
            c3 work aa
            c3 sidekiq busy=1
            - c1
            - c2
            - c3
            +61s
            ? notice lost host:1:aaaa with {lost}
            ? no notice bb
        "
        ));
    }
}

/// A heartbeat that arrives at once behind the seal may have been composed before.
#[test]
fn reported_needs_a_heartbeat_that_was_surely_composed_after_the_seal() {
    story(
        "
        c1 gets j1
        c1 fetch default
        drain d all require=reported
        c1 parked
        c2 parked
        +0.5s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained inferred
        ? drain d sealed
        +5s
        c3 work
        c3 sidekiq busy=0
        ? drain d drained
    ",
    );
}

/// What two heartbeats have proved holds when it goes without a goodbye.
#[test]
fn a_quieted_process_that_was_idle_when_it_went_is_not_lost() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        +5s
        c3 work
        c3 sidekiq busy=0
        +10s
        c3 work
        c3 sidekiq busy=0
        ? host:1:aaaa drained reported
        - c1
        - c2
        - c3
        ? drain d drained over
        +61s
        ? no notice lost
    ",
    );
}
