//! Several whole messages and acks in one read: the gate walks over them at once, and must see the same as frame by frame.

use crate::script::play;

const CONSUMING: &str = "
    handshake
    W= 1 consume q t
    E FetchAsked broker q blocking
    B= 1 consume-ok t
    W= 1 consume amq.gen-reply r
    B= 1 consume-ok r
";

/// Sent in one read, and arrived as they are.
fn together(from: char, lines: &[&str]) -> String {
    let (sends, receives) = if from == 'B' { ("B<", "W<") } else { ("W>", "B>") };
    let (last, before) = lines.split_last().expect("some");
    let sent: String = before.iter().map(|line| format!("{from}+ {line}\n")).collect();
    let arrived: String = lines.iter().map(|line| format!("{receives} {line}\n")).collect();
    format!("{sent}{sends} {last}\n{arrived}")
}

#[test]
fn jobs_replies_and_confirms_in_one_read() {
    let deliveries = together(
        'B',
        &[
            "1 message t 1 abc message=m1",
            "1 message r 2 abc message=m2",
            "1 ack 1",
            "1 message t 3 - id=j3 task=app.add",
            "0 heartbeat",
            "1 message t 4 {\"queue_name\":\"q\"} id=j4 task=app.add id=other",
        ],
    );
    let settlements = together('W', &["1 ack 1", "1 send - other abc", "1 ack 4 multiple", "0 heartbeat"]);
    play(&format!(
        "{CONSUMING}
        {deliveries}
        E Delivered 7.1.1 q - m1
        E Recognised celery
        E Delivered 7.1.3 q app.add j3
        E Delivered 7.1.4 q app.add j4
        {settlements}
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Acked 7.1.1
        E Acked 7.1.3
        E Acked 7.1.4
        SAFE
        "
    ));
}

#[test]
fn a_job_that_only_its_body_names_is_read() {
    let body = r#"{"queue_name":"q","actor_name":"add","message_id":"m","options":{}}"#;
    let deliveries = together('B', &[&format!("1 message t 1 {body}"), "1 message t 2 xyz message=m2"]);
    play(&format!(
        "{CONSUMING}
        {deliveries}
        E Recognised dramatiq
        E Delivered 7.1.1 q add m
        E Delivered 7.1.2 q - m2
        "
    ));
}

#[test]
fn a_result_among_other_messages_is_read() {
    let publishes = together(
        'W',
        &[
            "1 send - other abc",
            "1 send - reply {\"status\":\"SUCCESS\"} correlation=j1",
            "1 send - reply {\"status\":\"SUCCESS\"} correlation=j2 task=app.add",
            "1 send x other {\"status\":\"SUCCESS\"} correlation=j3",
        ],
    );
    play(&format!("{CONSUMING}\n{publishes}\nE Result j1"));
}

/// A body too many, and another method inside a message: framing is lost there, and what came before is a job all the same.
#[test]
fn what_belongs_to_no_message_is_seen() {
    for odd in ["1 body abc", "1 header 3"] {
        let deliveries = together('B', &["1 message t 1 abc message=m", "1 message t 2 abc message=n", odd]);
        play(&format!("{CONSUMING}\n{deliveries}\nE Delivered 7.1.1 q - m\nE Delivered 7.1.2 q - n\nE Opaque"));
    }
    let deliveries = together('B', &["1 message t 1 abc message=m", "1 deliver t 2", "1 deliver t 3"]);
    play(&format!("{CONSUMING}\n{deliveries}\nE Delivered 7.1.1 q - m\nE Opaque"));
}

/// The ledger keeps what is not proven: many acks do not wait for the time.
#[test]
fn many_acks_are_proven_at_once() {
    let jobs = |from: u32, to: u32| -> String {
        let line = |n: u32| format!("B= 1 message t {n} abc\nE Delivered 7.1.{n} q - -\n");
        (from..=to).map(line).collect()
    };
    let ended = |from: u32, to: u32| -> String { (from..=to).map(|n| format!("E Ended 7.1.{n} finished\n")).collect() };
    let acks = |from: u32, to: u32| -> String { (from..=to).map(|n| format!("W= 1 ack {n}\n")).collect() };
    play(&format!(
        "{CONSUMING}
        {}
        {}
        B> 1 cancel ~draingate-7
        {}
        B< 1 cancel-ok ~draingate-7
        {}
        +249ms
        +1ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        {}
        SAFE
        ",
        jobs(1, 300),
        acks(1, 256),
        // one question at a time
        acks(257, 300),
        ended(1, 256),
        ended(257, 300),
    ));
}
