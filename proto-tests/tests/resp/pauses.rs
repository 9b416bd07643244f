//! Paused queues: what everybody's fetches of them get.

use crate::support::{play, play_rows};

#[test]
fn a_fetch_of_a_paused_queue_looks_like_an_empty_one() {
    play(
        "set events all
        PAUSE q
        E PausesTaken 1 []
        W> BRPOP q 5
        E FetchAsked gate q blocking
        +4999ms
        +1ms
        W< *-1
        E FetchAnswered gate empty blocking
        W= BRPOP other 1
        E FetchAsked broker other blocking
        B= *2 $$other $$job
        E Delivered #1-1 other - -
        E FetchAnswered broker job blocking
        W= PING
        B= +PONG",
    );
    play("W= HELLO 3\n B= %1 $$proto :3\n PAUSE q\n W> BRPOP q 2\n +2s\n W< _");
    // each shape of nothing
    play_rows(
        "PAUSE q\n W> <1>\n +1s\n W< <2>",
        &[
            "BLPOP q 1|*-1",
            "BLMOVE q p LEFT RIGHT 1|*-1",
            "BRPOPLPUSH q p 1|*-1",
            "BZPOPMIN q 1|*-1",
            "BZPOPMAX q 1|*-1",
            "BLMPOP 1 1 q LEFT COUNT 2|*-1",
            "BZMPOP 1 1 q MIN|*-1",
            "XREADGROUP GROUP g c BLOCK 1000 STREAMS q >|*-1",
        ],
    );
    // one that does not wait is answered at once; who pauses a key says that it holds jobs
    play_rows(
        "PAUSE q\n W> <1>\n W< <2>",
        &[
            "LPOP q|$-1",
            "LPOP q 3|*-1",
            "RPOPLPUSH q p|$-1",
            "LMOVE q p LEFT RIGHT|$-1",
            "LMPOP 1 q LEFT|*-1",
            "ZPOPMIN q|*0",
            "ZMPOP 1 q MIN|*-1",
            "SPOP q|$-1",
            "XREADGROUP GROUP g c STREAMS q >|*-1",
            "XAUTOCLAIM q g c 1000 0|*3 $$0-0 *0 *0",
            "XCLAIM q g c 1000 1-1|*0",
        ],
    );
}

#[test]
fn a_fetch_from_several_queues_goes_on_with_the_others() {
    play_rows(
        "PAUSE q,r\n W> <1>\n B> <2>\n B= <3>",
        &[
            "BRPOP q a r b 1|BRPOP a b 1|*-1",
            "BLPOP a q 2|BLPOP a 2|*-1",
            "BZPOPMAX q a 1|BZPOPMAX a 1|*-1",
            "BLMPOP 1.5 3 q a r LEFT COUNT 2|BLMPOP 1.5 1 a LEFT COUNT 2|*-1",
            "BZMPOP 2 2 a r MAX|BZMPOP 2 1 a MAX|*-1",
            "LMPOP 2 q a RIGHT|LMPOP 1 a RIGHT|*-1",
            "ZMPOP 2 q a MIN|ZMPOP 1 a MIN|*-1",
            "XREADGROUP GROUP g c COUNT 5 BLOCK 900 STREAMS q a r b > > > >|XREADGROUP GROUP g c COUNT 5 BLOCK 900 STREAMS a b > >|*-1",
            "XREADGROUP GROUP g c STREAMS a q > >|XREADGROUP GROUP g c STREAMS a >|*-1",
        ],
    );
    // the reply names the key it came from, and a job of it goes back there
    play("PAUSE q\n W> BRPOP q a 1\n B> BRPOP a 1\n B= *2 $$a $$job\n E Delivered #1-1 a - -");
    play(
        "PAUSE q\n W> BRPOP q a 1\n B> BRPOP a 1\n W gone\n B< *2 $$a $$job\n B> RPUSH a job\n B< :1
        E Orphan returned\n CLOSED",
    );
    play("PAUSE q\n W> BLMPOP 1 2 q a LEFT\n B> BLMPOP 1 1 a LEFT\n B= *2 $$a *1 $$job\n E Delivered #1-1 a - -");
}

#[test]
fn each_slice_asks_for_what_is_not_paused_then() {
    play(
        "set events all
        W> BRPOP a b 0
        E FetchAsked broker a,b blocking
        B> BRPOP a b ~
        PAUSE b
        E PausesTaken 1 [b]
        +1s
        B< *-1
        B> BRPOP a ~
        E PausesTaken 1 []
        PAUSE a,b
        E PausesTaken 2 [a]
        +1s
        B< *-1
        E FetchMoved gate
        E PausesTaken 2 []
        +29s
        +1s
        B> PING
        B< +PONG
        PAUSE a
        E PausesTaken 3 []
        E FetchMoved broker
        B> BRPOP b ~
        +1s
        B< *-1
        B> BRPOP b ~
        RESUME
        E PausesTaken 4 []
        B< *-1
        B> BRPOP a b ~
        B= *2 $$b $$job
        E Delivered #1-1 b - -
        E FetchAnswered broker job blocking",
    );
    // a stream's ids go with their streams, from slice to slice
    play(
        "W> XREADGROUP GROUP g c BLOCK 5000 STREAMS s t > >
        B> XREADGROUP GROUP g c BLOCK ~ STREAMS s t > >
        PAUSE s
        +1s
        B< *-1
        B> XREADGROUP GROUP g c BLOCK ~ STREAMS t >
        B= *1 *2 $$t *1 *2 $$1-1 *2 $$k $$v
        E Delivered 1-1@t t - -",
    );
    // a number of keys too
    play(
        "PAUSE x\n W> BLMPOP 5 3 x a b LEFT\n B> BLMPOP ~ 2 a b LEFT\n +1s\n B< *-1\n B> BLMPOP ~ 2 a b LEFT
        RESUME\n +1s\n B< *-1\n B> BLMPOP ~ 3 x a b LEFT\n PAUSE a\n +1s\n B< *-1\n B> BLMPOP ~ 2 x b LEFT",
    );
}

#[test]
fn a_job_that_comes_within_the_slice_is_delivered() {
    play(
        "set events all
        W> BRPOP q 0
        E FetchAsked broker q blocking
        B> BRPOP q ~
        PAUSE q
        E PausesTaken 1 [q]
        B= *2 $$q $$job
        E Delivered #1-1 q - -
        E FetchAnswered broker job blocking
        E PausesTaken 1 []
        W> BRPOP q 0
        E FetchAsked gate q blocking",
    );
    // a short one ends by itself
    play(
        "set events all
        W= BRPOP q 1
        E FetchAsked broker q blocking
        PAUSE q
        E PausesTaken 1 [q]
        +1s
        B= *-1
        E FetchAnswered broker empty blocking
        E PausesTaken 1 []",
    );
}

#[test]
fn a_held_fetch_goes_to_the_broker_with_the_rest_of_its_time() {
    play(
        "set events all
        PAUSE q
        E PausesTaken 1 []
        W> BRPOP q 3
        E FetchAsked gate q blocking
        +2400ms
        RESUME
        E PausesTaken 2 []
        E FetchMoved broker
        B> BRPOP q ~0.6
        +600ms
        B= *-1
        E FetchAnswered broker empty blocking",
    );
    // too little is left
    play("PAUSE q\n W> BRPOP q 1\n +995ms\n RESUME\n +5ms\n W< *-1");
    // what was sent behind it comes in its order
    play(
        "PAUSE q\n W+ BRPOP q 1\n W> PING\n +400ms\n RESUME\n B> BRPOP q ~0.6\n B= *2 $$q $$job\n E Delivered #1-1 q - -\n B> PING\n B= +PONG",
    );
}

#[test]
fn a_drain_and_a_pause_lift_each_by_itself() {
    play(
        "PAUSE q\n W> BRPOP q 0\n DRAIN\n UNDRAIN\n +1s\n DRAIN\n RESUME\n +1s\n UNDRAIN\n B> BRPOP q ~
        DRAIN\n +1s\n B< *-1\n PAUSE q\n UNDRAIN\n +1s\n PAUSE r\n B> BRPOP q ~\n B= *2 $$q $$job\n E Delivered #1-1 q - -",
    );
    // a marked worker's fetch is held whatever it asks for
    play("PAUSE q\n DRAIN\n W> BRPOP a q 1\n +1s\n W< *-1");
    play("PAUSE q\n DRAIN\n W> BRPOP a q 9\n UNDRAIN\n B> BRPOP a ~\n +1s\n B< *-1\n B> BRPOP a ~");
}

#[test]
fn who_vanishes_while_held_leaves_nothing_behind() {
    play(
        "set events all
        PAUSE q
        E PausesTaken 1 []
        W> BRPOP q 0
        E FetchAsked gate q blocking
        +5s
        SAFE
        W gone
        E FetchAnswered gate vanished blocking
        CLOSED",
    );
    // at the broker: what comes is put back
    play(
        "W> BRPOP q 0\n B> BRPOP q ~\n PAUSE q\n W gone\n B< *2 $$q $$job\n B> RPUSH q job\n B< :1\n E Orphan returned\n CLOSED",
    );
}

#[test]
fn names_of_job_systems() {
    for name in ["default", "queue:default"] {
        play(&format!(
            "PAUSE {name}\n SYSTEM sidekiq\n W> brpop queue:default queue:low 2\n B> brpop queue:low 2\n B= *-1
            W> brpop queue:default 2\n +2s\n W< *-1"
        ));
    }
    play("PAUSE mail\n W> BLMOVE rq:queue:mail rq:queue:mail:intermediate LEFT RIGHT 9\n +9s\n W< *-1");
    play("PAUSE mail\n W> BLPOP rq:queue:mail rq:queue:low 1\n B> BLPOP rq:queue:low 1\n B= *-1");
    play("PAUSE high\n W> lpop resque:queue:high\n W< $-1\n W= lpop resque:queue:low\n B= $-1");
    // Celery's priorities go with their queue
    let keys = |queue: &str| {
        [3, 6, 9].iter().fold(queue.to_owned(), |keys, step| format!("{keys} \"{queue}\\x06\\x16{step}\""))
    };
    let (mail, celery) = (keys("mail"), keys("celery"));
    play(&format!(
        "PAUSE mail\n W> BRPOP {mail} {celery} 1\n B> BRPOP {celery} 1\n B= *-1\n W> BRPOP {mail} 1\n +1s\n W< *-1"
    ));
    // its remote control is none of this
    play("PAUSE mail,x.reply.celery.pidbox\n SYSTEM celery\n W= BRPOP x.reply.celery.pidbox 1\n B= *-1");
    // and neither is a running job's own list of a known system
    play("PAUSE sem\n SYSTEM sidekiq\n W= blpop sem 1\n B= *-1");
}

#[test]
fn what_was_taken_for_a_fetch_is_released_when_it_is_none() {
    play("PAUSE q\n W> BLPOP q 5\n +1s\n SYSTEM sidekiq\n B> BLPOP q ~4\n +4s\n B= *-1");
}

#[test]
fn an_old_server_is_asked_again_unless_it_is_paused_meanwhile() {
    play(
        "W> BRPOP a b 9\n B> BRPOP a b ~\n PAUSE a
        B< '-ERR timeout is not an integer or out of range'\n B> BRPOP b 1",
    );
    play("W> BRPOP a 9\n B> BRPOP a ~\n PAUSE a\n B< '-ERR timeout is not an integer or out of range'\n +9s\n W< *-1");
}
