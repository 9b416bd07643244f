//! Commands that are never answered, and clients that do not wait for their answers.

use crate::support::play;

/// The question that a gate of the scripts' seed asks so many milliseconds after their beginning.
fn question(after: u64) -> String {
    format!("draingate:1:{:x}", 1_795_000_000_000_u64 + after)
}

#[test]
fn what_replicas_say_in_passing_has_no_reply() {
    for silent in ["REPLCONF ACK 0", "replconf getack *", "REPLCONF ACK 100 FACK 100"] {
        play(&format!("W= {silent}\n SAFE\n W= BRPOP q 1\n B= *-1"));
    }
    play("W= REPLCONF listening-port 1\n W> BRPOP q 1\n B= +OK\n B> BRPOP q 1\n B= *-1");
    play("W= MULTI\n B= +OK\n W= REPLCONF ACK 0\n B= '-ERR not allowed'\n W= EXEC\n B= '-EXECABORT no'");
}

/// Nobody knows that it has none. The fetch behind it waits a second, once.
#[test]
fn a_fetch_does_not_wait_for_ever_for_a_reply_that_never_comes() {
    let ask = question(1_000);
    play(&format!(
        "W= MODULE.SILENT x
        W> BRPOP q 1
        +999ms
        +1ms
        B> PING {ask}
        B< $${ask}
        B> BRPOP q 1
        B= *-1
        W= BRPOP q 1
        B= *-1
        SAFE"
    ));
    // held from its beginning on, and with the time-out counted from there
    play(&format!(
        "DRAIN\n W= MODULE.SILENT x\n W> BRPOP q 1\n +1s\n B> PING {ask}\n B< $${ask}\n +999ms\n +1ms\n W< *-1"
    ));
    play(&format!("W= MODULE.SILENT x\n W> BRPOP q 1\n +1s\n B> PING {ask}\n W gone\n B< $${ask}\n CLOSED"));
}

#[test]
fn a_reply_that_is_only_late_is_the_clients() {
    let ask = question(1_000);
    // also one that begins like the answer, or is nothing
    for late in ["*2 :1 $$x".to_owned(), format!("$${ask}!"), "$-1".to_owned()] {
        play(&format!(
            "W= SLOW.SCRIPT 5
            W> BRPOP q 1
            +5s
            B> PING {ask}
            B= {late}
            B> BRPOP q 1
            B< $${ask}
            B= *-1
            SAFE"
        ));
    }
}

/// Behind a command that may block for ever the broker would not answer, nor among subscriptions of RESP2 in this form.
#[test]
fn nothing_is_asked_where_no_plain_answer_would_come() {
    play("W= XREAD BLOCK 0 STREAMS s $\n W> BRPOP q 1\n +9s\n B= *1 *2 $$s *0\n B> BRPOP q 1\n B= *-1");
    play(
        "W= SUBSCRIBE a\n W> BRPOP q 1\n +9s\n B= *3 $$subscribe $$a :1\n B> BRPOP q 1\n B= '-ERR only in this context'",
    );
}

/// Redis executes what a client has sent before it leaves, whether it has read its replies or not.
#[test]
fn what_was_sent_before_the_end_is_not_dropped_for_its_many_replies() {
    // each reply is one of its own: the bound is reached
    let acks = |range: std::ops::Range<u32>, how: &str| -> String {
        range.map(|n| format!("{how} HDEL unacked {n}\n")).collect()
    };
    let (sent, first, rest) = (acks(0..33_000, "W+"), acks(0..32_768, "B>"), acks(32_768..33_000, "B>"));
    play(&format!("SYSTEM celery\n {sent} W> PING\n {first} W gone\n {rest} B> PING"));
    // but for what stands behind a fetch
    play("DRAIN\n W+ BRPOP q 0\n W> LPUSH q x\n W gone\n CLOSED");
}
