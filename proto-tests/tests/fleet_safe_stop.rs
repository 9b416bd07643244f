//! What a gate leaves that was stopped in good order: it closed the connections of workers that are alive, and come back
//! to the next gate.

use proto_tests::fleet_script::play;

/// A gate that stops in good order closes the connections of a worker that is idle: it comes back to the next gate, and a
/// drain made before it does is a drain of it.
#[test]
fn who_was_cut_off_by_a_safe_stop_is_drained_before_it_comes_back() {
    for closing in ["- c2\n 9s\n - c1 gate", "- c2 gate\n - c1"] {
        let mut script = play(
            "
            + c1 10.0.0.5
            + c2 10.0.0.5
            c1 named celery w1@a
            c2 named celery w1@a
            c1 online processed=0
            ",
        );
        script.play(closing);
        script.play(
            "
            restart
            drain d all,before=now
            ? drain d sealed workers=1
            restart
            + c4 10.0.0.5
            c4 named celery w1@a
            ? c4 marked
            ? drain d sealed workers=1
            ",
        );
    }
}

#[test]
fn who_was_drained_when_a_safe_stop_cut_it_off_can_be_drained_again() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d all
        ? drain d drained
        - c1 gate
        restart
        ? drain d drained workers=1
        restart
        drain e all
        ? drain e drained workers=1
        undrain d
        + c2 10.0.0.5
        c2 named celery w1@a
        ? c2 marked
        ? drain e sealed workers=1
        ",
    );
}

#[test]
fn who_had_left_before_the_gate_stopped_is_not_there_to_be_drained() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        - c1
        restart
        drain d all ! no worker matches
        ",
    );
}
