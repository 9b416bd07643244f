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

/// The same while the fetch is still on its way, and the end of its connection as well: it arrives after the second one.
#[test]
fn a_fetch_that_was_given_up_and_arrives_late_is_no_second_thread() {
    story(
        "
        c1 gets j1
        c2 nil
        drain d all
        +7s
        + c4 10.0.0.7                    # the next one on c2 has been under way all that time
        c4 fetch default
        ? host:1:aaaa sealed running=1
        c2 fetch default
        ? host:1:aaaa sealed
        - c2
        ? host:1:aaaa sealed running=1
        c1 fetch default
        ? host:1:aaaa drained inferred
    ",
    );
}

/// The same when the broken connection is not even known to be gone. After a while only what is really waiting is asked again.
#[test]
fn of_more_connections_than_threads_none_is_trusted_at_first() {
    story(
        "
        c1 gets j1
        c2 nil
        drain d all
        +7s
        + c4 10.0.0.7
        c4 fetch default
        c2 fetch default
        +2s
        c2 nil
        c4 nil
        c4 fetch default
        ? host:1:aaaa sealed
        +5s
        ? host:1:aaaa sealed running=1
        c1 fetch default
        ? host:1:aaaa sealed unknown running=0
        +8s
        ? host:1:aaaa drained inferred
        ? drain d drained
    ",
    );
}
