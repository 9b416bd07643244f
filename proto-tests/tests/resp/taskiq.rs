//! taskiq's dialect: lists and streams, recorded from real workers.

use crate::support::play;

const ID: &str = "a4f6b755397747a99f12fba43a8ebe7e";

fn task() -> String {
    format!(r#"'$${{"task_id":"{ID}","task_name":"jobs:run","labels":{{}},"args":["a",1],"kwargs":{{}}}}'"#)
}

/// A fetch without end must never be answered with nothing: it would end the worker.
#[test]
fn a_fetch_without_end_is_held_without_end() {
    let task = task();
    play(&format!(
        "W> BRPOP taskiq 0\n B> BRPOP taskiq ~\n B= *2 $$taskiq {task}\n E Recognised taskiq\n E Delivered {ID} taskiq jobs:run {ID}
        DRAIN
        W> BRPOP taskiq 0
        +29s
        +1s\n B> PING\n B< +PONG
        +30s\n B> PING\n B< +PONG
        UNDRAIN
        B> BRPOP taskiq ~\n B= *2 $$taskiq {task}\n E Recognised taskiq\n E Delivered {ID} *"
    ));
}

#[test]
fn a_result_is_the_end_of_a_task() {
    play(&format!("SYSTEM taskiq\n W= SET {ID} '{{}}'\n B= +OK\n E Result {ID}"));
    play(&format!("SYSTEM taskiq\n W= SET results:{ID} '{{}}' EX 60\n B= +OK\n E Result {ID}"));
    play(&format!("SYSTEM taskiq\n W= SET {ID}__progress x\n B= +OK\n W= SET {ID} x\n B= '-OOM no'"));
    // on a connection of which nothing is known yet, too; but not on another system's
    play(&format!("W= SET {ID} x\n B= +OK\n E Result {ID}"));
    play(&format!("SYSTEM celery\n W= SET {ID} x\n B= +OK"));
}

#[test]
fn a_task_in_a_stream_ends_with_its_entry() {
    let task = task();
    play(&format!(
        "W= XREADGROUP GROUP taskiq c COUNT 100 BLOCK 2000 STREAMS taskiq >
        B= *1 *2 $$taskiq *1 *2 $$7-0 *2 $$data {task}\n E Recognised taskiq\n E Delivered 7-0@taskiq taskiq jobs:run {ID}
        SYSTEM taskiq
        DRAIN
        W> XREADGROUP GROUP taskiq c COUNT 100 BLOCK 2000 STREAMS taskiq >\n +2s\n W< *-1
        W> XAUTOCLAIM taskiq taskiq c 600000 0-0 COUNT 100\n W< *3 $$0-0 *0 *0
        W= XACK taskiq taskiq 7-0\n B= :1\n E Ended 7-0@taskiq finished"
    ));
}

#[test]
fn a_tasks_own_pops_pass() {
    play("SYSTEM taskiq\n DRAIN\n W= BLPOP lock 5\n B= *2 $$lock $$x\n W= BRPOP own 5\n B= *2 $$own $$x");
}

/// Entries of other streams may have the same ids.
#[test]
fn a_claim_in_another_stream_renews_nothing() {
    play(
        "
        W= XREADGROUP GROUP g c STREAMS s >
        B= *1 *2 $$s *1 *2 $$7-0 *2 $$a $$b\n E Delivered 7-0@s s - -
        DRAIN
        W= XCLAIM s g c 0 7-0\n B= *1 *2 $$7-0 *2 $$a $$b
        W> XCLAIM t g c 0 7-0\n W< *0
    ",
    );
}

/// XAUTOCLAIM with nothing but the ids.
#[test]
fn entries_claimed_by_their_ids_are_delivered() {
    play(
        "
        W= XAUTOCLAIM s g c 600000 0-0 JUSTID
        B= *3 $$0-0 *2 $$7-0 $$8-0 *0\n E Delivered 7-0@s s - -\n E Delivered 8-0@s s - -
        W= XCLAIM s g c 0 9-0 JUSTID
        B= *1 $$9-0\n E Delivered 9-0@s s - -
    ",
    );
}
