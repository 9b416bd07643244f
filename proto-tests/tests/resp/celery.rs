//! Celery's dialect: what kombu and the worker send, recorded from real workers and cut down.

use crate::support::play;

/// A job as kombu writes it: the body first, the headers and properties last.
fn job(id: &str, tag: &str, eta: &str) -> String {
    format!(
        r#"'{{"body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "headers": {{"lang": "py", "task": "app.add", "id": "{id}", "eta": {eta}, "retries": 0}}, "properties": {{"correlation_id": "{id}", "delivery_mode": 2, "delivery_tag": "{tag}"}}}}'"#
    )
}

const FETCH: &str = r#"BRPOP celery "celery\x06\x163" "celery\x06\x166" "celery\x06\x169" 1"#;

/// The events of worker.heartbeat as base64 in kombu's envelope.
fn heartbeat(kind: &str, active: u32) -> String {
    use base64::Engine as _;
    let event = format!(
        r#"{{"hostname": "w1@vm", "utcoffset": 0, "pid": 77, "clock": 9, "freq": 2.0, "active": {active}, "processed": 5, "loadavg": [0.1, 0.2], "sw_ident": "py-celery", "timestamp": 1795000000.25, "type": "{kind}"}}"#
    );
    let body = base64::engine::general_purpose::STANDARD.encode(event);
    format!(r#"'{{"body": "{body}", "content-encoding": "utf-8", "headers": {{"hostname": "w1@vm"}}}}'"#)
}

#[test]
fn a_fetch_with_its_priorities_is_held_and_delivers() {
    let (fetch, job) = (FETCH, job("t1", "d1", "null"));
    play(&format!(
        r#"set events all
        W= {fetch}
        E FetchAsked broker celery blocking
        B= *2 "$$celery\x06\x163" $${job}
        E Recognised celery
        E Delivered d1 celery app.add t1
        E FetchAnswered broker job blocking
        DRAIN
        W> {fetch}
        E FetchAsked gate celery blocking
        +1s
        W< *-1
        E FetchAnswered gate empty blocking"#
    ));
    // with a prefix, and two queues
    play(
        r#"DRAIN
        W> BRPOP "{p}celery" "{p}mail" "{p}celery\x06\x163" "{p}mail\x06\x163" 1
        +1s
        W< *-1"#,
    );
}

#[test]
fn an_eta_is_told() {
    for (written, told) in [
        ("\"2026-11-21T16:08:36.395461+00:00\"", " eta=1795277316395"),
        ("\"2026-11-21T17:08:36+01:00\"", " eta=1795277316000"),
        ("\"2026-11-21T16:08:36\"", " eta=1795277316000"),
        ("\"soon\"", ""),
        ("null", ""),
    ] {
        let (fetch, job) = (FETCH, job("t1", "d1", written));
        play(&format!(
            "W= {fetch}\n B= *2 $$celery $${job}\n E Recognised celery\n E Delivered d1 celery app.add t1{told}"
        ));
    }
}

#[test]
fn a_job_of_megabytes_is_told_by_its_head() {
    let job = job("t1", "d1", "null").replace("W1tdLCB7fSwge31d", "'(W*3000000)'");
    play(&format!("SYSTEM celery\n W= {}\n B= *2 $$celery $${job}\n E Delivered d1 celery app.add t1", FETCH));
}

/// With the backend `rpc://` a web application waits for its results there, and a running task for those of others.
#[test]
fn a_queue_of_results_passes() {
    let fetch = |queue: &str| format!(r#"BRPOP {queue} "{queue}\x06\x163" "{queue}\x06\x166" "{queue}\x06\x169" 1"#);
    let result = r#"'{"body": "eyJzdGF0dXMiOiAiU1VDQ0VTUyJ9", "headers": {}, "properties": {"correlation_id": "t1", "delivery_tag": "d1"}}'"#;
    let (results, jobs) = ("76a3810b-f385-39a6-bfa5-a2b75f97fdd1", "76a3810b-f385-49a6-bfa5-a2b75f97fdd1");
    for known in ["", "SYSTEM celery"] {
        play(&format!(
            "set events all\n {known}
            W= {fetch}\n B= *2 $${results} $${result}
            DRAIN
            W= {fetch}\n B= *2 $${results} $${result}",
            fetch = fetch(results)
        ));
    }
    play(&format!("SYSTEM celery\n DRAIN\n W= BRPOP {results} 1\n B= *-1"));
    // together with jobs, and a queue that an owner has named
    play(&format!("DRAIN\n W> BRPOP {results} celery \"celery\\x06\\x163\" 1\n +1s\n W< *-1"));
    play(&format!("DRAIN\n W> {}\n +1s\n W< *-1", fetch(jobs)));
    play(&format!("DRAIN\n W> {}\n +1s\n W< *-1", fetch(&results[1..])));
}

#[test]
fn the_reply_queue_of_remote_control_passes() {
    play(
        r#"SYSTEM celery
        DRAIN
        W= BRPOP 9a.reply.celery.pidbox "9a.reply.celery.pidbox\x06\x163" "9a.reply.celery.pidbox\x06\x166" 1
        B= *2 $$9a.reply.celery.pidbox '$${"ok": "pong"}'
        W= BRPOP p_9a.reply.celery.pidbox 1
        B= *-1
        # with a queue of jobs beside it, it is a fetch
        W> BRPOP 9a.reply.celery.pidbox celery "9a.reply.celery.pidbox\x06\x163" "celery\x06\x163" 1
        +1s
        W< *-1"#,
    );
}

#[test]
fn without_priorities_the_consumers_connection_tells() {
    let job = job("t1", "d1", "null");
    // a worker that is known; its consumer's connection carries nothing but pops
    play("SYSTEM celery\n DRAIN\n W= PING\n B= +PONG\n W> BRPOP celery 1\n +1s\n W< *-1");
    // a running job's own pop, on a connection that does other things
    for own in
        ["BRPOP my-list 5", "BLPOP sem 0", "BZPOPMIN z 3", "BLMOVE a b LEFT LEFT 9", "XREADGROUP GROUP g c STREAMS s >"]
    {
        play(&format!("SYSTEM celery\n DRAIN\n W= SET x y\n B= +OK\n W= {own}\n B= *2 $$my-list $$token"));
    }
    play("SYSTEM celery\n DRAIN\n W= BLPOP sem 0\n B= *2 $$sem $$token");
    // once a task has come out of it, it is the consumer's
    play(&format!(
        "SYSTEM celery\n W= BRPOP celery 1\n B= *2 $$celery $${job}\n E Delivered d1 *\n W= SET x y\n B= +OK\n DRAIN
        W> BRPOP celery 1\n +1s\n W< *-1"
    ));
}

#[test]
fn an_ack_counts_when_its_transaction_is_confirmed() {
    let ack = "W+ MULTI\n W+ ZREM unacked_index d1\n W+ HDEL unacked d1\n W> EXEC
        B> MULTI\n B> ZREM unacked_index d1\n B> HDEL unacked d1\n B> EXEC\n";
    play(&format!("{ack} B= +OK +QUEUED +QUEUED *2 :1 :1\n E Acked d1"));
    play(
        "W= MULTI
        B= +OK
        W= ZREM unacked_index d1
        B= +QUEUED
        W= HDEL p_unacked d1
        B= +QUEUED
        W= EXEC
        B= *2 :1 :1
        E Acked d1
        W= HDEL unacked d2
        B= :1
        E Acked d2
        W= HDEL unacked d3
        B= '-READONLY no'
        E Refused [d3]",
    );
    for undone in ["*-1", "_"] {
        play(&format!("{ack} B= +OK +QUEUED +QUEUED\n B= {undone}"));
    }
    for failed in ["'-EXECABORT no'", "*2 :1 '-WRONGTYPE no'"] {
        play(&format!("{ack} B= +OK +QUEUED +QUEUED\n B= {failed}\n E Refused [d1]"));
    }
    play(&format!("{ack} B= +OK +QUEUED '-OOM no'\n B= -EXECABORT\n E Refused [d1]"));
    play(
        "W= MULTI\n B= +OK\n W= HDEL unacked d1\n B= +QUEUED\n W= DISCARD\n B= +OK\n W= MULTI\n B= +OK\n W= EXEC\n B= *0",
    );
    // elements before it that are arrays do not shift it
    play(
        "W= MULTI\n B= +OK\n W= LRANGE l 0 1\n B= +QUEUED\n W= HDEL unacked d1\n B= +QUEUED\n W= EXEC\n B= *2 *2 $$a '-ERR x' :1\n E Acked d1",
    );
    // a refused command before it was not queued
    play(
        "W= MULTI\n B= +OK\n W= WATCH x\n B= -ERR\n W= HDEL unacked d1\n B= +QUEUED\n W= GET l\n B= +QUEUED\n W= EXEC\n B= *2 :1 -ERR\n E Acked d1",
    );
    play(
        "W= MULTI\n B= +OK\n W= WATCH x\n B= -ERR\n W= HDEL unacked d1\n B= +QUEUED\n W= GET l\n B= +QUEUED\n W= EXEC\n B= *2 -ERR :1\n E Refused [d1]",
    );
}

#[test]
fn a_requeue_at_shutdown_passes_and_is_told() {
    let job = job("t1", "d1", "null");
    for (push, refused) in [("RPUSH", false), ("LPUSH", false), ("RPUSH", true)] {
        let (reply, event) = match (push, refused) {
            (_, true) => ("*-1", ""),
            ("LPUSH", _) => ("*3 :1 :1 :5", "E Ended d1 requeued"),
            _ => ("*3 :1 :1 :5", "E GivenBack d1"),
        };
        play(&format!(
            "DRAIN
            W= WATCH unacked
            B= +OK
            W= HGET unacked d1
            B= $$x
            W+ MULTI
            W+ ZREM unacked_index d1
            W+ HDEL unacked d1
            W+ {push} celery {job}
            W> EXEC
            B> MULTI
            B> ZREM unacked_index d1
            B> HDEL unacked d1
            B> {push} celery {job}
            B> EXEC
            B= +OK +QUEUED +QUEUED +QUEUED
            B= {reply}
            {event}"
        ));
    }
}

#[test]
fn a_result_counts_only_when_it_is_terminal_and_stored() {
    let result =
        |status: &str| format!(r#"'{{"status": "{status}", "result": [1, {{"status": "x"}}], "task_id": "t1"}}'"#);
    for status in ["SUCCESS", "FAILURE", "REVOKED"] {
        play(&format!("W= SETEX celery-task-meta-t1 86400 {}\n B= +OK\n E Result t1", result(status)));
        play(&format!("W= SET p_celery-task-meta-t1 {}\n B= +OK\n E Result t1", result(status)));
    }
    for status in ["RETRY", "STARTED", "PENDING"] {
        play(&format!("W= SETEX celery-task-meta-t1 86400 {}\n B= +OK", result(status)));
    }
    play(&format!("W= SETEX celery-task-meta-t1 86400 {}\n B= '-OOM no'", result("SUCCESS")));
    let success = result("SUCCESS");
    play(&format!(
        "DRAIN\n W+ MULTI\n W+ SETEX celery-task-meta-t1 86400 {success}\n W+ PUBLISH celery-task-meta-t1 x\n W> EXEC
        B> MULTI\n B> SETEX celery-task-meta-t1 86400 {success}\n B> PUBLISH celery-task-meta-t1 x\n B> EXEC
        B= +OK +QUEUED +QUEUED *2 +OK :0\n E Result t1"
    ));
    // one of megabytes, its status first
    let large = success.replace("\"x\"", "\"'(x*300000)'\"");
    play(&format!("W= SETEX celery-task-meta-t1 86400 {large}\n B= +OK\n E Result t1"));
}

#[test]
fn worker_events_are_read() {
    for (kind, short) in [("worker-heartbeat", "heartbeat"), ("worker-online", "online"), ("worker-offline", "offline")]
    {
        let message = heartbeat(kind, 2);
        play(&format!(
            "DRAIN
            W> PUBLISH /0.celeryev/worker.{short} {message}
            E Recognised celery
            E Named celery w1@vm
            E Report celery pid=77 active=2 processed=5 at=1795000000250 period=2000
            B> PUBLISH /0.celeryev/worker.{short} {message}
            B= :1"
        ));
    }
    let task = heartbeat("task-started", 0);
    play(&format!("W= PUBLISH /0.celeryev/task.started {task}\n B= :0\n W= PUBLISH /0.celeryev/worker.x junk\n B= :0"));
}

#[test]
fn the_connections_of_a_worker_that_starts_pass() {
    play(
        "W= PING
        B= +PONG
        W+ HELLO 3
        W+ CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip
        W+ CLIENT SETINFO LIB-NAME redis-py
        W> CLIENT SETINFO LIB-VER 8.1.0
        B> HELLO 3
        B> CLIENT SETINFO LIB-NAME redis-py
        B> CLIENT SETINFO LIB-VER 8.1.0
        B< %1 $$proto :3
        W< %1 $$proto :3
        W<raw \"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\\r\\n\"
        B= '-ERR unknown subcommand' '-ERR unknown subcommand'
        W= PSUBSCRIBE /0.celery.pidbox
        B= >3 $$psubscribe $$/0.celery.pidbox :1
        E Listens true
        DRAIN
        B= >4 $$pmessage $$/0.celery.pidbox $$/0.celery.pidbox '$${\"method\": \"ping\"}'
        W= LPUSH 9a.reply.celery.pidbox x
        B= :1
        W= PUNSUBSCRIBE
        B= >3 $$punsubscribe $$/0.celery.pidbox :0
        E Listens false
        W= PING
        B= +PONG",
    );
}

/// Remote control is no job, whatever stands between a queue's name and the priority.
#[test]
fn a_reply_queue_is_known_with_any_separator() {
    for (separator, passes) in [("\\x06\\x16", true), (":", true), ("-", true), (":a-long-name:", false)] {
        let key = |n: u8| format!("\"a0bf.reply.celery.pidbox{separator}{n}\"");
        let fetch = format!("BRPOP a0bf.reply.celery.pidbox {} {} 1", key(3), key(9));
        let then = if passes { format!("W= {fetch}\n B= *-1") } else { format!("W> {fetch}\n +1s\n W< *-1") };
        play(&format!("SYSTEM celery\n DRAIN\n {then}"));
    }
}

/// A worker without events still binds its own queue for remote control.
#[test]
fn a_worker_that_sends_no_events_is_known_by_its_binding() {
    for bind in [
        r#"EVALSHA ef7a 2 _kombu.binding.celery.pidbox _kombu.binding_deadlines "\x06\x16\x06\x16w1@vm.celery.pidbox" celery.pidbox 3600000"#,
        r#"SADD {p}_kombu.binding.celery.pidbox "\x06\x16\x06\x16w1@vm.celery.pidbox""#,
        // other separators
        "SADD _kombu.binding.celery.pidbox ::w1@vm.celery.pidbox",
        "SADD _kombu.binding.celery.pidbox ----w1@vm.celery.pidbox",
    ] {
        play(&format!("W= {bind}\n E Recognised celery\n E Named celery w1@vm\n B= :1"));
    }
    // who asks for answers, and who binds an ordinary queue, is no worker
    play(
        r#"W= EVALSHA ef7a 2 _kombu.binding.reply.celery.pidbox _kombu.binding_deadlines "a0bf\x06\x16\x06\x16a0bf.reply.celery.pidbox" reply.celery.pidbox 3600000
        B= :1
        W= SADD _kombu.binding.celery "celery\x06\x16\x06\x16celery"
        B= :1"#,
    );
}
