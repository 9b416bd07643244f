//! Paused queues as the fleet sees them: names, states, what is written down, and that workers stay what they are.

use proto_tests::fleet_script::play;

/// A Sidekiq process of two threads and an RQ worker.
const FLEET: &str = "
    + s1 10.0.0.5
    + s2 10.0.0.5
    s1 named sidekiq host:1:aaaaaaaaaaaa
    s1 sidekiq c=2 busy=0 beat=0s
    s1 fetch queue:default queue:low
    s2 fetch queue:default queue:low
    + r1 10.0.0.6
    r1 named rq mail-1
    r1 fetch rq:queue:default
    ? queue queue:default open systems=sidekiq consumers=1 held=0
    ? queue rq:queue:default open systems=rq consumers=1 held=0
";

#[test]
fn a_queue_is_paused_when_no_fetch_of_it_is_at_a_broker_any_more() {
    play(&format!(
        "{FLEET}
        pause queue:low reason=provider
        ? queue queue:low pausing by=queue:low reason=provider
        ? queue queue:default open
        s1 takes queue:low
        s2 takes queue:low
        ? queue queue:low pausing
        r1 takes
        s2 takes
        ? queue queue:low pausing
        s1 takes
        ? queue queue:low paused consumers=1
        # a newcomer is born with it
        + s3 10.0.0.7
        ? queue queue:low paused
        pause rq:queue:default
        ? queue rq:queue:default pausing
        ? queue queue:low paused
        - s3
        s1 takes
        s2 takes
        r1 takes
        r1 parked
        ? queue rq:queue:default paused held=1
        ? queue queue:default open held=0
        resume queue:low
        ? queue queue:low open
        ? notice queue queue:low lifted"
    ));
}

#[test]
fn a_short_name_means_the_queues_of_all_systems() {
    play(&format!(
        "{FLEET}
        pause default
        ? queue queue:default pausing by=default
        ? queue rq:queue:default pausing by=default
        ? queue queue:low open
        ? no queue default
        # who says what is shown means the same
        resume queue:default
        ? queue queue:default open
        ? queue rq:queue:default open
        pause queue:default
        resume default
        ? queue queue:default open"
    ));
    play(
        "+ b 10.0.0.5
        b is bullmq
        b fetch bull:video
        pause video
        ? queue bull:video pausing by=video systems=bullmq
        resume bull:video
        ? queue bull:video open",
    );
}

#[test]
fn a_queue_that_nobody_has_asked_for_can_be_paused() {
    play(
        "pause mail
        ? queue mail paused unseen by=mail consumers=0
        + c1 10.0.0.5
        c1 held mail
        ? queue mail paused held=1 consumers=1
        resume other
        ? queue mail paused
        resume mail
        c1 resumed
        ? queue mail open held=0",
    );
}

#[test]
fn a_pause_is_finite_and_renewed() {
    play(
        "pause a ttl=10m
        pause b
        pause c ttl=none ! needs a reason
        pause c ttl=none reason=x
        pause d ttl=0s ! longer than 0
        pause \"\" ! 1 to 255 bytes
        5m
        pause a ttl=10m reason=again ! again
        pause c ttl=none ! again
        ? queue a paused reason=again
        ? queue c paused reason=x
        14.9m
        ? queue a paused
        15m
        ? no queue a
        ? notice queue a expired
        11.9h
        ? queue b paused
        12h
        ? no queue b
        90h
        ? queue c paused",
    );
}

#[test]
fn pauses_outlive_the_gate() {
    play(
        "+ c1 10.0.0.5
        c1 fetch a b
        pause a ttl=10m reason=%_x
        pause b ttl=none reason=y
        drain d all
        1m
        restart
        ? queue a paused reason=%_x
        ? queue b paused
        + c2 10.0.0.6
        c2 held a
        ? queue a paused held=1
        10m
        ? queue a open
        ? queue b paused
        restart
        ? queue b paused",
    );
}

#[test]
fn what_cannot_be_refused_is_said() {
    play(&format!(
        "{FLEET}
        pause queue:low
        s1 takes
        s2 takes
        r1 takes
        s1 blocked it fetches by BRPOP inside MULTI
        ? queue queue:low pausing blocked~MULTI
        ? queue queue:default open"
    ));
    play(
        "+ a 10.0.0.5 amqp
        a fetch jobs
        pause jobs
        a takes jobs!auto-delete
        ? queue jobs pausing blocked~auto-delete
        + o 10.0.0.6
        o opaque
        - a
        ? queue jobs pausing blocked~pipe
        - o
        ? queue jobs paused",
    );
}

/// A script of a worker of which nothing is known, which takes from the paused queue; a pop within a transaction.
#[test]
fn what_passes_a_pause_is_said() {
    play(
        "+ c 10.0.0.5
        c client loop
        c scripts it fetches by EVALSHA
        c passes jobs perhaps EVALSHA
        pause jobs
        ? queue jobs pausing unseen blocked~EVALSHA
        c takes
        ? queue jobs pausing blocked~EVALSHA
        pause other
        c takes
        ? queue other paused
        # now it is known how it gets its jobs
        c is celery
        ? queue jobs paused
        c passes jobs surely MULTI
        ? queue jobs pausing blocked~MULTI
        - c
        ? queue jobs paused",
    );
}

/// Who can get a job now: a paused queue has nobody.
#[test]
fn a_paused_queue_has_no_open_consumer() {
    let mut script = proto_tests::fleet_script::play(FLEET);
    let open = |script: &proto_tests::fleet_script::Script| script.fleet.open_consumers();
    let shown = |low, default, mail| {
        [("queue:default", default), ("queue:low", low), ("rq:queue:default", mail)].map(|(q, n)| (q.to_owned(), n))
    };
    assert_eq!(open(&script), shown(1, 1, 1));
    script.play("pause queue:low");
    assert_eq!(open(&script), shown(0, 1, 1));
    script.play("pause default");
    assert_eq!(open(&script), shown(0, 0, 0));
    script.play("resume default\n drain d host:1:aaaaaaaaaaaa");
    assert_eq!(open(&script), shown(0, 0, 1));
    script.play("undrain d\n resume queue:low");
    assert_eq!(open(&script), shown(1, 1, 1));
}

#[test]
fn consumers_of_one_connection_are_told_apart() {
    play(
        "+ a 10.0.0.5 amqp
        a fetch mail
        a fetch jobs
        pause mail
        a takes mail
        a parked
        a takes
        ? queue mail paused held=1 consumers=1
        ? queue jobs open held=0",
    );
}

#[test]
fn a_worker_whose_queue_is_paused_is_none_that_drains() {
    let idle = format!(
        "{FLEET}
        pause default
        pause queue:low
        s1 parked
        s2 parked
        ? host:1:aaaaaaaaaaaa active running=0
        # marked, it is sealed at once: nothing of it is at the broker
        drain d host:1:aaaaaaaaaaaa
        ? host:1:aaaaaaaaaaaa drained exact"
    );
    play(&idle);
    // a thread that works is counted as ever: concurrency less the fetches, wherever they are
    play(
        "+ s1 10.0.0.5
        + s2 10.0.0.5
        s1 named sidekiq host:1:aaaaaaaaaaaa
        s1 sidekiq c=2 busy=0 beat=0s
        s1 fetch queue:default
        s2 fetch queue:default
        s1 gets j1
        pause default
        s2 parked
        drain d host:1:aaaaaaaaaaaa
        ? host:1:aaaaaaaaaaaa sealed running=1
        s1 held queue:default
        ? host:1:aaaaaaaaaaaa drained running=0",
    );
}
