//! Dramatiq's dialect: the calls of its one script, recorded from real workers.

use crate::support::{play, play_rows};

const FETCH: &str = "EVALSHA fd 1 dramatiq fetch 1795000000000 default w-1 60000 604800000 0 7999";
const KNOWN: &str = "E Recognised dramatiq\n E Named dramatiq w-1\n";

fn message(id: &str, options: &str) -> String {
    format!(
        r#"'$${{"queue_name":"default","actor_name":"run","args":["x",1],"kwargs":{{"redis_message_id":"no"}},"options":{{"redis_message_id":"r{id}"{options}}},"message_id":"m{id}","message_timestamp":1795000000000}}'"#
    )
}

/// It goes to the broker, for it is the worker's heartbeat, and brings nothing.
#[test]
fn a_fetch_asks_for_nothing_while_drained() {
    let (one, two) = (message("1", ""), message("2", r#","eta":1795000009000"#));
    play(&format!(
        "set events all
        W= {FETCH} 4\n {KNOWN} E FetchAsked broker default poll
        B= *2 {one} {two}
        E Delivered r1 default run m1\n E Delivered r2 default run m2 eta=1795000009000\n E FetchAnswered broker job poll
        W= {FETCH} 2\n {KNOWN} E FetchAsked broker default poll
        B= *0\n E FetchAnswered broker empty poll
        DRAIN
        W> {FETCH} 2\n {KNOWN} E FetchRewritten default\n B> {FETCH} 0\n B= *0
        W> {FETCH} 2000\n {KNOWN} E FetchRewritten default\n B> {FETCH} 0\n B= *0
        W= {FETCH} 0\n {KNOWN} B= *0
        UNDRAIN
        W= {FETCH} 2\n {KNOWN} E FetchAsked broker default poll\n B= *0\n E FetchAnswered broker empty poll"
    ));
    let text = FETCH.replace("EVALSHA fd", "EVAL '-- dispatch (x*5000)'");
    play(&format!("DRAIN\n W> {text} 4\n {KNOWN} E FetchRewritten default\n B> {text} 0\n B= *0"));
    // a message that was deleted meanwhile
    play(&format!("W= {FETCH} 4\n {KNOWN} B= *2 $-1 {one}\n E Delivered r1 *"));
}

#[test]
fn an_end_counts_when_it_is_confirmed() {
    let verb = |verb: &str| FETCH.replace("fetch", verb);
    for (verb, outcome) in [(verb("ack"), "finished"), (verb("nack"), "finished"), (verb("requeue"), "requeued")] {
        play(&format!("DRAIN\n W= {verb} r1\n E Recognised dramatiq\n B= $-1\n E Ended r1 {outcome}"));
        play(&format!("DRAIN\n W= {verb} r1\n E Recognised dramatiq\n B= '-NOSCRIPT no'"));
        play(&format!("DRAIN\n W= {verb} r1\n E Recognised dramatiq\n B= '-READONLY no'\n E Refused [r1]"));
    }
    play(&format!(
        "DRAIN\n W= {} r1 r2\n E Recognised dramatiq\n B= $-1\n E Ended r1 requeued\n E Ended r2 requeued",
        verb("requeue")
    ));
}

#[test]
fn everything_else_passes() {
    play_rows(
        "SYSTEM dramatiq\n DRAIN\n W= <1>\n B= <2>",
        &[
            "EVALSHA fd 1 dramatiq enqueue 1795000000000 default w-1 60000 604800000 0 7999 r1 {} | $-1",
            "EVALSHA fd 1 dramatiq qsize 1795000000000 default w-1 60000 604800000 0 7999 | :3",
            "BLPOP results 5 | *2 $$results $$x",
        ],
    );
}

/// They are the dead worker's until its heartbeat is too old: then others take them over.
#[test]
fn messages_for_a_vanished_worker_stay_with_the_broker() {
    let one = message("1", "");
    play(&format!("W= {FETCH} 4\n {KNOWN} W gone\n B< *1 {one}\n E Orphan delivered\n CLOSED"));
}

/// Before its first call a process asks once how much can be unpacked.
#[test]
fn one_that_has_just_begun_is_told_of() {
    let asks = "EVALSHA 63a257ff9edcee2888529b5d51c86f83444f91e4 0";
    play(&format!(
        "set events all
        W= {asks}\n B= '-NOSCRIPT No matching script.'
        W= {asks}\n B= :7999
        W= {FETCH} 4\n {KNOWN} E Begun\n E FetchAsked broker default poll\n B= *0\n E FetchAnswered broker empty poll
        W= {FETCH} 4\n {KNOWN} E FetchAsked broker default poll\n B= *0\n E FetchAnswered broker empty poll"
    ));
}

/// Who waits for a result reads it where it is, whether it is a web application or a worker's task.
#[test]
fn a_result_is_no_job() {
    let (hash, long) = ("7f7c8c6260dc29d536f33c3158901e45", "dramatiq-results:default:add:8a1d");
    for key in [hash, long] {
        for known in ["", "SYSTEM dramatiq"] {
            play(&format!(
                "set events all\n {known}
                DRAIN
                W= BRPOPLPUSH {key} {key} 8\n B= $$3
                W= RPOPLPUSH {key} {key}\n B= $-1"
            ));
        }
    }
    // a list that is named by its owner, and a move that takes something away
    let other = "7f7c8c6260dc29d536f33c3158901e46";
    for (from, to) in [("jobs", "jobs"), (&hash[1..], &hash[1..]), (hash, other)] {
        play(&format!("DRAIN\n W> BRPOPLPUSH {from} {to} 8\n +8s\n W< *-1"));
    }
}
