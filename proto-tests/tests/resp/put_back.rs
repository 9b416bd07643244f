//! A client that vanishes: what the broker handed out for it and it did not get goes back where it came
//! from, on the same broker connection.

use crate::support::{command, play, play_rows};
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Gate, Side};
use std::sync::Arc;

/// fetch | the broker's reply | how many jobs those are | the commands that put it back, `;` between them
const FETCHES: &[&str] = &[
    "BRPOP q r 1 | *2 $$r $$x | 1 | RPUSH r x",
    "BRPOP q 1 | *2 $$q '$$' | 1 | RPUSH q ''",
    "BLPOP q 1 | *2 $$q $$x | 1 | LPUSH q x",
    "BRPOPLPUSH q w 1 | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w 1 x;RPUSH q x;EXEC",
    "BLMOVE q w LEFT RIGHT 1 | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w -1 x;LPUSH q x;EXEC",
    "BLMOVE q w LEFT LEFT 1 | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w 1 x;LPUSH q x;EXEC",
    "BLMOVE q w RIGHT LEFT 1 | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w 1 x;RPUSH q x;EXEC",
    "BLMOVE q w right right 1 | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w -1 x;RPUSH q x;EXEC",
    "BLMOVE q q LEFT RIGHT 1 | $$x | 1 | UNWATCH;WATCH q;LPOS q x;MULTI;LREM q -1 x;LPUSH q x;EXEC",
    "BZPOPMIN z y 1 | *3 $$z $$m $$1.5 | 1 | ZADD z NX 1.5 m",
    "BZPOPMAX z 1 | *3 $$z $$m ,inf | 1 | ZADD z NX inf m",
    "BLMPOP 1 2 q r LEFT COUNT 3 | *2 $$r *3 $$a $$b $$c | 3 | LPUSH r c b a",
    "BLMPOP 1 2 q r RIGHT COUNT 3 | *2 $$r *3 $$c $$b $$a | 3 | RPUSH r a b c",
    "BZMPOP 1 1 z MIN COUNT 2 | *2 $$z *2 *2 $$a $$1 *2 $$b ,2.5 | 2 | ZADD z NX 1 a 2.5 b",
    "LPOP q | $$x | 1 | LPUSH q x",
    "RPOP q | $$x | 1 | RPUSH q x",
    "LPOP q 3 | *2 $$a $$b | 2 | LPUSH q b a",
    "RPOP q 3 | *2 $$b $$a | 2 | RPUSH q a b",
    "LMOVE q w LEFT RIGHT | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w -1 x;LPUSH q x;EXEC",
    "RPOPLPUSH q w | $$x | 1 | UNWATCH;WATCH w;LPOS w x;MULTI;LREM w 1 x;RPUSH q x;EXEC",
    "LMPOP 1 q LEFT | *2 $$q *1 $$x | 1 | LPUSH q x",
    "ZPOPMIN z 2 | *4 $$a $$1 $$b $$2 | 2 | ZADD z NX 1 a 2 b",
    "ZPOPMAX z 2 | *2 *2 $$b ,2 *2 $$a ,1 | 2 | ZADD z NX 2 b 1 a",
    "ZMPOP 1 z MAX | *2 $$z *1 *2 $$a $$1 | 1 | ZADD z NX 1 a",
    "SPOP q | $$x | 1 | SADD q x",
    "SPOP q 3 | *2 $$x $$y | 2 | SADD q x y",
];

/// Plays a template for each fetch: `<1>` is the fetch, `<2>` the reply, `<told>` and `<returned>` the events of its jobs,
/// `<undo>` the commands that put it back with their replies.
#[track_caller]
fn each(template: &str) {
    for row in FETCHES {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let jobs: usize = columns[2].parse().expect("a number");
        let commands: Vec<&str> = columns[3].split(';').collect();
        let sent = |commands: &[&str]| -> String { commands.iter().map(|c| format!("B> {c}\n")).collect() };
        let undo = match commands.len() {
            1 => format!("{}B< :1\n", sent(&commands)),
            _ => format!(
                "{}B+ +OK\n B+ +OK\n B< :0\n{}B+ +OK\n B+ +QUEUED\n B+ +QUEUED\n B< *2 :1 :1\n",
                sent(&commands[..3]),
                sent(&commands[3..])
            ),
        };
        // in a list of the worker's own it is called by what it is
        let moved = commands.len() > 1;
        let returned: String = match moved {
            true => "E Returned *\n".to_owned(),
            false => (1..=jobs).map(|i| format!("E Returned #1-{i}\n")).collect(),
        };
        let text = template
            .replace("<told>", &"E Delivered *\n".repeat(jobs))
            .replace("<returned>", &returned)
            .replace("<undo>", &undo);
        play_rows(&format!("set fetch *\n{text}"), &[row]);
    }
}

#[test]
fn a_fetch_that_is_outstanding_is_settled_first() {
    each("W= <1>\n W gone\n B< <2>\n <undo> E Orphan returned\n CLOSED");
    play("W= BRPOP q 1\n W gone\n B< *-1\n CLOSED");
    play("W= BRPOP q 1\n W gone\n B< -ERR\n CLOSED");
    play(
        "set events all\n W> BRPOP q 0\n E FetchAsked *\n B> BRPOP q ~\n W gone\n E FetchOrphaned\n B< *-1\n E FetchAnswered broker vanished blocking\n CLOSED",
    );
    play("W> BRPOP q 0\n B> BRPOP q ~\n W gone\n B< *2 $$q $$x\n B> RPUSH q x\n B< :1\n E Orphan returned\n CLOSED");
    // between two slices
    play("W> BRPOP q 0\n B> BRPOP q ~\n DRAIN\n B< *-1\n W gone\n CLOSED");
    play("W= BRPOP q 1\n W gone\n B gone\n CLOSED");
}

#[test]
fn a_reply_that_is_half_there_goes_back() {
    play(
        "W= BRPOP q 1
        B=raw \"*2\\r\\n$1\\r\\nq\\r\\n$5\\r\\nhel\"
        W gone
        B<raw \"lo\\r\\n\"
        B> RPUSH q hello
        B< :1
        E Orphan returned
        CLOSED",
    );
    play(
        "W= BLMPOP 1 1 q LEFT COUNT 2
        B=raw \"*2\\r\\n$1\\r\\nq\\r\\n*2\\r\\n$1\\r\\na\\r\\n\"
        W gone
        B< $$b
        B> LPUSH q b a
        B< :2
        E Orphan returned
        CLOSED",
    );
}

#[test]
fn a_whole_reply_that_was_not_handed_to_the_socket_goes_back() {
    each("W= <1>\n STALL 2\n B= <2>\n <told> UNSAFE\n W gone\n <undo> <returned> E Orphan returned\n CLOSED");
}

#[test]
fn what_was_handed_to_the_socket_stays() {
    each("W= <1>\n B= <2>\n <told> SAFE\n W gone\n CLOSED");
}

#[test]
fn several_that_were_not_handed_on_stand_in_their_old_order_again() {
    play(
        "STALL 0
        W= BRPOP q 1
        B< *2 $$q $$first
        E Delivered #1-1 *
        W< *2 $$q $$first
        W= BRPOP q 1
        B< *2 $$q $$second
        E Delivered #1-2 *
        W< *2 $$q $$second
        W gone
        B> RPUSH q second
        B> RPUSH q first
        B< :1
        E Returned #1-2
        E Orphan returned
        B< :2
        E Returned #1-1
        E Orphan returned
        CLOSED",
    );
    // the first was handed on but for its last byte
    play(
        "W= BRPOP q 1\n STALL 17\n B= *2 $$q $$x\n E Delivered *\n W gone\n B> RPUSH q x\n B< :1\n E Returned #1-1\n E Orphan returned\n CLOSED",
    );
    play("W= BRPOP q 1\n STALL 18\n B= *2 $$q $$x\n E Delivered *\n W gone\n CLOSED");
}

#[test]
fn a_held_fetch_is_dropped() {
    play(
        "set events all\n DRAIN\n W> BRPOP q 0\n E FetchAsked *\n W gone\n E FetchAnswered gate vanished blocking\n CLOSED",
    );
    play("set fetch *\n DRAIN\n W+ GET a\n W> LPOP q\n B> GET a\n W gone\n B< $$x\n W< $$x $-1\n CLOSED");
}

#[test]
fn what_a_streams_group_read_stays_pending() {
    play(
        "W> XREADGROUP GROUP g c BLOCK 0 STREAMS s >
        B> XREADGROUP GROUP g c BLOCK ~ STREAMS s >
        W gone
        B< *1 *2 $$s *1 *2 $$1-1 *2 $$f $$v
        E Orphan delivered
        CLOSED",
    );
    play("W= XAUTOCLAIM s g c 0 0-0\n W gone\n B< *3 $$0-0 *1 *2 $$1-1 *2 $$f $$v *0\n E Orphan delivered\n CLOSED");
    // without a pending list there is nothing to claim it from
    play(
        "W= XREADGROUP GROUP g c NOACK STREAMS s >\n W gone\n B< *1 *2 $$s *1 *2 $$1-1 *2 $$f $$v\n E Orphan lost\n CLOSED",
    );
}

#[test]
fn the_size_that_is_kept_has_a_bound() {
    // the client is gone before the reply: up to 64 MB go back
    play(
        "W= BRPOP q 1\n W gone\n B< *2 $$q $$(x*3000000)\n B> RPUSH q (x*3000000)\n B< :1\n E Orphan returned\n CLOSED",
    );
    // gone while it arrives: what comes from then on is kept
    play(
        "W= BRPOP q 1
        B=raw \"*2\\r\\n$1\\r\\nq\\r\\n$2500000\\r\\n\"
        B=raw (x*500000)
        W gone
        B+raw (x*2000000)
        B<raw \"\\r\\n\"
        B> RPUSH q (x*2500000)
        B< :1
        E Orphan returned
        CLOSED",
    );
    // a copy of what is on its way is kept up to 1 MB
    play(
        "W= BRPOP q 1\n STALL 9\n B= *2 $$q $$(x*1000000)\n E Delivered *\n W gone\n B> RPUSH q (x*1000000)\n B< :1\n E Returned #1-1\n E Orphan returned\n CLOSED",
    );
    play("W= BRPOP q 1\n STALL 9\n B= *2 $$q $$(x*1100000)\n E Delivered *\n W gone\n E Orphan lost\n CLOSED");
}

#[test]
fn a_small_job_is_kept_however_it_is_cut() {
    // 60 kB byte by byte
    play(
        "W= BRPOP q 1\n STALL 9\n B= *2 $$q $$(x*60000)\n E Delivered *\n W gone\n B> RPUSH q (x*60000)\n B< :1\n E Returned #1-1\n E Orphan returned\n CLOSED",
    );
}

#[test]
fn in_the_middle_of_a_command_nothing_can_be_put_back() {
    play(
        "W= BRPOP q 1
        STALL 3
        B= *2 $$q $$x
        E Delivered *
        W=raw \"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\na\\r\\n$5\\r\\nab\"
        W gone
        E Orphan lost
        # the command's own reply is still awaited, in vain
        B gone
        CLOSED",
    );
    // whole commands are no hindrance
    play(
        "W= BRPOP q 1
        STALL 3
        B= *2 $$q $$x
        E Delivered *
        W= GET a
        W gone
        B> RPUSH q x
        B< $$1
        W< $$1
        B< :1
        E Returned #1-1
        E Orphan returned
        CLOSED",
    );
    // behind a fetch that is outstanding nothing has been sent
    play(
        "W+ BRPOP q 1\n W> GET a\n B> BRPOP q 1\n W gone\n B< *2 $$q $$x\n B> RPUSH q x\n B< :1\n E Orphan returned\n CLOSED",
    );
}

#[test]
fn a_transaction_and_switched_off_replies_are_undone_first() {
    play(
        "W= BRPOP q 1
        STALL 0
        B= *2 $$q $$x
        E Delivered *
        W= MULTI
        W= INCR a
        W gone
        B> DISCARD
        B> RPUSH q x
        B< +OK
        W< +OK
        B< +QUEUED
        W< +QUEUED
        B< +OK
        B< :1
        E Returned #1-1
        E Orphan returned
        CLOSED",
    );
    play(
        "W= BRPOP q 1
        STALL 0
        B= *2 $$q $$x
        E Delivered *
        W= CLIENT REPLY OFF
        W= INCR a
        W gone
        B> CLIENT REPLY ON
        B> RPUSH q x
        B< +OK
        B< :1
        E Returned #1-1
        E Orphan returned
        CLOSED",
    );
}

#[test]
fn a_put_back_that_the_broker_refuses_is_a_loss() {
    play("W= BRPOP q 1\n W gone\n B< *2 $$q $$x\n B> RPUSH q x\n B< '-NOPERM no'\n E Orphan lost\n CLOSED");
    play("W= BRPOP q 1\n W gone\n B< *2 $$q $$x\n B> RPUSH q x\n B gone\n E Orphan lost\n CLOSED");
    for exec in ["*2 :1 '-WRONGTYPE no list'", "'-EXECABORT no'"] {
        play(&format!("{LOOKS}B< +OK +OK :3\n{BACK}B< +OK +QUEUED +QUEUED {exec}\n E Orphan lost\n CLOSED"));
    }
}

const LOOKS: &str = "W= BLMOVE q w LEFT RIGHT 1\n W gone\n B< $$x\n B> UNWATCH\n B> WATCH w\n B> LPOS w x\n";
const AGAIN: &str = "B> UNWATCH\n B> WATCH w\n B> LPOS w x\n";
const BACK: &str = "B> MULTI\n B> LREM w -1 x\n B> LPUSH q x\n B> EXEC\n";

/// What was moved to another list, and was taken from there by somebody else meanwhile, is not pushed back.
#[test]
fn what_somebody_else_has_taken_meanwhile_stays_his() {
    for nothing in ["$-1", "_"] {
        play(&format!("{LOOKS}B< +OK +OK {nothing}\n E Orphan delivered\n CLOSED"));
        // or between the look and the way back
        play(&format!(
            "{LOOKS}B< +OK +OK :0\n{BACK}B< +OK +QUEUED +QUEUED *-1\n{AGAIN}B< +OK +OK {nothing}
            E Orphan delivered\n CLOSED"
        ));
    }
    // something else in the list has changed
    play(&format!(
        "{LOOKS}B< +OK +OK :0\n{BACK}B< +OK +QUEUED +QUEUED _\n{AGAIN}B< +OK +OK :1\n{BACK}
        B< +OK +QUEUED +QUEUED *2 :1 :1\n E Orphan returned\n CLOSED"
    ));
    // a list that never rests, and a broker that cannot look
    let restless = format!("B< +OK +OK :0\n{BACK}B< +OK +QUEUED +QUEUED *-1\n");
    let looks = vec![restless; 8].join(AGAIN);
    play(&format!("{LOOKS}{looks}{BACK}B< +OK +QUEUED +QUEUED *2 :1 :1\n E Orphan returned\n CLOSED"));
    play(&format!(
        "{LOOKS}B< +OK +OK '-ERR unknown command'\n{BACK}B< +OK +QUEUED +QUEUED *2 :1 :1\n E Orphan returned\n CLOSED"
    ));
    play(&format!("{LOOKS}B gone\n E Orphan lost\n CLOSED"));
}

#[test]
fn a_blocking_command_that_is_no_fetch_ends_with_its_client() {
    play("W= XREAD BLOCK 0 STREAMS s $\n W gone\n CLOSED");
    play("SYSTEM celery\n W= SET a b\n B= +OK\n W= BLPOP q 0\n W gone\n CLOSED");
    // unless a fetch stands behind it
    play(
        "set fetch q\n W= XREAD STREAMS s 0\n W= LPOP q\n W gone\n B< *-1\n W< *-1\n B< $$x\n B> LPUSH q x\n B< :1\n E Orphan returned\n CLOSED",
    );
}

/// Until the broker has answered, or has what goes back, closing loses the job. What else it owes nobody needs.
#[test]
fn what_may_still_bring_a_job_is_waited_for() {
    let mut gate = RespGate::new(Arc::new(RespSettings::default()), 1);
    let mut out = vec![];
    gate.input(0, Side::Client, &command("BRPOP q 1"), &mut out);
    assert!(!gate.may_get_job(), "its client is there");
    gate.end(0, Side::Client, 0, &mut out);
    assert!(gate.may_get_job());
    gate.input(0, Side::Broker, b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n", &mut out);
    assert!(gate.may_get_job(), "it goes back");
    gate.input(0, Side::Broker, b":1\r\n", &mut out);
    assert!(!gate.may_get_job());
    let mut other = RespGate::new(Arc::new(RespSettings::default()), 1);
    other.input(0, Side::Client, &command("HELLO 3"), &mut out);
    other.end(0, Side::Client, 0, &mut out);
    assert!(!other.may_get_job());
}
