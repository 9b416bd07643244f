//! Names of drains: taken, given, free again.

use super::{FLEET, story};
use proto_tests::fleet_script::play;

#[test]
fn the_same_name_and_body_again_is_the_same_drain_and_new_matches_join() {
    story(
        "
        drain d worker=web-*
        ? drain d draining workers=2
        drain d worker=web-* ! again
        + e1 10.0.0.9
        e1 named celery web-9@e
        ? e1 free                        # once: those that were there
        drain d worker=web-* ! again
        ? e1 marked
        ? drain d workers=3
        drain d worker=web-* ttl=1h ! is in force with another selector
        drain d worker=web-1@a ! is in force
    ",
    );
}

/// A pipeline with a fixed name must never get yesterday's `drained`.
#[test]
fn an_ended_drain_never_answers_for_a_new_one() {
    story(
        "
        drain d web-1@a
        a1 parked
        a1 nil
        ? drain d drained
        - a1
        ? drain d drained over
        + a2 10.0.0.5
        a2 named celery web-1@a
        a2 online processed=0
        a2 fetch high
        ? a2 free
        drain d web-1@a
        ? a2 marked
        ? drain d draining workers=1
        undrain d
        ? drain d lifted over
        drain d web-1@a
        ? drain d draining
    ",
    );
}

#[test]
fn a_name_is_free_when_its_workers_are_gone_although_they_might_come_back() {
    story(
        "
        + p1 local
        = p1 100:5
        p1 client cron2
        drain d cron2
        - p1                             # the process may live on and come back
        ? cron2 gone
        ? drain d drained
        drain d web-1@a                  # another body, and nobody of the old one is there
        ? drain d draining workers=1
        ? notice drain d done
    ",
    );
}

#[test]
fn an_ended_drain_is_readable_for_an_hour() {
    story(
        "
        drain d all
        undrain d
        59m
        ? drain d lifted over workers=3
        61m
        ? drain d nobody
    ",
    );
}

#[test]
fn a_drain_without_a_name_gets_one() {
    let mut script = play(FLEET);
    let first = script.ask("drain - web-1@a").unwrap();
    let second = script.ask("drain - web-2@b").unwrap();
    assert!(first.created && second.created);
    assert_ne!(first.drain.name, second.drain.name);
    assert!(script.fleet.drain_named(script.now(), &second.drain.name).is_some());
}

#[test]
fn bad_requests_are_refused_in_one_line() {
    story(
        "
        drain a/b all ! a drain's name is
        drain . all ! a drain's name is
        drain .. all ! a drain's name is
        drain d all ttl=none ! needs a reason
        drain d all ttl=none reason=migration
        undrain d
        drain d all ttl=0s ! longer than 0
        drain d all require=unknown ! exact, reported or inferred
        drain d ! no selector
    ",
    );
}

#[test]
fn a_dry_run_marks_nobody() {
    let mut script = play(FLEET);
    let answer = script.ask("drain d worker=web-* dry").unwrap();
    assert!(!answer.created);
    assert_eq!(answer.drain.workers.len(), 2);
    script.play("? a1 free\n ? drain d nobody");
}
