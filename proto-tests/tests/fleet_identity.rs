//! Who is a worker: which connections belong together.

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

/// An empty name takes the name back: it makes no worker of a client that asks for nothing.
#[test]
fn an_empty_client_name_is_none() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 client
        - c1
        ? workers 0
        c2 client web-1
        ? web-1 conns=1 learned
        c2 client
        ? web-1 conns=1 learned
        + c3 10.0.0.5
        c3 client web-2
        ? web-2 conns=2
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

/// A process that was marked by itself turns out to be a part of its parent: the mark goes where its connections go.
#[test]
fn a_mark_goes_with_the_process_that_joins_another() {
    play(
        "
        + a1 local
        = a1 110:9 < 100:5 < 90:1
        + b1 local
        = b1 100:5 < 90:1
        drain d worker=python[[]110]* empty
        ? a1 marked
        ? b1 free
        b1 fetch! q
        ? b1 marked
        ? a1 marked
        ? @b1 draining conns=2
        b1 parked
        ? @b1 drained
        undrain d
        ? a1 free
        ? b1 free
    ",
    );
}

/// A connection whose process is being looked up may turn out to be of the same address, too.
#[test]
fn an_address_is_not_sealed_while_a_connection_may_be_of_it() {
    play(
        "
        + a1 local
        = a1 nobody
        +12s
        a1 fetch q
        + x local
        x fetch q
        drain d 127.0.0.1
        a1 parked
        ? 127.0.0.1 draining blocked~looked_up
        = x 200:6
        ? 127.0.0.1 drained
    ",
    );
}
