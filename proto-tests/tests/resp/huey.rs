//! Huey's dialect, recorded from real consumers.

use crate::support::{play, play_rows};

#[test]
fn a_fetch_is_held_and_delivers() {
    play_rows(
        "set events all
        W= <1>\n E FetchAsked broker huey.redis.jobs blocking
        B= <2>\n E Recognised huey\n E Delivered #1-1 huey.redis.jobs - -\n E FetchAnswered broker job blocking
        DRAIN
        W> <1>\n E FetchAsked gate huey.redis.jobs blocking\n +1s\n W< *-1\n E FetchAnswered gate empty blocking",
        &[
            "BRPOP huey.redis.jobs 1 | *2 $$huey.redis.jobs $$pickle",
            "BZPOPMIN huey.redis.jobs 1 | *3 $$huey.redis.jobs $$pickle $$-3",
        ],
    );
    play_rows("DRAIN\n W> <1>\n W< <2>", &["RPOP huey.redis.jobs | $-1", "ZPOPMIN huey.redis.jobs 1 | *0"]);
}

/// The scheduler takes what is due and pushes it itself: not while drained, and what it took is in flight till then.
#[test]
fn due_tasks_are_not_taken_while_drained() {
    let take = "EVALSHA 4f30 1 huey.schedule.jobs 1795000000.123";
    play(&format!(
        "set events all
        W= {take}\n E Recognised huey\n E SchedulerReturned\n E FetchAsked broker huey.schedule.jobs poll
        B= *2 $$t1 $$t2\n E Taken #1-1 huey.schedule.jobs - -\n E Taken #1-2 huey.schedule.jobs - -\n E FetchAnswered broker job poll
        W= LPUSH huey.redis.jobs t1\n B= :1
        DRAIN
        W> {take}\n E Recognised huey\n E SchedulerReturned\n E FetchAsked gate huey.schedule.jobs poll
        W< *0\n E FetchAnswered gate empty poll"
    ));
    // what came for a scheduler that had gone is due again
    play(&format!(
        "W= {take}\n E Recognised huey\n E SchedulerReturned\n +500ms\n W gone\n B< *2 $$t1 $$t2
        B> ZADD huey.schedule.jobs NX 1795000000.500 t1 1795000000.500 t2\n B< :2\n E Orphan returned\n CLOSED"
    ));
}

#[test]
fn everything_else_passes_while_drained() {
    play_rows(
        "SYSTEM huey\n DRAIN\n W= <1>\n B= <2>",
        &[
            "HMGET huey.results.jobs r:1 rt:run | *2 $-1 $-1",
            "BLPOP huey.notify.jobs.1 0 | *2 $$huey.notify.jobs.1 $$1",
            "LPUSH huey.redis.jobs t | :1",
        ],
    );
}

/// With `notify_result` a web application waits in a list of its result's own.
#[test]
fn a_result_is_no_job() {
    for known in ["", "SYSTEM huey"] {
        play(&format!(
            "set events all\n {known}\n DRAIN
            W= BLPOP huey.notify.app.6f1c 5\n B= *2 $$huey.notify.app.6f1c $$1
            W= BLPOP huey.notify.app.6f1d 0\n B= *2 $$huey.notify.app.6f1d $$1"
        ));
    }
}
