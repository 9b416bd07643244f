//! Symfony's Messenger on streams of Redis: what it does with messages whose time has come, recorded from real workers.

use crate::support::play;

const READ: &str = "XREADGROUP GROUP symfony w1 COUNT 1 BLOCK 1 STREAMS messages >";
const POP: &str = "ZPOPMIN messages__queue 1";
const CLAIM: &str = "EVAL '-- ZRANGEBYSCORE and ZADD XX' 1 messages__queue 1795000001000 1795003601000";

/// It is in flight until the worker reads its stream again: by then it has added the message to it.
#[test]
fn a_message_that_comes_due_is_in_flight_until_it_is_in_the_stream() {
    for (take, ends) in [(POP, ""), (CLAIM, "W= ZREM messages__queue m\n B= :1")] {
        play(&format!(
            "set events all
            W= {take}\n E SchedulerReturned\n E FetchAsked broker messages__queue poll
            B= *2 $$m $$1795000000000\n E Taken #1-1 messages__queue - -\n E FetchAnswered broker job poll
            W= XADD messages * message m\n B= $$1-1
            {ends}
            W= {READ}\n E SchedulerReturned\n E Acknowledges\n E FetchAsked broker messages blocking
            B= *0\n E FetchAnswered broker empty blocking
            W= {READ}\n E Acknowledges\n E FetchAsked broker messages blocking
            B= *0\n E FetchAnswered broker empty blocking
            DRAIN
            W> {take}\n E SchedulerReturned\n E FetchAsked gate messages__queue poll\n E FetchAnswered gate empty poll
            W< *0"
        ));
    }
}

/// Who leaves with it on its way has not had it: it is due as before.
#[test]
fn a_message_that_comes_due_is_put_back() {
    for (take, only) in [(POP, "NX"), (CLAIM, "XX")] {
        play(&format!(
            "W= {take}\n E SchedulerReturned\n W gone
            B< *2 $$m $$1795000000000\n B> ZADD messages__queue {only} 1795000000000 m\n B< :0\n E Orphan returned\n CLOSED"
        ));
    }
}

/// Other sets and other scripts are not Messenger's.
#[test]
fn other_sets_are_none_of_its() {
    play("W= ZPOPMIN messages__queued 1\n E Unrefused *\n B= *0");
    play("SYSTEM celery\n DRAIN\n W= ZPOPMIN messages__queue 1\n B= *0");
    play("DRAIN\n W= EVAL x 1 messages__queue 1 2\n B= $$x\n E Unrefused *");
}
