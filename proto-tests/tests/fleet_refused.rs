//! Jobs whose end the broker has refused.

use proto_tests::fleet_script::play;

/// A worker whose broker refuses the end of a job (it has become a replica, or its memory is full) may try again, or not.
#[test]
fn an_end_that_is_refused_is_told_of() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 is dramatiq
        c1 poll q
        c1 gets t1
        c1 gets t2
        drain d all
        c1 refused t1
        c1 refused t1
        ? 10.0.0.5 sealed exact running=2 blocked~refused
        c1 end t2
        ? 10.0.0.5 sealed exact running=1 blocked~refused
        c1 end t1
        ? 10.0.0.5 drained exact
    ",
    );
}

/// Many give up the end of a job that they could not write down because their connection was cut.
#[test]
fn an_end_that_a_cut_may_have_swallowed_is_told_of() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +12s
        c1 is dramatiq
        c1 poll q
        c1 gets t1
        c2 poll q
        c2 gets t2
        drain d all
        - c1 broker
        ? 10.0.0.5 sealed exact running=2 unblocked
        +11s
        ? 10.0.0.5 sealed exact running=2 blocked~cut
        c2 end t1
        ? 10.0.0.5 sealed exact running=1 unblocked
    ",
    );
}

/// The way between a worker and the gate is cut while a job is on it: the worker has never heard of it.
#[test]
fn a_job_that_a_cut_may_have_swallowed_is_told_of() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +12s
        c1 is bullmq
        c1 poll q
        c1 gets t1
        - c2
        +11s
        drain d all
        ? 10.0.0.5 sealed exact running=1 unblocked
        + c3 10.0.0.5
        - c1
        ? 10.0.0.5 sealed exact running=1 unblocked
        +11s
        ? 10.0.0.5 sealed exact running=1 blocked~cut
        c3 end t1
        ? 10.0.0.5 drained exact
    ",
    );
}
