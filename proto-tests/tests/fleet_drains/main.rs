//! Drains: members, expiry, ends.

mod names;
mod selectors;

use proto_tests::fleet_script::play;

/// Two named Celery workers and one that is known by its address.
const FLEET: &str = "
    + a1 10.0.0.5
    a1 named celery web-1@a
    a1 online processed=0
    a1 fetch high
    + b1 10.0.0.6
    b1 named celery web-2@b
    b1 online processed=0
    b1 fetch high low
    + c1 10.0.1.7 listener=blue
    c1 user app
    c1 client cron
    c1 fetch low
";

fn story(text: &str) {
    play(&format!("{FLEET}\n{text}"));
}

// ── in force ──

#[test]
fn a_drain_expires() {
    story(
        "
        drain d web-1@a ttl=10m
        9m
        ? a1 marked
        10m
        ? a1 free
        ? drain d expired over
        ? notice drain d expired
        ? web-1@a active
    ",
    );
}

#[test]
fn the_default_ttl_is_twelve_hours() {
    story("drain d web-1@a\n 719m\n ? a1 marked\n 12h\n ? a1 free");
}

#[test]
fn a_worker_of_two_drains_stays_marked_until_both_are_lifted() {
    story(
        "
        drain d web-1@a
        drain e listener=main
        ? web-1@a drains=d,e
        undrain d
        ? a1 marked
        undrain e
        ? a1 free
        undrain e                        # idempotent
    ",
    );
}

#[test]
fn undrain_gives_the_seal_up() {
    story(
        "
        drain d web-1@a
        a1 parked
        ? web-1@a drained
        undrain d
        ? web-1@a active
        a1 resumed
        drain d web-1@a
        ? web-1@a draining
        ? notice web-1@a drained -> active
    ",
    );
}

#[test]
fn the_state_is_that_of_the_least_advanced_worker() {
    story(
        "
        +12s
        b1 gets t1
        drain d all
        ? drain d draining
        a1 parked
        c1 parked
        ? drain d sealed                 # web-2 has a job in hand
        b1 requeue t1
        ? drain d drained
        - a1
        ? drain d drained
    ",
    );
}

#[test]
fn a_loss_is_told_when_nobody_else_is_on_the_way() {
    story(
        "
        b1 gets t1
        a1 gets t2
        drain d worker=web-*
        - b1
        61s
        ? drain d sealed                 # web-1 is still busy
        a1 requeue t2
        ? drain d lost
    ",
    );
}

/// One who went away idle before it was drained counts as drained.
#[test]
fn a_worker_that_goes_away_idle_counts_as_drained() {
    story(
        "
        drain d web-1@a
        ? drain d draining
        - a1
        ? drain d drained
        61s
        ? drain d drained over
        ? no notice lost
    ",
    );
}

#[test]
fn a_once_drain_marks_no_newcomer_and_a_standing_one_does() {
    story(
        "
        drain once worker=web-*
        drain standing listener=blue standing
        + e1 10.0.0.9
        e1 named celery web-9@e
        ? e1 free
        + f1 10.0.0.10 listener=blue
        ? f1 marked
        f1 fetch q
        ? drain standing workers=2
    ",
    );
}

/// A worker restarted in place by its orchestrator stays drained, from its first fetch on.
#[test]
fn a_newcomer_in_the_place_of_a_standing_drain_is_held_until_its_name_is_known() {
    story(
        "
        drain d worker=web-1@* standing
        a1 parked
        a1 nil
        - a1
        ? drain d drained
        +1s
        + a2 10.0.0.5
        ? a2 marked                      # who is it?
        a2 named celery web-1@a
        ? a2 marked
        +1m
        ? a2 marked
        - a2
        + a3 10.0.0.5
        ? a3 marked
        a3 named celery other@a
        ? a3 free
        - a3
        61s
        2m
        + a4 10.0.0.5
    ",
    );
}

#[test]
fn a_newcomer_without_a_name_is_not_held_for_ever() {
    story(
        "
        drain d worker=web-1@* standing
        a1 parked
        a1 nil
        - a1
        + a2 10.0.0.5
        a2 fetch q
        ? a2 marked
        16s
        ? a2 free
    ",
    );
}

/// `once` means those that were there: also one whose name came a moment too late.
#[test]
fn a_worker_that_was_there_and_named_itself_later_joins() {
    story(
        "
        + e1 10.0.0.9
        e1 fetch high
        drain d worker=web-*
        ? e1 free
        e1 named celery web-9@e
        ? e1 marked
        ? drain d workers=3
    ",
    );
}

#[test]
fn before_now_takes_all_that_are_there_and_no_newcomer() {
    story(
        "
        1s
        drain d before=now standing
        ? drain d workers=3
        2s
        + e1 10.0.0.9
        e1 fetch high
        ? e1 free
        drain d before=now standing ! again
        ? e1 free
        - a1 broker
        + a2 10.0.0.5
        ? a2 marked
    ",
    );
}

#[test]
fn queues_without_an_open_consumer_are_starving() {
    story(
        "
        drain d worker=web-*
        ? drain d starving=high
        drain e cron
        ? drain d starving=high,low
    ",
    );
}

/// Its workers take jobs again.
#[test]
fn nobody_starves_by_a_drain_that_was_lifted_or_has_expired() {
    story("drain d worker=web-*\n undrain d\n ? drain d lifted starving=");
    story("drain d worker=web-* ttl=10m\n 10m\n ? drain d expired starving=");
}

#[test]
fn no_starve_refuses() {
    story(
        "
        drain d worker=web-* nostarve ! no worker would be left for high
        ? a1 free
        drain d web-1@a nostarve
        drain e web-2@b nostarve ! high
    ",
    );
}

#[test]
fn open_consumers_are_counted_by_queue() {
    let mut script = play(FLEET);
    let open = |script: &proto_tests::fleet_script::Script| script.fleet.open_consumers();
    assert_eq!(open(&script), [("high".to_owned(), 2), ("low".to_owned(), 2)]);
    script.play("drain d web-1@a");
    assert_eq!(open(&script), [("high".to_owned(), 1), ("low".to_owned(), 2)]);
    script.play("- b1");
    assert_eq!(open(&script), [("high".to_owned(), 0), ("low".to_owned(), 1)]);
    script.play("undrain d\n + b2 10.0.0.6");
    assert_eq!(open(&script), [("high".to_owned(), 2), ("low".to_owned(), 2)]);
}

/// RabbitMQ has a queue of each name in every virtual host.
#[test]
fn a_queue_of_the_same_name_in_another_virtual_host_is_another() {
    let mut script = play(
        "
        + a1 10.0.0.5
        a1 vhost shop
        a1 client shop-1
        a1 fetch mail
        + b1 10.0.0.6
        b1 client main-1
        b1 fetch mail
        drain d shop-1 nostarve ! no worker would be left for mail
        drain d shop-1
        ? drain d starving=mail
        drain e main-1 nostarve ! no worker would be left for mail
        + c1 10.0.0.7
        c1 vhost shop
        c1 client shop-2
        c1 fetch mail
        ? drain d starving=
        drain e shop-* nostarve ! no worker would be left for mail
    ",
    );
    assert_eq!(script.fleet.open_consumers(), [("mail".to_owned(), 2)]);
    // two connections of one worker, of which the first does not fetch
    script.play(
        "
        + c2 10.0.0.7
        c2 vhost else
        undrain d
        drain d shop-2 nostarve
        ? drain d starving=
        drain e shop-1 nostarve ! no worker would be left for mail
    ",
    );
    assert_eq!(script.fleet.open_consumers(), [("mail".to_owned(), 2)]);
}

#[test]
fn changes_are_told() {
    story(
        "
        ? notice seen web-1@a celery
        drain d web-1@a
        ? notice drain d marks 1
        ? notice web-1@a active -> draining
        a1 parked
        ? notice web-1@a draining -> drained
        undrain d
        ? notice drain d lifted
    ",
    );
}
