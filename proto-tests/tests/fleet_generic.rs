//! Job systems that the gate does not know: when the fetch pattern says something, and when nothing does.

use draingate::fleet::FleetSettings;
use globset::{Glob, GlobSet};
use proto_tests::fleet_script::{Script, play, play_with};

fn declared(text: &str) -> Script {
    let fetch = GlobSet::builder().add(Glob::new("jobs*").unwrap()).build().unwrap();
    play_with(FleetSettings { declared_fetch: fetch, ..FleetSettings::default() }, text)
}

#[test]
fn a_worker_that_never_got_a_job_is_exactly_idle() {
    play("+ c1 10.0.0.5\n c1 fetch jobs\n drain d all\n c1 parked\n ? 10.0.0.5 drained exact");
}

#[test]
fn an_undeclared_queue_is_unknown_from_the_first_delivery_on() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        drain d all
        ? 10.0.0.5 sealed unknown running=1
        c1 fetch jobs
        ? 10.0.0.5 sealed unknown running=0 blocked~not_known
        ? drain d sealed cannot-tell hint~[gate]
        1h
        ? 10.0.0.5 sealed unknown
    ",
    );
}

#[test]
fn threads_that_come_back_to_a_declared_queue_are_idle() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c1 gets j1 queue=jobs
        drain d all
        c2 parked
        ? 10.0.0.5 sealed running=1
        c1 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// The first thread got a job before the second one ever asked: the second's fetch is not the first's return.
#[test]
fn a_thread_that_asks_for_the_first_time_brings_nobody_back() {
    declared(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        + c2 10.0.0.5
        c2 fetch jobs
        drain d all
        c2 parked
        ? 10.0.0.5 sealed running=1
    ",
    );
}

#[test]
fn pooled_connections_swap_their_roles() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + c3 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c3 fetch jobs
        c3 nil
        +6s
        c3 fetch jobs
        c1 gets j1 queue=jobs
        c2 nil
        c2 fetch jobs
        drain d all
        c2 parked
        c3 parked
        ? 10.0.0.5 sealed running=1
        c2 nil
        c1 fetch jobs                    # might be the thread that was told nil
        c2 fetch jobs
        ? 10.0.0.5 drained
    ",
    );
}

#[test]
fn a_poll_never_shows_that_a_job_is_over() {
    declared(
        "
        + c1 10.0.0.5
        c1 poll jobs
        c1 gets j1 queue=jobs
        drain d all
        c1 poll jobs
        ? 10.0.0.5 sealed unknown blocked~polls
    ",
    );
}

#[test]
fn a_thread_that_does_not_come_back_is_not_idle() {
    declared(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch jobs
        c2 fetch jobs
        c1 gets j1 queue=jobs
        c1 fetch jobs
        drain d all
        c1 parked
        c2 parked
        ? 10.0.0.5 drained inferred
        c2 failed
        ? 10.0.0.5 sealed unknown blocked~1_of_2
    ",
    );
}

#[test]
fn a_worker_that_leaves_after_coming_back_is_gone_not_lost() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        c1 fetch jobs
        - c1
        ? 10.0.0.5 gone
        61s
        ? no notice lost
    ",
    );
}

#[test]
fn an_unknown_worker_that_leaves_while_marked_is_lost() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1
        c1 fetch q
        drain d all
        c1 parked
        - c1
        ? drain d sealed
        61s
        ? drain d lost over
        ? notice lost 10.0.0.5
    ",
    );
}

/// Rule 6 for who is known by an address only: early after the gate's start nobody knows what was before.
#[test]
fn an_address_seen_right_after_the_start_is_not_known_to_be_whole() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        10s
        + c1 10.0.0.5
        c1 fetch q
        + s1 10.0.0.6
        s1 named sidekiq host:1:aaaa
        s1 sidekiq c=1 busy=0
        s1 fetch q
        + w1 10.0.0.7
        w1 named celery w1@a
        w1 online processed=0
        drain d all
        c1 parked
        s1 parked
        ? 10.0.0.5 sealed unknown
        ? host:1:aaaa drained inferred   # needs no past
        ? w1@a drained exact             # has proved it by its count
        61s
        + c2 10.0.0.8
        c2 fetch q
        ? 10.0.0.8 active exact
    ",
    );
}

#[test]
fn a_process_younger_than_the_gate_is_whole_whatever_its_tag() {
    let mut script = Script::new(FleetSettings::default(), proto_tests::fleet_script::ZERO);
    script.play(
        "
        10s
        + c1 local
        c1 tag blue
        = c1 100:5@9s
        c1 fetch q
        ? blue active exact
    ",
    );
}

#[test]
fn a_worker_back_from_being_lost_is_not_whole() {
    play(
        "
        + c1 10.0.0.5
        c1 gets j1
        - c1
        61s
        ? 10.0.0.5 lost
        + c2 10.0.0.5
        c2 fetch q
        ? @c2 active unknown
    ",
    );
}

// ── what stands in the way of a seal ──

#[test]
fn a_way_to_get_jobs_that_is_not_refused_stands_in_the_way() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 blocked a pop inside MULTI
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~a_pop_inside_MULTI
        - c2
        ? 10.0.0.5 sealed unknown        # what came that way nobody knows
    ",
    );
}

#[test]
fn a_consumer_that_must_not_be_stopped_stands_in_the_way_while_it_is_there() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 bound its consumer of r
        c2 bound its consumer of s
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~its_consumer_of_r
        c2 unbound its consumer of r
        ? 10.0.0.5 draining blocked~its_consumer_of_s
        - c2
        ? 10.0.0.5 drained exact
        + c3 10.0.0.5
        c3 bound its consumer of r
        ? 10.0.0.5 draining
        c3 unbound its consumer of r
        c3 unbound its consumer of r
        ? 10.0.0.5 drained exact
    ",
    );
}

#[test]
fn a_blind_pipe_stands_in_the_way() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        c2 opaque
        drain d all
        c1 parked
        ? 10.0.0.5 draining blocked~blind_pipe
        - c2 gate
        ? 10.0.0.5 sealed unknown
    ",
    );
}

#[test]
fn a_poll_at_the_broker_stands_in_the_way_of_the_seal() {
    play("+ c1 10.0.0.5\n c1 poll q\n drain d all\n ? 10.0.0.5 draining\n c1 nil\n ? 10.0.0.5 drained exact");
}

#[test]
fn a_mark_that_the_gate_has_not_taken_over_stands_in_the_way() {
    let settings = FleetSettings { confirm_marks: true, ..FleetSettings::default() };
    play_with(
        settings,
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 draining
        c1 seen
        ? 10.0.0.5 draining
        c2 seen
        ? 10.0.0.5 drained
        + c3 10.0.0.5
        ? 10.0.0.5 draining              # born marked, but its gate does not know yet
        c3 seen
        ? 10.0.0.5 drained
    ",
    );
}

#[test]
fn a_fetch_forwarded_behind_the_seal_opens_it_again() {
    play(
        "
        + c1 10.0.0.5
        c1 fetch q
        drain d all
        c1 parked
        ? 10.0.0.5 drained
        + c2 10.0.0.5
        c2 fetch! q
        ? 10.0.0.5 draining
        ? notice 10.0.0.5 drained -> draining
    ",
    );
}

/// Cut in mid-job, it finishes its job and comes back on a new connection.
#[test]
fn a_thread_whose_connection_was_cut_comes_back_on_another() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        - c1 broker
        drain d all
        ? 10.0.0.5 sealed running=1
        + c2 10.0.0.5
        c2 fetch jobs
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// A poller whose keys nobody declared is not refused: it can neither be sealed nor judged.
#[test]
fn what_takes_jobs_without_a_fetch_is_never_drained() {
    play(
        "
        + c1 10.0.0.5
        c1 client poller
        c1 unrefused it polls
        drain d all
        ? poller draining unknown blocked~it_polls
        ? drain d draining cannot-tell hint~[gate]
        1h
        ? poller draining unknown
        - c1
        + c2 10.0.0.5
        c2 client poller
        ? poller sealed unknown blocked~without_a_fetch
    ",
    );
}

/// A pop of a running job's own, on a connection whose process is not known yet.
#[test]
fn a_known_systems_own_pops_stand_in_nobodys_way() {
    play(
        "
        + c1 10.0.0.5
        c1 named celery w1@a
        c1 fetch celery
        + c2 10.0.0.5 local
        c2 unrefused its semaphore
        drain d w1@a
        c1 parked
        = c2 nobody
        ? w1@a drained exact
    ",
    );
}

/// What came before the system was known may have been a job of it.
#[test]
fn what_was_taken_before_the_system_was_known_is_not_forgotten() {
    play(
        "
        + c1 10.0.0.5
        c1 unrefused LMOVE
        c1 named sidekiq a:1:b
        c1 fetch queue:default
        drain d all
        c1 parked
        ? a:1:b sealed unknown
    ",
    );
}

/// The operator has said where its jobs are: what it pops elsewhere is none.
#[test]
fn a_consumer_of_declared_queues_may_pop_elsewhere() {
    declared(
        "
        + c1 10.0.0.5
        c1 gets j1 queue=jobs
        c1 unrefused its semaphore
        c1 fetch jobs
        drain d all
        c1 parked
        ? 10.0.0.5 drained inferred
    ",
    );
}

/// Closed by the client itself in mid-job: killed, and restarted in its place?
#[test]
fn a_thread_whose_client_went_away_in_mid_job_does_not_come_back() {
    declared(
        "
        + c1 10.0.0.5
        c1 fetch jobs
        c1 gets j1 queue=jobs
        drain d all
        - c1
        + c2 10.0.0.5
        c2 fetch jobs
        ? 10.0.0.5 sealed running=1
        c2 nil
        c2 fetch jobs
        ? 10.0.0.5 sealed running=1
    ",
    );
}

/// Nobody has said what its lists hold: `all` must not pass over it.
#[test]
fn a_nameless_client_that_polls_is_listed_and_never_drained() {
    let script = play(
        "
        + c1 10.0.0.5
        c1 unrefused it polls
        + c2 10.0.0.6
        c2 scripts a lock's token      # most scripts have nothing to do with jobs
        drain d all
        ? 10.0.0.5 draining unknown blocked~polls
        ? drain d draining
        1h
        ? 10.0.0.5 draining
    ",
    );
    let listed = script.fleet.workers(script.now(), None, false).expect("a list");
    assert_eq!(listed.len(), 1, "{listed:?}");
}

/// Huey's threads fetch only when they are done, so no queue has to be declared; what its scheduler takes is no thread's.
#[test]
fn a_huey_consumer_is_idle_when_its_threads_are_back() {
    play(
        "
        + c1 10.0.0.5
        + c2 10.0.0.5
        + c3 10.0.0.5
        c1 is huey
        c1 fetch q
        c2 fetch q
        c3 taken t1
        c1 gets j1
        c3 pushed
        drain d all
        c2 parked
        ? 10.0.0.5 sealed running=1
        c1 fetch q
        ? 10.0.0.5 drained inferred
    ",
    );
    // one that polls shows nothing
    play(
        "+ c1 10.0.0.5\n c1 is huey\n c1 poll q\n c1 gets j1\n c1 poll q\n c1 nil\n drain d all\n ? 10.0.0.5 sealed unknown",
    );
}
