//! The gate's own question: how it comes to a worker, and what becomes of the answer.

use crate::frames::frame;
use crate::script::play_with;
use draingate::gate::amqp::AmqpSettings;

/// A worker of Celery: its jobs come on channel 1, and remote control on channel 2.
const WORKER: &str = "
    handshake
    W= 1 consume celery None4
    E FetchAsked broker celery blocking
    B= 1 consume-ok None4
    W= 2 open
    B= 2 open-ok
    W= 2 consume w1@vm.celery.pidbox None5 no_ack
    E Recognised celery
    E Named celery w1@vm
    E Listens true
    B= 2 consume-ok None5
";

fn address(list: &str) -> String {
    format!("draingate.answer.{:016x}.{:016x}.{list}", 7, 3)
}

/// The question as it comes to the worker: the `nth` message of the gate's own on channel 2.
fn question(command: &str, nth: u8) -> String {
    let address = address(if command == "registered" { "t" } else { &command[..1] });
    let arguments = match command {
        "active" => r#"{"safe": true}"#,
        "registered" => r#"{"taskinfoitems": ["Strategy", "acks_late"]}"#,
        _ => "{}",
    };
    let body = format!(
        r#"{{"method": "{command}", "arguments": {arguments}, "destination": null, "pattern": null, "matcher": null, "ticket": "{address}", "reply_to": {{"exchange": "", "routing_key": "{address}"}}}}"#
    );
    let name = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let tag = [0x40, 0, 0, 0, 0, 0, 0, nth];
    let deliver = [&[0, 60, 0, 60], name("None5").as_slice(), &tag, &[0], &name("celery.pidbox"), &name("")].concat();
    let size = (body.len() as u64).to_be_bytes();
    let header = [&[0, 60, 0, 0], size.as_slice(), &[0xC0, 0], &name("application/json"), &name("utf-8")].concat();
    let bytes = [frame(1, 2, &deliver), frame(2, 2, &header), frame(3, 2, body.as_bytes())].concat();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("raw {hex}")
}

fn scene(lines: &str) {
    play_with(AmqpSettings { nonce: Some(7), ..AmqpSettings::default() }, &format!("{WORKER}{lines}"));
}

#[test]
fn the_question_comes_like_any_delivery() {
    scene(&format!("ASK\n W< {}\n ASK\n W< {}", question("active", 1), question("active", 2)));
    let [scheduled, reserved, active] =
        [("scheduled", 1), ("reserved", 2), ("active", 3)].map(|(command, nth)| question(command, nth));
    scene(&format!("ASK all\n W< {scheduled}\n W< {reserved}\n W< {active}"));
    let [registered, active] = [("registered", 1), ("active", 2)].map(|(command, nth)| question(command, nth));
    scene(&format!("ASK first\n W< {registered}\n W< {active}"));
    // remote control is everybody's as before, and its tags are the broker's
    scene(&format!("B= 2 message None5 1 ping\n ASK\n W< {}\n B= 2 message None5 2 ping", question("active", 1)));
}

#[test]
fn it_waits_until_the_message_on_its_channel_has_ended() {
    let ask = question("active", 1);
    scene(&format!(
        "
        B= 2 deliver None5 1
        ASK
        B= 1 message None4 1 job id=t1 task=app.add
        E Delivered 7.1.1 celery app.add t1
        B= 2 header 6
        B= 2 body abc
        B= 0 heartbeat
        B< 2 body def
        W< 2 body def
        W< {ask}
        "
    ));
    // a message of another channel does not matter
    scene(&format!("B= 1 deliver None4 1\n ASK\n W< {ask}\n B= 1 header 0\n E Delivered 7.1.1 celery - -"));
}

#[test]
fn it_waits_for_its_consumer() {
    let text = WORKER.replace("B= 2 consume-ok None5", "ASK\n B< 2 consume-ok None5\n W< 2 consume-ok None5");
    let ask = question("active", 1);
    play_with(AmqpSettings { nonce: Some(7), ..AmqpSettings::default() }, &format!("{text}\n W< {ask}"));
}

#[test]
fn it_is_put_to_nobody_who_does_not_listen() {
    scene("W= 2 cancel None5\n B= 2 cancel-ok None5\n ASK\n E Listens false");
    scene("W= 2 cancel None5\n ASK\n E Listens false\n B= 2 cancel-ok None5");
    scene("W= 2 close 200 0/0\n ASK\n E Listens false\n B= 2 close-ok");
    // somebody else is on its channel, whose tags must not be doubted
    scene(
        "
        W= 2 consume other None6
        E FetchAsked broker other blocking
        B= 2 consume-ok None6
        ASK
        E Listens false
        ",
    );
    // it begins anew
    scene(&format!(
        "
        W= 2 cancel None5
        B= 2 cancel-ok None5
        ASK
        E Listens false
        W= 2 consume w1@vm.celery.pidbox None5 no_ack
        E Recognised celery
        E Named celery w1@vm
        E Listens true
        B= 2 consume-ok None5
        ASK
        W< {}
        ",
        question("active", 1)
    ));
    // who waits for answers, or acknowledges, is asked nothing
    for consume in ["9a.reply.celery.pidbox None5 no_ack", "w1@vm.celery.pidbox None5"] {
        let text = WORKER.replace("w1@vm.celery.pidbox None5 no_ack", consume).replace("E Listens true", "");
        let text = if consume.contains("reply") { text.replace("E Named celery w1@vm", "") } else { text };
        play_with(AmqpSettings::default(), &format!("{text}\n ASK\n E Listens false"));
    }
}

/// The broker might not let the worker publish there.
#[test]
fn the_answer_is_read_along_and_kept() {
    let key = address("a");
    scene(&format!(
        r#"
        W> 1 send - {key} {{"w1@vm":[{{"id":"t1"}},{{"id":"t2"}}]}} ticket=x
        E Answered 3 active [t1,t2]
        W> 1 send - {} {{"w1@vm":[]}}
        E Answered 3 reserved []
        W> 1 send - {key} nonsense
        E Answered 3 active ?
        W> 1 send-nothing {key}
        W= 1 send - other {{"w1@vm":[]}}
        W= 1 ack 5
        "#,
        address("r")
    ));
    // another gate's, or to another exchange
    scene(&format!(r#"W= 1 send reply.celery.pidbox {key} {{"w1@vm":[]}}"#));
    play_with(
        AmqpSettings { nonce: Some(8), ..AmqpSettings::default() },
        &format!("{WORKER}\n W= 1 send - {key} {{\"w1@vm\":[]}}"),
    );
    // it knows nothing of note
    let many = r#"{"w1@vm":["a.add","a.many"]}"#;
    scene(&format!("W> 1 send - {} {many}\n E Answered 3 registered []", address("t")));
    // it is too long
    let long = format!(r#"{{"w1@vm":[{{"id":"{}"}}]}}"#, "x".repeat(300_000));
    scene(&format!("W> 1 send - {key} {long}\n E Answered 3 active ?\n W= 1 ack 5"));
}

/// They are counted on both sides.
#[test]
fn an_answer_whose_publish_is_confirmed_is_not_kept() {
    let key = address("a");
    scene(&format!(
        r#"
        W= 2 confirm.select
        B= 2 confirm.select-ok
        W= 2 send - {key} {{"w1@vm":[]}}
        E Answered 3 active []
        W> 1 send - {key} {{"w1@vm":[]}}
        E Answered 3 active []
        "#
    ));
}

/// It would close the channel.
#[test]
fn the_broker_does_not_hear_of_a_settlement_of_a_question() {
    scene(&format!(
        "ASK\n W< {}\n W> 2 reject 4611686018427387905 requeue\n W> 2 ack 4611686018427387905",
        question("active", 1)
    ));
}
