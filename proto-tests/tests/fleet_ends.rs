//! Ends of jobs that come late, over another connection, or of somebody else's job: Resque, arq, private lists, Laravel
//! and asynq.

use proto_tests::fleet_script::play;

/// Resque's child tells of the end on a connection of its own, which may find its worker late: by then the worker may have
/// its next job, under the same name.
#[test]
fn a_late_word_of_a_child_ends_no_later_job() {
    play(
        "
        + c1 127.0.0.1 local
        = c1 100:1@3599s
        c1 named resque vm:7
        c1 poll q
        c1 gets k
        + c2 127.0.0.1 local
        c2 end k
        c1 idle
        +1s
        c1 poll q
        c1 gets k
        drain d all
        ? @c1 draining running=1
        = c2 200:1@3600s < 100:1@3599s
        ? @c1 sealed running=1
        c1 end k
        ? @c1 drained exact
    ",
    );
    // the word of the child is all there is
    play(
        "
        + c1 127.0.0.1 local
        = c1 100:1@3599s
        c1 named resque vm:7
        c1 poll q
        c1 gets k
        + c2 127.0.0.1 local
        c2 end k
        drain d all
        = c2 200:1@3600s < 100:1@3599s
        ? @c1 drained exact
    ",
    );
}

/// The word of one of Resque's workers says nothing of the jobs of others beside it.
#[test]
fn one_of_resques_workers_is_idle() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +13s
        c1 named resque vm:7
        c1 poll q
        c1 gets k1
        c2 poll q
        c2 gets k2
        drain d all
        c1 idle
        ? @c1 sealed running=1
        c2 end k2
        ? @c1 drained exact
    ",
    );
}

/// A job that is looked at again while its end is on its way, on a connection that is still being looked up: what is given
/// up is the second look, and what has ended is the job.
#[test]
fn a_second_look_is_not_the_job() {
    play(
        "
        + c1 127.0.0.1 local
        = c1 100:1@3599s
        c1 is arq
        c1 poll q
        c1 gets x
        + c2 127.0.0.1 local
        c2 end x
        +1s
        + c3 127.0.0.1 local
        = c3 100:1@3599s
        c3 poll q
        c3 gets x
        c3 returned x
        = c2 100:1@3599s
        drain d all
        ? @c1 drained exact
    ",
    );
}

/// Who pops out of a list that jobs are moved to ends its own, and gets what others have put there.
#[test]
fn a_private_list_that_others_use() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 acknowledges
        c1 fetch q
        c1 gets t1
        c1 pops t1
        drain d all
        ? 10.0.0.5 drained exact
        c1 pops t2
        ? 10.0.0.5 draining unknown blocked~others
    ",
    );
}

/// Two of Laravel's workers behind one address: a job that ran out of time is another one there, and so is one that was
/// pushed again under its old name.
#[test]
fn attempts_at_a_job_are_jobs_of_their_own() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        +12s
        c1 is laravel
        c1 poll q
        c1 gets a:1
        c2 poll q
        c2 gets a:2
        drain d all
        c2 end a:2
        ? 10.0.0.5 sealed running=1
        c1 end a:1
        ? 10.0.0.5 drained exact
        undrain d
        c1 poll q
        c1 gets b:1
        c2 poll q
        c2 gets b:1
        drain e all
        c1 end b:1
        ? 10.0.0.5 sealed running=1
        c2 end b:1
        ? 10.0.0.5 drained exact
    ",
    );
}

/// A process of asynq's that outlived the gate names what it works on in each of its reports. Two that name nothing tell
/// that there is nothing left, and the word after them that it has not just stood still.
#[test]
fn the_reports_of_a_process_from_before() {
    let start = "
        + c1 local
        = c1 100:7@0s
        c1 lease 10s
        c1 named asynq vm:100:a
        c1 poll q
        c1 gets q:1
        restart
        1s
        + c2 local
        = c2 100:7@0s
        drain d all
        c2 poll q
        c2 nil
        c2 renewed 10s
        c2 named asynq vm:100:a
        ? @c2 sealed unknown running=1 blocked~restarted
        6s
        c2 renewed 10s
        c2 named asynq vm:100:a
        11s
        c2 lease 10s
        c2 named asynq vm:100:a
        16s
        c2 lease 10s
        c2 named asynq vm:100:a
        ? @c2 sealed unknown
    ";
    // it stands still
    play(&format!(
        "{start} 5m\n ? @c2 sealed unknown\n c2 lease 10s\n c2 named asynq vm:100:a\n ? @c2 drained reported"
    ));
    // its task is over meanwhile, or was somebody else's by then
    for end in ["c2 end q:1", ""] {
        play(&format!(
            "{start} {end}\n 20s\n ? @c2 sealed unknown\n 21s\n c2 lease 10s\n c2 named asynq vm:100:a\n ? @c2 drained reported"
        ));
    }
    // and is not
    play(&format!(
        "{start} 17s\n c2 renewed 10s\n c2 named asynq vm:100:a\n 21s\n c2 lease 10s\n c2 named asynq vm:100:a\n ? @c2 sealed unknown"
    ));
}

/// A worker of BullMQ's stood still until a job's lock ran out, and was given the job once more. Its first run ends, and says
/// so twice (the lock is another's): that is no word of the second, whose lock is not renewed any more, and which goes on.
#[test]
fn a_stalled_job_that_comes_back_to_its_worker() {
    let start = "
        + c1 10.0.0.5
        +12s
        c1 is bullmq
        c1 lease 30s
        c1 poll q
        c1 gets t1
        +40s
        c1 poll q
    ";
    let end = "
        drain d all
        c1 unlocked t1
        c1 end t1
        c1 unlocked t1
        c1 end t1
        +5m
    ";
    play(&format!(
        "{start} c1 gets t1\n {end} ? @c1 sealed unknown running=0 blocked~runs\n c1 end t1\n +5m\n ? @c1 sealed unknown"
    ));
    // the next gate has heard of it
    play(&format!(
        "{start} c1 gets t1\n {end} restart\n + c2 10.0.0.5\n +12s\n c2 is bullmq\n c2 lease 30s\n c2 poll q\n +5m\n ? @c2 sealed unknown blocked~runs"
    ));
    // the second run ends first
    play(&format!(
        "{start} c1 gets t1\n drain d all\n c1 end t1\n ? @c1 sealed exact running=1\n c1 unlocked t1\n c1 end t1\n ? @c1 drained exact"
    ));
    // it was given back, and what comes of that is heard on another connection first
    play(&format!("{start} c1 gets t1\n drain d all\n c1 requeue t1\n c1 end t1\n ? @c1 drained exact"));
    // what was put back, and what another worker has had meanwhile, is worked on once
    play(&format!("{start} c1 requeue t1\n c1 gets t1\n drain d all\n c1 end t1\n ? @c1 drained exact"));
}

/// The same script is sent twice if its first answer is lost: by then the task is not there, and that is no news.
#[test]
fn a_task_that_has_ended_already() {
    play(
        "
        + c1 local
        = c1 100:7@3599s
        + c2 local
        = c2 100:7@3599s
        c1 named asynq vm:100:a
        c1 poll q
        c1 gets q:1
        c1 poll q
        c1 gets q:2
        drain d all
        c1 end q:1
        c2 pushes q:1
        ? @c1 sealed running=1
        c2 pushes q:2
        ? @c1 drained exact
    ",
    );
}

/// What a process has given up is over by its own word, and no more than that is known.
#[test]
fn a_task_that_was_given_up() {
    play(
        "
        + c1 local
        = c1 100:7@3599s
        c1 named asynq vm:100:a
        c1 poll q
        c1 gets q:1
        drain d all
        drain e all require=exact
        c1 gives up
        ? @c1 sealed running=1
        c1 end q:1
        ? @c1 drained reported
        ? drain e sealed
    ",
    );
}

/// The next life of a server under the same address has another name, and the mark does not concern it.
#[test]
fn the_next_server_under_an_address() {
    play(
        "
        + c1 10.0.0.5
        +2m
        c1 lease 10s
        c1 named asynq vm:1:a
        c1 poll q
        c1 gets q:1
        drain d all
        c1 end q:1
        + c2 10.0.0.5
        c2 poll q
        ? c2 marked
        - c1
        - c2
        + c3 10.0.0.5
        c3 lease 10s
        c3 named asynq vm:1:b
        c3 poll q
        c3 gets q:2
        ? @c3 active running=1
    ",
    );
}

/// What a process says on a new connection holds for its worker, though the connection's process is found only later: which
/// of the job's two runs ends does not show.
#[test]
fn a_lock_that_was_lost_before_the_process_was_known() {
    play(
        "
        + c1 local
        = c1 100:7@0s
        c1 is bullmq
        c1 lease 30s
        c1 poll q
        c1 gets t1
        +40s
        c1 poll q
        c1 gets t1
        + c2 local
        c2 unlocked t1
        c2 end t1
        = c2 100:7@0s
        drain d all
        c1 end t1
        ? @c1 sealed unknown blocked~runs
    ",
    );
}

/// The same: the task's handler may still run.
#[test]
fn a_task_that_was_given_up_before_the_process_was_known() {
    play(
        "
        + c1 local
        = c1 100:7@0s
        c1 is asynq
        c1 poll q
        c1 gets t1
        + c2 local
        c2 gives up
        c2 end t1
        = c2 100:7@0s
        drain d all
        ? @c1 drained reported
    ",
    );
}

/// The same: it is said once on each connection.
#[test]
fn how_long_locks_last_is_said_before_the_process_is_known() {
    play(
        "
        + c1 local
        = c1 100:7@0s
        c1 is bullmq
        c1 poll q
        restart
        + c2 local
        c2 is bullmq
        c2 lease 30s
        c2 poll q
        = c2 100:7@0s
        drain d all
        c2 nil
        ? @c2 sealed unknown
        +25s
        + c3 local
        c3 renewed 30s
        = c3 100:7@0s
        +25s
        ? @c2 sealed unknown
        +10s
        ? @c2 drained reported
    ",
    );
}
