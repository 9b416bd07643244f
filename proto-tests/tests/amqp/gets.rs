//! Jobs that are asked for one by one (basic.get).

use crate::script::play;

#[test]
fn a_get_brings_a_job_too() {
    play(
        "
        handshake
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-ok 1
        # its header may come later: until then it is asked for
        B= 1 header 3 message=m
        B= 1 body abc
        E Delivered 7.1.1 q - m
        E FetchAnswered broker job poll
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-empty
        E FetchAnswered broker empty poll
        ",
    );
}

/// Of a message whose body has to be read it is told at its end, and of one that does not come never.
#[test]
fn a_get_is_answered_when_its_job_is_told() {
    let got = "
        handshake
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-ok 1
        B= 1 header 5 type=kind
    ";
    play(&format!(
        "{got}
        DRAIN
        B= 1 body {{a
        B= 1 body bcd
        E Delivered 7.1.1 q kind -
        E FetchAnswered broker job poll
        "
    ));
    play(&format!("{got}\nB= 1 body {{a\nB gone\nE FetchAnswered broker error poll\nCLOSED"));
    play(
        "
        handshake
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-ok 1
        W gone
        E FetchAnswered broker error poll
        CLOSED
        ",
    );
    // nobody acknowledges it
    play(
        "
        handshake
        W= 1 get q no_ack
        E Blocked it takes jobs from q without acknowledging them (no_ack)
        E FetchAsked broker q poll
        B= 1 get-ok 1
        E FetchAnswered broker job poll
        B= 1 header 0
        W= 1 get q
        E FetchAsked broker q poll
        B= 1 get-ok 2
        B= 1 header 0
        E Delivered 7.1.2 q - -
        E FetchAnswered broker job poll
        ",
    );
}

/// Who closes a channel does not look at what still comes, and it goes back with the channel.
#[test]
fn a_get_ends_with_its_channel_though_its_message_is_half_way() {
    for half in ["", "B= 1 header 5 type=kind\n B= 1 body {a"] {
        play(&format!(
            "
            handshake
            W= 1 get q
            E FetchAsked broker q poll
            B= 1 get-ok 1
            {half}
            W= 1 close 200 0/0
            E FetchAnswered broker error poll
            B= 1 return
            B= 1 header 0
            B= 1 close-ok
            "
        ));
    }
}
