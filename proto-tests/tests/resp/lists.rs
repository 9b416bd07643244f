//! Private lists: Sidekiq's fetchers, and loops of people's own.

use crate::support::{play, play_rows};

const JOB: &str = r#"'$${"class":"Job","args":["a",1],"jid":"000000000000000000000001","queue":"default"}'"#;
const JID: &str = "000000000000000000000001";

/// The name of an element `a` in the list `p`.
const A: &str = "af63dc4c8601ec8c@p";

#[test]
fn an_element_is_in_flight_until_it_is_removed() {
    play_rows(
        &format!(
            "set events all\n set fetch q
            W= <1>\n E Acknowledges\n E FetchAsked broker q <2>
            B= $$a\n E Delivered {A} q - -\n E FetchAnswered broker job <2>
            W= LREM p 1 a\n B= :1\n E Ended {A} finished
            DRAIN
            W> <1>\n E Acknowledges\n E FetchAsked gate q <2>\n <3>"
        ),
        &[
            "BLMOVE q p RIGHT LEFT 1 | blocking | +1s\n W< *-1\n E FetchAnswered gate empty blocking",
            "BRPOPLPUSH q p 1 | blocking | +1s\n W< *-1\n E FetchAnswered gate empty blocking",
            "LMOVE q p RIGHT LEFT | poll | E FetchAnswered gate empty poll\n W< $-1",
            "RPOPLPUSH q p | poll | E FetchAnswered gate empty poll\n W< $-1",
        ],
    );
}

#[test]
fn what_its_worker_removes_is_over() {
    let moved = format!("W= BLMOVE q p RIGHT LEFT 1\n B= $$a\n E Delivered {A} *\n DRAIN\n");
    play_rows(
        &format!("{moved} W= <1>\n B= <2>\n <3>"),
        &[
            // somebody else has removed it: whoever has run it is done with it all the same
            &format!("LREM p 1 a | :0 | E Ended {A} finished"),
            "LREM p 1 b | :0 | E Ended af63df4c8601f1a5@p finished",
            &format!("LREM p 1 a | '-READONLY no' | E Refused [{A}]"),
            // another thread is still at the other one
            &format!("LREM p 0 a | :2 | E Ended {A} finished"),
            // popped from there
            &format!("LPOP p | $$a | E Popped {A}"),
            &format!("RPOP p 2 | *1 $$a | E Popped {A}"),
            "LPOP p | $-1 | ",
            // and given back
            &format!("LMOVE p q LEFT RIGHT | $$a | E Ended {A} requeued"),
            &format!("RPOPLPUSH p q | $$a | E Ended {A} requeued"),
        ],
    );
    play(&format!(
        "{moved} W= MULTI\n W= RPUSH q a\n W= LREM p 1 a\n W= EXEC\n B= +OK +QUEUED +QUEUED *2 :1 :1\n E Ended {A} finished"
    ));
    play(&format!("{moved} W= MULTI\n W= LREM p 1 a\n W= EXEC\n B= +OK +QUEUED *-1"));
    // the same list at both ends keeps nothing
    play(
        "set events all\n W= BRPOPLPUSH q q 1\n E FetchAsked broker q blocking\n B= *-1\n E FetchAnswered broker empty blocking",
    );
}

/// Job systems that move jobs and say otherwise when these are over.
#[test]
fn moves_of_others() {
    play(
        "set events all
        W= BLMOVE rq:queue:a rq:queue:a:intermediate LEFT RIGHT 1\n E FetchAsked broker rq:queue:a blocking
        B= *-1\n E FetchAnswered broker empty blocking",
    );
    play("SYSTEM rq\n W= LREM rq:queue:a:intermediate 1 j1\n B= :1");
}

/// Scripts of SAQ and bee-queue push due jobs on, enqueue one, and look for dead ones: none of them hands out a job.
#[test]
fn scripts_that_hand_out_no_job() {
    play_rows(
        "set events all\n W= EVALSHA ab <1>\n <3>\n B= <2>",
        &[
            "3 saq:q:schedule saq:q:incomplete saq:q:queued 1 5 | *1 $$saq:job:q:j1 | ",
            "3 saq:q:schedule saq:q:incomplete saq:q:queued 1 5 | *-1 | ",
            "2 saq:q:sweep saq:q:active 60 | *1 *2 $$saq:job:q:j1 $$x | ",
            "4 saq:q:incomplete saq:job:q:j1 saq:q:queued saq:abort:j1 x 0 | $-1 | ",
            "2 bq:q:delayed bq:q:waiting 1 5 | *2 :1 $$1795 | ",
            "4 bq:q:stallBlock bq:q:stalling bq:q:waiting bq:q:active 5000 | *1 $$7 | ",
            "4 bq:q:stallBlock bq:q:stalling bq:q:waiting bq:q:active 5000 | *0 | ",
            "2 bq:q:delayed bq:r:waiting 1 5 | :1 | E UnknownScript",
            "2 bq:q:waiting bq:q:active 1 5 | :1 | E UnknownScript",
            "9 bq:q:delayed bq:q:waiting | '-ERR no' | E UnknownScript",
            "3 saq:q:schedule saq:q:incomplete saq:r:queued 1 5 | :1 | E UnknownScript",
            "3 my:q:schedule my:q:incomplete my:q:queued 1 5 | :1 | E UnknownScript",
            "2 saq:q:queued saq:q:active 60 | :1 | E UnknownScript",
        ],
    );
}

/// Sidekiq's fetchers: each job is called by its id, whatever it was pushed back with.
#[test]
fn sidekiq() {
    for list in ["queue:sq|vm:1:0123456789ab|default", "working:queue:default:vm:1:0123456789ab"] {
        play(&format!(
            "SYSTEM sidekiq
            W= LMOVE queue:default {list} RIGHT LEFT\n B= {JOB}\n E Delivered {JID} queue:default Job {JID}
            DRAIN
            W= LREM {list} -1 {}\n B= :1\n E Ended {JID} finished
            W> LMOVE queue:default {list} RIGHT LEFT\n W< $-1",
            JOB.replace("$$", "")
        ));
        // what a dead process left is given back by another one, drained or not
        play(&format!("SYSTEM sidekiq\n DRAIN\n W= RPOPLPUSH {list} queue:default\n B= {JOB}"));
    }
    // a job's own list
    play("SYSTEM sidekiq\n W= LREM mine 1 a\n B= :1");
}

/// Which list it is moved to tells whose a job is, before the process has said its name.
#[test]
fn sidekiq_before_it_has_a_name() {
    let removed = JOB.replace("$$", "");
    for list in ["queue:sq|vm:1:0123456789ab|default", "working:queue:default:vm:1:0123456789ab"] {
        let poll = "poll\n E FetchAnswered gate empty poll\n W< $-1";
        let blocking = "blocking\n +1s\n W< *-1\n E FetchAnswered gate empty blocking";
        for (fetch, refused) in [
            (format!("LMOVE queue:default {list} RIGHT LEFT"), poll),
            (format!("RPOPLPUSH queue:default {list}"), poll),
            (format!("BLMOVE queue:default {list} RIGHT LEFT 1"), blocking),
            (format!("BRPOPLPUSH queue:default {list} 1"), blocking),
        ] {
            let kind = refused.split('\n').next().unwrap_or_default();
            play(&format!(
                "set events all
                W= {fetch}\n E Acknowledges\n E FetchAsked broker queue:default {kind}
                B= {JOB}\n E Recognised sidekiq\n E Delivered {JID} queue:default Job {JID}
                E FetchAnswered broker job {kind}
                W= LREM {list} -1 {removed}\n B= :1\n E Ended {JID} finished
                DRAIN
                W> {fetch}\n E Acknowledges\n E FetchAsked gate queue:default {refused}"
            ));
        }
        // what a dead process left
        play(&format!("DRAIN\n W= RPOPLPUSH {list} queue:default\n B= {JOB}"));
    }
    // other lists
    for other in ["queue:default archive", "archive queue:default"] {
        play(&format!("DRAIN\n W= RPOPLPUSH {other}\n E Unrefused *\n B= $$a"));
    }
}

/// What came for one that had gone goes back to where it was.
#[test]
fn put_back() {
    play(
        "W= BLMOVE q p RIGHT LEFT 1\n W gone\n B< $$a
        B> UNWATCH\n B> WATCH p\n B> LPOS p a\n B< +OK +OK :0\n B> MULTI\n B> LREM p 1 a\n B> RPUSH q a\n B> EXEC\n B< +OK +QUEUED +QUEUED *2 :1 :1
        E Orphan returned\n CLOSED",
    );
}

/// What the operator says holds jobs is a queue, whatever has been moved to it on this connection.
#[test]
fn a_declared_queue_is_nobodys_own() {
    play(
        "set fetch low
        set fetch high
        W= RPOPLPUSH low high\n B= $$a\n E Delivered #1-1 low - -
        W= LPOP high\n B= $$a\n E Delivered #1-2 high - -
        DRAIN
        W> LPOP high\n W< $-1",
    );
}
