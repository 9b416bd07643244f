//! The closed list of what the gate changes, answers or asks by itself (invariant 1 of ARCHITECTURE.md), without the slices.

use crate::support::play;

#[test]
fn maintenance_notifications_are_refused() {
    const ERROR: &str = r#"W<raw "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n""#;
    let on = "W> CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip";
    play(&format!("{on}\n {ERROR}\n SAFE\n W= PING\n B= +PONG"));
    // redis-py sends it among others
    play(&format!(
        "W+ HELLO 3
        W+ client maint_notifications on
        W> CLIENT SETINFO LIB-NAME redis-py
        B> HELLO 3
        B> CLIENT SETINFO LIB-NAME redis-py
        B< %1 $$proto :3
        W< %1 $$proto :3
        {ERROR}
        B= +OK"
    ));
    // the other subcommands pass
    play(
        "W= CLIENT ID\n B= :5\n W= CLIENT SETNAME w1\n E ClientNamed w1\n B= +OK\n W= CLIENT\n B= '-ERR wrong number'",
    );
    play("W= CLIENT TRACKING ON\n B= +OK\n W= CLIENT NO-EVICT on\n B= +OK");
}

#[test]
fn the_tag_in_a_user_name_is_stripped() {
    play(
        "set user_tag
        W> AUTH app+blue secret
        E Tagged blue
        B> AUTH app secret
        B= +OK
        E User app
        W= AUTH app secret
        B= +OK
        E User app
        W= AUTH secret+x
        B= +OK
        W> AUTH a+b+green 'se cret'
        E Tagged green
        B> AUTH a+b 'se cret'
        B= '-WRONGPASS no'
        W> auth a+ p
        B> auth a p
        B= +OK
        E User a",
    );
    play(
        "set user_tag
        W+ HELLO 3 SETNAME n AUTH app+blue secret
        W> PING
        E Tagged blue
        B> HELLO 3 SETNAME n AUTH app secret
        B> PING
        B= %1 $$proto :3
        E User app
        E ClientNamed n
        B= +PONG
        W= HELLO 3 AUTH app secret SETNAME n
        B= %1 $$proto :3
        E User app
        E ClientNamed n",
    );
    // switched off, a plus is a letter
    play("W= AUTH app+blue secret\n B= +OK\n E User app+blue\n W= HELLO 2 AUTH x+y z\n B= *0\n E User x+y");
}

#[test]
fn the_gates_own_ping_is_swallowed() {
    play(
        "W= BRPOP q 1
        DRAIN
        B= *-1
        W> BRPOP q 0
        +29999ms
        +1ms
        B> PING
        B< +PONG
        +30s
        B> PING
        # whatever the answer
        B< '-NOAUTH Authentication required.'
        SAFE
        +30s
        B> PING
        W gone
        # the ping is still answered, then it ends
        B< +PONG
        CLOSED",
    );
    // a time-out over 30 s; the reply of the last ping comes late
    play(
        "DRAIN
        W> BRPOP q 31
        +30s
        B> PING
        +1s
        W< *-1
        W= PING
        B< +PONG
        B= +PONG",
    );
}

#[test]
fn commands_that_nobody_knows_pass() {
    play("W= FOO bar\n B= '-ERR unknown command'\n W= (x*100) y\n B= '-ERR unknown command'");
    play("W= GEOSEARCH k\n B= *1 *3 $$m ,1.5 *2 :1 :2\n DRAIN\n W= PFADD x y\n B= :1\n W= FCALL f 0\n B= :1");
    play("W= '' x\n B= '-ERR unknown command'\n W= ''\n B= '-ERR unknown command'\n W= PING\n B= +PONG\n SAFE");
    // names that resemble those of the table
    play("DRAIN\n W= BRPOPX q 0\n B= -ERR\n W= LRANGE q 0 -1\n B= *0\n W= XREADGROUPS\n B= -ERR");
}

#[test]
fn what_is_not_a_job_passes_while_draining() {
    play(
        "DRAIN
        W= LPUSH q a b
        B= :2
        W= SET lock x NX PX 1000
        B= +OK
        W= EVALSHA abc 1 lock x
        B= :1
        W= LPOP semaphore
        E Unrefused *
        B= $$token
        W= BLPOP-ISH
        B= -ERR
        W= XADD s * f v
        B= $$1-1
        W= XACK s g 1-1
        B= :1
        E Ended 1-1@s finished
        W= PUBLISH c m
        B= :0",
    );
}

#[test]
fn both_sides_end_together() {
    play("W gone\n CLOSED");
    play("B gone\n CLOSED");
    // a half-closed client still gets its replies
    play("W+ PING\n W> GET a\n B> PING\n B> GET a\n W gone\n B= +PONG\n B+ $$a\n B< '-ERR late'\n W< $$a\n CLOSED");
    play("W= BLPOP q 1\n B gone\n CLOSED");
    play("W>raw PIN\n W gone\n CLOSED");
}
