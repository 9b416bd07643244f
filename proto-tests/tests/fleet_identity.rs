//! Who is a worker: which connections belong together, and what is a new incarnation.

use proto_tests::fleet_script::play;

// ── addresses ──

#[test]
fn one_address_is_one_worker() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + d1 10.0.0.6
        c1 fetch q
        d1 fetch q
        ? workers 2
        ? 10.0.0.5 conns=2 address
        c2 client web-1
        ? web-1 conns=2 learned
    ",
    );
}

#[test]
fn a_client_that_comes_back_under_another_name_is_called_so() {
    play(
        "
        + c1 10.0.0.5
        c1 client mail-1
        c1 fetch q
        + c2 10.0.0.5
        c2 client mail-2
        drain d mail-2 ! mail-1 and mail-2 share 10.0.0.5 and cannot be told apart
        - c1
        - c2
        ? mail-1 conns=0                 # as it was called last
        + c3 10.0.0.5
        c3 client mail-3
        c3 fetch q
        ? mail-3 conns=1
        drain d mail-1 ! no worker matches
        drain d mail-3
        ? c3 marked
        c3 client mail-4                 # CLIENT SETNAME, once more
        ? mail-4 draining
        drain e client=mail-4
    ",
    );
}

#[test]
fn a_pure_producer_is_not_listed_and_is_forgotten() {
    play(
        "
        + c1 10.0.0.5
        c1 user app
        ? workers 0
        drain d ip=10.0.0.5 ! no worker matches
        drain d ip=10.0.0.5 empty
        ? c1 marked                      # it may fetch one day
        ? drain d drained workers=0
        c1 fetch q
        ? 10.0.0.5 sealed held=1         # who it is may be known in a moment
        +12s
        ? 10.0.0.5 drained
        ? drain d drained workers=1
    ",
    );
}

#[test]
fn a_reconnect_while_draining_stays_marked() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1
        drain d w1@a
        ? c1 marked
        - c1
        ? w1@a sealed prefetched=1
        +30s
        + c2 10.0.0.5
        ? c2 marked
        ? w1@a sealed prefetched=1 conns=1
    ",
    );
}

#[test]
fn the_mark_of_a_worker_that_was_not_drained_ends_after_forget_after() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1 task=mail
        drain d w1@a
        - c1
        +59s
        ? w1@a sealed
        +2s
        ? w1@a lost
        ? drain d lost over
        ? notice lost w1@a with mail[t1]
        + c2 10.0.0.5
        ? c2 free
    ",
    );
}

/// drain → stop → start under the same name or a recycled address, within 5 s.
#[test]
fn once_drained_the_clients_own_closing_ends_the_mark() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c2 fetch q
        drain d w1@a
        c2 parked
        ? w1@a drained
        c2 nil
        - c2
        ? w1@a drained
        - c1
        ? w1@a gone
        ? drain d drained over
        +1s
        + c3 10.0.0.5
        ? c3 free
        c3 named celery w1@a
        c3 fetch q
        ? w1@a active
    ",
    );
}

#[test]
fn a_cut_by_the_broker_or_the_gate_does_not_end_the_mark() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        - c1 broker
        - c2                             # the client's answer to the cut
        +1s
        + c3 10.0.0.5
        ? c3 marked
        - c3 gate
        + c4 10.0.0.5
        ? c4 marked
    ",
    );
}

#[test]
fn a_sidekiq_nonce_tells_a_new_incarnation() {
    play(
        "
        + c1 10.0.0.7
        c1 named sidekiq host:1:aaaa
        c1 sidekiq c=1 busy=1
        c1 gets j1
        drain d host:1:aaaa
        ? host:1:aaaa sealed
        - c1                             # killed in mid-job, restarted in place
        +1s
        + c2 10.0.0.7
        ? c2 marked
        c2 fetch q
        ? host:1:aaaa sealed held=1
        c2 named sidekiq host:1:bbbb
        ? c2 free
        ? host:1:bbbb active conns=1
        ? host:1:aaaa conns=0 running=1
        ? drain d sealed workers=1
        1m
        +5s
        ? host:1:aaaa lost
        ? drain d lost
    ",
    );
}

#[test]
fn a_celery_heartbeat_with_another_pid_or_a_lower_count_is_a_new_incarnation() {
    for sign in ["pid=8 processed=50", "pid=7 processed=0"] {
        play(&format!(
            "
            + c1 10.0.0.5
            + c2 10.0.0.5
            c2 named celery w1@a
            c2 online pid=7 processed=0
            c1 gets t1
            c1 ack t1
            +2s
            c2 beat active=1 pid=7 processed=1
            drain d w1@a
            - c1
            - c2
            +1s
            + c3 10.0.0.5
            + c4 10.0.0.5
            ? c3 marked
            c4 named celery w1@a
            ? c3 marked                  # the name alone is no sign
            +1s
            c4 beat active=0 {sign}
            ? c3 free
            ? @c3 active conns=2 drains=
            ? drain d sealed workers=1
            "
        ));
    }
}

#[test]
fn the_same_pid_and_a_count_that_goes_on_is_the_same_incarnation() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online pid=7 processed=0
        c1 gets t1
        c1 ack t1
        +2s
        c1 beat active=1 pid=7 processed=1
        drain d w1@a
        - c1 broker
        +1s
        + c2 10.0.0.5
        c2 named celery w1@a
        c2 beat active=1 pid=7 processed=1
        ? c2 marked
        ? w1@a sealed conns=1
    ",
    );
}

/// Two processes behind one address, heartbeats in turn: neither is a new incarnation of the other.
#[test]
fn two_live_processes_behind_one_address_are_one_worker() {
    play(
        "
        + a1 10.0.0.5
        + b1 10.0.0.5
        a1 named celery w1@a
        b1 named celery w2@a
        a1 beat pid=1 processed=0
        b1 beat pid=1 processed=0
        ? w1@a + w2@a conns=2
    "
        .replace("w1@a + w2@a", "@a1 name=w1@a+w2@a")
        .as_str(),
    );
}

#[test]
fn a_drain_of_a_part_of_what_cannot_be_told_apart_is_refused() {
    play(
        "
        + a1 10.0.0.5
        + b1 10.0.0.5
        a1 named celery w1@a
        b1 named celery w2@a
        a1 beat processed=0
        b1 beat processed=0
        drain d w1@a ! w1@a and w2@a share 10.0.0.5 and cannot be told apart
        drain d worker=w1@* ! cannot be told apart
        ? a1 free
        drain d worker=w*@a
        ? a1 marked
        ? b1 marked
        undrain d
        drain e w1@a w2@a
        ? a1 marked
    ",
    );
}

/// Both must be idle, and a heartbeat of one says nothing of the other.
#[test]
fn reports_of_two_processes_count_only_together() {
    play(
        "
        + a1 10.0.0.5
        + b1 10.0.0.5
        a1 named celery w1@a
        b1 named celery w2@a
        a1 beat processed=0
        b1 beat processed=0
        a1 gets t1
        a1 ack t1
        drain d all
        2s
        a1 beat active=0 processed=1
        4s
        a1 beat active=0 processed=1
        ? @a1 sealed
        b1 beat active=0 processed=0
        6s
        b1 beat active=0 processed=0
        ? @a1 drained reported
    ",
    );
}

#[test]
fn two_processes_with_one_name_do_not_flap() {
    play(
        "
        + a1 10.0.0.5
        + b1 10.0.0.5
        a1 named celery w@a
        b1 named celery w@a
        drain d w@a
        a1 beat pid=1 processed=9
        b1 beat pid=2 processed=3
        2s
        a1 beat pid=1 processed=9
        b1 beat pid=2 processed=3
        ? a1 marked
        ? b1 marked
        ? workers 1
    ",
    );
}

// ── tags and listeners ──

#[test]
fn a_tag_joins_and_separates() {
    play(
        "
        + a1 10.0.0.5
        + a2 10.0.0.6
        + b1 10.0.0.5
        a1 tag blue
        a2 tag blue
        b1 tag green
        a1 fetch q
        b1 fetch q
        ? workers 2
        ? blue conns=2 strong
        drain d blue
        ? a1 marked
        ? a2 marked
        ? b1 free
    ",
    );
}

#[test]
fn an_own_listener_is_the_identity() {
    play(
        "
        + a1 10.0.0.5 listener=side own
        + a2 local listener=side own
        + b1 10.0.0.5
        a1 fetch q
        b1 fetch q
        ? side conns=2 strong
        drain d listener=side
        ? a1 marked
        ? a2 marked
        ? b1 free
    ",
    );
}

/// The first process may be alive on its older connections: nobody knows, so nobody is let go.
#[test]
fn a_new_name_is_no_new_incarnation_while_older_connections_are_open() {
    play(
        "
        + a1 10.0.0.7
        + a2 10.0.0.7
        a2 named sidekiq host:1:aaaa
        a2 sidekiq c=1 busy=0
        drain d all
        - a2
        +1s
        + b1 10.0.0.7
        b1 named sidekiq host:9:bbbb
        ? b1 marked
        ? a1 marked
        - a1
        +1s
        b1 named sidekiq host:9:bbbb
        ? b1 free
    ",
    );
}

/// Nobody is there at the moment, but all are expected back.
#[test]
fn a_drain_right_after_a_cut_or_a_restart_finds_its_workers() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        - c1 broker
        ? w1@a gone conns=0
        drain d w1@a
        + c2 10.0.0.5
        ? c2 marked
        undrain d
        restart
        drain d w1@a
        + c3 10.0.0.5
        ? c3 marked
    ",
    );
}
