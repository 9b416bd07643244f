//! Resque's dialect: node-resque and pyres recorded from real workers, Ruby's Resque from its source.

use crate::support::{play, play_rows};

const JOB: &str = r#"'$${"class":"Run","queue":"jobs","args":["a",1]}'"#;
const NAMED: &str = "E Recognised resque\n E Named resque vm:7\n";
const POP: &str = "EVALSHA b2 2 resque:queue:jobs resque:worker:vm:7:jobs now jobs vm:7";

/// node-resque's script pops, and says who has it.
#[test]
fn the_script_is_held_and_delivers() {
    play(&format!(
        "set events all
        W= {POP}\n {NAMED} E FetchAsked broker resque:queue:jobs poll
        B= {JOB}\n E Delivered resque:worker:vm:7:jobs resque:queue:jobs Run -\n E FetchAnswered broker job poll
        SYSTEM resque
        W= DEL resque:worker:vm:7:jobs\n B= :1
        E Ended resque:worker:vm:7:jobs finished\n E Report idle
        W= {POP}\n E Named resque vm:7\n E Ended resque:worker:vm:7:jobs finished\n E FetchAsked broker resque:queue:jobs poll
        B= $-1\n E FetchAnswered broker empty poll
        DRAIN
        W> {POP}\n E Named resque vm:7\n E FetchAsked gate resque:queue:jobs poll\n E FetchAnswered gate empty poll
        W< $-1"
    ));
    // by its text, and in RESP3
    let text = POP.replace("EVALSHA b2", "EVAL '-- lpop'");
    play(&format!("W= HELLO 3\n B= %1 $$proto :3\n DRAIN\n W> {text}\n {NAMED} W< _"));
    // nobody has it: it went to one that had gone
    play(&format!("W= {POP}\n {NAMED} W gone\n B< {JOB}\n E Orphan delivered\n CLOSED"));
}

/// node-resque goes on when Redis has refused what it writes at a job's end, and deletes no key then: who asks again is done
/// with its job, others on the same connection are not.
#[test]
fn a_worker_that_asks_again_has_ended_its_job() {
    let other = POP.replace("vm:7", "vm:8");
    let polls = |pop: &str, named: &str, ended: &str| {
        format!("W= {pop}\n E Named resque {named}\n {ended} E FetchAsked broker resque:queue:jobs poll\n")
    };
    let job = |of: &str| {
        format!(
            "B= {JOB}\n E Delivered resque:worker:{of}:jobs resque:queue:jobs Run -\n E FetchAnswered broker job poll\n"
        )
    };
    play(&format!(
        "set events all\n SYSTEM resque\n {}{}{}{}
        W= MULTI\n B= +OK\n W= incr resque:stat:processed\n B= '-BUSY a script'\n W= EXEC\n B= '-EXECABORT discarded'
        {}B= $-1\n E FetchAnswered broker empty poll
        {}B= $-1\n E FetchAnswered broker empty poll
        DRAIN
        W> {other}\n E Named resque vm:8\n E Ended resque:worker:vm:8:jobs finished
        E FetchAsked gate resque:queue:jobs poll\n E FetchAnswered gate empty poll\n W< $-1",
        polls(POP, "vm:7", ""),
        job("vm:7"),
        polls(&other, "vm:8", ""),
        job("vm:8"),
        polls(POP, "vm:7", "E Ended resque:worker:vm:7:jobs finished\n"),
        polls(POP, "vm:7", ""),
    ));
}

/// A worker says its name when it starts, and with each heartbeat: its job is called by it, whichever connection ends it.
#[test]
fn a_plain_pop_is_held_and_delivers() {
    for (fetch, reply, wait, nil) in [
        ("LPOP resque:queue:jobs", JOB.to_owned(), "", "$-1"),
        ("BLPOP resque:queue:jobs resque:queue:low 1", format!("*2 $$resque:queue:jobs {JOB}"), "+1s\n", "*-1"),
    ] {
        play(&format!(
            "W= SADD resque:workers vm:7:jobs,low\n {NAMED} B= :1
            SYSTEM resque
            W= SET resque:worker:vm:7:jobs,low:started x\n E Named resque vm:7\n E Begun\n B= +OK
            W= {fetch}\n E Report idle\n B= {reply}\n E Delivered resque:worker:vm:7:jobs,low resque:queue:jobs Run -
            W= SET resque:worker:vm:7:jobs,low '{{}}'\n B= +OK
            DRAIN
            W= DEL resque:worker:vm:7:jobs,low\n W= INCRBY resque:stat:processed 1\n B= :1 :1
            E Ended resque:worker:vm:7:jobs,low finished\n E Report idle
            W> {fetch}\n E Report idle\n {wait} W< {nil}"
        ));
    }
}

/// Nobody has said who it is: what it says next tells.
#[test]
fn a_pop_of_an_unnamed_worker() {
    play(&format!(
        "W= LPOP resque:queue:jobs\n B= {JOB}\n E Recognised resque\n E Delivered #1-1 resque:queue:jobs Run -
        SYSTEM resque
        W= SET resque:worker:vm:7:jobs '{{}}'\n B= +OK
        W= DEL resque:worker:vm:7:jobs\n B= :1\n E Ended #1-1 finished\n E Report idle"
    ));
    // two workers on one connection
    play(&format!(
        "W= SADD resque:workers vm:7:jobs\n {NAMED} B= :1
        SYSTEM resque
        W= SADD resque:workers vm:8:jobs\n E Named resque vm:8\n B= :1
        W= LPOP resque:queue:jobs\n B= {JOB}\n E Delivered #1-1 *
        W= SET resque:worker:vm:8:jobs '{{}}'\n B= +OK
        W= LPOP resque:queue:jobs\n B= {JOB}\n E Delivered #1-2 *
        W= SET resque:worker:vm:7:jobs '{{}}'\n B= +OK
        W= DEL resque:worker:vm:7:jobs\n B= :1\n E Ended #1-2 finished"
    ));
}

/// Who takes a worker off the list deletes its key as well: its own, or that of one that it takes for dead.
#[test]
fn leaving_ends_no_job() {
    play(
        "SYSTEM resque
        W= SREM resque:workers vm:7:jobs\n W= DEL resque:worker:vm:7:jobs\n W= DEL resque:worker:vm:7:jobs:started\n B= :1 :1 :1
        W= MULTI\n W= SREM resque:workers vm:7:jobs\n W= DEL resque:worker:ping:vm:7
        W= DEL resque:worker:vm:7:jobs\n W= EXEC\n B= +OK +QUEUED +QUEUED +QUEUED *3 :1 :1 :1
        W= SADD resque:workers vm:7:jobs\n E Named resque vm:7\n B= :1
        W= DEL resque:worker:vm:7:jobs\n B= '-READONLY no'
        E Refused [resque:worker:vm:7:jobs]",
    );
}

/// Due jobs are not taken while drained, and what was taken is in flight until the next look.
#[test]
fn a_scheduler_takes_nothing_while_drained() {
    let look = "ZRANGEBYSCORE resque:delayed_queue_schedule 0 1795000000 LIMIT 0 1";
    play(&format!(
        "set events all
        W= {look}\n E Recognised resque\n E FetchAsked broker resque:delayed_queue_schedule poll
        B= *1 $$1795000000\n E FetchAnswered broker empty poll
        SYSTEM resque
        W= LPOP resque:delayed:1795000000\n E SchedulerReturned\n E FetchAsked broker resque:delayed:1795000000 poll
        B= {JOB}\n E Taken #1-1 resque:delayed:1795000000 Run -\n E FetchAnswered broker job poll
        DRAIN
        W= RPUSH resque:queue:jobs x\n B= :1
        W> LPOP resque:delayed:1795000000\n E SchedulerReturned\n E FetchAsked gate resque:delayed:1795000000 poll
        E FetchAnswered gate empty poll\n W< $-1
        W> {look}\n E Recognised resque\n E FetchAsked gate resque:delayed_queue_schedule poll
        E FetchAnswered gate empty poll\n W< *0"
    ));
    // what came for one that had gone is put back
    play(&format!(
        "SYSTEM resque\n W= LPOP resque:delayed:1795000000\n E SchedulerReturned\n W gone\n B< {JOB}
        B> LPUSH resque:delayed:1795000000 '{{\"class\":\"Run\",\"queue\":\"jobs\",\"args\":[\"a\",1]}}'\n B< :1
        E Orphan returned\n CLOSED"
    ));
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM resque\n DRAIN\n W= <1>\n B= <2>",
        &[
            "LPOP list | $$x",
            "BLPOP semaphore 5 | *2 $$semaphore $$x",
            "LPOP resque:delayed:not-a-time | $$x",
            "RPUSH resque:failed x | :1",
            "SMEMBERS resque:queues | *1 $$jobs",
            "GET resque:worker:vm:7:jobs | $-1",
        ],
    );
    play_rows(
        "DRAIN\n W= <1>\n B= <2>",
        &["SADD my:workers tom | :1", "SET my:worker:tom 1 | +OK", "DEL my:worker:tom | :1"],
    );
}
