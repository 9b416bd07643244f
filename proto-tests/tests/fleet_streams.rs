//! Consumers of streams: an entry is in flight until it is acknowledged.

use proto_tests::fleet_script::play;

/// What was read from a stream is in flight until it is acknowledged: neither the next read ends it, nor its result.
#[test]
fn entries_of_streams_end_with_their_acks() {
    for system in ["taskiq", "unknown"] {
        play(&format!(
            "
            + c1 10.0.0.5
            +12s
            c1 is {system}
            c1 acknowledges
            c1 fetch s
            c1 gets 1-1@s id=a
            c1 acknowledges
            c1 fetch s
            drain d all
            c1 parked
            ? 10.0.0.5 sealed exact running=1
            c1 result a
            ? 10.0.0.5 sealed exact running=1
            c1 end 1-1@s
            ? 10.0.0.5 drained exact
        "
        ));
    }
}

/// A process that takes up what it had before its restart is at work on it, and what it has anyway it has once.
#[test]
fn entries_that_are_told_again_are_in_flight_once() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 acknowledges
        c1 reread 1-1@s
        drain d all
        ? 10.0.0.5 sealed exact running=1
        c1 reread 1-1@s
        c1 end 1-1@s
        ? 10.0.0.5 drained exact
        c1 reread 2-1@s
        ? 10.0.0.5 sealed exact running=1
        c1 end 2-1@s
        ? 10.0.0.5 drained exact
    ",
    );
}
