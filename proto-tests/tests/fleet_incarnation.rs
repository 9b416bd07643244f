//! When one life of a worker ends and the next begins, and what becomes of its mark.

use draingate::fleet::FleetSettings;
use draingate::job::Evidence;
use proto_tests::fleet_script::{play, play_with};

#[test]
fn the_mark_of_a_worker_that_was_not_drained_ends_after_forget_after() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1 task=mail
        drain d w1@a
        - c1
        +59s
        ? w1@a sealed
        +2s
        ? w1@a lost
        ? drain d lost over
        ? notice lost w1@a with mail[t1]
        + c2 10.0.0.5
        ? c2 free
    ",
    );
}

/// What a drain says of its worker counts, and what the worker list says: either may ask for better evidence.
#[test]
fn whoever_says_drained_the_mark_ends_with_the_clients_own_closing() {
    for (configured, asked) in [(Evidence::Exact, "reported"), (Evidence::Inferred, "exact")] {
        play_with(
            FleetSettings { require: configured, ..FleetSettings::default() },
            &format!(
                "
                + c1 10.0.0.5
                c1 named celery w1@a
                c1 online processed=0
                +12s
                c1 gets t1
                c1 ack t1
                drain d w1@a require={asked}
                +2s
                c1 beat active=0 processed=1 ts=14s
                +2s
                c1 beat active=0 processed=1 ts=16s
                - c1
                + c2 10.0.0.5
                ? c2 free
            "
            ),
        );
    }
}

/// drain → stop → start under the same name or a recycled address, within 5 s.
#[test]
fn once_drained_the_clients_own_closing_ends_the_mark() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c2 fetch q
        drain d w1@a
        c2 parked
        ? w1@a drained
        c2 nil
        - c2
        ? w1@a drained
        - c1
        ? w1@a gone
        ? drain d drained over
        +1s
        + c3 10.0.0.5
        ? c3 free
        c3 named celery w1@a
        c3 fetch q
        ? w1@a active
    ",
    );
}

#[test]
fn a_cut_by_the_broker_or_the_gate_does_not_end_the_mark() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        - c1 broker
        - c2                             # the client's answer to the cut
        +1s
        + c3 10.0.0.5
        ? c3 marked
        - c3 gate
        + c4 10.0.0.5
        ? c4 marked
    ",
    );
}

#[test]
fn a_sidekiq_nonce_tells_a_new_incarnation() {
    play(
        "
        + c1 10.0.0.7
        c1 named sidekiq host:1:aaaa
        c1 sidekiq c=1 busy=1
        c1 gets j1
        drain d host:1:aaaa
        ? host:1:aaaa sealed
        - c1                             # killed in mid-job, restarted in place
        +1s
        + c2 10.0.0.7
        ? c2 marked
        c2 fetch q
        ? host:1:aaaa sealed held=1
        c2 named sidekiq host:1:bbbb
        ? c2 free
        ? host:1:bbbb active conns=1
        ? host:1:aaaa conns=0 running=1
        ? drain d sealed workers=1
        1m
        +5s
        ? host:1:aaaa lost
        ? drain d lost
    ",
    );
}

/// What a process had written down is confirmed late, when it has been killed and another one is there in its place. (It was
/// the last word of the first one, and for a minute the threads of both were waited for.)
#[test]
fn what_the_broker_confirms_late_is_no_word_of_the_process() {
    play(
        "
        + c1 10.0.0.7
        c1 named sidekiq host:1:aaaa
        c1 sidekiq c=1 busy=0
        c1 fetch q
        +1s
        + c2 10.0.0.7
        +1s
        c1 work
        c1 vanished
        - c1
        +1s
        c2 named sidekiq host:1:bbbb
        c2 sidekiq c=1 busy=0
        c2 fetch q
        ? host:1:bbbb active conns=1
        drain d host:1:bbbb
        c2 parked
        ? host:1:bbbb drained
    ",
    );
}

/// The next process gets a job before its first word arrives, over a connection that is cut: the job stays where it was
/// written, and nobody knows which of the two has it in hand.
#[test]
fn what_the_next_process_got_over_a_connection_that_is_gone() {
    let story = |cut: &str, verdict: &str| {
        play(&format!(
            "
            + c1 10.0.0.5
            +2m
            c1 lease 10s
            c1 named asynq vm:1:a
            c1 poll q
            c1 gets q:1
            - c1
            +1s
            + c2 10.0.0.5
            c2 poll q
            c2 gets q:2
            + c3 10.0.0.5
            {cut}
            +1s
            c3 lease 10s
            c3 named asynq vm:1:b
            drain d vm:1:b
            ? @c3 {verdict}"
        ));
    };
    story("- c2", "sealed unknown");
    story("- c2 broker\n+31s", "sealed unknown");
    story("", "sealed exact running=1");
    story("c2 end q:2\n- c2", "drained exact");
}

#[test]
fn a_celery_heartbeat_with_another_pid_or_a_lower_count_is_a_new_incarnation() {
    for sign in ["pid=8 processed=50", "pid=7 processed=0"] {
        play(&format!(
            "
            + c1 10.0.0.5
            + c2 10.0.0.5
            c2 named celery w1@a
            c2 online pid=7 processed=0
            c1 gets t1
            c1 ack t1
            +2s
            c2 beat active=1 pid=7 processed=1
            drain d w1@a
            - c1
            - c2
            +1s
            + c3 10.0.0.5
            + c4 10.0.0.5
            ? c3 marked
            c4 named celery w1@a
            ? c3 marked                  # the name alone is no sign
            +1s
            c4 beat active=0 {sign}
            ? c3 free
            ? @c3 active conns=2 drains=
            ? drain d sealed workers=1
            "
        ));
    }
}

#[test]
fn the_same_pid_and_a_count_that_goes_on_is_the_same_incarnation() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online pid=7 processed=0
        c1 gets t1
        c1 ack t1
        +2s
        c1 beat active=1 pid=7 processed=1
        drain d w1@a
        - c1 broker
        +1s
        + c2 10.0.0.5
        c2 named celery w1@a
        c2 beat active=1 pid=7 processed=1
        ? c2 marked
        ? w1@a sealed conns=1
    ",
    );
}

/// The first process may be alive on its older connections: nobody knows, so nobody is let go.
#[test]
fn a_new_name_is_no_new_incarnation_while_older_connections_are_open() {
    play(
        "
        + a1 10.0.0.7
        + a2 10.0.0.7
        a2 named sidekiq host:1:aaaa
        a2 sidekiq c=1 busy=0
        drain d all
        - a2
        +1s
        + b1 10.0.0.7
        b1 named sidekiq host:9:bbbb
        ? b1 marked
        ? a1 marked
        - a1
        +1s
        b1 named sidekiq host:9:bbbb
        ? b1 free
    ",
    );
}

/// A container is back at its address, and drained before its first word arrives, which tells that it is another process.
/// It was there: the mark is its own.
#[test]
fn a_drain_made_behind_the_connections_of_a_newcomer_is_that_of_the_newcomer() {
    for selector in ["w1@a", "ip=10.0.0.5", "w-b6166fdb"] {
        play(&format!(
            "
            + c1 10.0.0.5
            c1 named celery w1@a
            c1 online active=0 processed=0 pid=1
            c1 fetch celery
            2s
            c1 beat active=0 processed=0 pid=1
            - c1
            3s
            + c21 10.0.0.5
            + c24 10.0.0.5
            c21 named celery w1@a
            c21 fetch celery
            4s
            drain d {selector}
            c21 parked
            ? c21 marked
            9s
            c24 named celery w1@a
            c24 online ts=3s active=0 processed=0 pid=2
            ? c21 marked
            ? c24 marked
            11s
            c24 beat active=0 processed=0 pid=2
            ? c21 marked
            ? drain d drained
            "
        ));
    }
}
