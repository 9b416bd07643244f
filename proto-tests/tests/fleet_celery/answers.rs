//! Whose an answer to the gate's own question is, and for whom it speaks.

use crate::asking::{LOCAL, WORKER, asks, story};
use proto_tests::fleet_script::play_with;

/// The process is killed after it was asked, and another comes up under its name and address.
#[test]
fn an_answer_does_not_speak_for_another_life() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all standing
        ? asked c3
        - c1
        - c2
        - c3
        - c6
        + c1 10.0.0.5
        + c3 10.0.0.5
        + c6 10.0.0.5
        c3 named celery w1@a
        c3 listens
        c1 fetch celery
        ? w1@a sealed running=1
        +2s
        ? asked c3                  # the newcomer does not know of t1: who does?
    ",
    );
}

/// Several processes behind one address are idle when all of them are, and when all of them can be asked.
#[test]
fn all_processes_of_a_worker_have_to_answer() {
    let two = "
        + d1 10.0.0.5
        + d3 10.0.0.5
        d3 named celery w2@a
        d1 fetch celery
    ";
    story(&format!(
        "{two}
        d3 listens
        20s
        c1 gets t1 id=a
        d1 gets t2 id=b
        c2 ack t1
        c2 ack t2
        drain d all
        ? asked c3 d3
        c6 answers c3
        ? @c1 sealed running=2
        c6 answers d3 b
        ? @c1 sealed running=2
        +2s
        ? asked d3
        c6 answers d3
        ? @c1 drained reported
    "
    ));
    // the other has its remote control switched off
    let silent = "
        20s
        c1 gets t1 id=a
        d1 gets t2 id=b
        c2 ack t1
        c2 ack t2
        drain d all
        ? asked c3
        c6 answers c3
        ? @c1 sealed running=2
        +10m
        c6 answers c3
        ? @c1 sealed
    ";
    story(&format!("{two}{silent}"));
    // and nothing that names it
    story(&format!("+ d1 10.0.0.5\n d1 fetch celery\n{silent}"));
}

/// The second comes up after the first has answered, with a job of its own that the gate does not know.
#[test]
fn a_process_that_joins_has_to_answer_too() {
    story(
        "
        20s
        c1 gets t1
        c2 ack t1
        drain d all
        c6 answers c3
        ? w1@a drained
        + d3 10.0.0.5
        d3 named celery w2@a
        d3 listens
        ? @c1 sealed
        +2s
        ? asked c3 d3               # the first knows already
        c6 answers d3 x
        ? @c1 sealed
        +2s
        c6 answers d3
        ? @c1 drained
    ",
    );
}

/// What the gate has not seen may be anywhere in the worker's memory: all lists have to be empty.
#[test]
fn a_worker_met_in_mid_life_is_asked_for_all_that_it_has() {
    let restarted = format!(
        "{WORKER}
        20s
        c1 gets t1 id=a
        c1 gets t2 id=b
        c2 ack t1
        restart
        {WORKER}
        c1 nil
        +10s
        drain d all
        ? asked c3*
    "
    );
    for other in ["reserved:x", "scheduled:x", "x", "?"] {
        play_with(asks(), &format!("{restarted}\n c6 answers c3 {other}\n ? w1@a sealed\n +10m\n ? w1@a sealed"));
    }
    play_with(
        asks(),
        &format!(
            "{restarted}
            c6 answers c3 a reserved:b
            ? w1@a sealed running=1 prefetched=1
            +2s
            ? asked c3*
            c6 answers c3
            ? w1@a drained reported"
        ),
    );
}

/// kombu has dropped what waited for its time, and the broker hands it out again.
#[test]
fn what_waited_for_its_time_before_a_gap_is_in_no_hands() {
    play_with(
        asks(),
        &format!(
            "{WORKER}
            20s
            c1 gets t1 eta=+60s
            restart
            {WORKER}
            c1 nil
            +10s
            drain d all delayed
            ? asked c3*
            ? w1@a sealed delayed=1
            c6 answers c3 scheduled:t1
            ? w1@a sealed delayed=1
            +2s
            c6 answers c3
            ? w1@a drained delayed=0
            +5m
            ? w1@a drained"
        ),
    );
}

#[test]
fn a_worker_on_a_host_of_its_own_is_asked_by_its_process() {
    play_with(
        asks(),
        &format!(
            "{LOCAL}
        ? asked c3
        + c6 127.0.0.1 local        # the answer comes on a new connection: nobody knows yet whose that is
        c6 answers c3
        ? w1@a drained reported
        = c6 100:7@10s
        ? w1@a drained
    "
        ),
    );
}

/// The ack comes on a connection of which nobody knows yet whose it is: it began another epoch when it finds its job.
#[test]
fn an_ack_that_finds_its_job_late_is_asked_about() {
    play_with(
        asks(),
        "
        + c1 127.0.0.1 local
        + c2 127.0.0.1 local
        + c3 127.0.0.1 local
        = c1 100:7@10s
        = c2 100:7@10s
        = c3 100:7@10s
        c3 named celery w1@a
        c3 listens
        c1 fetch celery
        20s
        c1 gets t1
        c1 ack t1
        c1 gets t2
        drain d all
        c2 answers c3
        ? w1@a sealed running=0 prefetched=1
        + c9 127.0.0.1 local
        c9 ack t2
        ? w1@a sealed
        +3s
        = c9 100:7@10s
        ? w1@a sealed running=1
        c2 answers c3
        ? w1@a drained
    ",
    );
}
