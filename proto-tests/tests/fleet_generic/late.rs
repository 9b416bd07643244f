//! Fetches that were composed before others and arrive after them: one connection was slower than another.

use super::declared;

/// A thread gives up waiting for the answer to a fetch that has not even arrived, and asks again on another connection. When the
/// first one arrives at last it shows no thread that has come back.
#[test]
fn a_fetch_that_was_given_up_brings_nobody_back() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 nil
        +6s
        + c2 10.0.0.5                    # the next one on c1 has been under way all that time
        c2 fetch jobs
        c2 gets j1 queue=jobs
        drain d all
        c1 fetch jobs
        ? 10.0.0.5 sealed running=1
        - c1
        ? 10.0.0.5 sealed running=1
        c2 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// A thread may as well take another connection of its pool. Who has given a fetch up has closed its connection: one that asks
/// on it once more has not.
#[test]
fn a_thread_that_asks_twice_on_another_connection_has_come_back() {
    const SWAPPED: &str = "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 nil
        + c2 10.0.0.5
        c2 fetch jobs
        +1s
        c2 gets j1 queue=jobs
        +5s
        drain d all
        c1 fetch jobs
        ? 10.0.0.5 sealed running=1
        +1s
    ";
    declared(&format!(
        "
        {SWAPPED}
        c1 nil
        ? 10.0.0.5 sealed running=1
        c1 fetch jobs
        ? 10.0.0.5 drained inferred running=0 held=1
    "
    ));
    declared(&format!(
        "
        {SWAPPED}
        undrain d
        c1 resumed
        c1 gets j2 queue=jobs
        drain d all
        ? 10.0.0.5 sealed running=2
        c1 fetch jobs
        ? 10.0.0.5 drained inferred running=0 held=1
    "
    ));
}

/// The scheduler of a consumer polls over the same pool: it brings no thread back, whichever connection it takes.
#[test]
fn a_poll_brings_nobody_back_who_waited() {
    for poll in ["c1 poll jobs", "c2 poll jobs\n c2 nil\n c2 poll jobs"] {
        declared(&format!(
            "
            + c1 10.0.0.5
            + c2 10.0.0.5
            c1 fetch jobs
            c1 gets j1 queue=jobs
            {poll}
            drain d all
            ? 10.0.0.5 running=1
            c1 fetch jobs
            ? 10.0.0.5 running=0
        "
        ));
    }
}
