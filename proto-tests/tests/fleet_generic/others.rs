//! Clients that are not quite unknown: consumers that must not be stopped, nameless pollers, Huey.

use super::{declared, play};

#[test]
fn a_consumer_that_must_not_be_stopped_stands_in_the_way_while_it_is_there() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 bound its consumer of r
        c2 bound its consumer of s
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~its_consumer_of_r
        c2 unbound its consumer of r
        ? 10.0.0.5 draining blocked~its_consumer_of_s
        - c2
        ? 10.0.0.5 drained exact
        + c3 10.0.0.5
        c3 bound its consumer of r
        ? 10.0.0.5 draining
        c3 unbound its consumer of r
        c3 unbound its consumer of r
        ? 10.0.0.5 drained exact
    ",
    );
}

/// Nobody has said what its lists hold: `all` must not pass over it.
#[test]
fn a_nameless_client_that_polls_is_listed_and_never_drained() {
    let script = play(
        "
        + c1 10.0.0.5
        c1 unrefused it polls
        + c2 10.0.0.6
        c2 scripts a lock's token      # most scripts have nothing to do with jobs
        drain d all
        ? 10.0.0.5 draining unknown blocked~polls
        ? drain d draining
        1h
        ? 10.0.0.5 draining
    ",
    );
    let listed = script.fleet.workers(script.now(), None, false).expect("a list");
    assert_eq!(listed.len(), 1, "{listed:?}");
}

/// A queue that is polled by a script and is empty: nothing has come, and the next time it may.
#[test]
fn a_client_whose_scripts_find_nothing_is_never_sealed() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +12s
        c1 client w1
        c2 seeks it polls
        drain d all
        ? w1 draining unknown blocked~polls
        - c2                           # it looks over another one next
        1h
        ? w1 draining unknown blocked~takes
    ",
    );
    // whose jobs come with acknowledgements tidies up by scripts
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 seeks what is stalled
        c1 acknowledges
        c1 fetch s
        drain d all
        c1 parked
        ? 10.0.0.5 drained exact
    ",
    );
    // a job system that is known takes its jobs by its own fetches, and nothing has come before
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 seeks a lock that is free
        c1 is resque
        c1 poll q
        c1 nil
        drain d all
        ? 10.0.0.5 drained exact
    ",
    );
}

/// With one thread, and its queue declared; what its scheduler takes is no thread's.
#[test]
fn a_huey_consumer_is_idle_when_its_thread_is_back() {
    declared(
        "
        + c1 10.0.0.5
        + c3 10.0.0.5
        c1 is huey
        c1 fetch jobs
        c3 taken t1
        c1 gets j1 queue=jobs
        c3 pushed
        drain d all
        ? 10.0.0.5 sealed running=1
        c1 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// Measured: three threads that share a pool send their first fetches over one connection. Two of them are at work.
#[test]
fn a_huey_consumer_that_nobody_declared_is_unknown() {
    play(
        "
        + c1 10.0.0.5
        c1 is huey
        c1 fetch q
        c1 gets j1
        c1 fetch q
        c1 gets j2
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 sealed unknown blocked~not_known
        ? drain d sealed cannot-tell hint~[gate]
    ",
    );
    // one that polls shows nothing
    play(
        "+ c1 10.0.0.5\n c1 is huey\n c1 poll q\n c1 gets j1\n c1 poll q\n c1 nil\n drain d all\n ? 10.0.0.5 sealed unknown",
    );
}

/// Three threads that share their connections: the fetch that is held may be another one's than the job's.
#[test]
fn a_declared_huey_consumer_with_several_threads_is_unknown() {
    declared(
        "
        + c1 10.0.0.5
        c1 is huey
        c1 fetch jobs
        + c2 10.0.0.5
        c2 fetch jobs
        c1 gets j1 queue=jobs
        c1 fetch jobs
        drain d all
        c1 parked
        c2 parked
        ? 10.0.0.5 sealed unknown blocked~share
    ",
    );
}
