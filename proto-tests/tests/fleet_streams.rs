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

/// What was in hand when the broker went is over when the broker hands it out again, to whomever.
#[test]
fn entries_that_another_gets_are_those_of_nobody_else() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 acknowledges
        c1 fetch s
        c1 gets 1-1@s id=a
        c1 fetch s
        c1 gets 2-1@s id=b
        - c1 broker
        + c2 10.0.0.5
        drain d all
        ? 10.0.0.5 sealed running=2
        + d1 10.0.0.6
        d1 acknowledges
        d1 fetch s
        d1 gets 1-1@s id=a
        ? 10.0.0.5 sealed running=1
        d1 fetch s
        d1 gets 2-1@s id=b
        ? 10.0.0.5 drained exact
    ",
    );
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

/// `taskiq worker --ack-type when_received`: results that come behind the acknowledgements show it.
#[test]
fn whoever_acknowledges_before_it_works_is_done_with_the_result() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 is taskiq
        c1 acknowledges
        c1 fetch s
        c1 gets 1-1@s id=a
        c1 end 1-1@s
        +1s
        c1 result a
        c1 fetch s
        c1 gets 2-1@s id=b
        c1 end 2-1@s
        c1 end 2-1@s                   # said twice
        c1 fetch s
        drain d all
        c1 parked
        ? 10.0.0.5 sealed exact running=1
        c1 result b
        ? 10.0.0.5 drained exact
        c1 delivers 3-1@s id=c
        c1 result c                    # and the other way round
        ? 10.0.0.5 sealed exact running=1
        c1 end 3-1@s
        ? 10.0.0.5 drained exact
    ",
    );
}

/// A first attempt has no result, and its acknowledgement comes behind that of the second: a result over a connection whose
/// process is still being looked up is told of before the acknowledgement that follows it.
#[test]
fn a_result_that_waits_for_its_place_came_when_it_came() {
    play(
        "
        + c1 local
        = c1 100:5
        c1 is taskiq
        c1 acknowledges
        c1 fetch s
        c1 gets 1-1@s id=a
        + c2 local
        c2 result a
        +1s
        c1 end 1-1@s
        = c2 100:5
        c1 fetch s
        c1 gets 2-1@s id=b
        c1 end 2-1@s                   # it has none
        c1 fetch s
        drain d all
        c1 parked
        ? drain d drained
    ",
    );
}

/// On lists taskiq tells of a job's end with its result, if there is a result backend behind the gate: the first result shows it.
#[test]
fn a_worker_on_lists_is_judged_once_it_has_stored_a_result() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 is taskiq
        c1 fetch q
        c1 gets t1
        drain d all
        ? 10.0.0.5 sealed unknown blocked~result
        c1 end t1
        ? 10.0.0.5 drained exact
        undrain d
        c1 fetch q
        c1 gets t2
        drain d all
        ? 10.0.0.5 sealed exact running=1
    ",
    );
}
