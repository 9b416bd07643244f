//! Threads whose connections time out while they ask: they ask again over another, and count once.

use super::story;

/// The broker stalls, and one thread gives up waiting. Its first fetch is still at the broker when it asks again.
#[test]
fn a_thread_that_asks_again_over_another_connection_is_one_thread() {
    story(
        "
        c1 gets j1
        c2 orphaned
        + c4 10.0.0.7
        c4 fetch default
        ? host:1:aaaa running=1
        c2 vanished
        - c2
        drain d all
        c4 parked
        ? host:1:aaaa sealed running=1
        - c1
        - c3
        - c4
        +2m
        ? notice lost host:1:aaaa with task[j1]
        ? drain d lost
    ",
    );
}
