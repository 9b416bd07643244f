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
