//! The fetch pattern: who comes back to fetch has finished, and where that says nothing.

use super::{declared, play};
use draingate::fleet::FleetSettings;
use proto_tests::fleet_script::Script;

#[test]
fn a_worker_that_never_got_a_job_is_exactly_idle() {
    play("+ c1 10.0.0.5\n c1 fetch jobs\n drain d all\n c1 parked\n ? 10.0.0.5 drained exact");
}

#[test]
fn an_undeclared_queue_is_unknown_from_the_first_delivery_on() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        drain d all
        ? 10.0.0.5 sealed unknown running=1
        ? drain d sealed can-tell
        20s
        c1 fetch jobs
        ? 10.0.0.5 sealed unknown running=0 blocked~not_known
        +5s
        ? drain d sealed cannot-tell unknown-since=20s hint~[gate]
        1h
        ? 10.0.0.5 sealed unknown
    ",
    );
}

#[test]
fn threads_that_come_back_to_a_declared_queue_are_idle() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c1 gets j1 queue=jobs
        drain d all
        c2 parked
        ? 10.0.0.5 sealed running=1
        c1 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// The first thread got a job before the second one ever asked: the second's fetch is not the first's return.
#[test]
fn a_thread_that_asks_for_the_first_time_brings_nobody_back() {
    declared(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        + c2 10.0.0.5
        c2 fetch jobs
        drain d all
        c2 parked
        ? 10.0.0.5 sealed running=1
    ",
    );
}

#[test]
fn pooled_connections_swap_their_roles() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + c3 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c3 fetch jobs
        c3 nil
        +6s
        c3 fetch jobs
        c1 gets j1 queue=jobs
        c2 nil
        c2 fetch jobs
        drain d all
        c2 parked
        c3 parked
        ? 10.0.0.5 sealed running=1
        c2 nil
        c1 fetch jobs                    # might be the thread that was told nil
        c2 fetch jobs
        ? 10.0.0.5 drained
    ",
    );
}

#[test]
fn a_poll_never_shows_that_a_job_is_over() {
    declared(
        "
        + c1 10.0.0.5
        c1 poll jobs
        c1 gets j1 queue=jobs
        drain d all
        c1 poll jobs
        ? 10.0.0.5 sealed unknown blocked~polls
    ",
    );
}

#[test]
fn a_thread_that_does_not_come_back_is_not_idle() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c1 gets j1 queue=jobs
        c1 fetch jobs
        drain d all
        c1 parked
        c2 parked
        ? 10.0.0.5 drained inferred
        c2 failed
        ? 10.0.0.5 sealed unknown blocked~1_of_2
    ",
    );
}

#[test]
fn a_worker_that_leaves_after_coming_back_is_gone_not_lost() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        c1 fetch jobs
        - c1
        ? 10.0.0.5 gone
        61s
        ? no notice lost
    ",
    );
}

#[test]
fn an_unknown_worker_that_leaves_while_marked_is_lost() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1
        c1 fetch q
        drain d all
        c1 parked
        - c1
        ? drain d sealed
        73s
        ? drain d lost over
        ? notice lost 10.0.0.5
    ",
    );
}

/// Of who is known by an address only nobody knows, early after the gate's start, what was before.
#[test]
fn an_address_seen_right_after_the_start_is_not_known_to_be_whole() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        10s
        + c1 10.0.0.5
        c1 fetch q
        + s1 10.0.0.6
        s1 named sidekiq host:1:aaaa
        s1 sidekiq c=1 busy=0
        s1 fetch q
        + w1 10.0.0.7
        w1 named celery w1@a
        w1 online processed=0
        drain d all
        c1 parked
        s1 parked
        ? 10.0.0.5 sealed unknown
        ? host:1:aaaa sealed unknown     # needs no past, but others may be there
        ? w1@a sealed unknown            # has proved it by its count, likewise
        61s
        ? 10.0.0.5 sealed unknown
        ? host:1:aaaa drained inferred
        ? w1@a drained exact
        + c2 10.0.0.8
        c2 fetch q
        ? 10.0.0.8 active unknown
        +12s
        ? 10.0.0.8 active exact
    ",
    );
}

#[test]
fn a_process_younger_than_the_gate_is_whole_whatever_its_tag() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        10s
        + c1 local
        c1 tag blue
        = c1 100:5@9s
        c1 fetch q
        ? blue active exact
    ",
    );
}

#[test]
fn a_worker_back_from_being_lost_is_not_whole() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1
        - c1
        73s
        ? 10.0.0.5 lost
        + c2 10.0.0.5
        c2 fetch q
        ? @c2 active unknown
    ",
    );
}

/// What it acknowledges says when its jobs are over, on whichever of its connections: their fetches say nothing, and none
/// of them stands for a thread when the connection turns out to be its process's.
#[test]
fn a_fetch_that_is_acknowledged_is_no_thread_when_its_process_is_found() {
    play(
        "
        + c1 local
        c1 client w1
        c1 acknowledges
        c1 fetch jobs
        = c1 100:5
        c1 gets j1
        c1 end j1
        c1 fetch jobs
        drain d all
        c1 parked
        ? w1 drained exact
    ",
    );
}

/// What it was known to do when its connections went is what counts: idle, or at a job.
#[test]
fn a_loop_that_was_idle_when_it_went_is_not_lost() {
    let worker = "+ c1 10.0.0.5\n c1 fetch jobs\n c1 gets j1 queue=jobs\n";
    declared(&format!("{worker} c1 fetch jobs\n - c1\n +61s\n ? no notice lost"));
    declared(&format!(
        "{worker} drain d all\n c1 fetch jobs\n ? 10.0.0.5 drained inferred\n - c1\n ? drain d drained over"
    ));
    declared(&format!("{worker} - c1\n +61s\n ? notice lost 10.0.0.5"));
}
