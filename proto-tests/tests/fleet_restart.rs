//! What survives a restart of the gate, and what it then knows: everything met again is adopted.

use proto_tests::fleet_script::play;

#[test]
fn marks_survive_and_jobs_count_until_the_worker_answers() {
    play(
        "
        + c1 10.0.0.5
        + c4 10.0.0.5
        c4 named celery w1@a
        c4 online processed=0
        c1 gets t1 id=x
        c1 gets t2 eta=+2h
        drain d w1@a ttl=1h
        10s
        restart
        ? w1@a sealed prefetched=1 delayed=1
        ? drain d sealed workers=1
        11s
        + c5 10.0.0.5
        ? c5 marked
        + c6 10.0.0.5
        c6 named celery w1@a
        12s
        c6 beat active=0 processed=1
        ? w1@a sealed unknown blocked~restarted
        14s
        c6 beat active=0 processed=1
        ? w1@a drained reported prefetched=0 delayed=1
        61m
        ? c5 free
        ? drain d expired over
    ",
    );
}

#[test]
fn the_id_is_the_same_after_a_restart() {
    let mut script = play("+ c1 10.0.0.5\n c1 named celery w1@a\n c1 gets t1");
    let before = script.worker("w1@a").unwrap().id;
    script.play("restart\n + c2 10.0.0.5\n c2 named celery w1@a");
    assert_eq!(script.worker("@c2").unwrap().id, before);
    assert!(before.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{before}");
}

#[test]
fn a_second_incarnation_keeps_its_own_id_over_a_restart() {
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
    ",
    );
    let second = script.worker("@c2").unwrap().id;
    assert!(second.0.ends_with("-2"), "{second}");
    script.play("restart\n + c3 10.0.0.5\n c3 fetch q\n ? c3 free");
    assert_eq!(script.worker("@c3").unwrap().id, second);
}

#[test]
fn a_worker_that_was_drained_and_never_came_back_is_gone_not_lost() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        ? w1@a drained
        restart
        ? w1@a gone
        ? drain d drained
        61s
        ? drain d drained over
        ? no notice lost
    ",
    );
}

#[test]
fn a_worker_with_jobs_that_never_came_back_is_lost() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        c1 gets t1 task=mail
        drain d w1@a
        restart
        59s
        ? drain d sealed
        61s
        ? drain d lost over
        ? notice lost w1@a with mail[t1]
    ",
    );
}

/// Drained is proved anew: what was known before the gap is void once the worker is back.
#[test]
fn a_drained_worker_that_comes_back_after_a_restart_proves_it_again() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 online processed=0
        drain d w1@a
        restart
        + c2 10.0.0.5
        ? c2 marked
        ? w1@a sealed unknown
        c2 named celery w1@a
        2s
        c2 beat active=0 processed=0
        ? w1@a sealed unknown
        4s
        c2 beat active=0 processed=0
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_sidekiq_process_proves_itself_by_its_name_and_a_full_set_of_fetches() {
    play(
        "
        + s1 10.0.0.7
        s1 named sidekiq host:1:aaaa
        s1 sidekiq c=2 busy=1
        s1 gets j1
        drain d all
        restart
        ? host:1:aaaa sealed running=1
        +1s
        + s2 10.0.0.7
        + s3 10.0.0.7
        s2 fetch q
        s3 fetch q
        ? host:1:aaaa sealed unknown     # its successor?
        s2 named sidekiq host:1:aaaa
        ? host:1:aaaa drained inferred
    ",
    );
}

/// Killed while the gate was away, and restarted in its place.
#[test]
fn a_successor_under_the_same_address_does_not_end_the_old_ones_jobs() {
    play(
        "
        + s1 10.0.0.7
        s1 named sidekiq host:1:aaaa
        s1 sidekiq c=1 busy=1
        s1 gets j1
        drain d all
        restart
        +1s
        + s2 10.0.0.7
        s2 fetch q
        s2 named sidekiq host:1:bbbb
        s2 sidekiq c=1 busy=0
        ? @s2 sealed
        31s
        s2 named sidekiq host:1:bbbb
        s2 sidekiq c=1 busy=0
        ? s2 free
        ? @s2 active
        ? drain d sealed
    ",
    );
}

#[test]
fn a_local_process_is_known_again_by_pid_and_start() {
    play(
        "
        + c1 local
        = c1 100:5@1s
        c1 named celery w1@a
        c1 gets t1
        drain d w1@a
        10s
        restart
        + c2 local
        ? c2 marked                      # not known yet
        = c2 100:5@1s
        ? c2 marked
        ? w1@a sealed prefetched=1 conns=1
        + c3 local
        = c3 200:6@11s
        ? c3 free
    ",
    );
}

/// It says that its job is over on a new connection, before it is known whose that is.
#[test]
fn what_a_process_says_before_it_is_known_counts() {
    let begin = "
        + c1 local
        = c1 100:7@0s
        c1 born rq w1
        c1 fetch q
        c1 gets j1
        restart
        drain d all
        1s
        + c2 local
        c2 idle";
    let end = "
        9s
        = c2 100:7@0s";
    play(&format!("{begin}{end}\n ? w1 drained exact running=0"));
    play(&format!("{begin}\n c2 delivers j2{end}\n ? w1 sealed unknown running=2\n c2 idle\n ? w1 drained exact"));
    // and asks for its next job, which is held
    play(&format!("{begin}\n c2 held q{end}\n ? w1 drained exact running=0"));
    play(&format!("{begin}\n - c2\n + c3 local\n{}\n ? w1 sealed unknown running=1", end.replace("c2", "c3")));
}

/// Laravel's workers go on after a cut, and what they had in hand they say nothing of: not before their next life.
#[test]
fn a_worker_of_laravels_is_unknown_until_it_is_restarted() {
    play(
        "
        + c1 local
        = c1 100:7@0s
        c1 is laravel
        c1 poll q
        c1 gets a:1
        restart
        1s
        + c2 local
        = c2 100:7@0s
        c2 is laravel
        drain d all
        c2 poll q
        c2 nil
        c2 end a:1
        c2 poll q
        c2 nil
        ? @c2 sealed unknown running=0 blocked~restarted
        2m
        ? @c2 sealed unknown
        - c2
        + c3 local
        = c3 200:7@60s
        c3 is laravel
        c3 poll q
        c3 gets b:1
        drain e all
        ? @c3 sealed running=1
        c3 end b:1
        ? @c3 drained exact
    ",
    );
}

#[test]
fn a_local_process_from_before_a_restart_that_nobody_wrote_down_is_met_in_mid_life() {
    play(
        "
        10s
        restart
        + c1 local
        = c1 100:5@1s
        c1 fetch q
        drain d all
        c1 parked
        ? @c1 sealed unknown blocked~mid-life
    ",
    );
}

/// A worker that was known by its pops alone is one still: what it may have taken is not known.
#[test]
fn a_worker_that_only_pops_is_remembered() {
    play(
        "
        + c1 10.0.0.5
        +12s
        c1 unrefused x
        drain d all
        ? drain d draining
        restart
        ? drain d draining
        ",
    );
}

/// The last of its threads came back on a connection whose process was still being looked up.
#[test]
fn what_a_drained_process_had_in_hand_is_over_for_the_next_gate_too() {
    play(
        "
        + c1 local
        = c1 100:5
        c1 named sidekiq host:100:aaaa
        c1 sidekiq c=1 busy=0
        c1 gets j1
        drain d all
        ? host:100:aaaa sealed running=1
        + c2 local
        c2 held default
        = c2 100:5
        +15s                             # a new connection: could c1's fetch have been given up?
        ? host:100:aaaa drained inferred
        - c1
        - c2
        ? host:100:aaaa gone inferred
        restart
        ? host:100:aaaa gone inferred
        ? drain d drained
        +61s
        ? no notice lost host:100:aaaa
    ",
    );
}
