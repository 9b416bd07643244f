//! What the gate says of a Sidekiq worker (truth rule 5) and of jobs that its scheduler took.

use proto_tests::fleet_script::play;

/// A process with two threads at 10.0.0.7; its connections are pooled, so roles are not bound to them.
const WORKER: &str = "
    + c1 10.0.0.7
    + c2 10.0.0.7
    + c3 10.0.0.7
    c3 is sidekiq
    c3 named sidekiq host:1:aaaa
    c3 work
    c3 sidekiq c=2 busy=0
    c1 fetch default
    c2 fetch default
";

fn story(text: &str) {
    play(&format!("{WORKER}\n{text}"));
}

#[test]
fn threads_minus_fetches_are_running() {
    story(
        "
        ? host:1:aaaa active exact system=sidekiq running=0
        c1 gets j1
        ? host:1:aaaa running=1
        drain d host:1:aaaa
        ? host:1:aaaa draining running=1
        c2 parked
        ? host:1:aaaa sealed running=1 held=1
        c1 fetch default                 # any connection: the thread has come back
        ? host:1:aaaa drained inferred running=0 held=2
        ? drain d drained
    ",
    );
}

/// The gate answers a held fetch when its time is over; the thread asks again within a moment.
#[test]
fn a_fetch_answered_empty_and_asked_again_stays_idle() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        c1 fetch default
        ? host:1:aaaa drained
        +2s
        c2 nil
        ? host:1:aaaa drained
        c2 fetch default
        ? host:1:aaaa drained inferred
    ",
    );
}

/// Error back-off, or a thread that has ended: after 5 s the missing fetch is no idle thread by itself.
#[test]
fn a_fetch_answered_empty_and_never_asked_again_is_not_idle_by_itself() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        c1 fetch default
        +2s
        c2 nil
        +4.9s
        ? host:1:aaaa drained
        +0.2s
        ? host:1:aaaa sealed running=1
        ? drain d sealed
    ",
    );
}

#[test]
fn a_connection_that_closes_takes_its_fetch_with_it() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        c1 fetch default
        ? host:1:aaaa drained
        - c1
        ? host:1:aaaa sealed running=1
    ",
    );
}

#[test]
fn a_nil_of_one_thread_does_not_stand_for_another() {
    story(
        "
        c1 gets j1
        c2 nil
        drain d all
        ? host:1:aaaa sealed running=1   # one thread between two fetches, one at work
        c2 fetch default
        ? host:1:aaaa sealed running=1
    ",
    );
}

#[test]
fn more_fetches_than_threads_are_not_judged() {
    story(
        "
        c1 gets j1
        drain d all
        c2 parked
        + c4 10.0.0.7
        + c5 10.0.0.7
        c4 fetch default
        c5 fetch default
        ? host:1:aaaa sealed unknown blocked~more_fetches
    ",
    );
}

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
        c3 sidekiq busy=0 quiet
        ? host:1:aaaa sealed
        +3s
        c3 work
        c3 sidekiq busy=0 quiet          # too near
        ? host:1:aaaa sealed
        +2s
        c3 work
        c3 sidekiq busy=0 quiet
        ? host:1:aaaa drained reported running=0
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

/// Measured: an idle Sidekiq killed with due jobs around lost one in 5 of 8 kills.
#[test]
fn a_job_that_the_scheduler_took_is_in_flight_until_it_asks_again() {
    story(
        "
        c3 taken r1
        drain d all
        c1 parked
        c2 parked
        ? host:1:aaaa sealed running=1
        c3 pushed
        ? host:1:aaaa drained exact
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

/// A process that was idle and shuts down: its fetches end one after the other, and nothing was lost.
#[test]
fn an_idle_process_that_shuts_down_is_gone() {
    story(
        "
        c1 gets j1
        c1 fetch default
        - c1
        - c2
        - c3
        ? host:1:aaaa gone running=0
        61s
        ? no notice lost
    ",
    );
}

#[test]
fn a_process_killed_in_mid_job_is_lost_with_its_jobs() {
    story(
        "
        c1 gets j1 task=Mail
        - c1
        - c2
        - c3
        ? host:1:aaaa active running=1
        61s
        ? host:1:aaaa lost
        ? notice lost host:1:aaaa with Mail[j1]
    ",
    );
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

/// Between the job's bytes and the end of its fetch, the fetch is no idle thread any more.
#[test]
fn a_fetch_that_is_being_answered_with_a_job_is_not_idle() {
    story(
        "
        c2 delivers j1
        ? host:1:aaaa running=1
        - c1
        - c2
        - c3
        ? host:1:aaaa active running=1
    ",
    );
}

#[test]
fn a_job_that_slipped_in_after_drained_voids_it() {
    story(
        "
        drain d all
        c1 parked
        c2 parked
        ? host:1:aaaa drained
        c1 nil
        c1 fetch! default
        c1 gets j1
        - c1
        - c2
        - c3
        +1s
        + n1 10.0.0.7
        ? n1 marked
        ? drain d sealed
    ",
    );
}

#[test]
fn the_scheduler_of_one_process_does_not_answer_for_anothers() {
    story(
        "
        + b1 10.0.0.7
        b1 named sidekiq host:2:bbbb
        b1 work
        b1 sidekiq c=1 busy=0
        b1 fetch default
        c3 taken r1
        drain d all
        c1 parked
        c2 parked
        b1 parked
        b1 pushed
        ? @c1 sealed running=1
        c3 pushed
        ? @c1 drained
    ",
    );
}

/// Cut in mid-job; the process is known by its pid and start, so its threads' fetches are believed at once.
#[test]
fn a_local_process_that_reconnects_is_surely_the_same() {
    play(
        "
        + c1 local
        = c1 100:5
        c1 named sidekiq host:100:aaaa
        c1 sidekiq c=1 busy=0
        c1 gets j1
        - c1 broker
        drain d all
        ? host:100:aaaa sealed running=1
        + c2 local
        = c2 100:5
        c2 fetch default
        ? host:100:aaaa drained inferred
    ",
    );
}
