//! Workers whose job system is not known, and the operator's patterns.

use crate::support::{play, play_rows};

#[test]
fn every_blocking_pop_is_a_fetch() {
    play_rows(
        "W= <1>\n B= <2>\n E Delivered <3> - -",
        &[
            "BRPOP mine.x 1 | *2 $$mine.x $$pickle | #1-1 mine.x",
            "BLPOP mine:a mine:b 1 | *2 $$mine:b $$id | #1-1 mine:b",
            "BLMOVE mine:a mine:a:intermediate LEFT RIGHT 1 | $$id | 08b72e07b55c3ac0@mine:a:intermediate mine:a",
            "BZPOPMIN mine:z 1 | *3 $$mine:z $$0 $$0 | #1-1 mine:z",
        ],
    );
    play(
        "set seed 7\n W= BRPOP q 1\n B= *2 $$q $$a\n E Delivered #7-1 *\n W= BRPOP q 1\n B= *2 $$q $$b\n E Delivered #7-2 *",
    );
}

#[test]
fn patterns_of_the_operator_come_first() {
    play("set pass lock:*\n DRAIN\n W= BLPOP lock:a 0\n B= *2 $$lock:a $$x\n W> BLPOP q 1\n +1s\n W< *-1");
    play("set pass lock:*\n DRAIN\n W> BLPOP lock:a q 1\n +1s\n W< *-1");
    play(
        "set fetch resque:queue:*\n SYSTEM celery\n W= GET a\n B= $-1\n DRAIN\n W> LPOP resque:queue:a\n W< $-1\n W= LPOP other\n B= $$x",
    );
    play("set fetch q*\n set pass q-not\n DRAIN\n W= LPOP q-not\n B= $-1\n W> LPOP q-is\n W< $-1");
    play(
        "set pass *pidbox\n set fetch x\n SYSTEM sidekiq\n DRAIN\n W> BLPOP x 1\n +1s\n W< *-1\n W= brpop queue:pidbox 1\n B= *-1",
    );
    // several jobs at once are told one by one
    play(
        "set fetch q\n W= LPOP q 3\n B= *3 $$a $$b $$c\n E Delivered #1-1 *\n E Delivered #1-2 *\n E Delivered #1-3 *",
    );
}

#[test]
fn what_cannot_be_refused_is_told() {
    play(
        "DRAIN\n W= MULTI\n B= +OK\n W= BRPOP q 0\n E Blocked it fetches by BRPOP inside MULTI*\n B= +QUEUED\n W= EXEC\n B= *1 *-1",
    );
    play("set fetch q\n W= MULTI\n B= +OK\n W= LPOP q\n E Blocked it fetches by LPOP inside MULTI*\n B= +QUEUED");
    // a plain pop of a key that nobody declared is no fetch, but nobody knows what it takes: told once
    for nothing in ["$$x", "$-1"] {
        play(&format!(
            "DRAIN\n W= LPOP q\n E Unrefused it fetches by LPOP from keys *\n B= {nothing}\n W= LPOP q\n B= $$y"
        ));
    }
    play(
        "W= MULTI\n B= +OK\n W= LPOP q\n E Unrefused it fetches by LPOP from keys *\n B= +QUEUED\n W= EXEC\n B= *1 $$x",
    );
    play("set pass cache\n W= LPOP cache\n B= $$x");
    play("SYSTEM celery\n W= LPOP q\n B= $$x");
}

/// Some read first and remove afterwards, or take a whole list under another name. It cannot be held, and nobody can tell what
/// they have: told once.
#[test]
fn whoever_takes_by_hand_from_a_declared_key_is_told_of() {
    for (command, reply) in [
        ("RENAME jobs jobs:mine", "+OK"),
        ("RENAMENX jobs mine", ":1"),
        ("LTRIM jobs 10 -1", "+OK"),
        ("ZREM jobs a", ":1"),
        ("ZREMRANGEBYSCORE jobs 0 7", ":1"),
        ("ZREMRANGEBYRANK jobs 0 7", ":0"),
        ("ZREMRANGEBYLEX jobs - +", ":1"),
    ] {
        let name = command.split(' ').next().unwrap_or_default();
        let told = format!("E Blocked it fetches by {name} over keys that are declared to hold jobs*");
        play(&format!(
            "set fetch jobs*\n W> {command}\n {told}\n B> {command}\n B= {reply}\n W= {command}\n B= {reply}"
        ));
        play(&format!("set fetch jobs*\n W= MULTI\n B= +OK\n W> {command}\n {told}\n B> {command}\n B= +QUEUED"));
        play(&format!("W= {command}\n B= {reply}"));
        play(&format!("set fetch jobs*\n set pass jobs\n W= {command}\n B= {reply}"));
        play(&format!("set fetch other\n W= {command}\n B= {reply}"));
        play(&format!("set fetch jobs*\n SYSTEM rq\n W= {command}\n B= {reply}"));
    }
    play("set fetch jobs*\n W= RENAME mine jobs\n B= +OK\n W= RENAME\n B= '-ERR wrong number'");
}

/// Of a worker of which nothing is known.
#[test]
fn what_a_script_has_returned_is_told() {
    for script in ["EVALSHA abc 1 bull:q:wait x", "EVAL 'return 1' 2 a b", "FCALL f 1 a"] {
        play(&format!("DRAIN\n W= {script}\n B= *2 *2 $$k $$v :0\n E Unrefused it fetches by *"));
        for no_queue in ["*4 :0 :0 :0 :0", ":1", "+OK", "'-NOSCRIPT no'", "*2 $-1 :0"] {
            play(&format!("DRAIN\n W= {script}\n B= {no_queue}"));
        }
        // nothing, or as from a queue that is empty now? Told once, and what comes later once more
        for nothing in ["$-1", "_", "*-1", "*0", "*2 $-1 $-1", "*1 *2 $-1 _", "~0", "%0"] {
            let name = script.split(' ').next().unwrap_or_default();
            let told = format!("E Unrefused it fetches by {name} that");
            let in_vain = format!("W= {script}\n B= {nothing}\n {told} has found nothing yet*");
            let again = format!("W= {script}\n B= {nothing}\n W= {script}\n B= $$x\n {told} returns *");
            play(&format!("DRAIN\n {in_vain}\n {again}"));
            play(&format!("SYSTEM celery\n W= {script}\n B= {nothing}"));
        }
        play(&format!("SYSTEM celery\n W= {script}\n B= $$token"));
    }
    play("set pass lock:*\n W= EVALSHA abc 1 lock:a x\n B= $$token");
    // over keys of which the operator has said that they hold jobs: whatever else its worker fetches from them
    for (keys, reply, event) in [
        ("1 jobs", "$$x", "\n E Blocked it fetches by EVALSHA over keys *"),
        ("2 lock jobs", "$-1", "\n E Blocked it fetches by EVALSHA over keys *"),
        ("1 jobs", ":1", ""),
        ("1 lock", "$$x", "\n E Unrefused it fetches by EVALSHA that returns *"),
        ("1 jobs:log", "$$x", ""),
    ] {
        play(&format!("set fetch jobs*\n set pass jobs:log\n W= EVALSHA abc {keys} a\n B= {reply}{event}"));
    }
    // one that hides its keys, one with a long text, one in a transaction, one that is too long to be read
    // over the keys of a queue, and behind a lock that was free: told by itself
    play(
        "W= EVALSHA abc 1 lock\n B= $-1\n E Unrefused it fetches by EVALSHA that has found nothing yet*
        W= EVALSHA abc 3 work:jobs:q work:jobs:q:1:inprogress work:jobs:q:paused 1 60\n B= *2 $-1 $-1
        E Unrefused it fetches by EVALSHA over the keys of a queue*
        W= EVALSHA abc 3 work:jobs:q work:jobs:q:1:inprogress work:jobs:q:paused 1 60\n B= *2 $$job $$job",
    );
    play("W= EVALSHA abc 3 asynq:{q}:pending asynq:{q}:active asynq:{q}:t\n B= :0");
    play("set pass lock:*\n W= EVALSHA abc 0 x\n B= $$token\n E Unrefused it fetches by EVALSHA that returns *");
    play("W= EVAL (x*1500) 1 q\n B= $$x\n E Unrefused it fetches by EVAL that returns *");
    play("W= EVAL (x*200000) 1 q\n B= $$x\n E Unrefused it fetches by EVAL with arguments too long *");
    play("SYSTEM celery\n W= EVAL (x*200000) 1 q\n B= $$x");
    for (exec, told) in [
        ("*2 $$a $$x", true),
        ("*2 $$a :1", false),
        ("*2 *2 $$a $$b :1", true),
        ("*-1", false),
        ("*2 $$a $-1", true),
        ("*2 *2 $$a $$b $-1", true),
        ("*2 *1 :1 _", true),
        ("*2 *1 :1 :1", false),
    ] {
        let event = if told { "\n E Unrefused it fetches by EVALSHA *" } else { "" };
        play(&format!(
            "W= MULTI\n B= +OK\n W= GET a\n B= +QUEUED\n W= EVALSHA abc 1 q\n B= +QUEUED\n W= EXEC\n B= {exec}{event}"
        ));
    }
}

#[test]
fn a_fetch_held_before_the_system_was_known_is_judged_again() {
    // it turns out to be a running task's own pop
    play(
        "set events all
        DRAIN
        W= SET a b
        B= +OK
        W> BLPOP sem 10
        E FetchAsked gate sem blocking
        +4s
        SYSTEM celery
        E FetchAnswered gate empty blocking
        B> BLPOP sem 6.000
        W> PING
        B> PING
        B= *2 $$sem $$token
        B= +PONG",
    );
    play("DRAIN\n W> BLPOP sem 0\n SYSTEM celery\n B> BLPOP sem 0\n B= *2 $$sem $$token");
    // sliced and marked, it goes on in slices
    play("W> BLPOP sem 0\n B> BLPOP sem ~\n SYSTEM celery\n DRAIN\n B< *-1\n B> BLPOP sem ~");
    // a fetch stays held
    play("DRAIN\n W> brpop queue:a 2\n +1s\n SYSTEM sidekiq\n +999ms\n +1ms\n W< *-1");
}

/// What a consumer group reads is pending until it is acknowledged, on whatever connection.
#[test]
fn entries_of_streams_are_jobs_with_an_end() {
    let two = [
        "*1 *2 $$s *2 *2 $$1-1 *2 $$f $$1-9 *2 $$2-1 *2 $$f $$v",
        "%1 $$s *2 *2 $$1-1 *2 $$f $$1-9 *2 $$2-1 *2 $$f $$v",
    ];
    for reply in two {
        play(&format!(
            "W= XREADGROUP GROUP g c COUNT 10 STREAMS s >\n B= {reply}\n E Delivered 1-1@s s - -\n E Delivered 2-1@s s - -
            W= XACK s g 1-1 2-1\n B= :2\n E Ended 1-1@s finished\n E Ended 2-1@s finished"
        ));
    }
    // Redis 8.4 and 8.2: what was idle for too long comes with its age, and goes with its acknowledgement
    play(
        "W= XREADGROUP GROUP g c CLAIM 60000 STREAMS s >
        B= *1 *2 $$s *2 *4 $$1-1 *2 $$f $$v :65000 :1 *4 $$2-1 *2 $$f $$v :0 :0
        E Delivered 1-1@s s - -\n E Delivered 2-1@s s - -
        W= XACKDEL s g KEEPREF IDS 1 1-1\n B= *1 :1\n E Ended 1-1@s finished
        W= XACKDEL s g ids 2 2-1 3-1\n B= *2 :1 :-1\n E Ended 2-1@s finished\n E Ended 3-1@s finished
        W= XACKDEL s g\n B= '-ERR wrong number of arguments'",
    );
    play(
        "W= XREADGROUP GROUP g c STREAMS s t > >\n B= *2 *2 $$s *1 *2 $$1-1 *2 $$f $$v *2 $$t *1 *2 $$1-1 *2 $$f $$v
        E Delivered 1-1@s s - -\n E Delivered 1-1@t t - -",
    );
    play("W= XAUTOCLAIM s g c 0 0-0\n B= *3 $$0-0 *1 *2 $$1-1 *2 $$f $$v *1 $$9-9\n E Delivered 1-1@s s - -");
    play("W= XCLAIM s g c 0 1-1\n B= *1 *2 $$1-1 *2 $$f $$v\n E Delivered 1-1@s s - -");
    play("set events all\n W= XREADGROUP GROUP g c STREAMS s >\n E Acknowledges\n E FetchAsked broker s poll");
    // a reply that cannot be read is no reason to say that nothing came
    play("W= XREADGROUP GROUP g c STREAMS s >\n B= *1 *2 $$s *1 *2 $$odd *2 $$f $$v\n E Blocked *");
    // a known system's own streams are its jobs' business
    play("SYSTEM celery\n W= XACK s g 1-1\n B= :1");
}

/// A process that starts takes up what it had before. It is told of more with each read, until there is nothing or it asks
/// for what is new.
#[test]
fn entries_that_are_pending_already_are_told_again() {
    let some = "*1 *2 $$s *3 *2 $$1-1 *2 $$f $$v *2 $$2-1 *-1 *2 $$3-1 *2 $$f $$v";
    let told = "E Redelivered 1-1@s s - -\n E Redelivered 3-1@s s - -";
    let read = "W= XREADGROUP GROUP g c COUNT 9 STREAMS s 0\n B=";
    for start in ["", "DRAIN\n"] {
        let first =
            format!("{start} {read} {some}\n E Bound *\n {told}\n W= XACK s g 1-1\n B= :1\n E Ended 1-1@s finished");
        let deleted = format!("{read} *1 *2 $$s *1 *2 $$3-1 *-1");
        play(&format!("{first}\n {deleted}\n {read} *1 *2 $$s *0\n E Unbound *\n {read} *1 *2 $$s *0"));
        let forward = if start.is_empty() { "B> XREADGROUP GROUP g c BLOCK 1000 STREAMS s >\n " } else { "" };
        let held = if start.is_empty() { "B= *-1" } else { "+1s\n W< *-1" };
        play(&format!("{first}\n W> XREADGROUP GROUP g c BLOCK 1000 STREAMS s >\n E Unbound *\n {forward}{held}"));
    }
    play(
        "W= HELLO 3\n B= %1 $$proto :3\n W= XREADGROUP GROUP g c STREAMS s 0-0
        B= %1 $$s *2 *2 $$1-1 *2 $$f $$v *2 $$2-1 _\n E Bound *\n E Redelivered 1-1@s s - -",
    );
    play("set events all\n W= xreadgroup GROUP g c STREAMS s 0\n E Acknowledges\n B= *1 *2 $$s *0");
    play(&format!(
        "W= MULTI\n B= +OK\n W= XREADGROUP GROUP g c STREAMS s 0\n B= +QUEUED\n W= EXEC\n B= *1 {some}\n E Bound *\n {told}"
    ));
    // who has gone has not heard of it
    play(&format!("W= XREADGROUP GROUP g c STREAMS s 0\n W gone\n B< {some}\n E Bound *\n CLOSED"));
    play(&format!("SYSTEM celery\n W= XREADGROUP GROUP g c STREAMS s 0\n B= {some}"));
    play("W= XREADGROUP GROUP g c STREAMS s 0\n B= '-NOGROUP no such group'");
}

/// Whether there is a group only a fetch tells: while it is held it finds nothing, and learns of it as soon as it goes on.
#[test]
fn a_group_that_is_not_there() {
    play(
        "DRAIN
        W> XREADGROUP GROUP g c BLOCK 2000 STREAMS s >\n +2s\n W< *-1
        W> XREADGROUP GROUP g c STREAMS s >\n W< *-1
        W> XREADGROUP GROUP g c BLOCK 0 STREAMS s >
        UNDRAIN
        B> XREADGROUP GROUP g c BLOCK ~ STREAMS s >
        B= '-NOGROUP no such group'
        W= XGROUP CREATE s g 0 MKSTREAM\n B= +OK",
    );
}

/// In a transaction a claim cannot be answered, but it can be made to claim nothing.
#[test]
fn a_claim_in_a_transaction_claims_nothing_while_drained() {
    play(
        "set events all
        W= MULTI\n B= +OK
        W= XAUTOCLAIM s g c 600000 0-0 COUNT 100\n E FetchAsked broker s poll\n B= +QUEUED
        W= EXEC\n B= *1 *3 $$0-0 *1 *2 $$1-1 *2 $$f $$v *0\n E Delivered 1-1@s s - -\n E FetchAnswered broker job poll
        DRAIN
        W= MULTI\n B= +OK
        W> XAUTOCLAIM s g c 600000 0-0 COUNT 100\n E FetchRewritten s
        B> XAUTOCLAIM s g c 9000000000000000 0-0 COUNT 100\n B= +QUEUED
        W= EXEC\n B= *1 *3 $$0-0 *0 *0",
    );
}

/// It passes and is counted; what a job system says with a script is known, and so is one that reads only.
#[test]
fn unknown_scripts_are_told_of() {
    play_rows(
        "set events all\n W= <1>\n E UnknownScript\n B= :1",
        &["EVALSHA ab 1 q", "eval 'return 1' 0", "FCALL f 1 q x"],
    );
    play(&format!("set events all\n W= EVAL '{}' 1 q\n E UnknownScript\n B= :1", "x".repeat(200_000)));
    play("set events all\n SYSTEM celery\n DRAIN\n W= EVALSHA ab 1 q\n E UnknownScript\n B= $$x");
    play("set events all\n W= EVALSHA_RO ab 1 q\n B= $$x");
    play("set events all\n W= EVALSHA ab 1 q\n E UnknownScript\n B= $$x\n E Unrefused *\n E PassesPause q unknown");
}
