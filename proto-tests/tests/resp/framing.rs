//! Framing: inline requests, empty ones, very large ones, and bytes that are no RESP at all.

use crate::support::{Cuts, Player, play};
use draingate::gate::resp::RespSettings;
use draingate::gate::{Gate, Side};

#[test]
fn inline_requests() {
    play(
        r#"W=raw "PING\r\n"
        B= +PONG
        W=raw "PING\n"
        B= +PONG
        W=raw "  set  a \"b c\\n\"  'd'\r\n"
        B= +OK
        W=raw "\r\n \t\r\n\n"
        W=raw "HELLO 3\r\n"
        B= %1 $$proto :3
        W=raw "subscribe a b\r\n"
        B= >3 $$subscribe $$a :1 >3 $$subscribe $$b :2
        W=raw "MULTI\r\nPING\r\nEXEC\r\n"
        B= +OK +QUEUED *1 +PONG
        W>raw "BRPOP \"q\\x41\" 5\r\n"
        B> BRPOP qA ~
        B= *2 $$qA $$x
        E Delivered *"#,
    );
    play(
        r#"DRAIN
        W>raw "brpop q 1\r\nPING\r\n"
        +1s
        W< *-1
        B>raw "PING\r\n"
        B= +PONG
        SAFE"#,
    );
    // unbalanced quotes: one error, and Redis closes
    play(
        r#"W=raw "ECHO \"a\r\n"
        B= '-ERR Protocol error: unbalanced quotes in request'
        B gone
        CLOSED"#,
    );
    // Redis' own idea of a space; the vertical tab parts no words
    play(
        r#"W=raw "\x0b\x0c\r\n"
        W=raw "PING\x0b\r\n"
        B= '-ERR unknown command'
        W=raw "ECHO \"\\x+1\"\r\n"
        B= $$x+1"#,
    );
}

#[test]
fn requests_without_a_reply() {
    play(
        r#"W=raw "*0\r\n*-1\r\n\r\n"
        SAFE
        DRAIN
        W>raw "*0\r\n*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n1\r\n"
        B>raw "*0\r\n"
        +1s
        W< *-1"#,
    );
}

#[test]
fn the_clients_protocol_error_while_nothing_is_owed() {
    for bad in [r#""*x\r\n""#, r#""*1\r\n+PING\r\n""#, r#""*1\r\n$-5\r\n""#, r#""*1\r\n:4\r\n""#, r#""PI\0NG\r\n""#] {
        play(&format!(
            "W= PING
            B= +PONG
            W> PING
            B> PING
            B= +PONG
            W=raw {bad}
            OPAQUE
            SAFE
            B= '-ERR Protocol error'
            W=raw \"more of it\"
            B=raw whatever
            B gone
            CLOSED"
        ));
        play(&format!("W=raw {bad}\n OPAQUE\n DRAIN\n CLOSED could not be judged"));
        play(&format!("DRAIN\n W>raw {bad}\n W< '-ERR Protocol error: invalid request'\n CLOSED not RESP"));
    }
}

#[test]
fn the_clients_protocol_error_while_replies_are_owed() {
    play(
        r#"W+ GET a
        W>raw "*x\r\nrest"
        B> GET a
        UNSAFE
        B< $$1
        W< $$1
        OPAQUE
        B>raw "*x\r\nrest"
        W=raw more
        B= '-ERR Protocol error'
        B gone
        CLOSED"#,
    );
    play(
        r#"W+ GET a
        W>raw "*x\r\n"
        B> GET a
        DRAIN
        B< $$1
        W< $$1 '-ERR Protocol error: invalid request'
        CLOSED not RESP"#,
    );
    // behind a fetch it waits like anything else
    play(
        r#"W+ BRPOP q 5
        W>raw "*x\r\n"
        B> BRPOP q ~
        B< *2 $$q $$x
        E Delivered *
        W< *2 $$q $$x
        OPAQUE
        B>raw "*x\r\n""#,
    );
}

#[test]
fn the_clients_protocol_error_in_the_middle_of_a_command() {
    play(
        r#"W=raw "*3\r\n$3\r\nSET\r\n$1\r\na\r\n:x\r\nmore"
        OPAQUE
        B= '-ERR Protocol error: expected $'
        W=raw "more"
        B gone
        CLOSED"#,
    );
    play(
        r#"W=raw "*3\r\n$3\r\nSET\r\n$1\r\na\r\n:x\r\n"
        OPAQUE
        DRAIN
        CLOSED could not be judged"#,
    );
    play(
        r#"DRAIN
        W=raw "*3\r\n$3\r\nSET\r\n$1\r\na\r\n"
        W>raw ":x\r\n"
        CLOSED does not allow"#,
    );
    // a fetch that breaks off is none
    play(
        r#"W=raw "*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n:1\r\n"
        OPAQUE
        B= '-ERR Protocol error'"#,
    );
}

#[test]
fn the_brokers_protocol_error() {
    for bad in [r#""?\r\n""#, r#""*x\r\n""#, r#""$-7\r\n""#, r#""\r\n""#, r#""+OK\n""#, r#""(x*100)""#] {
        let bad = if bad.contains('(') { "(x*100)" } else { bad };
        play(&format!("B=raw {bad}\n OPAQUE\n W=raw anything\n B=raw (y*90)"));
        play(&format!("W= GET a\n B<raw {bad}\n CLOSED Broker sent"));
        play(&format!("DRAIN\n B<raw {bad}\n CLOSED Broker sent"));
        play(&format!("DRAIN\n W> BRPOP q 0\n B<raw {bad}\n CLOSED Broker sent"));
    }
    // a reply that nobody waits for
    play("B= +OK\n OPAQUE");
    play("W= GET a\n B+ $$a\n B< $$b\n W< $$a $$b\n OPAQUE");
    play("DRAIN\n B< :1\n CLOSED nobody waits for");
}

#[test]
fn large_values_stream_in_constant_memory() {
    let mut player = Player::new(RespSettings::default(), 1, Cuts::Whole);
    let chunk = vec![b'x'; 1 << 20];
    // a request of 512 MB
    player.send(Side::Client, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n");
    stream(&mut player, Side::Client, &chunk);
    player.send(Side::Client, b"\r\n");
    // a reply of 512 MB, and a delivery of the same size
    player.out[Side::Broker as usize].clear();
    player.send(Side::Broker, b"+OK\r\n");
    player.send(Side::Client, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    player.send(Side::Broker, b"$536870912\r\n");
    stream(&mut player, Side::Broker, &chunk);
    player.send(Side::Broker, b"\r\n");
    player.send(Side::Client, b"*3\r\n$5\r\nBRPOP\r\n$1\r\nq\r\n$1\r\n1\r\n");
    player.send(Side::Broker, b"*2\r\n$1\r\nq\r\n$536870912\r\n");
    stream(&mut player, Side::Broker, &chunk);
    player.send(Side::Broker, b"\r\n");
    assert!(player.gate.at_safe_boundary());
    assert!(player.longest_carry < 64, "{} bytes were carried", player.longest_carry);
    assert!(player.closed.is_none());
}

fn stream(player: &mut Player, from: Side, chunk: &[u8]) {
    for _ in 0..512 {
        player.out[from.other() as usize].clear();
        player.send(from, chunk);
        assert_eq!(player.out[from.other() as usize].len(), chunk.len());
    }
    player.out[from.other() as usize].clear();
}

#[test]
fn long_heads_and_lines_pass() {
    play("W= SET (k*2000) v\n B= +OK\n W= GET (k*1024)\n B= $$(v*5000)\n W= PING\n B= +(p*5000)\n W= X\n B= -(e*70)");
    play("W= EVAL (s*150000) 0\n B= :1\n W= PING\n B= +PONG");
    // a fetch that is too long to be held
    play(
        "W= BLPOP (k*140000) 1\n E Blocked it fetches by BLPOP with too many arguments*\n B= *-1\n W= PING\n B= +PONG",
    );
    play("W= XREAD STREAMS (k*140000) 0\n B= *-1\n SAFE");
}
