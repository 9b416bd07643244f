//! Commands whose effect on the pairing hinges on a reply that is still to come. Each script ends with a refused fetch, which
//! is answered at its time only if the gate knows that nothing is owed.

use crate::support::play;

const REFUSED2: &str = "\n DRAIN\n W> BRPOP q 1\n +999ms\n +1ms\n W< *-1\n SAFE\n W= PING\n B= +PONG";
const REFUSED3: &str = "\n DRAIN\n W> BRPOP q 1\n +999ms\n +1ms\n W< _\n SAFE\n W= PING\n B= +PONG";

#[track_caller]
fn two(script: &str) {
    play(&format!("{script}{REFUSED2}"));
}

#[track_caller]
fn three(script: &str) {
    play(&format!("W= HELLO 3\n B= %1 $$proto :3\n{script}{REFUSED3}"));
}

#[test]
fn a_transaction_behind_a_subscription_is_judged_after_it() {
    let refused = "'-ERR only (P|S)SUBSCRIBE .. are allowed in this context'";
    let subscribed = "W+ PSUBSCRIBE x\n W> MULTI\n B> PSUBSCRIBE x\n B< *3 $$psubscribe $$x :1";
    // one after the other, none of them begins a transaction
    two(&format!(
        "{subscribed}\n B> MULTI\n W< *3 $$psubscribe $$x :1\n B= {refused}
        W= UNSUBSCRIBE\n B= *3 $$unsubscribe $-1 :1\n W= DISCARD\n B= {refused}
        W= PUNSUBSCRIBE\n B= *3 $$punsubscribe $$x :0"
    ));
    two(&format!(
        "W= SUBSCRIBE a\n B= *3 $$subscribe $$a :1\n W= MULTI\n B= {refused}\n W= CLIENT REPLY OFF\n B= {refused}
        W= CLIENT REPLY SKIP\n B= {refused}\n W= PING\n B= *2 $$pong $$''\n W= SYNC\n B= {refused}
        W=raw \"multi\\r\\n\"\n B= {refused}
        W+ UNSUBSCRIBE\n W> MULTI\n B> UNSUBSCRIBE\n B< *3 $$unsubscribe $$a :0\n B> MULTI\n W< *3 $$unsubscribe $$a :0
        B= +OK\n W= DISCARD\n B= +OK"
    ));
    // with all of RESP3 there is nothing to wait for
    three(
        "W+ SUBSCRIBE a\n W+ MULTI\n W> EXEC\n B> SUBSCRIBE a\n B> MULTI\n B> EXEC
        B= >3 $$subscribe $$a :1\n B= +OK\n B= *0",
    );
    three(&format!(
        "W= SUBSCRIBE a\n B= >3 $$subscribe $$a :1\n W+ HELLO 2\n W> MULTI\n B> HELLO 2\n B< *2 $$proto :2\n B> MULTI
        W< *2 $$proto :2\n B= {refused}\n W= RESET\n B= +RESET\n W= HELLO 3\n B= %1 $$proto :3"
    ));
    // what may never be answered is not waited for
    two("W= CLIENT REPLY SKIP\n W+ SUBSCRIBE a\n W> MULTI\n B> SUBSCRIBE a\n B> MULTI\n B= +OK\n W= DISCARD\n B= +OK");
    // unless something behind it will be
    two("W= CLIENT REPLY SKIP\n W+ SUBSCRIBE a\n W+ GET k\n W> MULTI\n B> SUBSCRIBE a\n B> GET k
        B< $$v\n B> MULTI\n W< $$v\n B= +OK\n W= DISCARD\n B= +OK");
}

#[test]
fn a_subscription_behind_a_transaction_that_may_be_refused_is_judged_after_it() {
    two("W+ MULTI\n W> UNSUBSCRIBE\n B> MULTI\n B< '-NOPERM no'\n B> UNSUBSCRIBE\n W< '-NOPERM no'
        B= *3 $$unsubscribe $-1 :0");
    play("W+ MULTI\n W> SUBSCRIBE a\n B> MULTI\n B< +OK\n B> SUBSCRIBE a\n W< +OK\n B= +QUEUED\n W= EXEC\n OPAQUE");
    play("W+ MULTI\n W> SUBSCRIBE a\n B> MULTI\n B< +OK\n B> SUBSCRIBE a\n W< +OK\n B= +QUEUED\n W= DISCARD\n B= +OK");
    two(
        "W+ MULTI\n W> CLIENT REPLY SKIP\n B> MULTI\n B< '-NOPERM no'\n B> CLIENT REPLY SKIP\n W< '-NOPERM no'\n W= PING",
    );
}

/// The reply to a HELLO may be switched off: what comes behind it tells.
#[test]
fn a_push_tells_the_protocol() {
    play(&format!(
        "W= CLIENT REPLY SKIP\n W= HELLO 3\n W= SUBSCRIBE a\n B= >3 $$subscribe $$a :1\n W= MULTI\n B= +OK\n W= EXEC\n B= *0
        {REFUSED3}"
    ));
}
