//! How a Sidekiq process comes to its end: what it gives back, and its goodbye.

use proto_tests::fleet_script::play;

/// The process with both of its threads at work.
fn story(text: &str) {
    super::story(&format!("c1 gets j1\nc2 gets j2\n{text}"));
}

/// Told to stop in the middle of a drain: the threads end without asking again, and the process says goodbye.
#[test]
fn jobs_that_were_finished_before_the_goodbye() {
    story(
        "
        drain d all
        +3s
        ? host:1:aaaa sealed running=2
        c3 leaves host:1:aaaa
        ? host:1:aaaa drained reported running=0
        - c1
        - c2
        - c3
        ? host:1:aaaa gone
        ? drain d drained
    ",
    );
}

/// The same without a drain: nobody is told that something was lost.
#[test]
fn an_orderly_stop_is_no_loss() {
    story(
        "
        c1 pushes j1
        c3 leaves host:1:aaaa
        - c1
        - c2
        - c3
        ? host:1:aaaa gone
        +2m
        ? no notice lost
    ",
    );
}

#[test]
fn without_a_goodbye_it_is_lost() {
    story(
        "
        drain d all
        c1 pushes j1
        - c1
        - c2
        - c3
        ? host:1:aaaa sealed running=1 unknown
        +61s
        ? host:1:aaaa lost
        ? notice lost host:1:aaaa with task[j2]
    ",
    );
}

#[test]
fn what_was_given_back_is_in_flight_no_more() {
    story(
        "
        drain d all
        c3 pushes j1 unknown j2
        ? notice requeued sidekiq
        ? host:1:aaaa sealed             # the threads that ran them may not have ended
        c3 leaves host:1:aaaa
        ? host:1:aaaa drained
    ",
    );
}

#[test]
fn what_the_broker_did_not_take_back_is_in_flight() {
    story(
        "
        drain d all
        c3 refused j1
        c3 leaves host:1:aaaa
        ? host:1:aaaa sealed running=1 blocked~refused_by_the_broker
        ? drain d sealed
        c3 pushes j1
        ? host:1:aaaa drained
    ",
    );
}

#[test]
fn what_its_scheduler_took_is_in_flight_until_it_is_pushed_on() {
    story(
        "
        c3 taken due
        drain d all
        c3 leaves host:1:aaaa
        ? host:1:aaaa sealed running=1
        c2 pushes due                    # on any connection
        ? host:1:aaaa drained running=0
        ? no notice requeued
    ",
    );
}

#[test]
fn after_another_delivery_the_goodbye_is_void() {
    story(
        "
        c3 leaves host:1:aaaa
        c1 fetch default
        c1 gets j3
        drain d all
        ? host:1:aaaa sealed running=2
    ",
    );
}

/// Its heartbeat goes on while it waits for its threads' last words.
#[test]
fn a_heartbeat_that_shows_work_voids_the_goodbye() {
    for work in ["c3 sidekiq busy=1", "c3 work j1", "c3 work mine-7"] {
        story(&format!(
            "
            drain d all
            c3 leaves host:1:aaaa
            c3 work
            c3 sidekiq busy=0
            ? host:1:aaaa drained
            {work}
            ? host:1:aaaa sealed running=2
            - c1
            - c2
            - c3
            ? host:1:aaaa sealed unknown
        "
        ));
    }
}

#[test]
fn the_goodbye_of_one_process_is_not_that_of_another() {
    story(
        "
        + c4 10.0.0.7
        c4 named sidekiq host:2:bbbb
        c4 work
        c4 sidekiq c=1 busy=1
        c4 fetch default
        c4 gets j4
        drain d ip=10.0.0.7
        c3 leaves host:9:cccc
        ? drain d sealed
        c3 leaves host:1:aaaa
        ? @c4 sealed running=1
        c4 leaves host:2:bbbb
        ? drain d drained
    ",
    );
}

/// A process that stops pushes its jobs back on a new connection, whose process is found only later.
#[test]
fn what_the_broker_did_not_take_back_before_the_process_was_known() {
    let stopped = |refused: &str| {
        format!(
            "
            + c1 local
            = c1 100:7@0s
            c1 named sidekiq host:1:aaaa
            c1 sidekiq c=1 busy=0
            c1 fetch default
            c1 gets j1
            drain d all
            + c2 local
            {refused}
            = c2 100:7@0s
            c2 leaves host:1:aaaa
        "
        )
    };
    play(&format!("{} ? host:1:aaaa drained", stopped("")));
    play(&format!("{} ? host:1:aaaa sealed running=1 blocked~refused_by_the_broker", stopped("c2 refused j1")));
}

/// And so it is with its goodbye.
#[test]
fn a_goodbye_before_the_process_was_known() {
    let start = "
        + c1 local
        = c1 100:7@0s
        c1 named sidekiq host:1:aaaa
        c1 sidekiq c=1 busy=1
        c1 fetch default
        c1 gets j1
        drain d all
        +1s
        + c2 local
    ";
    play(&format!(
        "{start} c2 leaves host:1:aaaa\n ? host:1:aaaa sealed\n = c2 100:7@0s\n ? host:1:aaaa drained reported"
    ));
    // it was another's
    play(&format!("{start} c2 leaves host:1:aaaa\n = c2 200:9@0s\n ? host:1:aaaa sealed"));
    play(&format!("{start} c2 leaves host:9:cccc\n = c2 100:7@0s\n ? host:1:aaaa sealed"));
}
