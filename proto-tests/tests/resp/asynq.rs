//! asynq's dialect: its scripts, recorded from a real server (0.26, go-redis 9.17). Long texts of scripts are left out.

use crate::support::{play, play_rows};

const KNOWN: &str = "E Recognised asynq\n";
const DEQUEUE: &str = "EVALSHA a815 4 asynq:{low}:pending asynq:{low}:paused asynq:{low}:active asynq:{low}:lease 1795390699 asynq:{low}:t:";
/// The task `ccc`, as recorded: its type, payload, id, queue and so on.
const TASK: &str = r#""\n\x04work\x12\x06ccc 7 \x1a\x03ccc\"\x03low(\x03@\x88\x0eR\x10asynq:{low}:uniq""#;
const KEY: &str = "asynq:{low}:t:ccc";
const DONE: &str = "EVALSHA a263 6 asynq:{low}:active asynq:{low}:lease asynq:{low}:t:ccc asynq:{low}:processed:2026-11-22 \
                    asynq:{low}:processed asynq:{low}:unique:work:0b6b ccc 1803166673 9223372036854775807";
const COMPLETE: &str = "EVALSHA 1f 6 asynq:{low}:active asynq:{low}:lease asynq:{low}:completed asynq:{low}:t:ccc \
                        asynq:{low}:processed:2026-11-22 asynq:{low}:processed ccc 1803166673 1795390733 task 9223372036854775807";
const REQUEUE: &str = "EVALSHA 2f 4 asynq:{low}:active asynq:{low}:lease asynq:{low}:pending asynq:{low}:t:ccc ccc";

/// A failed task, with this error in its text.
fn failed(part: &str, error: &str) -> String {
    let task =
        format!(r#""\n\x04work\x12\x06ccc 7 \x1a\x03ccc\"\x03low(\x030\x01:\x{:02x}{error}@\x88\x0e""#, error.len());
    let days =
        "asynq:{low}:processed:2026-11-22 asynq:{low}:failed:2026-11-22 asynq:{low}:processed asynq:{low}:failed";
    let more = if part == "archived" { "9 <> asynq:{low}:t:" } else { "8 <>" };
    let keys = more.replace(
        "<>",
        &format!("asynq:{{low}}:t:ccc asynq:{{low}}:active asynq:{{low}}:lease asynq:{{low}}:{part} {days}"),
    );
    format!("EVALSHA 65fa {keys} ccc {task} 1795390672 1803166672 1 9223372036854775807")
}

/// A worker with that task in hand.
fn with() -> String {
    let task = TASK.trim_matches('"');
    format!("W= {DEQUEUE}\n {KNOWN} B= \"$${task}\"\n E Delivered {KEY} asynq:{{low}} work ccc\n SYSTEM asynq\n")
}

#[test]
fn a_dequeue_is_held_and_delivers() {
    let task = TASK.trim_matches('"');
    play(&format!(
        "set events all
        W= {DEQUEUE}\n {KNOWN} E FetchAsked broker asynq:{{low}} poll
        B= \"$${task}\"\n E Delivered {KEY} asynq:{{low}} work ccc\n E FetchAnswered broker job poll
        SYSTEM asynq
        W= {DEQUEUE}\n {KNOWN} E FetchAsked broker asynq:{{low}} poll\n B= $-1\n E FetchAnswered broker empty poll
        DRAIN
        W= {DONE}\n B= +OK\n E Ended {KEY} finished
        W> {DEQUEUE}\n {KNOWN} E FetchAsked gate asynq:{{low}} poll\n E FetchAnswered gate empty poll\n W< $-1
        UNDRAIN
        W= {DEQUEUE}\n {KNOWN} E FetchAsked broker asynq:{{low}} poll
        B= '-NOSCRIPT No matching script.'\n E FetchAnswered broker error poll"
    ));
    play(&format!("W= HELLO 3\n B= %1 $$proto :3\n DRAIN\n W> {DEQUEUE}\n {KNOWN} W< _"));
    play(&format!("W= HELLO 3\n B= %1 $$proto :3\n W= {DEQUEUE}\n {KNOWN} B= _"));
    // by its text as well, and of one queue after the other
    let text = DEQUEUE.replace("EVALSHA a815", "EVAL 'if redis.call(...'").replace("{low}", "{a:b}");
    play(&format!("DRAIN\n W+ {DEQUEUE}\n W> {text}\n {KNOWN} {KNOWN} W< $-1 $-1"));
    // the client has gone: its process did not begin, and asynq finds the task some time
    play(&format!("W= {DEQUEUE}\n {KNOWN} W gone\n B< \"$${task}\"\n E Orphan delivered\n CLOSED"));
}

#[test]
fn a_task_is_over_when_its_last_script_was_answered() {
    let (retry, archive, with) = (failed("retry", "once more"), failed("archived", "no more"), with());
    for (end, outcome) in [(DONE, "finished"), (COMPLETE, "finished"), (&*retry, "requeued"), (&*archive, "finished")] {
        let text = end.replacen("EVALSHA", "EVAL", 1);
        play(&format!(
            "{with} W= {end}\n B= '-NOSCRIPT No matching script.'\n W= {text}\n B= +OK\n E Ended {KEY} {outcome}"
        ));
        play(&format!("{with} W= {end}\n W gone\n B< +OK\n E Ended {KEY} {outcome}\n CLOSED"));
        play(&format!("{with} W= {end}\n B= '-OOM command not allowed'\n E Refused [{KEY}]"));
        // it was taken away, or the first answer was lost
        play(&format!("{with} W= {end}\n B= '-NOT FOUND'\n E PushedOn [{KEY}]"));
        play(&format!(
            "{with} W= MULTI\n B= +OK\n W= {end}\n B= +QUEUED\n W= EXEC\n B= *1 +OK\n E Ended {KEY} {outcome}"
        ));
    }
}

/// A task that runs out of its time, is cancelled, or given back by a process that stops: its handler may not have returned.
/// One that is too long to be read may be such a one.
#[test]
fn a_handler_is_not_waited_for() {
    let with = with();
    let long = failed("retry", "once more").replace("ccc 7 ", "ccc 7 \"(x*200000)\"");
    for (end, outcome) in [
        (REQUEUE, "requeued"),
        (&*failed("retry", "context deadline exceeded"), "requeued"),
        (&*failed("archived", "context canceled"), "finished"),
        (&*long, "requeued"),
    ] {
        play(&format!("{with} W= {end}\n E Report gave up\n B= +OK\n E Ended {KEY} {outcome}"));
    }
}

/// A task whose process has not been heard of is put off by whoever finds it. Who has it in hand has it still.
#[test]
fn what_is_recovered_is_somebody_elses() {
    let with = with();
    for part in ["retry", "archived"] {
        let recover = failed(part, "asynq: task lease expired");
        play(&format!(
            "{with} W= {recover}\n B= +OK\n W= {recover}\n B= '-NOT FOUND'\n W= {DONE}\n B= +OK\n E Ended {KEY} finished"
        ));
    }
}

/// The id stands behind the payload, whatever its size; and what is no task cannot be followed.
#[test]
fn tasks_of_all_kinds() {
    let blocked = "E Blocked its queue answers in a way that the gate does not know";
    for (task, event) in [
        (r#"$$"\n\x04work\x12\x80\x89z"(x*2000000)"\x1a\x01i""#, "E Delivered asynq:{low}:t:i asynq:{low} work i"),
        (r#"$$"\x1a\x01i""#, "E Delivered asynq:{low}:t:i asynq:{low} - i"),
        (r#"$$"\n\x04work""#, blocked),
        (r#"$$'{"Type":"work"}'"#, blocked),
        (r#"*2 $$"\x1a\x01i" :17"#, blocked),
        ("*0", blocked),
        (":1", blocked),
    ] {
        play(&format!("W= {DEQUEUE}\n {KNOWN} B= {task}\n {event}"));
    }
    let id = "x".repeat(300);
    let (key, done) = (format!("asynq:{{low}}:t:{}", &id[..256]), DONE.replace("ccc", &id));
    play(&format!(
        "W= {DEQUEUE}\n {KNOWN} B= $$\"\\x1a\\xac\\x02\"{id}\n E Delivered {key} asynq:{{low}} - {}\n SYSTEM asynq
        W= {done}\n B= +OK\n E Ended {key} finished",
        &id[..256]
    ));
}

/// A process names itself, and whether it works on anything.
#[test]
fn a_process_reports() {
    let name = "vm:20359:a0a67ceb-1aee-48bd-92bb-70843ea56fa9";
    let keys = format!("2 asynq:servers:{{{name}}} asynq:workers:{{{name}}}");
    play(&format!(
        "W= EVALSHA 3c85 {keys} 10 info\n E Report lease 10000 false\n E Named asynq {name}\n B= +OK
        W= EVALSHA 3c85 {keys} 10 info ccc task\n E Report lease 10000 true\n E Named asynq {name}\n B= +OK
        W= EVALSHA 77 {keys}\n B= +OK"
    ));
}

/// A group is gathered by one process: what it has set aside is in its hands until that was pushed on as one task, or goes
/// back after two minutes.
#[test]
fn a_group_is_gathered() {
    let gather = |now: u32| {
        format!(
            "EVALSHA 9a 4 asynq:{{low}}:g:mail asynq:{{low}}:g:mail:5f asynq:{{low}}:aggregation_sets asynq:{{low}}:groups \
             20 0 1 {} {now} mail",
            now + 120
        )
    };
    let (start, set) = (gather(1_000), "asynq:{low}:g:mail:5f");
    let taken = format!("W= {start}\n {KNOWN} B= :1\n E Taken {set} asynq:{{low}} - -\n SYSTEM asynq\n");
    let gathered = format!("EVALSHA c1 2 {set} asynq:{{low}}:aggregation_sets asynq:{{low}}:t:");
    play(&format!(
        "{taken} W= EVALSHA d2 1 {set} asynq:{{low}}:t:\n B= *1 $$task
        W= {gathered}\n B= +OK\n E PushedOn [{set}]
        DRAIN\n W> {start}\n {KNOWN} W< :0"
    ));
    play(&format!("W= {start}\n {KNOWN} B= :0"));
    play(&format!("W= {start}\n {KNOWN} W gone\n B< :1\n E Orphan delivered\n CLOSED"));
    let (soon, later) = (gather(1_120), gather(1_241));
    play(&format!(
        "{taken} W= {soon}\n {KNOWN} B= :0\n DRAIN\n W> {later}\n E PushedOn [{set}]\n {KNOWN} W< :0\n W> {later}\n {KNOWN} W< :0"
    ));
}

/// A queue may be paused by asynq's name for it.
#[test]
fn a_paused_queue() {
    let other = DEQUEUE.replace("{low}", "{high}");
    for name in ["low", "asynq:{low}"] {
        play(&format!("PAUSE {name}\n W> {DEQUEUE}\n {KNOWN} W< $-1\n W= {other}\n {KNOWN} B= $-1"));
    }
}

/// Whoever enqueues, moves what is due, tidies up or looks is no worker, and nothing comes of it.
#[test]
fn other_scripts_pass() {
    play_rows(
        "DRAIN\n W= EVALSHA abc <1>\n B= *1 $$task",
        &[
            "2 asynq:{q}:t:a asynq:{q}:pending task a 1",
            "3 asynq:{q}:unique:work:0b asynq:{q}:t:a asynq:{q}:pending a 60 task 1",
            "3 asynq:{q}:unique:work:0b asynq:{q}:t:a asynq:{q}:scheduled a 60 1 task",
            "2 asynq:{q}:t:a asynq:{q}:scheduled task 1 a",
            "3 asynq:{q}:t:a asynq:{q}:g:mail asynq:{q}:groups task a 1 mail",
            "2 asynq:{q}:scheduled asynq:{q}:pending 1 asynq:{q}:t: 1 asynq:{q}:g:",
            "2 asynq:{q}:retry asynq:{q}:pending 1 asynq:{q}:t: 1 asynq:{q}:g:",
            "1 asynq:{q}:lease 1 asynq:{q}:t:",
            "1 asynq:{q}:aggregation_sets 1",
            "1 asynq:{q}:completed 1 asynq:{q}:t: 100",
            "1 asynq:schedulers:{vm:1:5f} 10 entry",
            "1 asynq:scheduler_history:5f 1 event 1000",
            "12 asynq:{q}:pending asynq:{q}:active asynq:{q}:scheduled asynq:{q}:retry asynq:{q}:archived asynq:{q}:completed \
             asynq:{q}:processed:1 asynq:{q}:failed:1 asynq:{q}:processed asynq:{q}:failed asynq:{q}:paused asynq:{q}:groups",
        ],
    );
    // before 0.23 tasks had deadlines and no leases
    play(
        "W= EVALSHA abc 4 asynq:{q}:pending asynq:{q}:paused asynq:{q}:active asynq:{q}:deadlines 1 asynq:{q}:t:\n B= *2 $$task :1
        E Unrefused it fetches by EVALSHA over the keys of a queue*",
    );
}
