//! Workers on the gate's own host: connections are told apart by the process that owns them.

use proto_tests::fleet_script::play;

/// A parent that does not fetch (a shell, a test runner) absorbs nobody.
#[test]
fn a_mere_parent_absorbs_nobody() {
    play(
        "
        + a1 local
        = a1 100:5 < 90:1
        + b1 local
        = b1 101:6 < 90:1
        a1 fetch q
        b1 fetch q
        ? workers 2
        drain d worker=python[[]100]*
        ? a1 marked
        ? b1 free
    ",
    );
}

#[test]
fn a_process_whose_client_comes_back_under_another_name_is_called_so() {
    play(
        "
        + a1 local
        = a1 100:5 < 90:1
        a1 client mail-1
        a1 fetch q
        - a1
        + a2 local
        a2 client mail-2
        = a2 100:5 < 90:1
        a2 fetch q
        ? workers 1
        ? mail-2 conns=1
        drain d mail-2
        ? a2 marked
        + a3 local
        a3 client mail-3
        = a3 100:5 < 90:1
        ? mail-2 conns=2                 # which it still has
    ",
    );
}

#[test]
fn children_of_a_process_that_fetches_belong_to_it() {
    play(
        "
        + a1 local
        = a1 100:5 < 90:1
        a1 fetch q
        + child local
        = child 110:9 < 100:5 < 90:1
        ? workers 1
        ? @a1 conns=2 learned
        drain d all
        ? child marked
    ",
    );
}

/// The child's connection came first; its jobs and its marks follow it.
#[test]
fn a_child_joins_when_its_parent_turns_out_to_fetch() {
    play(
        "
        + child local
        = child 110:9 < 100:5 < 90:1
        child client kid
        ? kid conns=1
        + a1 local
        = a1 100:5 < 90:1
        a1 named celery w1@a
        ? workers 1
        ? w1@a conns=2
        a1 gets t1 id=x
        child result x
        child requeue t1
        drain d w1@a
        ? w1@a drained exact
        ? child marked
    ",
    );
}

#[test]
fn the_id_of_a_joined_worker_stays_as_an_alias() {
    let mut script = play(
        "
        + child local
        = child 110:9 < 100:5
        child client kid
    ",
    );
    let kid = script.worker("kid").unwrap().id;
    script.play("+ a1 local\n = a1 100:5\n a1 named celery w1@a");
    assert_eq!(script.worker(&kid.0).unwrap().name, "w1@a");
    script.play(&format!("drain d {kid}\n ? child marked\n ? a1 marked"));
}

#[test]
fn a_process_that_fetches_itself_does_not_join_its_ancestor() {
    play(
        "
        + runner local
        = runner 90:1
        runner fetch q
        + a1 local
        a1 fetch q                       # before it is known whose it is
        = a1 100:5 < 90:1
        ? workers 2
        drain d ip=127.0.0.1
        ? drain d draining workers=2
    ",
    );
}

#[test]
fn a_reused_pid_is_another_worker() {
    play(
        "
        + a1 local
        = a1 100:5@1s
        a1 named celery w1@a
        a1 gets t1
        drain d w1@a
        - a1
        +1s
        + b1 local
        ? b1 marked                      # not known yet
        = b1 100:6@2s
        ? b1 free
        b1 named celery w1@a
        ? w1@a active
        ? drain d sealed workers=1
    ",
    );
}

/// The process is alive: whatever its pool does, it is the same incarnation.
#[test]
fn a_drained_process_that_reconnects_stays_marked() {
    play(
        "
        + a1 local
        = a1 100:5
        a1 fetch q
        drain d all
        a1 parked
        ? @a1 drained
        a1 nil
        - a1
        +1s
        + a2 local
        = a2 100:5
        ? a2 marked
        ? @a2 drained
    ",
    );
}

#[test]
fn an_unidentified_local_peer_is_its_address() {
    play("+ a1 local\n = a1 nobody\n a1 fetch q\n ? 127.0.0.1 address conns=1");
}

/// While it is not known whose a connection is, it may be the marked worker's: its fetches are held.
#[test]
fn a_pending_connection_is_held_while_a_drain_is_in_force() {
    play(
        "
        + a1 local
        = a1 100:5
        a1 client web
        a1 fetch q
        + x local                        # unmarked so far
        x fetch q
        drain d client=web
        a1 parked
        ? x marked
        ? @a1 draining blocked~looked_up
        x parked
        ? @a1 draining                   # it may have been given a job before it was held
        = x 200:6
        ? x free
        ? @a1 drained
        + y local
        ? y marked
        ? @a1 drained                    # held from its first byte on: it cannot break the seal
        = y 100:5
        ? y marked
        undrain d
        ? y free
        ? a1 free
    ",
    );
}

/// Drained by its own word: it had one job.
const DRAINED: &str = "
    + c1 local
    = c1 100:5
    c1 named celery w1@a
    c1 online processed=0
    c1 gets t1
    c1 ack t1
    drain d w1@a
    2s
    c1 beat active=0 processed=1
    ? w1@a drained reported
";

/// The script of a newcomer may have brought it a job: until it is known whose it is, that may be the drained worker. It
/// was not, so what the worker has said of itself holds.
#[test]
fn a_strange_newcomer_costs_no_report() {
    play(&format!(
        "{DRAINED}
        + x local
        x seeks by a script
        ? w1@a draining blocked~looked_up
        = x 200:6
        ? w1@a drained reported
        ? drain d drained"
    ));
    // nor does it call back who has gone, from whom no report will ever come
    play(&format!(
        "{DRAINED}
        - c1
        ? w1@a gone
        + x local
        x seeks by a script
        ? w1@a gone
        = x 200:6
        ? w1@a gone
        ? drain d drained
        +61s
        ? no notice lost w1@a
        ? drain d drained"
    ));
}

/// Nobody will ever know whose it was.
#[test]
fn a_newcomer_that_leaves_unknown_costs_the_report() {
    play(&format!(
        "{DRAINED}
        + x local
        x seeks by a script
        - x
        ? w1@a sealed unknown
        2s
        c1 beat active=0 processed=1
        2s
        c1 beat active=0 processed=1
        ? w1@a drained reported"
    ));
}

#[test]
fn a_job_that_came_while_the_process_was_unknown_is_in_its_ledger() {
    play(
        "
        + a1 local
        = a1 100:5
        a1 fetch q
        + x local
        x gets t1
        = x 100:5
        drain d all
        a1 parked
        ? @a1 sealed running=1
    ",
    );
}

/// The ack came on a second connection of the same process, and both were still being looked up.
#[test]
fn events_that_come_before_the_join_find_their_jobs() {
    play(
        "
        + c1 local
        + c2 local
        c1 is celery
        c2 is celery
        c1 gets t1 id=x
        c2 result x
        c2 ack t1
        = c2 100:5
        = c1 100:5
        c1 named celery w1@a
        c1 online processed=0
        drain d all
        ? w1@a sealed running=1
        2s
        c1 beat active=0 processed=1
        ? w1@a drained reported
    ",
    );
}

#[test]
fn a_process_older_than_the_gate_is_met_in_mid_life() {
    play(
        "
        + a1 local
        = a1 100:5@-2h
        a1 fetch q
        drain d all
        a1 parked
        ? @a1 sealed unknown blocked~mid-life
        ? drain d cannot-tell
    ",
    );
}

#[test]
fn an_ack_that_finds_no_job_when_its_process_turns_out_to_fetch_makes_it_doubtful() {
    play(
        "
        + c1 local
        = c1 100:5
        c1 is celery
        c1 ack ghost
        c1 named celery w1@a
        c1 online processed=0
        drain d all
        ? w1@a sealed unknown
    ",
    );
}

#[test]
fn names_of_one_process_are_said_to_be_of_one_process() {
    play(
        "
        + a1 local
        + a2 local
        = a1 100:5
        = a2 100:5
        a1 client reader
        a2 client writer
        a1 fetch q
        drain d client=reader ! reader and writer are connections of one process (pid 100)
    ",
    );
}

/// It crashed, and somebody has started it again: what it lost was lost before the drain.
#[test]
fn an_earlier_life_whose_process_has_ended_is_not_drained_with_the_next() {
    let crash = "
        + a1 local
        = a1 100:5@1s
        a1 named celery w1@a
        a1 online processed=0
        a1 gets t1
        - a1
        +1s
        + b1 local
        = b1 200:9@2s
        b1 named celery w1@a
        b1 online processed=0
    ";
    play(&format!(
        "{crash}
        over 100:5
        drain d worker=w1@*
        ? drain d drained workers=1
        +61s
        ? notice lost w1@a with task[t1]
        ? drain d drained workers=1"
    ));
    // who may still be alive may come back
    play(&format!("{crash}\n drain d w1@a\n ? drain d sealed workers=2"));
    // nobody else is there by that name: the loss is the answer
    play(
        "
        + a1 local
        = a1 100:5@1s
        a1 named celery w1@a
        a1 online processed=0
        a1 gets t1
        - a1
        over 100:5
        drain d w1@a
        +61s
        ? drain d lost",
    );
}
