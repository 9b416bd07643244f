//! The dialects of BullMQ 5 and 6 and of Bull 4: their scripts' keys and arguments, recorded from real workers.

use crate::support::{play, play_rows};

const PART: &str = "bull:q:wait bull:q:active bull:q:prioritized bull:q:events bull:q:stalled bull:q:limiter bull:q:delayed \
                    bull:q:paused bull:q:meta bull:q:pc";
const NO_JOB: &str = "*4 :0 :0 :0 :0";
const JOB: &str = "*4 *4 $$name $$mail $$data $${} $$7 :0 :0";

fn fetch() -> String {
    format!(r#"evalsha sha1 11 {PART} bull:q:marker bull:q: 1795000000000 "\x81\xaclockDuration\xcd\x75\x30""#)
}

/// The end of job 5, with or without asking for the next one.
fn finish(result: &str, next: u8) -> String {
    format!(
        "evalsha sha2 14 {PART} bull:q:completed bull:q:5 bull:q:metrics:completed bull:q:marker 5 1795000000000 \
         returnvalue {result} completed {next} bull:q: opts"
    )
}

/// The same when the job is put off.
fn delay(next: u8) -> String {
    format!(
        "evalsha sha3 11 bull:q:marker bull:q:active bull:q:prioritized bull:q:delayed bull:q:5 bull:q:events bull:q:meta \
         bull:q:stalled bull:q:wait bull:q:limiter bull:q:pc bull:q: 1795000000000 5 token:1 300 0 fields {next} opts"
    )
}

const FOUND: &str = "E Recognised bullmq\n E Report lease 30000 false\n";

#[test]
fn a_fetch_is_answered_while_drained() {
    let fetch = fetch();
    play(&format!(
        "set events all
        W= {fetch}\n {FOUND} E FetchAsked broker bull:q poll
        B= {JOB}\n E Delivered bull:q:7 bull:q mail 7\n E FetchAnswered broker job poll
        W= {fetch}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= {NO_JOB}\n E FetchAnswered broker empty poll
        W= {fetch}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= *4 :0 :0 :0 :1795000000900\n E FetchAnswered broker empty poll
        W= {fetch}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= '-NOSCRIPT No matching script.'\n E FetchAnswered broker error poll
        +20s
        DRAIN\n +20s
        W> {fetch}\n E Recognised bullmq\n E FetchAsked gate bull:q poll
        W< {NO_JOB}\n E FetchAnswered gate empty poll"
    ));
    // by its text just as by its SHA, which is not known any more after SCRIPT FLUSH
    let long = fetch.replace("evalsha sha1", "EVAL '--[[ Move next job (x*40000)'");
    play(&format!("DRAIN\n +20s\n W> {long}\n {FOUND} W< {NO_JOB}"));
}

/// What woke this worker would have woken another.
#[test]
fn a_marker_that_was_eaten_is_put_back() {
    let fetch = fetch();
    play(&format!(
        "DRAIN
        W> {fetch}\n {FOUND} B> ZADD bull:q:marker NX 0 0\n B< :1\n W< {NO_JOB}
        +9s
        W> {fetch}\n E Recognised bullmq\n B> ZADD bull:q:marker NX 0 0\n B< :0\n W< {NO_JOB}
        +2s
        W> {fetch}\n E Recognised bullmq\n W< {NO_JOB}"
    ));
    // its end of the wait is no job
    play(
        "W> bzpopmin bull:q:marker 5\n B> bzpopmin bull:q:marker ~\n B= *3 $$bull:q:marker $$0 $$0
        DRAIN\n W> bzpopmin bull:q:marker 5\n +5s\n W< *-1",
    );
    play(
        "W> bzpopmin bull:q:marker 5\n B> bzpopmin bull:q:marker ~\n W gone\n B< *3 $$bull:q:marker $$0 $$0
        B> ZADD bull:q:marker NX 0 0\n B< :1\n E Orphan returned\n CLOSED",
    );
}

#[test]
fn the_end_of_a_job_fetches_no_other_while_drained() {
    let (asks, asks_not) = (finish("'{\"a\":1}'", 1), finish("'{\"a\":1}'", 0));
    play(&format!(
        "set events all
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= {JOB}\n E Ended bull:q:5 finished\n E Delivered bull:q:7 bull:q mail 7\n E FetchAnswered broker job poll
        W= {asks_not}\n E Recognised bullmq\n B= :0\n E Ended bull:q:5 finished
        DRAIN
        W> {asks}\n E Recognised bullmq\n E FetchRewritten bull:q
        B> {asks_not}\n B= :0\n E Ended bull:q:5 finished
        W= {asks_not}\n E Recognised bullmq\n B= :0\n E Ended bull:q:5 finished"
    ));
    let (asks, asks_not) = (delay(1), delay(0));
    play(&format!(
        "set events all
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= {JOB}\n E Ended bull:q:5 requeued\n E Delivered bull:q:7 bull:q mail 7\n E FetchAnswered broker job poll
        DRAIN
        W> {asks}\n E Recognised bullmq\n E FetchRewritten bull:q
        B> {asks_not}\n B= :0\n E Ended bull:q:5 requeued"
    ));
}

/// A result of megabytes streams; the argument behind it is judged in the moment in which it passes.
#[test]
fn a_long_result_is_not_waited_for() {
    let result = "(x*150000)";
    let (asks, asks_not) = (finish(result, 1), finish(result, 0));
    play(&format!(
        "set events all
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll
        B= {JOB}\n E Ended bull:q:5 finished\n E Delivered bull:q:7 bull:q mail 7\n E FetchAnswered broker job poll
        DRAIN
        W> {asks}\n E Recognised bullmq\n E FetchRewritten bull:q
        B> {asks_not}\n B= :0\n E Ended bull:q:5 finished
        W= {asks_not}\n E Recognised bullmq\n B= :0\n E Ended bull:q:5 finished"
    ));
}

/// Drained in the middle of the command, before the argument that decides.
#[test]
fn the_mark_counts_at_the_argument() {
    let encode = |text: &str| String::from_utf8(crate::support::command(text)).expect("text");
    let (asks, asks_not) = (encode(&finish("(x*150000)", 1)), encode(&finish("(x*150000)", 0)));
    let at = asks.find("xxxx").expect("the result") + 140_000;
    let raw = |text: &str| text.replace('\r', "\\r").replace('\n', "\\n");
    let (begin, end, end_not) = (raw(&asks[..at]), raw(&asks[at..]), raw(&asks_not[at..]));
    play(&format!(
        "W>raw \"{begin}\"\n E Recognised bullmq\n B>raw \"{begin}\"
        DRAIN
        W>raw \"{end}\"\n E FetchRewritten bull:q\n B>raw \"{end_not}\"
        B= :0\n E Ended bull:q:5 finished"
    ));
}

#[test]
fn a_job_is_over_when_the_broker_says_so() {
    let finish = finish("null", 0);
    play(&format!("W= {finish}\n E Recognised bullmq\n B= :0\n E Ended bull:q:5 finished"));
    for lost in [":-1", ":-2", ":-3", ":-6"] {
        play(&format!("W= {finish}\n E Recognised bullmq\n B= {lost}\n {LOST} E Ended bull:q:5 finished"));
    }
    for not in [":-4", ":-9", "'-NOSCRIPT x'", "'-READONLY x'\n E Refused [bull:q:5]"] {
        play(&format!("W= {finish}\n E Recognised bullmq\n B= {not}"));
    }
    // one that has stalled, and that another worker has by now
    for (reply, lost) in [(":0", ""), (":-6", LOST)] {
        play_rows(
            &format!("W= evalsha s <1>\n E Recognised bullmq\n B= {reply}\n {lost} E Ended bull:q:5 requeued"),
            &PUT_BACK,
        );
    }
    // its children are done already, or some have failed: it goes on
    for not in [":1", ":-9"] {
        for waits in [PUT_BACK[2], PUT_BACK[6]] {
            play(&format!("W= evalsha s {waits}\n E Recognised bullmq\n B= {not}"));
        }
    }
}

const LOST: &str = "E Report lost the lock of bull:q:5\n";

/// A job is tried again, put back, waits for its children. The last of them are of 5.0 to 5.47.
const PUT_BACK: [&str; 7] = [
    "11 bull:q:active bull:q:wait bull:q:paused bull:q:5 bull:q:meta bull:q:events bull:q:delayed bull:q:prioritized bull:q:pc bull:q:marker bull:q:stalled bull:q: 1 RPUSH 5 t",
    "9 bull:q:active bull:q:wait bull:q:stalled bull:q:paused bull:q:meta bull:q:limiter bull:q:prioritized bull:q:marker bull:q:events 5 t bull:q:5",
    "7 bull:q:active bull:q:waiting-children bull:q:5 bull:q:5:dependencies bull:q:5:unsuccessful bull:q:stalled bull:q:events t x 1 5 bull:q:",
    "9 bull:q:active bull:q:wait bull:q:stalled bull:q:5:lock bull:q:paused bull:q:meta bull:q:limiter bull:q:prioritized bull:q:events 5 t bull:q:5",
    "10 bull:q:active bull:q:wait bull:q:stalled bull:q:5:lock bull:q:paused bull:q:meta bull:q:limiter bull:q:prioritized bull:q:marker bull:q:events 5 t bull:q:5",
    "4 bull:q:5:lock bull:q:active bull:q:waiting-children bull:q:5 t x 1 5",
    "5 bull:q:5:lock bull:q:active bull:q:waiting-children bull:q:5 bull:q:stalled t x 1 5",
];

/// BullMQ up to 5.4 and Bull end a failed job within a transaction.
#[test]
fn a_job_may_end_within_a_transaction() {
    let (asks, asks_not) = (finish("why", 1), finish("why", 0));
    let multi = "W= multi\n B= +OK\n W= hmset bull:q:5 stacktrace []\n B= +QUEUED\n";
    play(&format!(
        "set events all\n {multi}
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll\n B= +QUEUED
        W= exec
        B= *2 +OK {JOB}\n E Ended bull:q:5 finished\n E Delivered bull:q:7 bull:q mail 7\n E FetchAnswered broker job poll
        DRAIN\n {multi}
        W> {asks}\n E Recognised bullmq\n E FetchRewritten bull:q\n B> {asks_not}\n B= +QUEUED
        W= exec\n B= *2 +OK :0\n E Ended bull:q:5 finished"
    ));
    play(&format!(
        "set events all\n {multi}
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll\n B= +QUEUED
        W= discard\n E FetchAnswered broker error poll\n B= +OK"
    ));
    play(&format!(
        "set events all\n {multi}
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll\n B= +QUEUED
        W= exec\n B= *2 +OK '-NOSCRIPT x'\n E FetchAnswered broker error poll"
    ));
    play(&format!(
        "set events all\n {multi}
        W= {asks}\n E Recognised bullmq\n E FetchAsked broker bull:q poll\n B= +QUEUED
        W= exec\n B= *-1\n E FetchAnswered broker error poll"
    ));
    // a fetch alone cannot be answered there
    play(&format!("W= multi\n B= +OK\n W= {}\n {FOUND} E Blocked *\n B= +QUEUED", fetch()));
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM bullmq\n DRAIN\n W= <1>\n B= <2>",
        &[
            "evalsha s 9 bull:q:wait bull:q:paused bull:q:meta bull:q:id bull:q:completed bull:q:delayed bull:q:active bull:q:events bull:q:marker a b | $$8",
            "evalsha s 9 bull:q:stalled bull:q:wait bull:q:active bull:q:stalled-check bull:q:meta bull:q:paused bull:q:marker bull:q:events bull:q:repeat 1 bull:q: 2 3 | *1 $$4",
            "hgetall bull:q:5 | *0",
            "xread BLOCK 1000 STREAMS bull:q:events 0 | *-1",
        ],
    );
    // locks are renewed
    play(
        "SYSTEM bullmq\n DRAIN\n W= evalsha s 2 bull:q:5:lock bull:q:stalled token 30000 5\n E Report lease 30000 true\n B= :1
        W= evalsha s 1 bull:q:stalled bull:q: tokens ids 60000\n E Report lease 60000 true\n B= *0",
    );
    // what adds jobs fetches none, and says nothing about who does
    play(
        "W= evalsha s 9 bull:q:wait bull:q:paused bull:q:meta bull:q:id bull:q:completed bull:q:delayed bull:q:active bull:q:events bull:q:marker a b\n B= $$8",
    );
}

/// What a web application or a dashboard asks for, recorded from 5.81 and 6.7: nobody gets a job by that, so nobody is taken
/// for a worker because of it, whatever comes back.
#[test]
fn clients_look_up_jobs() {
    for reply in ["*1 *1 $$7", "*2 $-1 $-1", "*-1", "$-1", "_", ":0"] {
        play_rows(
            &format!("set events all\n W= <1>\n B= {reply}"),
            &[
                "EVAL '--[[ Get job ids' 1 bull:q: 0 -1 0 wait paused failed",
                "evalsha s 1 bull:q: 0 10 0 5 wait failed",
                "evalsha s 1 bull:q:5:processed 0 9 0 0 5",
                "evalsha s 1 bull:q:5:dependencies 0 9 0 0 5 1",
                "evalsha s 2 bull:q:metrics:failed bull:q:metrics:failed:data 0 -1",
                "evalsha s 2 bull:q:5 bull:q:5:dependencies bull:q 5 1795000000000",
                "evalsha s 2 bull:q:5 bull:q:meta bull:q: 5",
            ],
        );
    }
    // a script of somebody's own with keys like those may take one
    play_rows(
        "set events all\n W= <1>\n E UnknownScript\n B= $$7\n E Unrefused *\n E PassesPause *",
        &[
            "evalsha s 1 bull:q:wait 5",
            "evalsha s 1 bull:q:repeat 5",
            "evalsha s 1 bull:q: 0 10 0",
            "evalsha s 1 bull:q: 0 10 0 wait elsewhere",
            "evalsha s 1 bull:q: 10 wait",
            "evalsha s 1 bull:q:5:processed 0 9 0 0 x",
        ],
    );
    play_rows(
        "set events all\n W= <1>\n E UnknownScript\n B= $$7\n E Unrefused *\n E PassesPause *\n E PassesPause *",
        &[
            "evalsha s 2 bull:q:5 bull:q:6:dependencies bull:q 5 1795000000000",
            "evalsha s 2 bull:q:metrics:failed bull:q:data 0 -1",
            "evalsha s 2 bull:q:5 bull:p:meta bull:q: 5",
        ],
    );
}

/// A worker that vanishes with a job on its way: its lock runs out, and BullMQ moves the job back itself.
#[test]
fn a_job_for_a_vanished_worker_stays_with_the_broker() {
    let fetch = fetch();
    play(&format!("W= {fetch}\n {FOUND} W gone\n B< {JOB}\n E Orphan delivered\n CLOSED"));
    play(&format!(
        "W= {fetch}\n {FOUND} STALL 10\n B< {JOB}\n E Delivered bull:q:7 *\n W< {JOB}\n W gone\n E Returned bull:q:7\n E Orphan delivered\n CLOSED"
    ));
}

const BULL: &str = "bull:q:wait bull:q:active bull:q:priority bull:q:active@token bull:q:stalled bull:q:limiter bull:q:delayed \
                    bull:q:drained bull:q: token 30000 1795000000000";

#[test]
fn bull_4_pops_its_jobs() {
    play(&format!(
        "set events all
        W> brpoplpush bull:q:wait bull:q:active 5\n B> brpoplpush bull:q:wait bull:q:active ~
        E FetchAsked broker bull:q blocking
        B= $$7\n E Recognised bull\n E Delivered bull:q:7 bull:q - 7\n E FetchAnswered broker job blocking
        DRAIN
        W= evalsha s 8 {BULL} 7\n E Recognised bull\n E Report lease 30000 false\n B= *2 *2 $$name $$mail $$7
        W> brpoplpush bull:q:wait bull:q:active 5\n E FetchAsked gate bull:q blocking\n +5s\n W< *-1
        E FetchAnswered gate empty blocking"
    ));
    // without an id it fetches by itself
    play(&format!("DRAIN\n W> evalsha s 8 {BULL} ''\n E Recognised bull\n E Report lease 30000 false\n W< $-1"));
    play(&format!(
        "W= evalsha s 8 {BULL} ''\n E Recognised bull\n E Report lease 30000 false\n B= *2 *2 $$name $$mail $$7\n E Delivered bull:q:7 bull:q mail 7"
    ));
    // put off by the limiter
    play(&format!(
        "W= evalsha s 8 {BULL} 7\n E Recognised bull\n E Report lease 30000 false\n B= $-1\n E Ended bull:q:7 requeued"
    ));
}

#[test]
fn bull_4_ends_and_fetches_in_one() {
    let finish = |next| {
        format!(
            "evalsha s 9 bull:q:active bull:q:completed bull:q:5 bull:q:wait bull:q:priority bull:q:active@token \
             bull:q:delayed bull:q:stalled bull:q:metrics:completed 5 1795000000000 returnvalue null token 0 event {next} \
             bull:q: token 30000 x"
        )
    };
    play(&format!(
        "W= {}\n E Recognised bull\n B= *2 *2 $$name $$mail $$7\n E Ended bull:q:5 finished\n E Delivered bull:q:7 bull:q mail 7
        DRAIN
        W> {}\n E Recognised bull\n E FetchRewritten bull:q\n B> {}\n B= :0\n E Ended bull:q:5 finished",
        finish(1),
        finish(1),
        finish(0)
    ));
    play(
        "W= evalsha s 4 bull:q:active bull:q:delayed bull:q:5 bull:q:stalled 1 5 token\n E Recognised bull\n B= :0\n E Ended bull:q:5 requeued
        W= evalsha s 7 bull:q:active bull:q:wait bull:q:5 bull:q:meta-paused bull:q:paused bull:q:stalled bull:q:priority RPUSH 5 token
        E Recognised bull\n B= :0\n E Ended bull:q:5 requeued",
    );
}

/// BullMQ 4.17 and 3.15 say by another argument whether the end of a job fetches the next one.
#[test]
fn older_releases_of_bullmq_are_never_sealed() {
    let old = "E Blocked its release of BullMQ fetches*";
    let four = format!(
        "13 {PART} bull:q:completed bull:q:5 bull:q:metrics:completed 5 1795000000000 returnvalue null completed"
    );
    play(&format!("set events all\n DRAIN\n W= evalsha s {four} {{}} 1 bull:q: opts\n {old}\n B= {JOB}"));
    play(&format!("set events all\n DRAIN\n W= evalsha s 10 {PART} bull:q: 1795000000000 '' opts\n {old}\n B= {JOB}"));
    let three = PART.replace("prioritized", "priority");
    play(&format!("set events all\n W= evalsha s 10 {three} bull:q: 1795000000000 '' opts\n {old}\n B= {JOB}"));
}

/// A release to come may say it by yet another.
#[test]
fn a_job_that_could_not_have_been_refused_is_told_of() {
    let finish = finish("null", 0);
    play(&format!(
        "DRAIN\n W= {finish}\n E Recognised bullmq\n B= {JOB}\n E Ended bull:q:5 finished\n E Delivered bull:q:7 bull:q mail 7
        E Blocked a script has brought it a job*"
    ));
}
