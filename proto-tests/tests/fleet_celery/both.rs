//! Workers that send heartbeats and can be asked: the answer counts, and heartbeats show when to ask and who it is.

use crate::asking::{LOCAL, asks, story};
use proto_tests::fleet_script::play_with;

/// A heartbeat beside the connections of [`crate::asking::WORKER`], and a job that has begun.
const BEATING: &str = "
    1s
    + c4 10.0.0.5
    c4 named celery w1@a
    c4 beat active=0 processed=0
    c1 gets t1
    c2 ack t1
    3s
    c4 beat active=1 processed=1
";

fn beating(text: &str) {
    story(&format!("{BEATING}\n{text}"));
}

#[test]
fn an_answer_drains_at_once() {
    beating("drain d all\n ? asked c3\n ? w1@a sealed running=1\n c6 answers c3\n ? w1@a drained reported");
}

/// Of heartbeats only clocks say when they were composed.
#[test]
fn heartbeats_are_not_believed_while_an_answer_is_due() {
    beating(
        "
        drain d all
        ? asked c3
        5s
        c4 beat active=0 processed=1
        7s
        c4 beat active=0 processed=1
        9s
        c4 beat active=0 processed=1
        ? w1@a sealed unblocked
        17.9s
        c4 beat active=0 processed=1
        ? w1@a sealed
        c6 answers c3 t1            # nor behind it: it runs
        19.9s
        c4 beat active=0 processed=1
        ? w1@a sealed
    ",
    );
}

/// Its remote control is dead: then they are all that there is.
#[test]
fn heartbeats_of_who_does_not_answer_are_believed_after_a_while() {
    let deaf = "
        5s
        c4 beat active=0 processed=1
        17.9s
        c4 beat active=0 processed=1
        ? w1@a sealed
        19.9s
        c4 beat active=0 processed=1
        ? w1@a drained reported
    ";
    beating(&format!("drain d all\n ? asked c3\n {deaf}\n +10m\n c4 beat active=0 processed=1\n ? w1@a drained"));
    // it answers in a form that cannot be read
    beating(&format!("drain d all\n c6 answers c3 ?\n {deaf}"));
    // what it says is heard again as soon as it answers
    beating(
        "
        drain d all
        20s
        c4 beat active=1 processed=1
        c6 answers c3 t1
        22s
        c4 beat active=0 processed=1
        24s
        c4 beat active=0 processed=1
        ? w1@a sealed
        c6 answers c3
        ? w1@a drained
    ",
    );
}

/// Nobody is asked who is not drained. What heartbeats say of the jobs of such a worker is shown.
#[test]
fn heartbeats_tell_of_a_worker_that_is_not_drained() {
    beating("5s\n c4 beat active=0 processed=1\n ? asked\n ? w1@a active running=0");
}

/// It listens anew, and may answer.
#[test]
fn an_answer_is_waited_for_again_when_a_worker_listens_anew() {
    beating(
        "
        drain d all
        ? asked c3
        20s
        c4 beat active=1 processed=1
        - c3
        + c5 10.0.0.5
        c5 listens
        22s
        c4 beat active=0 processed=1
        ? asked c5
        24s
        c4 beat active=0 processed=1
        26s
        c4 beat active=0 processed=1
        ? w1@a sealed
        c6 answers c5
        ? w1@a drained
    ",
    );
}

/// The other cannot be asked.
#[test]
fn heartbeats_of_all_processes_are_believed_if_one_does_not_answer() {
    beating(
        "
        + d1 10.0.0.5
        + d3 10.0.0.5
        + d4 10.0.0.5
        d4 named celery w2@a
        d3 listens
        d1 fetch celery
        d4 beat active=0 processed=0 pid=2
        4s
        drain d all
        d1 nil
        ? asked c3 d3
        c6 answers c3
        6s
        c4 beat active=0 processed=1
        d4 beat active=0 processed=0 pid=2
        18s
        c4 beat active=0 processed=1
        d4 beat active=0 processed=0 pid=2
        ? @c1 sealed
        20s
        c4 beat active=0 processed=1
        d4 beat active=0 processed=0 pid=2
        ? @c1 drained reported
    ",
    );
}

/// It has named itself and is at work, and nobody has seen it fetch or listen.
#[test]
fn a_process_that_only_sends_heartbeats_is_one_more() {
    beating(
        "
        + d4 10.0.0.5
        d4 named celery w2@a
        d4 beat active=1 processed=1 pid=2
        4s
        drain d all
        ? asked c3
        c4 beat active=0 processed=1
        c6 answers c3
        ? @c1 sealed
    ",
    );
}

/// A job has stored its result, or a heartbeat says that nothing runs: it is asked then, not only every two seconds.
#[test]
fn it_is_asked_when_there_is_news() {
    beating(
        "
        drain d all
        ? asked c3
        c6 answers c3 t1
        +0.5s
        c1 result t1
        +0.099s
        ? asked
        +0.001s
        ? asked c3
        c6 answers c3
        ? w1@a drained
    ",
    );
    beating(
        "
        drain d all
        ? asked c3
        c6 answers c3 t1
        +0.5s
        c4 beat active=0 processed=1
        ? asked c3
        c6 answers c3
        ? w1@a drained
    ",
    );
    // but not more often than ten times in a second
    beating(
        "
        drain d all
        ? asked c3
        c6 answers c3 t1
        c4 beat active=0 processed=1
        ? asked
        +0.099s
        c4 beat active=0 processed=1
        ? asked
        +0.001s
        ? asked c3
        c6 answers c3 t1
        +1.9s
        ? asked
        +0.1s
        ? asked c3
    ",
    );
}

/// Jobs begin while its answer is on the way: it is asked again as soon as that has come.
#[test]
fn an_answer_that_was_overtaken_is_asked_for_again() {
    let overtaken = "
        c1 gets t2
        drain d all
        ? asked c3
        +1s
        c2 ack t2
        ? asked
        +9s
    ";
    beating(&format!(
        "{overtaken}\n c6 answers c3\n ? w1@a sealed\n +0.1s\n ? asked c3\n c6 answers c3\n ? w1@a drained"
    ));
    // it may never come
    beating(&format!("{overtaken}\n ? asked\n +2s\n ? asked c3\n c6 answers c3\n ? w1@a drained"));
}

/// What waits in its memory and is known to be there may be long in coming: it runs nothing.
#[test]
fn a_worker_met_in_mid_life_may_have_what_the_gate_has_seen_coming() {
    let met = "
        1s
        + c4 10.0.0.5
        c4 named celery w1@a
        c4 beat active=0 processed=7
        c1 gets t1 eta=+1h
        c1 gets t2
        drain d all
        ? asked c3*
        c6 answers c3 scheduled:t1 reserved:t2
        ? w1@a sealed prefetched=1 delayed=1
        c2 ack t2
        +2s
        ? asked c3*
    ";
    story(&format!("{met}\n c6 answers c3 scheduled:t1\n ? w1@a drained reported delayed=1"));
    story(&format!("{met}\n c6 answers c3 scheduled:t1 scheduled:t3\n ? w1@a sealed\n +2s\n ? asked c3*"));
    story(&format!("{met}\n c6 answers c3 scheduled:t1 t2\n ? w1@a sealed"));
}

/// A process that is told to stop closes what it fetches by and works on. Another under its name and address knows nothing
/// of its jobs, and is found out by its heartbeats.
#[test]
fn a_successor_does_not_speak_for_the_process_before_it() {
    let successor = "
        4s
        + d1 10.0.0.5
        + d3 10.0.0.5
        + d4 10.0.0.5
        + d6 10.0.0.5
        d3 listens
        d1 fetch celery
    ";
    let stops = "
        c4 beat active=1 processed=1
        c3 deaf
        - c3
        - c1
    ";
    beating(&format!(
        "{successor}
        5s
        {stops}
        drain d all
        d1 nil
        d6 answers d3
        ? @d1 sealed
        d4 named celery w1@a
        d4 beat active=0 processed=0 pid=2
        6s
        d6 answers d3
        8s
        d4 beat active=0 processed=0 pid=2
        ? @d1 sealed
        +20s
        d4 beat active=0 processed=0 pid=2
        ? @d1 sealed
        "
    ));
    // all its connections are gone, and it may be at work all the same
    beating(&format!(
        "drain d all standing
        ? asked c3
        {stops}
        - c2
        - c4
        - c6
        {successor}
        +2s
        ? asked d3
        d6 answers d3
        ? @d1 sealed running=1
        "
    ));
}

/// Its process id is that of the one before it, as in a container, and it has begun as many jobs as the last heartbeat of that
/// one said. The job that had begun behind that heartbeat is not among them.
#[test]
fn a_successor_with_the_same_pid_does_not_speak_for_it_either() {
    beating(
        "
        c1 gets t2
        c2 ack t2
        drain d all standing
        ? asked c3
        - c1
        - c2
        - c3
        - c4
        - c6
        4s
        + d1 10.0.0.5
        + d3 10.0.0.5
        + d4 10.0.0.5
        + d6 10.0.0.5
        d4 named celery w1@a
        d3 listens
        d1 fetch celery
        6s
        d4 beat active=0 processed=1
        ? asked d3
        d6 answers d3
        ? @d1 sealed running=2
    ",
    );
}

/// Somebody else behind the address fetches, or listens, of whom nobody has known yet whose it is.
#[test]
fn who_joins_is_not_known_to_be_idle() {
    beating(
        "
        drain d all
        c6 answers c3
        ? w1@a drained
        + d1 10.0.0.5
        d1 fetch celery
        ? @d1 sealed
    ",
    );
    play_with(
        asks(),
        &format!(
            "{LOCAL}
        c1 answers c3
        ? w1@a drained
        + c5 127.0.0.1 local
        c5 listens
        ? w1@a drained
        = c5 100:7@10s
        ? w1@a sealed
        +2s
        c1 answers c5
        ? w1@a drained
    "
        ),
    );
}
