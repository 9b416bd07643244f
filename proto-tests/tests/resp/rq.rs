//! RQ's dialect: what RQ 2.6 and 3.0 send, recorded from real workers and cut down.

use crate::support::{play, play_rows};

#[test]
fn a_fetch_is_held_and_delivers() {
    for (fetch, queues, reply, queue) in [
        ("BLMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT", "rq:queue:a", "$$j1", "rq:queue:a"),
        ("BLPOP rq:queue:a rq:queue:b", "rq:queue:a,rq:queue:b", "*2 $$rq:queue:b $$j1", "rq:queue:b"),
    ] {
        play(&format!(
            "set events all
            W> {fetch} 20\n E FetchAsked broker {queues} blocking
            B> {fetch} ~
            B= {reply}
            E Recognised rq\n E Delivered j1 {queue} - j1\n E FetchAnswered broker job blocking
            DRAIN
            W> {fetch} 20\n E FetchAsked gate {queues} blocking
            +20s
            W< *-1\n E FetchAnswered gate empty blocking"
        ));
    }
}

/// A burst worker asks without waiting, and ends when there is nothing.
#[test]
fn a_burst_worker_is_told_that_there_is_nothing() {
    play_rows("DRAIN\n W> <1>\n W< $-1", &["LMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT", "LPOP rq:queue:a"]);
}

#[test]
fn a_worker_says_when_it_was_born_and_when_it_is_idle() {
    play(
        "W= MULTI\n B= +OK
        W= DEL rq:worker:w1\n B= +QUEUED
        W= HSET rq:worker:w1 birth 2026-11-21T10:00:00Z last_heartbeat x queues a pid 7
        E Recognised rq\n E Born rq w1
        B= +QUEUED
        W= EXEC\n B= *2 :0 :4
        W= HSET rq:worker:w1 state idle
        E Recognised rq\n E Named rq w1
        B= :1
        E Report idle",
    );
    // not before the broker has confirmed it, and not if it did not
    play("W= HSET rq:worker:w1 state idle\n E Recognised rq\n E Named rq w1\n B= '-OOM no'");
    // what a work-horse writes names nobody: it is its worker's child
    play("W= HSET rq:worker:w1 last_heartbeat x\n E Recognised rq\n B= :0");
}

/// A job whose data is gone is dropped in silence: the next fetch is all that tells.
#[test]
fn who_fetches_again_has_nothing_in_hand() {
    let fetch = "BLMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT 1";
    play(&format!(
        "SYSTEM rq\n W= {fetch}\n E Report idle\n B= $$j1\n E Delivered j1 *\n W= HGETALL rq:job:j1\n B= *0
        W= {fetch}\n E Report idle\n B= *-1"
    ));
    // unless it says that it is at work
    play(&format!(
        "SYSTEM rq\n W= {fetch}\n E Report idle\n B= $$j1\n E Delivered j1 *
        W= HSET rq:worker:w1 state busy\n E Recognised rq\n E Named rq w1\n B= :0
        W= {fetch}\n B= *-1"
    ));
}

/// After a restart of the gate a worker's first command is its next fetch, and whose it is shows later. It waits
/// nevertheless, so it has nothing in hand.
#[test]
fn who_is_known_while_it_waits_has_nothing_in_hand() {
    let fetch = "BLMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT";
    play(&format!(
        "W> {fetch} 20\n B> {fetch} ~
        SYSTEM rq\n B< *-1
        E Report idle\n B> {fetch} ~\n B< *-1\n B> {fetch} ~"
    ));
    play(&format!("DRAIN\n W> {fetch} 20\n SYSTEM rq\n E Report idle\n +20s\n W< *-1"));
    // what it got in the end it has
    play(&format!("W> {fetch} 20\n B> {fetch} ~\n SYSTEM rq\n B= $$j1\n E Delivered j1 *\n +5s"));
    // a pop of its own is none of its fetches
    play("W> BLPOP own 20\n B> BLPOP own ~\n SYSTEM rq\n B< *-1\n B> BLPOP own ~");
}

/// A work-horse speaks on a connection of its own, which nobody knows yet.
#[test]
fn what_a_work_horse_takes_out_of_the_intermediate_list_is_no_end() {
    play("set events all\n W= LREM rq:queue:a:intermediate 1 j1\n B= :1");
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM rq\n DRAIN\n W= <1>\n B= <2>",
        &[
            "ZRANGEBYSCORE rq:scheduled:a 0 1795000000 LIMIT 0 1000 | *1 $$j1",
            "LREM rq:queue:a:intermediate 1 j1 | :1",
            "LRANGE rq:queue:a:intermediate 0 -1 | *1 $$j1",
            "RPUSH rq:queue:a j2 | :1",
            "SREM rq:worker:w1:executions j1:e1 | :1",
            "XREAD BLOCK 1000 STREAMS rq:results:j1 0 | *-1",
            // a job's own pops
            "BLPOP semaphore 5 | *2 $$semaphore $$token",
            "LPOP list | $$x",
        ],
    );
}

/// The element that came for a worker that had gone goes back to the head of its queue.
#[test]
fn what_a_vanished_worker_fetched_is_put_back() {
    play(
        "W= BLMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT 1
        W gone
        B< $$j1
        B> UNWATCH\n B> WATCH rq:queue:a:intermediate\n B> LPOS rq:queue:a:intermediate j1\n B< +OK +OK :0\n B> MULTI\n B> LREM rq:queue:a:intermediate -1 j1\n B> LPUSH rq:queue:a j1\n B> EXEC
        B< +OK +QUEUED +QUEUED *2 :1 :1
        E Orphan returned
        CLOSED",
    );
}
