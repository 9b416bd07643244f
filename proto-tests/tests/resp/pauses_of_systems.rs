//! Paused queues of the job systems that have words of their own for taking a job.

use crate::support::play;

const PART: &str = "bull:q:wait bull:q:active bull:q:prioritized bull:q:events bull:q:stalled bull:q:limiter bull:q:delayed \
     bull:q:paused bull:q:meta bull:q:pc";
const NO_JOB: &str = "*4 :0 :0 :0 :0";

fn move_to_active() -> String {
    format!(r#"evalsha sha1 11 {PART} bull:q:marker bull:q: 1795000000000 "\x81\xaclockDuration\xcd\x75\x30""#)
}

fn finished(next: &str) -> String {
    format!(
        "evalsha sha2 14 {PART} bull:q:completed bull:q:5 bull:q:metrics:completed bull:q:marker 5 1795000000000 \
         returnvalue null 0 {next} bull:q: opts"
    )
}

#[test]
fn a_queue_of_bullmq() {
    let (fetch, end, end_only) = (move_to_active(), finished("1"), finished("0"));
    for name in ["q", "bull:q"] {
        play(&format!(
            "set events all
            PAUSE {name}
            E PausesTaken 1 []
            W> bzpopmin bull:q:marker 5
            E FetchAsked gate bull:q blocking
            +5s
            W< *-1
            E FetchAnswered gate empty blocking
            W> {fetch}
            E Recognised bullmq
            E Report lease 30000 false
            E FetchAsked gate bull:q poll
            E FetchAnswered gate empty poll
            B> ZADD bull:q:marker NX 0 0
            B< :0
            W< {NO_JOB}
            +10s
            SYSTEM bullmq
            W> {fetch}
            E Recognised bullmq
            E FetchAsked gate bull:q poll
            E FetchAnswered gate empty poll
            W< {NO_JOB}
            W> {end}
            E Recognised bullmq
            E FetchRewritten bull:q
            B> {end_only}
            B= :0
            E Ended bull:q:5 finished"
        ));
    }
    // another queue's scripts are as they were, and a drain comes first
    play(&format!("PAUSE r\n W= {fetch}\n E Recognised bullmq\n E Report lease 30000 false\n B= {NO_JOB}"));
    play(&format!(
        "PAUSE q\n DRAIN\n RESUME\n W> {fetch}\n E Recognised bullmq\n E Report lease 30000 false
        B> ZADD bull:q:marker NX 0 0\n B< :0\n W< {NO_JOB}"
    ));
    // asked before the pause, answered with a job behind it
    play(&format!(
        "set events all\n W= {fetch}\n E Recognised bullmq\n E Report lease 30000 false
        E FetchAsked broker bull:q poll\n PAUSE q\n E PausesTaken 1 [q]
        B= *4 *4 $$name $$n $$data $$d $$7 :0 :0\n E Delivered bull:q:7 bull:q n 7
        E FetchAnswered broker job poll\n E PausesTaken 1 []"
    ));
    // in a transaction it stays open until the EXEC
    play(&format!(
        "set events all\n W= multi\n B= +OK\n W= {end}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= +QUEUED\n PAUSE q\n E PausesTaken 1 [q]\n W= exec\n B= *1 :0\n E Ended bull:q:5 finished
        E FetchAnswered broker empty poll\n E PausesTaken 1 []"
    ));
}

#[test]
fn an_argument_that_comes_late_is_judged_then() {
    let long = finished("1").replace("returnvalue", "'(x*140000)'").replace("'(", "(").replace(")'", ")");
    let end_only = finished("0").replace("returnvalue", "(x*140000)");
    play(&format!(
        "SYSTEM bullmq\n PAUSE q\n W> {long}\n E Recognised bullmq\n E FetchRewritten bull:q\n B> {end_only}\n B= :0\n E Ended bull:q:5 finished"
    ));
}

#[test]
fn a_queue_of_bull_4() {
    play(
        "set events all\n PAUSE q\n E PausesTaken 1 []\n W> brpoplpush bull:q:wait bull:q:active 5
        E FetchAsked gate bull:q blocking\n +5s\n W< *-1\n E FetchAnswered gate empty blocking",
    );
}

#[test]
fn a_queue_of_dramatiq_and_the_one_that_follows_it() {
    let fetch = |queue: &str, n: u32| {
        format!("evalsha s 1 dramatiq fetch 1795000000000 {queue} w-1 60000 604800000 0 7000 {n}")
    };
    play(&format!(
        "PAUSE default\n W> {}\n E Recognised dramatiq\n E Named dramatiq w-1\n E FetchRewritten default\n B> {}\n B= *0
        W> {}\n E Recognised dramatiq\n E Named dramatiq w-1\n E FetchRewritten default.DQ\n B> {}\n B= *0
        W= {}\n E Recognised dramatiq\n E Named dramatiq w-1\n B= *0",
        fetch("default", 8),
        fetch("default", 0),
        fetch("default.DQ", 100),
        fetch("default.DQ", 0),
        fetch("mail", 8)
    ));
}

/// What takes from a queue and is not refused is told once of each queue: a pause has to say it.
#[test]
fn what_takes_from_a_queue_unrefused_is_told() {
    play(
        "set events all
        PAUSE jobs
        E PausesTaken 1 []
        W= EVALSHA ab 2 jobs other x
        E UnknownScript
        B= :0
        W= EVALSHA ab 2 jobs other x
        E UnknownScript
        B= $-1
        E Unrefused it fetches by EVALSHA that has found *
        E PassesPause jobs unknown
        E PassesPause other unknown
        W= EVALSHA ab 2 jobs other x
        E UnknownScript
        B= $$job
        E Unrefused it fetches by EVALSHA that returns *
        W= EVALSHA ab 1 jobs
        E UnknownScript
        B= $$job
        W= EVALSHA ab 1 more
        E UnknownScript
        B= $$job
        E PassesPause more unknown",
    );
    play(
        "set events all
        PAUSE jobs
        E PausesTaken 1 []
        W= MULTI
        B= +OK
        W= LPOP jobs
        E Blocked it fetches by LPOP inside MULTI*
        E PassesPause jobs surely
        B= +QUEUED",
    );
    // a known job system has its own ways to take jobs
    play("set events all\n SYSTEM celery\n W= EVALSHA ab 1 jobs\n E UnknownScript\n B= $$x");
}

#[test]
fn a_scheduler_goes_on() {
    // what comes due is pushed on to its queue, and waits there
    play("PAUSE default\n SYSTEM sidekiq\n W= evalsha s 1 schedule 1795000000.5\n E SchedulerReturned\n B= $-1");
}

/// Its poll takes nothing: what was read before the pause is refused when it is about to be claimed.
#[test]
fn a_queue_of_arq() {
    let poll = "ZRANGEBYSCORE arq:queue -inf 1795000000000 LIMIT 0 100";
    play(&format!(
        "W= {poll}\n E Recognised arq\n B= *1 $$a\n PAUSE arq:queue
        W= WATCH arq:in-progress:a\n E Recognised arq\n B= +OK\n W> EXISTS arq:in-progress:a\n W< :1
        W> {poll}\n E Recognised arq\n W< *0\n PAUSE other\n W= {poll}\n E Recognised arq\n B= *0"
    ));
}
