//! Every command with an odd number of replies, and every mode of a connection: pairing never slips. Each script ends
//! with a refused fetch, which is answered at its time only if the gate knows that nothing is owed.

use crate::support::play;

const REFUSED2: &str = "\n DRAIN\n W> BRPOP q 1\n +999ms\n +1ms\n W< *-1\n SAFE\n W= PING\n B= +PONG";
const REFUSED3: &str = "\n DRAIN\n W> BRPOP q 1\n +999ms\n +1ms\n W< _\n SAFE\n W= PING\n B= +PONG";
const HELLO3: &str = "W= HELLO 3\n B= %1 $$proto :3\n";

/// In RESP2, ending with no subscription; then a fetch is refused in time.
#[track_caller]
fn two(script: &str) {
    play(&format!("{script}{REFUSED2}"));
}

#[track_caller]
fn three(script: &str) {
    play(&format!("{HELLO3}{script}{REFUSED3}"));
}

#[test]
fn subscriptions_in_resp2() {
    for p in ["", "p", "s"] {
        let (sub, unsub, message) = (format!("{p}subscribe"), format!("{p}unsubscribe"), format!("{p}message"));
        two(&format!(
            "W= {sub} a b
            B= *3 $${sub} $$a :1
            B= *3 $${message} $$a $$hello
            B= *3 $${sub} $$b :2
            B= *3 $${message} $$b $$hello
            W= PING
            B= *2 $$pong $$''
            W= GET x
            B= '-ERR only (P|S)SUBSCRIBE .. are allowed in this context'
            # a fetch is an error there, and none of ours
            W= BRPOP q 5
            B= '-ERR only (P|S)SUBSCRIBE .. are allowed in this context'
            W= {unsub} a
            B= *3 $${unsub} $$a :1
            W+ {unsub}
            W> PING
            B> {unsub}
            B> PING
            B= *3 $${unsub} $$b :0
            B= +PONG"
        ));
        two(&format!("W= {unsub}\n B= *3 $${unsub} $-1 :0"));
        two(&format!("W= {sub}\n B= '-ERR wrong number of arguments'"));
        two(&format!("W= {sub} a b c\n B= '-NOPERM no channel'"));
        two(&format!(
            "W= {sub} a b\n B= *3 $${sub} $$a :1 *3 $${sub} $$b :2\n W= {unsub}\n B= *3 $${unsub} $$a :1 *3 $${unsub} $$b :0"
        ));
    }
    two("W= SUBSCRIBE a b
        B= *3 $$subscribe $$a :1 *3 $$subscribe $$b :2
        W= PSUBSCRIBE p*
        B= *3 $$psubscribe $$p* :3
        W= PING x
        B= *2 $$pong $$x
        W= UNSUBSCRIBE
        B= *3 $$unsubscribe $$b :2
        B= *4 $$pmessage $$p* $$pa $$hello
        B= *3 $$unsubscribe $$a :1
        W= PUNSUBSCRIBE
        B= *3 $$punsubscribe $$p* :0");
    // the broker takes a shard's channel away on its own account
    two("W= SSUBSCRIBE a b
        B= *3 $$ssubscribe $$a :1 *3 $$ssubscribe $$b :2
        B= *3 $$sunsubscribe $$a :1
        B= *3 $$sunsubscribe $$b :0");
    // a reply that looks like a message is a reply while nothing is subscribed
    two("W= LRANGE l 0 -1\n B= *3 $$message $$a $$b");
    let many: String = (0..9000).map(|i| format!(" channel-number-{i}")).collect();
    let confirmed: String = (0..9000).map(|i| format!(" *3 $$subscribe $$channel-number-{i} :{}", i + 1)).collect();
    play(&format!("W= SUBSCRIBE{many}\n B= {confirmed}\n W= RESET\n B= +RESET{REFUSED2}"));
}

#[test]
fn subscriptions_in_resp3() {
    for p in ["", "p", "s"] {
        let (sub, unsub, message) = (format!("{p}subscribe"), format!("{p}unsubscribe"), format!("{p}message"));
        three(&format!(
            "W+ {sub} a b
            W> PING
            B> {sub} a b
            B> PING
            B= >3 $${sub} $$a :1
            B= >3 $${message} $$a $$hello
            B= >3 $${sub} $$b :2
            B= +PONG
            # other commands work on it, fetches too
            W= BRPOP q 1
            B= >3 $${message} $$a $$hello
            B= _
            W= {unsub}
            B= >3 $${unsub} $$b :1
            W> PING
            B> PING
            B= >3 $${unsub} $$a :0
            B= +PONG"
        ));
        three(&format!("W= {unsub}\n B= >3 $${unsub} _ :0"));
        three(&format!("W= {sub} a b c\n B= '-NOPERM no channel'"));
        three(&format!("W= {sub} a\n B= >3 $${sub} $$a :1\n B= >3 $$sunsubscribe $$a :0"));
    }
}

#[test]
fn pushes_pass_while_a_fetch_is_blocked_and_while_it_is_held() {
    play(&format!(
        "{HELLO3} W= SUBSCRIBE a
        B= >3 $$subscribe $$a :1
        W> BRPOP q 0
        B> BRPOP q ~
        B= >3 $$message $$a $$1
        DRAIN
        B= >3 $$message $$a $$2
        B+ _
        B< >3 $$message $$a $$3
        W< >3 $$message $$a $$3
        B= >2 $$invalidate *1 $$key
        B= >2 $$invalidate _
        B= >1 :5
        B= >3 +message +a +4
        +29999ms
        B= >2 $$a-longer-word-than-any-kind $$x
        +1ms
        B> PING
        B< >3 $$message $$a $$5
        W< >3 $$message $$a $$5
        B< +PONG
        UNDRAIN
        B> BRPOP q ~
        B= *2 $$q $$x
        E Delivered *"
    ));
}

/// Nothing of the gate's own comes into the middle of it.
#[test]
fn half_a_push_is_ended_before_the_gate_answers() {
    let half = r#"B=raw ">2\r\n$10\r\ninvalidate\r\n*1\r\n$10\r\nabcde""#;
    play(&format!(
        "{HELLO3} DRAIN
        W> BRPOP q 5
        {half}
        +5s
        +50ms
        B<raw \"fghij\\r\\n\"
        W<raw \"fghij\\r\\n_\\r\\n\"
        W= PING
        B= +PONG"
    ));
}

#[test]
fn half_a_push_is_no_safe_boundary() {
    play(&format!(
        "{HELLO3} SAFE
        B=raw \">2\\r\\n+invalidate\\r\\n\"
        UNSAFE
        B= *1 $$k
        SAFE"
    ));
}

#[test]
fn hello_changes_the_protocol_at_any_time() {
    play(&format!("W= HELLO 3\n B= %1 $$proto :3{REFUSED3}\n UNDRAIN\n W= HELLO 2\n B= *2 $$proto :2{REFUSED2}"));
    two("W= HELLO\n B= *2 $$proto :2");
    two("W= HELLO 4\n B= '-NOPROTO unsupported protocol version'");
    two("W= HELLO 3 AUTH u p\n B= '-WRONGPASS no'");
    three("W= HELLO\n B= %1 $$proto :3");
    play(&format!(
        "W+ HELLO 3 AUTH u p SETNAME w1
        W> PING
        B> HELLO 3 AUTH u p SETNAME w1
        B> PING
        B= %1 $$proto :3
        E User u
        E ClientNamed w1
        B= +PONG{REFUSED3}"
    ));
    // still RESP2 while the reply is under way, but a fetch behind it is judged after it
    play("DRAIN\n W+ HELLO 3\n W> BRPOP q 1\n B> HELLO 3\n B= %1 $$proto :3\n +1s\n W< _");
    play("set fetch q\n DRAIN\n W+ HELLO 3\n W> LPOP q\n B> HELLO 3\n B< %1 $$proto :3\n W< %1 $$proto :3 _");
    three("W= HELLO 2\n B= *2 $$proto :2\n W= HELLO 3\n B= %1 $$proto :3");
    // down to RESP2 with a subscription: messages become arrays
    play(&format!(
        "{HELLO3} W= SUBSCRIBE a\n B= >3 $$subscribe $$a :1\n W= HELLO 2\n B= *2 $$proto :2\n B= *3 $$message $$a $$x
        W= PING\n B= *2 $$pong $$''\n W= UNSUBSCRIBE\n B= *3 $$unsubscribe $$a :0{REFUSED2}"
    ));
}

#[test]
fn reset_undoes_everything() {
    three("W= RESET\n B= +RESET\n W= HELLO 3\n B= %1 $$proto :3");
    play(&format!("{HELLO3} W= SUBSCRIBE a\n B= >3 $$subscribe $$a :1\n W= RESET\n B= +RESET{REFUSED2}"));
    two("W= SUBSCRIBE a\n B= *3 $$subscribe $$a :1\n W= RESET\n B= +RESET");
    two("W= MULTI\n B= +OK\n W= RESET\n B= +RESET");
    two("W= CLIENT REPLY OFF\n W= PING\n W= RESET\n B= +RESET");
    two("W= CLIENT REPLY SKIP\n W= RESET");
    two("W= RESET x\n B= '-ERR wrong number of arguments'");
    // what is sent behind it before its reply stands
    play(
        "W+ RESET
        W+ MULTI
        W> RPOP q
        E Unrefused *
        B> RESET
        B> MULTI
        B> RPOP q
        B= +RESET
        B= +OK
        B= +QUEUED
        UNSAFE
        W= BRPOP q 0
        E Blocked it fetches by BRPOP inside MULTI*
        B= +QUEUED
        W= EXEC
        B= *2 $-1 *-1",
    );
    two("W= MONITOR\n B= +OK\n B= '+1795288268.348367 [0 127.0.0.1:1] \"PING\"'\n W= RESET\n B= +RESET");
}

/// Whether a fetch behind the end of all subscriptions is an error or asks for a job is known when that has been answered.
#[test]
fn a_fetch_behind_the_end_of_a_subscription_is_judged_after_it() {
    for (end, reply) in
        [("UNSUBSCRIBE", "*3 $$unsubscribe $$a :0"), ("UNSUBSCRIBE a", "*3 $$unsubscribe $$a :0"), ("RESET", "+RESET")]
    {
        let begin = format!("set fetch q\n W= SUBSCRIBE a\n B= *3 $$subscribe $$a :1\n DRAIN\n W+ {end}");
        play(&format!("{begin}\n W> BRPOP q 1\n B> {end}\n B= {reply}\n +999ms\n +1ms\n W< *-1\n SAFE"));
        play(&format!("{begin}\n W> LPOP q\n B> {end}\n B< {reply}\n W< {reply} $-1\n SAFE"));
    }
    let begin =
        "set fetch q\n W= SUBSCRIBE a b\n B= *3 $$subscribe $$a :1 *3 $$subscribe $$b :2\n DRAIN\n W+ UNSUBSCRIBE a";
    play(&format!(
        "{begin}\n W> BRPOP q 1\n B> UNSUBSCRIBE a\n B= *3 $$unsubscribe $$a :1\n B> BRPOP q 1\n B= '-ERR not here'"
    ));
}

#[test]
fn monitor_is_passed_on_for_good() {
    play(
        "W= MONITOR
        B= +OK
        B= '+1795288268.348367 [0 127.0.0.1:42850] \"BRPOP\" \"q\" \"0\"'
        W= PING
        B= +PONG
        B= '+1795288268.448367 [0 127.0.0.1:42850] \"PING\"'",
    );
    two("W= MONITOR\n B= '-NOPERM no'");
}

#[test]
fn client_reply() {
    two("W= CLIENT REPLY OFF
        W= SET a b
        W= CLIENT REPLY SKIP
        W= GET a
        W= client reply on
        B= +OK");
    two("W= CLIENT REPLY SKIP\n W= SET a b\n W= GET a\n B= $$b");
    two("W= CLIENT REPLY SKIP\n W= CLIENT REPLY SKIP\n W= PING\n W= PING\n B= +PONG");
    two("W= CLIENT REPLY SKIP\n W= CLIENT REPLY ON\n B= +OK");
    two("W= CLIENT REPLY OFF x\n B= '-ERR wrong number of arguments'");
    two("W= CLIENT REPLY NO\n B= '-ERR syntax error'");
    two("W= CLIENT REPLY SKIP\n W= MULTI\n W= PING\n B= +QUEUED\n W= EXEC\n B= *1 +PONG");
    two("W= CLIENT REPLY SKIP\n W> CLIENT MAINT_NOTIFICATIONS ON");
    // confirmations come all the same, an error does not
    two("W= CLIENT REPLY OFF
        W= SUBSCRIBE a
        B= *3 $$subscribe $$a :1
        W= PING
        W= UNSUBSCRIBE
        B= *3 $$unsubscribe $$a :0
        W= CLIENT REPLY ON
        B= +OK");
    two("W= CLIENT REPLY SKIP\n W= SUBSCRIBE a\n B= *3 $$subscribe $$a :1\n W= PING\n B= *2 $$pong $$''
        W= UNSUBSCRIBE a\n B= *3 $$unsubscribe $$a :0");
    two("W= CLIENT REPLY SKIP\n W= SUBSCRIBE a\n W= PING\n B= +PONG");
    two("W= CLIENT REPLY SKIP\n W= SUBSCRIBE\n W= PING\n B= +PONG");
    three("W= CLIENT REPLY OFF\n W= SUBSCRIBE a\n B= >3 $$subscribe $$a :1\n W= CLIENT REPLY ON\n B= +OK");
    // a fetch without a reply cannot be refused
    play("W= CLIENT REPLY OFF\n W= BRPOP q 1\n E Blocked it fetches by BRPOP with its replies switched off*");
}

#[test]
fn transactions() {
    two("W= MULTI\n B= +OK\n W= INCR a\n B= +QUEUED\n UNSAFE\n W= EXEC\n B= *1 :1\n SAFE");
    two("W+ MULTI\n W+ INCR a\n W> EXEC\n B> MULTI\n B> INCR a\n B> EXEC\n B= +OK\n B= +QUEUED\n B= *1 :1");
    two(
        "W= MULTI\n B= +OK\n W= INCR\n B= '-ERR wrong number of arguments'\n W= EXEC\n B= '-EXECABORT Transaction discarded'",
    );
    two("W= WATCH a\n B= +OK\n W= MULTI\n B= +OK\n W= INCR a\n B= +QUEUED\n W= EXEC\n B= *-1");
    three("W= WATCH a\n B= +OK\n W= MULTI\n B= +OK\n W= INCR a\n B= +QUEUED\n W= EXEC\n B= _");
    two("W= MULTI\n B= +OK\n W= INCR a\n B= +QUEUED\n W= DISCARD\n B= +OK");
    two("W= EXEC\n B= '-ERR EXEC without MULTI'\n W= DISCARD\n B= '-ERR DISCARD without MULTI'");
    two("W= MULTI x\n B= '-ERR wrong number of arguments'");
    two("W= MULTI\n B= '-NOAUTH Authentication required.'");
    // a nested one is refused, and the outer one stays open
    play(
        "W= MULTI
        B= +OK
        W= MULTI
        B= '-ERR MULTI calls can not be nested'
        DRAIN
        W= BRPOP q 5
        E Blocked *
        B= +QUEUED
        UNSAFE
        W= DISCARD x
        B= '-ERR wrong number of arguments'
        UNSAFE
        W= WATCH a
        B= '-ERR WATCH inside MULTI is not allowed'
        W= EXEC
        B= *1 *-1
        SAFE",
    );
    // a refused MULTI ends itself, not a later one
    play(
        "W+ MULTI
        W+ EXEC
        W> MULTI
        B> MULTI
        B> EXEC
        B> MULTI
        B= '-NOPERM no'
        B= '-ERR EXEC without MULTI'
        B= +OK
        UNSAFE
        W= EXEC
        B= *0
        SAFE",
    );
    // an EXEC that is refused for its arguments ends the transaction all the same
    two("W= MULTI\n B= +OK\n W= EXEC x\n B= '-EXECABORT Transaction discarded'\n SAFE");
    // what a transaction makes of the pairing at EXEC is not followed
    for odd in ["HELLO 3", "SUBSCRIBE a b", "CLIENT REPLY OFF", "MONITOR"] {
        play(&format!("W= MULTI\n B= +OK\n W= {odd}\n B= +QUEUED\n W= EXEC\n OPAQUE\n B= *1 *0 :5\n W=raw xyz"));
        play(&format!("W= MULTI\n B= +OK\n W= {odd}\n B= +QUEUED\n DRAIN\n W> EXEC\n CLOSED could not be judged"));
    }
}

#[test]
fn other_commands_with_replies_of_their_own_kind() {
    play("W= QUIT\n B= +OK\n B gone\n CLOSED");
    two("W= SELECT 3\n B= +OK\n W= SELECT x\n B= '-ERR invalid DB index'");
    three("W= INFO\n B= =8 txt:info");
    three("W= X\n B= !8 'ERR oops'\n W= Y\n B= #t\n W= Z\n B= ,1.5\n W= A\n B= '(12345678901234567890'");
    three("W= CLIENT KILL x\n B= |1 +ttl :3\n B= :1\n W= LRANGE\n B= *2 |1 +ttl :3600 $$a $$b");
    three("W= A\n B= |2 +a *2 :1 :2 +b |1 +c +d :4\n B= *1 |1 +x |1 +y +z +v *2 :1 :2");
    three("W= A\n B= *0\n W= B\n B= %0\n W= C\n B= ~0\n W= D\n B= |0\n B= *-1\n W= E\n B= $-1");
    // the attribute in front of an element is no part of it
    three("W= BRPOP q 1\n B= |1 +a +b\n B= *2 |1 +k $$v $$q |1 $$k *1 +v '$$job'\n E Delivered #1-1 q - -");
    two("W= WAIT 1 0\n B= :1\n W= XREAD COUNT 1 STREAMS s 0\n B= *-1");
    // one status for a pipeline of thousands
    let pings = r"*1\r\n$4\r\nPING\r\n".repeat(3000);
    let pongs = r"+PONG\r\n".repeat(3000);
    two(&format!("W=raw \"{pings}\"\n UNSAFE\n B=raw \"{pongs}\""));
}

#[test]
fn a_blind_pipe_after_sync_passes_both_ways() {
    for sync in ["SYNC", "PSYNC ? -1"] {
        play(&format!("W= {sync}\n OPAQUE\n B=raw \"$5\\r\\nhel\"\n W=raw \"REPLCONF\"\n B=raw xx\n B gone\n CLOSED"));
        play(&format!("W= {sync}\n OPAQUE\n DRAIN\n CLOSED could not be judged"));
        play(&format!("W= {sync}\n OPAQUE\n W gone\n CLOSED"));
        play(&format!("DRAIN\n W> {sync}\n CLOSED could not be judged"));
    }
}

#[test]
fn errors_that_nobody_asked_for_pass() {
    play("B= '-ERR max number of clients reached'\n B gone\n CLOSED");
}
