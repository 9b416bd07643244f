//! Messages that go back to their publisher (mandatory, and no queue for them), and messages of odd sizes: whole messages
//! like any other in either direction. Nothing goes into them, and no job is made of them.

use crate::script::{CONSUMER, play};

#[test]
fn a_return_is_no_job() {
    play(&format!(
        "{CONSUMER}
        W= 1 send - k abc id=a task=app.add
        B= 1 return
        UNSAFE
        B= 1 header 3 id=a task=app.add
        UNSAFE
        B= 0 heartbeat
        B= 1 body abc
        SAFE
        # nothing in it
        B= 1 return
        B= 1 header 0
        SAFE
        B+ 1 return
        B+ 1 header 3 correlation=a
        B+ 1 body abc
        B+ 1 message t 1 abc message=m
        B+ 1 return
        B< 1 header 0
        W< 1 return
        W< 1 header 3 correlation=a
        W< 1 body abc
        W< 1 message t 1 abc message=m
        W< 1 return
        W< 1 header 0
        E Delivered 7.1.1 q - m
        "
    ));
}

/// A return comes while the gate waits for its cancel-ok, and what it has to say to the client waits for the return.
#[test]
fn what_the_gate_says_waits_for_a_return() {
    play(&format!(
        "{CONSUMER}
        W= 1 publish - k
        W= 1 header 3
        DRAIN
        FREE
        W= 1 body abc
        HELD
        +20ms
        B> 1 cancel t
        B= 1 return
        B= 1 header 6
        B= 1 body abc
        B= 1 body def
        B< 1 cancel-ok t
        E FetchMoved gate
        B= 1 return
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W> 1 cancel t
        E FetchAnswered gate vanished blocking
        B= 1 header 3
        W> 1 consume q u
        E FetchAsked gate q blocking
        B= 0 heartbeat
        B= 1 body abc
        W< 1 get-empty
        W< 1 cancel-ok t
        W< 1 consume-ok u
        "
    ));
}

/// On its way to the broker nothing waits for a return, and another channel's says nothing of this one.
#[test]
fn a_return_is_no_obstacle_to_the_broker() {
    play(&format!(
        "{CONSUMER}
        W= 2 open
        B= 2 open-ok
        B= 2 return
        B= 1 return
        DRAIN
        +20ms
        B> 1 cancel t
        B= 2 header 3
        B= 1 header 3
        B= 1 body abc
        B< 1 cancel-ok t
        E FetchMoved gate
        W> 1 get q
        E FetchAsked gate q poll
        E FetchAnswered gate empty poll
        W< 1 get-empty
        B= 2 body abc
        "
    ));
}

/// Bodies are cut as the sender likes: an empty piece is one, too.
#[test]
fn bodies_in_odd_pieces() {
    play(&format!(
        "{CONSUMER}
        B= 1 deliver t 1
        B= 1 header 3 message=m type=kind
        B= raw 03000100000000CE
        B= 1 body a
        B= raw 03000100000000CE
        B= 1 body bc
        E Delivered 7.1.1 q kind m
        W= 1 publish - other
        W= 1 header 2
        DRAIN
        FREE
        W= raw 03000100000000CE
        +30ms
        W= 1 body ab
        +20ms
        B> 1 cancel t
        B= 1 message t 2 - message=n
        E Delivered 7.1.2 q - n
        B< 1 cancel-ok t
        E FetchMoved gate
        "
    ));
}

/// Frames as large as was agreed on, and that is as little as may be, in both directions at once.
#[test]
fn bodies_of_the_largest_frames() {
    let most = "x".repeat(4_096 - 8);
    let consumer = CONSUMER.replace("handshake", "handshake 2047 4096");
    play(&format!(
        "{consumer}
        B= 1 deliver t 1
        W= 1 publish - other
        B= 1 header {size} message=m
        W= 1 header {size}
        B= 1 body {most}
        DRAIN
        FREE
        W= 1 body {most}
        +30ms
        W= 1 body {most}
        B= 1 body {most}
        E Delivered 7.1.1 q - m
        HELD
        +20ms
        B> 1 cancel t
        B< 1 cancel-ok t
        E FetchMoved gate
        ",
        size = 2 * most.len(),
    ));
}
