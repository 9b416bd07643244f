//! arq's dialect, recorded from real workers.

use crate::support::{play, play_rows};

const POLL: &str = "ZRANGEBYSCORE arq:queue -inf 1795000000000 LIMIT 0 100";
/// What a worker does with each id that it has read.
const LOOK: &str = "W= WATCH arq:in-progress:a\n E Recognised arq\n B= +OK\n W= EXISTS arq:in-progress:a\n";
/// It finds the job free.
const FREE: &str = "B= :0\n E Delivered a arq:queue - a\n W= ZSCORE arq:queue a\n B= $$1795000000000\n";
const CLAIM: &str = "W= MULTI\n W= PSETEX arq:in-progress:a 310000 1\n W= EXEC\n";

fn read() -> String {
    format!("W= {POLL}\n E Recognised arq\n B= *2 $$a $$b\n")
}

/// No job of a list that was read before the mark is started: `EXISTS` is the fetch, and says that others have it.
#[test]
fn a_stale_list_starts_nothing() {
    play(&format!(
        "set events all
        W= {POLL}\n E Recognised arq\n E FetchAsked broker arq:queue poll
        B= *2 $$a $$b\n E FetchAnswered broker empty poll
        W= WATCH arq:in-progress:a\n E Recognised arq\n B= +OK
        W= EXISTS arq:in-progress:a\n E FetchAsked broker arq:queue poll
        B= :0\n E Delivered a arq:queue - a\n E FetchAnswered broker job poll
        W= ZSCORE arq:queue a\n B= $$1795000000000
        {CLAIM} B= +OK +QUEUED *1 +OK
        DRAIN
        W= WATCH arq:in-progress:b\n E Recognised arq\n B= +OK
        W> EXISTS arq:in-progress:b\n E FetchAsked gate arq:queue poll\n E FetchAnswered gate empty poll
        W< :1
        W= ZSCORE arq:queue b\n B= $$1795000000000
        W= UNWATCH\n B= +OK
        W> {POLL}\n E Recognised arq\n E FetchAsked gate arq:queue poll\n E FetchAnswered gate empty poll
        W< *0"
    ));
}

/// In flight from the moment at which the worker is told that the job is free, whatever comes of it.
#[test]
fn a_job_that_was_free_is_in_flight_until_the_worker_leaves_it() {
    let read = read();
    for (end, reply) in [
        // it was put off meanwhile
        ("W= UNWATCH\n E Returned a\n", "B= +OK"),
        // another worker was quicker
        (CLAIM, "B= +OK +QUEUED *-1\n E Returned a"),
        (CLAIM, "B= +OK '-OOM no' '-EXECABORT no'\n E Returned a"),
        (CLAIM, "B= +OK +QUEUED *1 '-OOM no'\n E Returned a"),
        // this one goes on to the next without a word
        ("W= WATCH arq:in-progress:b\n E Returned a\n E Recognised arq\n", "B= +OK"),
    ] {
        play(&format!("{read}{LOOK}{FREE}DRAIN\n{end}{reply}"));
    }
    play(&format!("{read}{LOOK}{FREE}W gone\n E Returned a\n CLOSED"));
    play(&format!(
        "{read}{LOOK}{FREE}{CLAIM}W gone\n E Returned a\n B< +OK +QUEUED *1 +OK\n W< +OK +QUEUED *1 +OK\n CLOSED"
    ));
    play(&format!("{read}{LOOK}W gone\n B< :0\n E Orphan delivered\n CLOSED"));
    // claimed: what a connection does later says nothing of it
    play(&format!("{read}{LOOK}{FREE}{CLAIM}B= +OK +QUEUED *1 +OK\n W= UNWATCH\n B= +OK\n W gone\n CLOSED"));
}

#[test]
fn an_end_counts_when_it_is_executed() {
    play_rows(
        "W= MULTI\n B= +OK\n W= <1>\n B= +QUEUED\n W= EXEC\n B= *1 :1\n <2>",
        &[
            "DEL arq:in-progress:a arq:retry:a arq:job:a | E Ended a finished",
            "DEL arq:retry:a arq:in-progress:a arq:job:a | E Ended a finished",
            // to be retried, or cut off by a shutdown
            "DEL arq:in-progress:a | E Ended a requeued",
            // a cron job
            "PEXPIRE arq:in-progress:a 60000 | E Ended a finished",
        ],
    );
    play("W= MULTI\n W= DEL arq:in-progress:a\n W= EXEC\n B= +OK +QUEUED *-1");
}

/// A queue of another name is known as one when the worker has shown what it is.
#[test]
fn another_queue() {
    let poll = "ZRANGEBYSCORE mine -inf 1795000000000 LIMIT 0 100";
    play(&format!("DRAIN\n W= {poll}\n B= *1 $$a"));
    play(
        "W= PSETEX mine:health-check 3601000 'Nov-22 j_complete=0 j_failed=0 j_retried=0 j_ongoing=0 queued=0'\n E Recognised arq\n B= +OK",
    );
    play(&format!("SYSTEM arq\n DRAIN\n W> {poll}\n E Recognised arq\n W< *0"));
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM arq\n DRAIN\n W= <1>\n B= <2>",
        &[
            // a job's own
            "EXISTS arq:in-progress:other | :0",
            "ZRANGEBYSCORE scores 0 10 | *1 $$x",
            "ZRANGEBYSCORE scores -inf 10 LIMIT 0 1 | *1 $$x",
            "BLPOP semaphore 5 | *2 $$semaphore $$x",
            "ZRANGE arq:abort 0 -1 | *1 $$a",
            "ZADD arq:queue 1795000000000 c | :1",
            "PSETEX arq:job:c 86400000 x | +OK",
        ],
    );
    // somebody asks for a job's state
    play("SYSTEM arq\n DRAIN\n W= MULTI\n W= EXISTS arq:in-progress:a\n W= EXEC\n B= +OK +QUEUED *1 :0");
}

/// The list was read over another connection of the worker's pool.
#[test]
fn a_paused_queue_starts_nothing_whichever_connection_asks() {
    play(
        "PAUSE arq:queue\n W= WATCH arq:in-progress:b\n E Recognised arq\n B= +OK
        W> EXISTS arq:in-progress:b\n W< :1",
    );
}

/// It writes about the server into its log first.
#[test]
fn one_that_has_just_begun_is_told_of() {
    let asks = |parts: &[&str]| parts.iter().map(|part| format!("W= INFO {part}\n B= $$x\n")).collect::<String>();
    let (all, size) = (asks(&["Server", "Memory", "Clients"]), "W= DBSIZE\n B= :3\n");
    let reads = |begun: &str| format!("W= {POLL}\n E Recognised arq\n{begun} B= *0\n");
    play(&format!("{all}{size}{}{}SYSTEM arq\n{all}{size}{}", reads(" E Begun\n"), reads(""), reads("")));
    // in one write
    play(&format!(
        "W= INFO Server\n W= INFO Memory\n W= INFO Clients\n W= DBSIZE\n B= $$x $$x $$x :3\n{}",
        reads(" E Begun\n")
    ));
    // somebody else's
    play(&format!("{size}{}", reads("")));
    play(&format!("{}{size}{}", asks(&["Server", "Clients", "Memory"]), reads("")));
}
