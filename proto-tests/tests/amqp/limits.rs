//! A limit of the channel as a whole, which the broker watches by itself.

use crate::script::play;
use crate::undrain::{LIFTED, drained};

/// A limit of each consumer beside one of the channel: a qos of the gate's own would lift the channel's. (One write of
/// `qos 20, qos 3 global, consume, qos 20, qos 3 global` brought 20 messages on 3.10 and 4.0.)
#[test]
fn a_limit_of_the_channel_is_never_lifted() {
    // the channel's is the smaller one: the broker watches all that is in hand
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q ~~~~~ x-priority=5
        ",
        drained(2, "9\nB= 1 qos-ok\nW= 1 qos 3 global")
    ));
    // the consumer's is: nothing new until its hand is empty
    play(&format!(
        "{}{LIFTED}
        B> 2047 close 200 0/0
        B< 2047 close-ok
        W= 1 ack 1
        +250ms
        B> 1 cancel ~draingate-7
        B< 1 cancel-ok ~draingate-7
        E Ended 7.1.1 finished
        W= 1 ack 2
        E FetchMoved broker
        B> 1 consume q None4 x-priority=5
        ",
        drained(2, "3\nB= 1 qos-ok\nW= 1 qos 9 global")
    ));
    // a later limit of each consumer has lifted it: the client's own words
    play(&format!(
        "{}{LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 qos 1
        B> 1 consume q ~~~~~ x-priority=5
        B> 1 qos 3
        ",
        drained(2, "9 global\nB= 1 qos-ok\nW= 1 qos 3")
    ));
    // said after the consume, it is in force when the consumer comes back
    play(&format!(
        "{}
        W= 1 qos 5 global
        B= 1 qos-ok
        {LIFTED}
        E FetchMoved broker
        B> 2047 close 200 0/0
        B> 1 consume q None4 x-priority=5
        ",
        drained(0, "3")
    ));
}
