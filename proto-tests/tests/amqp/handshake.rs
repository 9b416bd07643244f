//! The beginning of a connection, who the worker is, and what is no AMQP.

use crate::script::{play, play_with};
use draingate::gate::amqp::AmqpSettings;

#[test]
fn the_client_says_who_it_is() {
    play(
        "
        W= greeting
        B= 0 start
        W= 0 start-ok connection_name=mailer-1 user=app
        E ClientNamed mailer-1
        E User app
        B= 0 tune
        W= 0 tune-ok
        W= 0 connection.open
        B= 0 connection.open-ok
        W= 0 heartbeat
        B= 0 heartbeat
        W= 0 connection.close
        B= 0 connection.close-ok
        SAFE
        W gone
        CLOSED
        ",
    );
}

#[test]
fn a_virtual_host_other_than_the_default_is_told() {
    play(
        "
        W= greeting
        B= 0 start
        W= 0 start-ok
        E User guest
        B= 0 tune
        W= 0 tune-ok
        W= 0 connection.open shop
        E VirtualHost shop
        B= 0 connection.open-ok
        ",
    );
}

#[test]
fn a_tag_in_the_user_name_is_stripped() {
    let settings = AmqpSettings { user_tag: true, ..AmqpSettings::default() };
    play_with(
        settings,
        "
        W= greeting
        B= 0 start
        W> 0 start-ok user=app+blue
        B> 0 start-ok user=app
        E User app
        E Tagged blue
        B= 0 tune
        ",
    );
}

/// Who comes with a certificate says nothing. A tag is stripped of PLAIN alone: in a table its user stays as he is.
#[test]
fn other_ways_to_prove_who_one_is_pass() {
    let settings = AmqpSettings { user_tag: true, ..AmqpSettings::default() };
    let with = |mechanism: &str, event: &str| {
        let script = format!(
            "
            W= greeting
            B= 0 start
            W= 0 start-ok mechanism={mechanism} user=app+blue connection_name=mailer-1
            E ClientNamed mailer-1
            {event}
            B= 0 tune
            "
        );
        play_with(settings.clone(), &script);
    };
    with("AMQPLAIN", "E User app+blue");
    with("EXTERNAL", "");
}

#[test]
fn what_is_no_amqp_is_the_brokers_business() {
    play(
        "
        W> raw 474554202F20485454502F312E300D0A
        E Opaque
        B> raw 474554202F20485454502F312E300D0A
        B= greeting
        B gone
        CLOSED something else than AMQP 0-9-1
        ",
    );
    // of a worker that is marked the gate says the same
    play("DRAIN\nW> raw 474554202F2048545450\nW< greeting\nCLOSED something else than AMQP 0-9-1");
    // AMQP 1.0
    play("W> raw 414D515003010000\nE Opaque\nB> raw 414D515003010000\nDRAIN\nCLOSED could not be judged");
}

#[test]
fn a_frame_without_its_end_makes_a_blind_pipe_or_an_end() {
    play(
        "
        handshake
        W> raw 0100010000000400550064 00 FF
        E Opaque
        B> raw 0100010000000400550064 00 FF
        ",
    );
    play("handshake\nDRAIN\nW> raw 01000100000004003C0050 00\nCLOSED end octet");
    play("handshake\nDRAIN\nB< raw 0700010000000400550064CE\nCLOSED unknown type");
}

#[test]
fn a_method_on_a_channel_that_is_not_open_passes() {
    // the broker closes the connection (504)
    play("handshake\nDRAIN\nW= 9 consume q t\nB= 0 connection.close\nW= 0 connection.close-ok\nB gone\nCLOSED");
}

/// Whatever RabbitMQ refuses, it says so itself, and the log has a line about it.
#[test]
fn refusals_are_the_brokers_own() {
    let opening = "
        W= greeting
        B= 0 start
        W= 0 start-ok
        E User guest
    ";
    // a wrong password; a virtual host that is not there
    play(&format!(
        "{opening}\nB= 0 connection.close 403 ACCESS_REFUSED\nW= 0 connection.close-ok\nB gone\nCLOSED 403 ACC"
    ));
    play(&format!(
        "{opening}
        B= 0 tune
        W= 0 tune-ok
        W= 0 connection.open
        B= 0 connection.close 530 NOT_ALLOWED - vhost nowhere not found
        W= 0 connection.close-ok
        W gone
        CLOSED the broker refused: 530 NOT_ALLOWED - vhost
        "
    ));
    // leaving is no refusal
    play("handshake\nB= 0 connection.close 320 CONNECTION_FORCED\nW= 0 connection.close-ok\nB gone\nCLOSED");
}

/// More than was agreed on (501), in the middle of a drain: it is the broker that ends it.
#[test]
fn a_frame_that_is_too_large_passes_in_constant_memory() {
    // 4 GB were to come
    let much = format!("010001FFFFFFFF{}", "00".repeat(1_000));
    play(&format!("handshake\nDRAIN\nW= raw {much}\nB= 0 connection.close 501 FRAME_ERROR\nB gone\nCLOSED 501 FRAME"));
}
