//! Sidekiq's dialect: 6.4 as recorded, 7 and 8 as their sources write it.

use crate::support::play;

const ID: &str = "vm:21709:44a5a0652e61";
const JOB: &str = r#"'{"class":"HardJob","args":[{"jid":"no"}],"retry":true,"queue":"default","jid":"0123456789abcdef01234567","created_at":1795000000.1}'"#;
const TOLD: &str = "0123456789abcdef01234567 queue:default HardJob 0123456789abcdef01234567";

#[test]
fn a_fetch_is_held_and_delivers() {
    play(&format!(
        "set events all
        W= brpop queue:default queue:low 2
        E FetchAsked broker queue:default,queue:low blocking
        B= *2 $$queue:default $${JOB}
        E Recognised sidekiq
        E Delivered {TOLD}
        E FetchAnswered broker job blocking
        W= brpop queue:default 2
        E FetchAsked broker queue:default blocking
        DRAIN
        +2s
        B= *-1
        E FetchAnswered broker empty blocking
        W> brpop queue:default 2
        E FetchAsked gate queue:default blocking
        +1999ms
        +1ms
        W< *-1
        E FetchAnswered gate empty blocking"
    ));
    play("W= HELLO 3\n B= %1 $$proto :3\n DRAIN\n W> brpop queue:default 2\n +2s\n W< _");
    let wrapped =
        JOB.replace("\"class\":\"HardJob\"", "\"class\":\"Sidekiq::ActiveJob::Wrapper\",\"wrapped\":\"MailJob\"");
    play(&format!(
        "SYSTEM sidekiq\n W= brpop queue:default 2\n B= *2 $$queue:default $${wrapped}\n E Delivered {}",
        TOLD.replace("HardJob", "MailJob")
    ));
}

#[test]
fn other_pops_of_a_known_process_pass() {
    for own in ["brpop my-list 0", "blpop sem 5", "rpop vm:1:44a5a0652e61-signals", "lpop x", "bzpopmin z 0"] {
        play(&format!("SYSTEM sidekiq\n DRAIN\n W= {own}\n B= $-1"));
    }
    // other fetchers move jobs from the queues
    for fetch in ["lmove queue:default p RIGHT LEFT", "rpoplpush queue:default p"] {
        play(&format!("SYSTEM sidekiq\n DRAIN\n W> {fetch}\n W< $-1"));
    }
    play("SYSTEM sidekiq\n DRAIN\n W> blmove queue:default p RIGHT LEFT 1\n +1s\n W< *-1");
}

/// A transaction as one write, and command by command. Each command comes with the events it is told by (or nothing);
/// `exec` are the reply to EXEC and the events that come with it.
#[track_caller]
fn transaction(commands: &[(&str, &str)], exec: (&str, &str)) {
    let told =
        |events: &str| events.split('\n').filter(|e| !e.is_empty()).map(|e| format!("E {e}\n")).collect::<String>();
    let all: String = commands.iter().map(|(_, events)| told(events)).collect();
    let (sent, got): (String, String) =
        commands.iter().map(|(c, _)| (format!("W+ {c}\n"), format!("B> {c}\n"))).unzip();
    let queued = " +QUEUED".repeat(commands.len());
    play(&format!(
        "DRAIN\n W+ multi\n {sent} W> exec\n {all} B> multi\n {got} B> exec\n B= +OK {queued} {}\n {}",
        exec.0,
        told(exec.1)
    ));
    let pieces: String =
        commands.iter().map(|(c, events)| format!("W> {c}\n {} B> {c}\n B= +QUEUED\n", told(events))).collect();
    play(&format!("DRAIN\n W= multi\n B= +OK\n {pieces} W= exec\n B= {}\n {}", exec.0, told(exec.1)));
}

#[test]
fn the_heartbeat_of_6_is_read_and_passes() {
    let info = r#"'{"hostname":"vm","pid":21709,"concurrency":5,"queues":["default"],"labels":[]}'"#;
    let entry =
        r#"'{"queue":"default","payload":{"class":"HardJob","jid":"0123456789abcdef01234567"},"run_at":1795000000}'"#;
    transaction(
        &[
            ("incrby stat:processed 1", ""),
            (&format!("unlink {ID}:workers"), ""),
            (&format!("hset {ID}:workers tid1 {entry}"), ""),
            (&format!("expire {ID}:workers 60"), ""),
        ],
        ("*4 :1 :1 :1 :1", "Report work [0123456789abcdef01234567]"),
    );
    // two threads in one command, two in two
    let other = entry.replace("0123456789abcdef01234567", "aaaaaaaaaaaaaaaaaaaaaaaa");
    let both = "Report work [0123456789abcdef01234567,aaaaaaaaaaaaaaaaaaaaaaaa]";
    transaction(
        &[(&format!("unlink {ID}:workers"), ""), (&format!("hset {ID}:workers t1 {entry} t2 {other}"), "")],
        ("*2 :1 :2", both),
    );
    transaction(
        &[
            (&format!("unlink {ID}:workers"), ""),
            (&format!("hset {ID}:workers t1 {entry}"), ""),
            (&format!("hset {ID}:workers t2 {other}"), ""),
        ],
        ("*3 :1 :1 :1", both),
    );
    transaction(
        &[("incrby stat:processed 1", ""), (&format!("unlink {ID}:workers"), "")],
        ("*2 :1 :1", "Report work []"),
    );
    transaction(&[(&format!("unlink {ID}:workers"), "")], ("*-1", ""));
    let seen = format!("Recognised sidekiq\nNamed sidekiq {ID}");
    let beat = "Report sidekiq concurrency=5 busy=1 beat=1795000000500";
    transaction(
        &[
            (&format!("sadd processes {ID}"), &seen),
            (&format!("exists {ID}"), ""),
            (&format!("hmset {ID} info {info} busy 1 beat 1795000000.5 rtt_us 9 quiet false rss 100"), beat),
            (&format!("expire {ID} 60"), ""),
            // a signal from the web page must arrive, drained or not
            (&format!("rpop {ID}-signals"), ""),
        ],
        ("*5 :0 :1 +OK :1 $$TSTP", ""),
    );
}

#[test]
fn the_heartbeat_of_7_and_8_is_read() {
    let entry = r#"'{"queue":"default","payload":"{\"class\":\"HardJob\",\"jid\":\"0123456789abcdef01234567\"}","run_at":1795000000}'"#;
    transaction(
        &[(&format!("UNLINK {ID}:work"), ""), (&format!("HSET {ID}:work tid1 {entry}"), "")],
        ("*2 :1 :1", "Report work [0123456789abcdef01234567]"),
    );
    // somebody else's idea of a jid: there is work, whatever it is called
    transaction(
        &[(&format!("UNLINK {ID}:work"), ""), (&format!("HSET {ID}:work tid1 '{{\"jid\":\"mine-7\"}}'"), "")],
        ("*2 :1 :1", "Report work [?]"),
    );
    // a pipeline without a transaction: what has been collected is told with the process' own hash
    play(&format!(
        "W= UNLINK {ID}:work\n B= :1\n W= HSET {ID}:work tid1 {entry}\n B= :1
        W> HSET {ID} info '{{\"concurrency\":10}}' busy 1 beat 1795000000.5 quiet true
        E Report work [0123456789abcdef01234567]
        E Report sidekiq concurrency=10 busy=1 beat=1795000000500
        B> HSET {ID} info '{{\"concurrency\":10}}' busy 1 beat 1795000000.5 quiet true
        B= :1"
    ));
}

#[test]
fn from_8_on_the_concurrency_is_a_field_of_its_own() {
    let beat = format!("HSET {ID} info '{{\"hostname\":\"vm\"}}' concurrency 7 busy 0 beat 1795000000.5 quiet false");
    play(&format!("DRAIN\n W> {beat}\n E Report sidekiq concurrency=7 busy=0 beat=1795000000500\n B> {beat}\n B= :1"));
}

#[test]
fn due_jobs_are_not_taken_while_marked() {
    for set in ["schedule", "retry", "ns:retry"] {
        for verb in ["evalsha abc", "EVAL 'local jid'"] {
            play(&format!(
                "set events all
                W> {verb} 1 {set} 1795000000.25
                E SchedulerReturned
                E FetchAsked broker {set} poll
                B> {verb} 1 {set} 1795000000.25
                B< $-1
                E FetchAnswered broker empty poll
                W< $-1
                W> {verb} 1 {set} 1795000001.25
                E SchedulerReturned
                E FetchAsked broker {set} poll
                B> {verb} 1 {set} 1795000001.25
                B= $${JOB}
                E Taken {}
                E FetchAnswered broker job poll
                DRAIN
                W> {verb} 1 {set} 1795000002.25
                E SchedulerReturned
                E FetchAsked gate {set} poll
                W< $-1
                E FetchAnswered gate empty poll",
                TOLD.replace("queue:default", set)
            ));
            play(&format!(
                "W= HELLO 3\n B= %1 $$proto :3\n DRAIN\n W> {verb} 1 {set} 1795000002\n E SchedulerReturned\n W< _"
            ));
        }
    }
    play(
        "W> evalsha abc 1 retry 1795000000.25\n E SchedulerReturned\n B> evalsha abc 1 retry 1795000000.25\n B= '-NOSCRIPT no'",
    );
    // within a transaction it cannot be refused
    play(
        "W= multi\n B= +OK\n W= evalsha abc 1 retry 1795000000.25\n E Blocked it fetches by EVALSHA of due jobs*\n B= +QUEUED",
    );
    for other in ["evalsha abc 1 retry x", "evalsha abc 2 retry schedule 1795000000", "evalsha abc 1 lock 1795000000"] {
        play(&format!("SYSTEM sidekiq\n DRAIN\n W= {other}\n B= :1"));
    }
}

#[test]
fn a_due_job_whose_poller_vanished_goes_back_due_now() {
    play(&format!(
        "W> evalsha abc 1 retry 1795000000.25
        E SchedulerReturned
        B> evalsha abc 1 retry 1795000000.25
        W gone
        B< $${JOB}
        B> ZADD retry NX 1795000000.000 {JOB}
        B< :1
        E Orphan returned
        CLOSED"
    ));
}

/// A semi-reliable fetcher (gitlab's) pops a job and then keeps it in a list of its process: the job has not been passed on.
#[test]
fn a_job_that_is_kept_in_a_list_of_its_process_is_still_in_hand() {
    play(&format!("SYSTEM sidekiq\n W= lpush working:queue:default:{ID} {JOB}\n B= :1"));
}

#[test]
fn what_a_process_does_at_its_end_passes() {
    let jid = "0123456789abcdef01234567";
    play(&format!(
        "SYSTEM sidekiq
        DRAIN
        W= rpush queue:default {JOB} {JOB}
        B= :2
        E PushedOn [{jid},{jid}]
        W= lpush queue:default {JOB}
        B= :3
        E PushedOn [{jid}]
        W= zadd retry 1795000000 {JOB}
        B= :1
        W+ srem processes {ID}
        W> unlink {ID}:workers
        B> srem processes {ID}
        B> unlink {ID}:workers
        B= :1
        B= :1
        E Report left {ID}"
    ));
    play(&format!("DRAIN\n W> unlink {ID}:workers\n B> unlink {ID}:workers\n B= :1"));
}

#[test]
fn a_push_that_is_refused_is_no_push() {
    play(&format!(
        "SYSTEM sidekiq\n W= rpush queue:default {JOB} x\n B= '-OOM no'\n E Refused [0123456789abcdef01234567]"
    ));
    let (rpush, told) = (format!("rpush queue:default {JOB}"), "E Refused [0123456789abcdef01234567]");
    play(&format!("SYSTEM sidekiq\n W= multi\n B= +OK\n W= {rpush}\n B= +QUEUED\n W= exec\n B= *1 '-OOM no'\n {told}"));
    // an EXEC that a WATCH undid: the client knows, and tries again
    play(&format!("SYSTEM sidekiq\n W= multi\n B= +OK\n W= {rpush}\n B= +QUEUED\n W= exec\n B= *-1"));
    // producers push by the thousand, and have nothing in hand
    play(&format!("W= {rpush}\n B= :1"));
}

/// A process prunes names of the dead, and may prune its own when its heartbeats were late: no goodbye. Nor is one that
/// the broker refused, or that is of two processes.
#[test]
fn only_the_whole_goodbye_is_one() {
    let (srem, unlink) = (format!("srem processes {ID}"), format!("unlink {ID}:work"));
    // redis-rb writes a pipeline command by command: the first reply may come before the second command
    play(&format!("SYSTEM sidekiq\n W= {srem}\n B= :1\n W= {unlink}\n B= :1\n E Report left {ID}"));
    // pruning, and then the next heartbeat
    let beat = format!("W= multi\n B= +OK\n W= {unlink}\n B= +QUEUED\n W= exec\n B= *1 :1\n E Report work []");
    play(&format!("SYSTEM sidekiq\n W= {srem}\n B= :1\n {beat}"));
    play(&format!(
        "SYSTEM sidekiq\n W= {srem}\n B= :1\n W= rpush queue:a x\n B= :1\n E PushedOn []\n W= {unlink}\n B= :1"
    ));
    play(&format!("SYSTEM sidekiq\n W= srem processes {ID} {ID}\n B= :1\n W= {unlink}\n B= :1"));
    let both = |reply: &str| format!("W+ {srem}\n W> {unlink}\n B> {srem}\n B> {unlink}\n {reply}");
    play(&both("B= :1\n B= '-READONLY no'"));
    play(&both(&format!("B= :0\n B= :0\n E Report left {ID}")));
    let other = "unlink vm:21709:44a5a0652e62:work";
    play(&format!("W+ {srem}\n W> {other}\n B> {srem}\n B> {other}\n B= :1\n B= :1"));
}
