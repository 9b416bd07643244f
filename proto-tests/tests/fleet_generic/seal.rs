//! What stands in the way of a seal, or of a judgement.

use super::{declared, play, play_with};
use draingate::fleet::FleetSettings;

#[test]
fn a_way_to_get_jobs_that_is_not_refused_stands_in_the_way() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 blocked a pop inside MULTI
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~a_pop_inside_MULTI
        - c2
        ? 10.0.0.5 sealed unknown        # what came that way nobody knows
    ",
    );
}

#[test]
fn a_blind_pipe_stands_in_the_way() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 opaque
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~blind_pipe
        - c2 gate
        ? 10.0.0.5 sealed unknown
    ",
    );
}

#[test]
fn a_poll_at_the_broker_stands_in_the_way_of_the_seal() {
    play("+ c1 10.0.0.5\n c1 poll q\n drain d all\n ? 10.0.0.5 draining\n c1 nil\n ? 10.0.0.5 drained exact");
}

#[test]
fn a_mark_that_the_gate_has_not_taken_over_stands_in_the_way() {
    let settings = FleetSettings { confirm_marks: true, ..FleetSettings::default() };
    play_with(
        settings,
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 draining
        c1 seen
        ? 10.0.0.5 draining
        c2 seen
        ? 10.0.0.5 drained
        + c3 10.0.0.5
        ? 10.0.0.5 draining              # born marked, but its gate does not know yet
        c3 seen
        ? 10.0.0.5 drained
    ",
    );
}

#[test]
fn a_fetch_forwarded_behind_the_seal_opens_it_again() {
    play(
        "
        + c1 10.0.0.5
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 drained
        + c2 10.0.0.5
        c2 fetch! q
        ? 10.0.0.5 draining
        ? notice 10.0.0.5 drained -> draining
    ",
    );
}

/// Cut in mid-job, it finishes its job and comes back on a new connection.
#[test]
fn a_thread_whose_connection_was_cut_comes_back_on_another() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        - c1 broker
        drain d all
        ? 10.0.0.5 sealed running=1
        + c2 10.0.0.5
        c2 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// A poller whose keys nobody declared is not refused: it can neither be sealed nor judged.
#[test]
fn what_takes_jobs_without_a_fetch_is_never_drained() {
    play(
        "
        + c1 10.0.0.5
        c1 client poller
        c1 unrefused it polls
        drain d all
        ? poller draining unknown blocked~it_polls
        ? drain d draining cannot-tell hint~[gate]
        1h
        ? poller draining unknown
        - c1
        + c2 10.0.0.5
        c2 client poller
        ? poller draining unknown blocked~without_a_fetch
    ",
    );
}

/// A pop of a running job's own, on a connection whose process is not known yet.
#[test]
fn a_known_systems_own_pops_stand_in_nobodys_way() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 fetch celery
        + c2 10.0.0.5 local
        c2 unrefused its semaphore
        drain d w1@a
        c1 parked
        = c2 nobody
        ? w1@a drained exact
    ",
    );
}

/// What came before the system was known may have been a job of it.
#[test]
fn what_was_taken_before_the_system_was_known_is_not_forgotten() {
    play(
        "
        + c1 10.0.0.5
        c1 unrefused LMOVE
        c1 named sidekiq a:1:b
        c1 fetch queue:default
        drain d all
        c1 parked
        ? a:1:b sealed unknown
    ",
    );
}

/// The operator has said where its jobs are: what it pops elsewhere is none.
#[test]
fn a_consumer_of_declared_queues_may_pop_elsewhere() {
    declared(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        c1 unrefused its semaphore
        c1 fetch jobs
        drain d all
        c1 parked
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// Closed by the client itself in mid-job: killed, and restarted in its place?
#[test]
fn a_thread_whose_client_went_away_in_mid_job_does_not_come_back() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        drain d all
        - c1
        + c2 10.0.0.5
        c2 fetch jobs
        ? 10.0.0.5 sealed running=1
        c2 nil
        c2 fetch jobs
        ? 10.0.0.5 sealed running=1
    ",
    );
}
