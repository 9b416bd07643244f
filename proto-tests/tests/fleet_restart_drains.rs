//! What a restart of the gate leaves of drains, and what it makes of files that are not whole.

use draingate::fleet::{Fleet, FleetSettings};
use proto_tests::fleet_script::{ZERO, play};

#[test]
fn drains_without_workers_and_ended_drains_survive() {
    play(
        "
        + c1 10.0.0.5
        c1 fetch q
        drain s listener=main standing reason=because require=reported
        drain o all
        undrain o
        10m
        restart
        ? drain s sealed
        ? drain o lifted over workers=1
        + c2 10.0.0.6
        ? c2 marked
        drain s listener=main standing reason=because require=reported ! again
        drain s listener=main standing reason=other require=reported ! is in force
        61m
        ? drain o nobody
    ",
    );
}

#[test]
fn before_now_keeps_its_first_moment() {
    play(
        "
        1s
        + c1 10.0.0.5
        c1 fetch q
        drain d before=now standing
        10s
        restart
        + c2 10.0.0.6
        c2 fetch q
        ? c2 free
        drain d before=now standing ! again
        ? c2 free
        + c3 10.0.0.5
        ? c3 marked
    ",
    );
}

#[test]
fn a_second_restart_forgets_nothing() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1
        c1 gets t2
        c1 ack t2
        c1 gets t3
        c1 requeue t3
        drain d w1@a
        restart
        restart
        ? w1@a sealed running=1 prefetched=1
        ? drain d sealed
    ",
    );
}

#[test]
fn a_torn_last_line_is_ignored_and_any_other_is_an_error() {
    let script = play("+ c1 10.0.0.5\n c1 named celery w1@a\n c1 gets t1\n c1 gets t2");
    let lines = script.fleet.export_journal();
    let mut torn: Vec<&str> = lines.iter().map(String::as_str).collect();
    let last = torn.pop().unwrap();
    for cut in 0..last.len() {
        let mut journal = torn.clone();
        journal.push(&last[..cut]);
        let mut fleet = Fleet::new(FleetSettings::default(), ZERO);
        fleet.import_journal(ZERO, &journal).unwrap();
    }
    let mut broken: Vec<&str> = lines.iter().map(String::as_str).collect();
    broken.insert(2, "W\tw-1\taddress:nonsense\t.");
    let why = Fleet::new(FleetSettings::default(), ZERO).import_journal(ZERO, &broken).unwrap_err();
    assert!(why.starts_with("journal line 3: expected"), "{why}");
    let why = Fleet::new(FleetSettings::default(), ZERO).import_drains(ZERO, "V\t1\t.\nD\tonly\t.\n").unwrap_err();
    assert!(why.starts_with("drains line 2: expected"), "{why}");
    let why = Fleet::new(FleetSettings::default(), ZERO).import_journal(ZERO, &["V\t9\t.", "V\t1\t."]).unwrap_err();
    assert!(why.contains("expected version 1"), "{why}");
}

/// A file that lost its end, between two records too, would hold nobody: its drains must not come back as `drained`.
#[test]
fn drains_that_are_cut_off_are_an_error() {
    let script = play("+ c1 10.0.0.5\n c1 named celery w1@a\n c1 gets t1\n drain d w1@a standing\n drain e all");
    let text = script.fleet.export_drains();
    let read = |text: &str| Fleet::new(FleetSettings::default(), ZERO).import_drains(ZERO, text);
    read(&text).unwrap();
    for cut in 0..text.len() - 1 {
        let why = read(&text[..cut]).unwrap_err();
        assert!(why.starts_with("drains line "), "{cut}: {why}");
    }
    let lines: Vec<&str> = text.lines().collect();
    for gone in 0..lines.len() {
        let rest: Vec<&str> = lines.iter().enumerate().filter(|(no, _)| *no != gone).map(|(_, line)| *line).collect();
        read(&rest.join("\n")).unwrap_err();
    }
}

/// A container's address has had other workers before, which are remembered for an hour.
#[test]
fn the_mark_of_a_second_incarnation_outlives_the_gate() {
    let mut script = play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        - c1
        + c2 10.0.0.5
        c2 named celery w1@a
        c2 online processed=0
        ? c2 free
        c2 gets t1
        drain e w1@a
        ? @c2 sealed prefetched=1
    ",
    );
    let before = script.worker("@c2").expect("it is there").id;
    script.play(
        "
        restart
        + c3 10.0.0.5
        ? c3 marked
        c3 named celery w1@a
        ? c3 marked
        ? @c3 sealed prefetched=1
        ? drain e sealed workers=1
    ",
    );
    assert_eq!(script.worker("@c3").expect("it is there").id, before);
}

/// The drains are in Redis, and the journal has stayed with an earlier gate on another host.
#[test]
fn a_mark_holds_without_the_journal_and_drained_is_proved_anew() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1
        c1 ack t1
        drain d w1@a
        ? w1@a sealed running=1
        10s
        elsewhere
        ? drain d sealed workers=1
        ? no notice lost
        12s
        + c2 10.0.0.5
        ? c2 marked
        c2 named celery w1@a
        c2 beat active=1 processed=0
        14s
        c2 beat active=1 processed=0
        ? c2 marked
        ? @c2 sealed
        20s
        c2 beat active=0 processed=1
        22s
        c2 beat active=0 processed=1
        24s
        c2 beat active=0 processed=1
        ? w1@a drained reported
        ? drain d drained
    ",
    );
}

/// What the earlier gate knew of its end is not known here: not that it had nothing in hand.
#[test]
fn a_member_that_never_comes_back_without_the_journal_is_not_drained() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        elsewhere
        ? drain d sealed workers=1
        59s
        ? drain d sealed
        61s
        ? drain d lost over
    ",
    );
}

#[test]
fn a_second_incarnation_is_told_from_the_first_without_the_journal() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        - c1
        + c2 10.0.0.5
        c2 named celery w1@a
        c2 online processed=0
        ? c2 free
        elsewhere
        + c3 10.0.0.5
        c3 named celery w1@a
        c3 fetch q
        ? c3 free
    ",
    );
}

#[test]
fn standing_drains_mark_whoever_matches_without_the_journal() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d ip=10.0.0.0/24 standing reason=move
        elsewhere
        + c2 10.0.0.6
        ? c2 marked
        + c3 10.0.0.5
        ? c3 marked
        c3 named celery w1@a
        2s
        c3 beat active=1 processed=5
        ? @c3 sealed
    ",
    );
}
