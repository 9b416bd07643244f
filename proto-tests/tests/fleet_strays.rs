//! What is told of a job before it is known whose it is: it finds its place, or makes its worker doubtful.

use proto_tests::fleet_script::play;

/// A process with one job in hand tells of another's end, and somebody else's connection is being looked up.
const ELSEWHERE: &str = "
    + a1 local
    = a1 100:5
    +12s
    a1 is bullmq
    a1 poll q
    a1 gets t1
    + x local
    x is bullmq
    x poll q
    x gets t2
    a1 end t2
    a1 end t1
    drain d all
";

#[test]
fn an_end_waits_for_the_connection_that_its_job_came_on() {
    play(&format!(
        "{ELSEWHERE}
        ? @a1 draining blocked~looked_up
        = x 100:5
        ? @a1 drained exact"
    ));
}

/// Jobs reach the process in a way that the gate does not see.
#[test]
fn an_end_that_finds_no_job_at_last_makes_its_worker_doubtful() {
    play(&format!(
        "{ELSEWHERE}
        = x 200:6
        ? @a1 sealed unknown
        ? @x sealed exact running=1"
    ));
}

/// A connection is cut before the answer comes to what ended a job, and the client sends that once more: no job has reached it
/// unseen. One that was put back was not over, so it has.
#[test]
fn an_end_that_is_told_twice_leaves_no_doubt() {
    let story = |first: &str, verdict: &str| {
        play(&format!(
            "
            + c1 10.0.0.5
            + c2 10.0.0.5
            +12s
            c1 is bullmq
            c1 poll q
            c1 gets t1
            {first}
            - c1 broker
            c2 end t1
            drain d all
            ? @c2 {verdict}"
        ));
    };
    story("c1 end t1", "drained exact");
    story("c1 requeue t1", "drained exact");
    story("c1 returned t1", "sealed unknown");
}

/// A heartbeat that does not know of a job is no proof, wherever its ack was seen.
#[test]
fn an_ack_counts_before_its_job_is_placed() {
    play(
        "
        + c4 local
        = c4 100:5
        c4 named celery w1@a
        c4 online active=0 processed=0
        2s
        c4 beat active=0 processed=0
        4s
        c4 beat active=0 processed=0
        + c1 local
        c1 fetch q
        c1 gets t1
        + c2 local
        = c2 100:5
        c2 ack t1
        = c1 100:5
        drain d all
        6s
        c4 beat active=0 processed=0
        ? w1@a sealed running=1
        8s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

/// A goodbye that was said before the newest job came is not that of the process that has it.
#[test]
fn a_goodbye_from_before_a_job_says_nothing_of_it() {
    play(
        "
        + c1 local
        = c1 100:7@0s
        c1 named sidekiq host:1:aaaa
        c1 sidekiq c=1 busy=0
        + c2 local
        c2 leaves host:1:aaaa
        +1s
        c1 fetch default
        c1 gets j1
        drain d all
        = c2 100:7@0s
        ? host:1:aaaa sealed running=1
    ",
    );
}
