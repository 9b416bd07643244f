//! Laravel's dialect: its scripts, recorded from real workers with phpredis and predis (which send the same bytes).

use crate::support::{play, play_rows};

const KNOWN: &str = "E Recognised laravel\n";
const NOTHING: &str = "*2 $-1 $-1";
const POP: &str = "EVAL '-- Pop the first job off of the queue...' 3 queues:default queues:default:reserved \
                   queues:default:notify 1795000090";
const LOOK: &str =
    "EVAL '-- Get all of the jobs' 3 queues:default:delayed queues:default queues:default:notify 1795000000";
const WAIT: &str = "BLPOP queues:default:notify";

/// A job in the form that a pop script returns beside the one that was pushed.
fn reserved(id: &str, attempt: u32) -> String {
    format!(
        r#"'{{"uuid":"u-{id}","timeout":null,"id":"{id}","displayName":"App\\Jobs\\Work","data":{{"id":"no","attempts":7}},"job":"Work","attempts":{attempt}}}'"#
    )
}

fn popped(id: &str, attempt: u32) -> String {
    let (pushed, reserved) = (reserved(id, attempt - 1), reserved(id, attempt));
    format!("*2 '$${}' '$${}'", pushed.trim_matches('\''), reserved.trim_matches('\''))
}

fn delivered(id: &str, attempt: u32) -> String {
    format!("E Delivered {id}:{attempt} queues:default App\\Jobs\\Work u-{id}\n")
}

fn remove(job: &str) -> String {
    format!("ZREM queues:default:reserved {job}")
}

fn release(job: &str) -> String {
    format!("EVAL '-- Remove the job' 2 queues:default:delayed queues:default:reserved {job} 1795000010")
}

/// A worker with this job in hand.
fn with(id: &str, attempt: u32) -> String {
    let (job, delivered) = (popped(id, attempt), delivered(id, attempt));
    format!("W= {POP}\n {KNOWN} B= {job}\n {delivered} SYSTEM laravel\n")
}

#[test]
fn a_pop_is_held_and_delivers() {
    let (job, delivered, remove) = (popped("a", 1), delivered("a", 1), remove(&reserved("a", 1)));
    play(&format!(
        "set events all
        W= {LOOK}\n {KNOWN} B= *0
        W= {POP}\n {KNOWN} E FetchAsked broker queues:default poll
        B= {job}\n {delivered} E FetchAnswered broker job poll
        SYSTEM laravel
        DRAIN
        W= {remove}\n B= :1
        W= {LOOK}\n {KNOWN} E Ended a:1 finished\n B= *1 $$job
        W> {POP}\n {KNOWN} E FetchAsked gate queues:default poll\n E FetchAnswered gate empty poll\n W< {NOTHING}
        UNDRAIN
        W= {POP}\n {KNOWN} E FetchAsked broker queues:default poll
        B= {NOTHING}\n E FetchAnswered broker empty poll
        W= {POP}\n {KNOWN} E FetchAsked broker queues:default poll
        B= '-ERR user_script:8: attempt to perform arithmetic on a nil value'\n E FetchAnswered broker error poll"
    ));
    play(&format!("W= HELLO 3\n B= %1 $$proto :3\n DRAIN\n W> {POP}\n {KNOWN} W< *2 _ _"));
    // it is known by its keys
    play_rows(
        "DRAIN\n W> <1>\n E Recognised laravel\n W< *2 $-1 $-1",
        &[
            "EVALSHA f00 3 queues:q queues:q:reserved queues:q:notify 1795000090",
            "eval '-- older' 2 queues:q queues:q:reserved 1795000090",
            "EVAL '-- newer' 3 queues:q queues:q:reserved queues:q:notify 1795000000 90",
            "EVAL x 3 laravel_database_queues:q laravel_database_queues:q:reserved laravel_database_queues:q:notify 1795000090",
            "EVAL x 3 queues:{q} queues:{q}:reserved queues:{q}:notify 1795000090",
            "EVAL x 3 queues:a:reserved:b queues:a:reserved:b:reserved queues:a:reserved:b:notify 1795000090",
        ],
    );
}

/// Callbacks and listeners run behind the removal: only who looks for another job is done.
#[test]
fn a_job_is_over_when_its_worker_looks_for_the_next() {
    for (end, reply, outcome) in [
        (remove(&reserved("a", 1)), ":1", "finished"),
        // somebody else has it by now, or the queue was cleared
        (remove(&reserved("a", 1)), ":0", "finished"),
        (release(&reserved("a", 1)), ":1", "requeued"),
        (release(&reserved("a", 1)).replace("EVAL '-- Remove the job'", "EVALSHA 1f"), ":1", "requeued"),
    ] {
        let with = with("a", 1);
        let ended = format!("E Ended a:1 {outcome}\n");
        play(&format!(
            "{with} W= {end}\n B= {reply}\n W= {LOOK}\n {KNOWN} {ended} B= *0\n W= {POP}\n {KNOWN} B= {NOTHING}"
        ));
        // one that is being stopped leaves without a look
        play(&format!("{with} W= {end}\n B= {reply}\n W gone\n {ended} CLOSED"));
        play(&format!("{with} W= {end}\n W gone\n B< {reply}\n {ended} CLOSED"));
        // the broker leaves, and the worker may be at a callback
        play(&format!("{with} W= {end}\n B= {reply}\n B gone\n CLOSED"));
        play(&format!(
            "{with} W= {end}\n B= '-READONLY no'\n E Refused [a:1]\n W= {LOOK}\n {KNOWN} B= *0\n W gone\n CLOSED"
        ));
    }
    // neither removed nor released: it comes back some time
    play(&format!("{} W= {POP}\n {KNOWN} B= {NOTHING}\n W gone\n CLOSED", with("a", 1)));
    // released and then removed
    let (release, remove) = (release(&reserved("a", 1)), remove(&reserved("a", 1)));
    play(&format!(
        "{} W= {release}\n B= :1\n W= {remove}\n B= :0\n W= {LOOK}\n {KNOWN} E Ended a:1 requeued\n B= *0",
        with("a", 1)
    ));
}

/// After `retry_after` a job is given to another worker, or to the same one after a reconnect, as another attempt: the end
/// of one is not that of the other.
#[test]
fn attempts_are_told_apart() {
    let (first, second) = (remove(&reserved("a", 1)), remove(&reserved("a", 2)));
    let expired = LOOK.replace(":delayed", ":reserved");
    play(&format!(
        "{} W= {expired}\n {KNOWN} B= *1 $$job
        W= {POP}\n {KNOWN} B= {}\n {}
        W= {first}\n B= :0\n W= {LOOK}\n {KNOWN} E Ended a:1 finished\n B= *0
        W= {second}\n B= :1\n W= {LOOK}\n {KNOWN} E Ended a:2 finished\n B= *0",
        with("a", 1),
        popped("a", 2),
        delivered("a", 2)
    ));
    // the end of one that came on another connection, or before the gate was restarted
    play(&format!("SYSTEM laravel\n W= {second}\n B= :1\n W= {LOOK}\n {KNOWN} E Ended a:2 finished\n B= *0"));
}

/// A job that pops others itself.
#[test]
fn a_job_within_a_job() {
    let (outer, inner) = (remove(&reserved("a", 1)), remove(&reserved("b", 1)));
    play(&format!(
        "{} W= {POP}\n {KNOWN} B= {}\n {}
        W= {inner}\n B= :1\n W= {POP}\n {KNOWN} E Ended b:1 finished\n B= {NOTHING}
        W= {outer}\n B= :1\n W= {LOOK}\n {KNOWN} E Ended a:1 finished\n B= *0",
        with("a", 1),
        popped("b", 1),
        delivered("b", 1)
    ));
}

/// Of a long job only the beginning is read when it is removed, or nothing: it is the one in hand, if there is only one.
#[test]
fn long_jobs() {
    let long = |attempt| {
        format!(r#"'{{"data":"'(x*140000)'","uuid":"u-a","displayName":"Work","id":"a","attempts":{attempt}}}'"#)
    };
    let reply = format!("*2 '$${} '$${}", &long(0)[1..], &long(1)[1..]);
    let with = format!("W= {POP}\n {KNOWN} B= {reply}\n E Delivered a:1 queues:default Work u-a\n SYSTEM laravel\n");
    for (end, outcome) in [(remove(&long(1)), "finished"), (release(&long(1)), "requeued")] {
        play(&format!("{with} W= {end}\n B= :1\n W= {LOOK}\n {KNOWN} E Ended a:1 {outcome}\n B= *0"));
    }
    // which of two?
    play(&format!(
        "{with} W= {POP}\n {KNOWN} B= {}\n {} W= {}\n B= :1\n W= {LOOK}\n {KNOWN} B= *0",
        popped("b", 1),
        delivered("b", 1),
        remove(&long(1))
    ));
}

/// What others have put there may have neither an id nor a number.
#[test]
fn a_job_without_an_id() {
    let job = r#"'{"job":"Work","data":[],"attempts":1}'"#;
    let reply = format!("*2 '$${0}' '$${0}'", job.trim_matches('\''));
    play(&format!(
        "W= {POP}\n {KNOWN} B= {reply}\n E Delivered #1-1 queues:default - -\n SYSTEM laravel
        W= {}\n B= :1\n W= {LOOK}\n {KNOWN} E Ended #1-1 finished\n B= *0",
        remove(job)
    ));
}

/// With `block_for`: what wakes a worker is no job, and what woke one that must not take the job wakes another.
#[test]
fn a_sign_that_was_eaten_is_put_back() {
    let start = format!("SYSTEM laravel\n W= {POP}\n {KNOWN} B= {NOTHING}\n");
    let woken = "*2 $$queues:default:notify $$1";
    play(&format!(
        "{start} W= {WAIT} 2\n B= {woken}
        DRAIN
        W> {POP}\n {KNOWN} B> RPUSH queues:default:notify 1\n B< :1\n W< {NOTHING}
        W> {WAIT} 2\n +2s\n W< *-1
        W> {POP}\n {KNOWN} W< {NOTHING}"
    ));
    // nobody else needs it
    play(&format!(
        "{start} W= {WAIT} 2\n B= {woken}\n W= {POP}\n {KNOWN} B= {NOTHING}\n DRAIN\n W> {POP}\n {KNOWN} W< {NOTHING}"
    ));
    // a long wait goes in slices, and ends with the drain; one without an end is never answered
    for (seconds, end) in [("5", "+4s\n W< *-1"), ("0", "+20s\n UNDRAIN\n B> BLPOP queues:default:notify ~")] {
        play(&format!("{start} W> {WAIT} {seconds}\n B> {WAIT} ~\n DRAIN\n +1s\n B< *-1\n {end}"));
    }
    play(&format!(
        "{start} W= {WAIT} 2\n W gone\n B< {woken}\n B> LPUSH queues:default:notify 1\n B< :1\n E Orphan returned\n CLOSED"
    ));
    // on its own, it may be anything
    play(&format!(
        "set events all\n W= {WAIT} 2\n E FetchAsked broker queues:default blocking\n B= {woken}\n E Delivered *\n E FetchAnswered broker job blocking"
    ));
}

#[test]
fn a_paused_queue() {
    let start = format!("SYSTEM laravel\n W= {POP}\n {KNOWN} B= {NOTHING}\n");
    for name in ["default", "queues:default"] {
        play(&format!(
            "{start} PAUSE {name}
            W= {LOOK}\n {KNOWN} B= *0
            W> {POP}\n {KNOWN} W< {NOTHING}
            W> {WAIT} 1\n +1s\n W< *-1
            RESUME
            W= {POP}\n {KNOWN} B= {NOTHING}"
        ));
    }
    play(&format!("{start} PAUSE other\n W= {POP}\n {KNOWN} B= {NOTHING}"));
}

/// A queue of another make over such keys.
#[test]
fn an_answer_of_another_shape() {
    for reply in ["$$job", "*3 $$a $$b $$c", "*2 $-1 $$b", "*1 *2 $$a $$b"] {
        play(&format!("W= {POP}\n {KNOWN} B= {reply}\n E Blocked its queue answers in a way *"));
    }
    for reply in ["*0", "*-1", "$-1", ":0", "*2 :0 :0", "*2 _ _"] {
        play(&format!("W= {POP}\n {KNOWN} B= {reply}"));
    }
    // it cannot be answered there
    play(&format!("W= MULTI\n B= +OK\n W= {POP}\n {KNOWN} E Blocked *\n B= +QUEUED"));
}

/// It stands among the reserved ones, and comes back after `retry_after`.
#[test]
fn a_job_for_a_vanished_worker_stays_with_the_broker() {
    let job = popped("a", 1);
    play(&format!("W= {POP}\n {KNOWN} W gone\n B< {job}\n E Orphan delivered\n CLOSED"));
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM laravel\n DRAIN\n W= <1>\n B= <2>",
        &[
            "EVAL push 2 queues:default queues:default:notify {} | $-1",
            "EVAL later 1 queues:default:delayed 1795000000 {} | $-1",
            "EVAL size 3 queues:default queues:default:delayed queues:default:reserved | :3",
            "EVAL clear 4 queues:default queues:default:delayed queues:default:reserved queues:default:notify | :3",
            "EVAL lock 1 laravel_cache_:job x | :1",
            "BLPOP semaphore 5 | *2 $$semaphore $$x",
            "ZREM queues:default:delayed job | :1",
            "ZREM other:reserved job | :1",
        ],
    );
    // nobody is taken for a worker by these
    play_rows(
        "set events all\n W= <1>\n B= <2>",
        &[
            "EVAL push 2 queues:default queues:default:notify {} | $-1",
            "EVAL bulk 2 queues:default queues:default:notify {} {} | $-1",
            "EVAL later 1 queues:default:delayed 1795000000 {} | $-1",
            "EVAL size 3 queues:default queues:default:delayed queues:default:reserved | :3",
        ],
    );
    // but by what somebody has made himself over such keys
    play_rows(
        "W= EVALSHA own <1>\n B= $$job\n E Unrefused it fetches by EVALSHA *",
        &[
            "2 queues:default queues:default:notify",
            "2 queues:default queues:default:reserved worker-1",
            "3 queues:default queues:default:reserved queues:other:notify 1795000090",
            "1 queues:default:delayed 1795000000 10",
            "4 queues:default queues:default:delayed queues:default:reserved queues:default:notify 10",
            "1 queues:default",
        ],
    );
}
