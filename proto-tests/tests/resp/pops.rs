//! Every command of the table: a refused one looks exactly like an empty queue.

use crate::support::{play, play_rows};

/// command with a time-out of 5 s | the same in a slice | "nothing" in RESP2 | in RESP3 | with an infinite time-out
const BLOCKING: &[&str] = &[
    "BRPOP q r 5 | BRPOP q r ~ | *-1 | _ | BRPOP q r 0",
    "brpop q 5.0 | brpop q ~ | *-1 | _ | brpop q 0.0",
    "BLPOP q 5 | BLPOP q ~ | *-1 | _ | BLPOP q -0",
    "BRPOPLPUSH q r 5 | BRPOPLPUSH q r ~ | *-1 | _ | BRPOPLPUSH q r 0",
    "BLMOVE q r LEFT right 5 | BLMOVE q r LEFT right ~ | *-1 | _ | BLMOVE q r LEFT right 0",
    "BLMPOP 5 2 q r LEFT COUNT 3 | BLMPOP ~ 2 q r LEFT COUNT 3 | *-1 | _ | BLMPOP 0 2 q r LEFT COUNT 3",
    "BZPOPMIN z 5 | BZPOPMIN z ~ | *-1 | _ | BZPOPMIN z 0",
    "BZPOPMAX z y 5e0 | BZPOPMAX z y ~ | *-1 | _ | BZPOPMAX z y 0e1",
    "BZMPOP 5 1 z MIN | BZMPOP ~ 1 z MIN | *-1 | _ | BZMPOP 0 1 z MIN",
    "XREADGROUP GROUP g c COUNT 9 BLOCK 5000 STREAMS s > | XREADGROUP GROUP g c COUNT 9 BLOCK ~ STREAMS s > \
     | *-1 | _ | XREADGROUP GROUP g c COUNT 9 BLOCK 0 STREAMS s >",
    "XREADGROUP BLOCK 5000 GROUP g c NOACK STREAMS s t > > | XREADGROUP BLOCK ~ GROUP g c NOACK STREAMS s t > > \
     | *-1 | _ | XREADGROUP BLOCK 0 GROUP g c NOACK STREAMS s t > >",
];

/// command | "nothing" in RESP2 | in RESP3
const PLAIN: &[&str] = &[
    "LPOP q | $-1 | _",
    "RPOP q | $-1 | _",
    "LPOP q 3 | *-1 | _",
    "rpop q 0 | *-1 | _",
    "RPOPLPUSH q r | $-1 | _",
    "LMOVE q r LEFT RIGHT | $-1 | _",
    "LMPOP 2 q r LEFT COUNT 2 | *-1 | _",
    "ZPOPMIN q | *0 | *0",
    "ZPOPMAX q 2 | *0 | *0",
    "ZMPOP 1 q MAX | *-1 | _",
    "SPOP q | $-1 | _",
    "SPOP q 2 | *0 | ~0",
    "XREADGROUP GROUP g c STREAMS q > | *-1 | _",
    "XREADGROUP GROUP g c CLAIM 60000 STREAMS q > | *-1 | _",
    "XAUTOCLAIM q g c 1000 0-0 COUNT 10 | *3 $3 0-0 *0 *0 | *3 $3 0-0 *0 *0",
    "XAUTOCLAIM q g c 1000 0-0 JUSTID | *3 $3 0-0 *0 *0 | *3 $3 0-0 *0 *0",
    "XCLAIM q g c 1000 1-1 2-2 | *0 | *0",
];

const TO_RESP3: &str = "
    W= HELLO 3
    B= %1 $$proto :3";

#[test]
fn a_blocking_fetch_is_held_until_its_own_time_out() {
    play_rows(
        "set events all
        DRAIN
        W> <1>
        E FetchAsked gate *
        +4999ms
        SAFE
        +1ms
        W< <3>
        E FetchAnswered gate empty blocking
        # the next one at once, as a worker does
        W> <1>
        E FetchAsked gate *
        +5s
        W< <3>
        E FetchAnswered gate empty blocking",
        BLOCKING,
    );
    play_rows(&format!("{TO_RESP3}\n DRAIN\n W> <1>\n +4999ms\n +1ms\n W< <4>\n W= PING\n B= +PONG"), BLOCKING);
}

#[test]
fn an_infinite_one_is_held_for_ever() {
    let ping = "+30s\n B> PING\n B< +PONG\n".repeat(4);
    play_rows(&format!("set events all\n DRAIN\n W> <5>\n E FetchAsked gate *\n {ping} SAFE"), BLOCKING);
}

#[test]
fn a_long_one_goes_to_the_broker_in_slices() {
    play_rows(
        "set events all
        W> <1>
        E FetchAsked broker *
        B> <2>
        +1s
        B< <3>
        B> <2>
        +1s
        # behind it nothing is read
        W> PING
        B< <3>
        B> <2>
        +1s
        B< <3>
        B> <2>
        +1s
        B< <3>
        B> <2>
        UNSAFE
        +1s
        B< <3>
        W< <3>
        E FetchAnswered broker empty blocking
        B> PING
        B= +PONG
        SAFE",
        BLOCKING,
    );
    play_rows(&format!("{TO_RESP3}\n W> <5>\n B> <2>\n +1s\n B< _\n B> <2>\n +99999s\n B< _\n B> <2>"), BLOCKING);
}

#[test]
fn a_mark_parks_it_at_the_end_of_its_slice_and_an_undrain_resumes_it() {
    play_rows(
        "set events all
        W> <1>
        E FetchAsked broker *
        B> <2>
        +500ms
        DRAIN
        +500ms
        B< <3>
        E FetchMoved gate
        +1s
        UNDRAIN
        E FetchMoved broker
        B> <2>
        +1s
        DRAIN
        B< <3>
        E FetchMoved gate
        +1999ms
        +1ms
        W< <3>
        E FetchAnswered gate empty blocking
        UNDRAIN",
        BLOCKING,
    );
    play_rows(
        "DRAIN\n W> <1>\n +4600ms\n UNDRAIN\n B> <6>\n +400ms\n B< <3>\n W< <3>",
        &[
            "BRPOP q 5 | | *-1 ||| BRPOP q ~0.4",
            "BLMOVE q r LEFT LEFT 5 | | *-1 ||| BLMOVE q r LEFT LEFT ~0.4",
            "XREADGROUP GROUP g c BLOCK 5000 STREAMS s > | | *-1 ||| XREADGROUP GROUP g c BLOCK ~0.4 STREAMS s >",
        ],
    );
    // held since it was asked, resumed, resolved by an element
    play(
        "DRAIN
        W> BRPOP q 0
        +100s
        B> PING
        B> PING
        B> PING
        UNDRAIN
        B> BRPOP q ~
        B< +PONG
        B< +PONG
        B+ +PONG
        B< *2 $$q $$job
        E Delivered #1-1 q - -
        W< *2 $$q $$job",
    );
}

#[test]
fn with_next_to_nothing_left_the_broker_is_not_asked_again() {
    play(
        "set slice 1000
        W> BRPOP q 3
        B> BRPOP q ~
        +1s
        B< *-1
        B> BRPOP q ~
        +1995ms
        B< *-1
        # 5 ms are left
        +4ms
        +1ms
        W< *-1",
    );
    play("DRAIN\n W> BRPOP q 5\n +4995ms\n UNDRAIN\n +5ms\n W< *-1");
    // a nil that comes late is passed on at once
    play("W> BRPOP q 3\n B> BRPOP q ~\n +3100ms\n B< *-1\n W< *-1");
}

#[test]
fn a_short_one_goes_as_it_is_and_its_nil_is_the_brokers() {
    play("W= BRPOP q 1\n +1s\n B= *-1\n W= BRPOP q 2\n +2s\n B= *-1");
    play("W= BRPOP q 1\n DRAIN\n +1s\n B= *-1\n W> BRPOP q 1\n +999ms\n +1ms\n W< *-1");
    // marked while at the broker: an element that comes is delivered and counted
    play("W= BRPOP q 1\n DRAIN\n B< *2 $$q $$job\n E Delivered #1-1 q - -\n W< *2 $$q $$job");
    play("W> BRPOP q 2.1\n B> BRPOP q ~\n B= *2 $$q $$job\n E Delivered *");
    play("W> BRPOP q 0.0001\n B> BRPOP q 0.0001\n B= *-1\n DRAIN\n W> BRPOP q 0.0001\n +1ms\n W< *-1");
}

#[test]
fn a_plain_pop_is_a_fetch_only_by_the_operators_pattern() {
    play_rows(
        "set fetch q*
        set events all
        W= <1>
        E FetchAsked broker *
        B= <2>
        E FetchAnswered broker empty poll
        DRAIN
        W> <1>
        W< <2>
        E FetchAsked gate *
        E FetchAnswered gate empty poll
        SAFE
        W= PING
        B= +PONG",
        PLAIN,
    );
    play_rows(&format!("set fetch q*\n {TO_RESP3}\n DRAIN\n W> <1>\n W< <3>\n UNDRAIN\n W= <1>\n B= <3>"), PLAIN);
    play_rows("DRAIN\n W= <1>\n E Unrefused *\n B= <2>", &PLAIN[..12]);
    play_rows("DRAIN\n W> <1>\n W< <2>", &PLAIN[12..]);
}

#[test]
fn refused_polls_keep_their_place_among_the_replies() {
    play(
        "set fetch q
        DRAIN
        W+ GET a
        W+ LPOP q
        W+ GET b
        W+ RPOP q 2
        W> CLIENT MAINT_NOTIFICATIONS ON
        B> GET a
        B> GET b
        B< $-1
        W< $-1
        W< $-1
        B< $$2
        W< $$2
        W< *-1
        W<raw \"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\\r\\n\"",
    );
}

#[test]
fn malformed_ones_are_left_to_the_broker() {
    for bad in [
        "BRPOP",
        "BRPOP q",
        "BRPOP q x",
        "BRPOP q -1",
        "BRPOP q nan",
        "BRPOP q inf",
        "BRPOP q ''",
        "BLPOP q ' 1'",
        "BLMOVE a b UP LEFT 1",
        "BLMOVE a b LEFT LEFT",
        "BRPOPLPUSH a 1",
        "BLMPOP 1 0 a LEFT",
        "BLMPOP 1 3 a LEFT",
        "BLMPOP 1 1 a LEFT COUNT",
        "BZMPOP 1 1 a LEFT",
        "BZPOPMIN z",
        "XREADGROUP GROUP g c BLOCK x STREAMS s >",
        "XREADGROUP GROUP g c STREAMS s t >",
        "XREADGROUP STREAMS",
        "XAUTOCLAIM s g",
        "XCLAIM s g c 1",
        "LPOP",
        "LPOP q x",
        "SPOP q -1",
    ] {
        let script = format!("set fetch *\n DRAIN\n W= {bad}\n B= '-ERR syntax error'\n W= PING\n B= +PONG");
        play(&script);
    }
}

#[test]
fn a_form_that_the_gate_does_not_know_blocks_the_worker_if_it_brings_something() {
    play("W= BRPOP q 0x1p3\n B= *2 $$q $$x\n E Blocked it fetches by BRPOP in a form unknown to the gate*");
    play(
        "W= XREADGROUP GROUP g c STREAMS s t > 0
        B= *1 *2 $$s *1 *2 $$1-1 *2 $$f $$v
        E Blocked it fetches by XREADGROUP *",
    );
    // the consumer's own history is no new job
    play("DRAIN\n W= XREADGROUP GROUP g c STREAMS s 0\n B= *1 *2 $$s *0");
}

#[test]
fn a_claim_of_entries_read_here_renews_and_passes() {
    play(
        "W= XREADGROUP GROUP g c STREAMS s >
        B= *1 *2 $$s *2 *2 $$1-1 *2 $$f $$v *2 $$2-1 *2 $$f $$v
        E Delivered 1-1@s s - -
        E Delivered 2-1@s s - -
        DRAIN
        W= XCLAIM s g c 0 1-1 2-1 JUSTID
        B= *2 $$1-1 $$2-1
        W> XCLAIM s g c 0 1-1 3-1
        W< *0",
    );
}

#[test]
fn an_error_in_place_of_an_element_is_passed_on() {
    play(
        "set events all\n W= BRPOP q 1\n E FetchAsked broker q blocking\n B= '-WRONGTYPE no list'\n E FetchAnswered broker error blocking",
    );
    play("W> BRPOP q 9\n B> BRPOP q ~\n B= '-UNBLOCKED client unblocked via CLIENT UNBLOCK'\n W= PING\n B= +PONG");
    play("W> BRPOP q 9\n B> BRPOP q ~\n B< *-1\n B> BRPOP q ~\n B= '-NOPERM no'\n W= PING");
    play("W> BRPOP q 9\n B> BRPOP q ~\n B= '-ERR timeout is not a float or out of range'");
}

#[test]
fn a_server_before_redis_6_gets_whole_seconds() {
    play(
        "W> BRPOP q 4
        B> BRPOP q ~
        B< '-ERR timeout is not an integer or out of range'
        B> BRPOP q 1
        +1s
        B< *-1
        B> BRPOP q 1
        +1s
        B< *-1
        B> BRPOP q 1
        +1500ms
        B< *-1
        # half a second is left: a whole one would be too late
        +499ms
        +1ms
        W< *-1
        W> BRPOP q 4
        B> BRPOP q 1
        B= *2 $$q $$x
        E Delivered *",
    );
    play("W= BRPOP q 1.5\n B= '-ERR timeout is not an integer or out of range'");
}

#[test]
fn a_blocking_fetch_is_alone() {
    // it waits for the replies before it: then its time-out begins
    play(
        "DRAIN
        W+ XREAD BLOCK 4000 STREAMS s $
        W> BRPOP q 3
        B> XREAD BLOCK 4000 STREAMS s $
        +4s
        B= *-1
        +2999ms
        +1ms
        W< *-1",
    );
    play(
        "W+ PING
        W+ BRPOP q 3
        W+ BRPOP r 1
        W> PING
        B> PING
        B< +PONG
        W< +PONG
        B> BRPOP q ~
        B= *2 $$q $$x
        E Delivered *
        B> BRPOP r 1
        DRAIN
        B= *-1
        B> PING
        B= +PONG",
    );
    // the mark at the moment when it is its turn counts
    play("W+ PING\n W> BRPOP q 3\n B> PING\n DRAIN\n B= +PONG\n +3s\n W< *-1");
}
