//! The hub with a real fleet and a real store.

use super::*;
use crate::config::StateConfig;
use crate::fleet::{Process, Ttl};
use crate::job::{Job, JobEvent, JobKey, Outcome, Place, Protocol, System};
use std::path::Path;
use std::sync::atomic::AtomicU16;

fn open(dir: &Path) -> Arc<Hub> {
    let (store, saved) = Store::open(&StateConfig::in_dir(dir), false).expect("opened");
    Hub::open(FleetSettings::default(), store, saved).expect("opened")
}

/// A worker on another host that has asked for a job.
fn worker(hub: &Hub, ip: [u8; 4]) -> (ConnId, Arc<Handle>) {
    worker_on(Protocol::Redis, hub, ip)
}

fn worker_on(protocol: Protocol, hub: &Hub, ip: [u8; 4]) -> (ConnId, Arc<Handle>) {
    static PORT: AtomicU16 = AtomicU16::new(1);
    let (conn, handle) = hub.connect(Peer {
        listener: protocol.as_str().into(),
        listener_is_identity: false,
        protocol,
        ip: ip.into(),
        port: PORT.fetch_add(1, Ordering::Relaxed),
        local: false,
    });
    let asked = JobEvent::FetchAsked { place: Place::Broker, queues: ["jobs".into()].into(), blocking: true };
    hub.with_fleet(|fleet, now| fleet.event(now, conn, asked));
    (conn, handle)
}

fn request(selector: &str, ttl: Millis) -> DrainRequest {
    DrainRequest {
        selector: vec![selector.into()],
        name: Some("d".into()),
        ttl: Ttl::For(ttl),
        ..DrainRequest::default()
    }
}

#[test]
fn an_answered_drain_is_on_the_connection_and_outlives_the_gate() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    let (_, other) = worker(&hub, [10, 0, 0, 2]);
    assert!(hub.drain(&request("ip=10.0.0.1", 3_600_000)).expect("made").created);
    assert!(handle.flags().marked() && !other.flags().marked());

    drop(hub);
    let hub = open(dir.path());
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    let (_, other) = worker(&hub, [10, 0, 0, 2]);
    assert!(handle.flags().marked() && !other.flags().marked());
    assert!(hub.undrain("d").expect("saved"));
    assert!(!handle.flags().marked());
    assert!(!hub.undrain("d").expect("nothing to save"));

    drop(hub);
    let hub = open(dir.path());
    assert!(!worker(&hub, [10, 0, 0, 1]).1.flags().marked());
}

#[test]
fn a_drain_that_matches_nothing_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let refused = hub.drain(&request("ip=10.0.0.1", 1)).expect_err("nobody is there");
    assert!(matches!(refused, HubError::Refused(DrainError::NothingMatched(_))), "{refused}");
    assert!(!dir.path().join("drains").exists());
}

#[test]
fn a_drain_that_cannot_be_saved_is_not_in_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let hub = open(&state);
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    std::fs::rename(&state, dir.path().join("away")).expect("renamed");
    let refused = hub.drain(&request("ip=10.0.0.1", 3_600_000)).expect_err("it cannot be saved");
    assert!(matches!(refused, HubError::Store(_)), "{refused}");
    assert!(!handle.flags().marked());
    // jobs go on
    worker(&hub, [10, 0, 0, 2]);
    std::fs::rename(dir.path().join("away"), &state).expect("renamed");
    hub.drain(&request("ip=10.0.0.1", 3_600_000)).expect("it can be saved again");
    assert!(handle.flags().marked());
}

#[tokio::test(start_paused = true)]
async fn an_expired_drain_ends_by_itself_and_stays_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let chores = tokio::spawn(hub.clone().chores());
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    let mut changes = hub.changes();
    hub.drain(&request("ip=10.0.0.1", 90_000)).expect("made");
    let saved = std::fs::read_to_string(dir.path().join("drains")).expect("there");
    let begun = hub.now();
    while handle.flags().marked() {
        changes.changed().await.expect("the hub lives");
    }
    assert!((90_000..90_020).contains(&(hub.now() - begun)), "{} ms", hub.now() - begun);
    let ended = async {
        while std::fs::read_to_string(dir.path().join("drains")).expect("there") == saved {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("saved");
    chores.abort();
    let _ = chores.await;
    drop(hub);
    assert!(!worker(&open(dir.path()), [10, 0, 0, 1]).1.flags().marked());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_is_saved_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let hub = open(&state);
    let chores = tokio::spawn(hub.clone().chores());
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    hub.drain(&request("ip=10.0.0.1", 3_600_000)).expect("made");
    std::fs::rename(&state, dir.path().join("away")).expect("renamed");
    hub.undrain("d").expect_err("a restarted gate would mark again");
    assert!(!handle.flags().marked(), "it is lifted all the same");
    tokio::time::sleep(Duration::from_secs(60)).await;
    std::fs::rename(dir.path().join("away"), &state).expect("renamed");
    let file = state.join("drains");
    let before = std::fs::read_to_string(&file).expect("there");
    let saved = async {
        while std::fs::read_to_string(&file).expect("there") == before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), saved).await.expect("tried again");
    chores.abort();
}

/// That a job has come is written before the worker hears of it; what becomes of it comes with the next line, or soon.
#[tokio::test(start_paused = true)]
async fn what_a_job_became_is_written_a_little_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let (conn, _) = worker(&hub, [10, 0, 0, 1]);
    let tell = |event| hub.with_fleet(|fleet, now| fleet.event(now, conn, event));
    let key = |number| JobKey::Text(format!("job {number}"));
    let come = |number| {
        let (key, queue) = (key(number), "jobs".into());
        tell(JobEvent::Delivered(Job { key, id: String::new(), name: String::new(), queue, eta: None }));
    };
    let gone = |number| tell(JobEvent::Ended { key: key(number), outcome: Outcome::Finished });
    let journal = || std::fs::read_to_string(dir.path().join("journal")).expect("there");
    let written = || -> String {
        let journal = journal();
        let letters = journal.lines().filter_map(|line| line.split_once('\t').map(|(letter, _)| letter));
        letters.filter(|letter| ["D", "A", "E"].contains(letter)).collect()
    };
    come(1);
    assert_eq!(written(), "D");
    gone(1);
    assert_eq!(written(), "D");
    come(2);
    assert_eq!(written(), "DED");
    tell(JobEvent::Acked(key(2)));
    assert_eq!(written(), "DED");

    let chores = tokio::spawn(hub.clone().chores());
    gone(2);
    assert_eq!(written(), "DED");
    let soon = async {
        while written() != "DEDAE" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_millis(30), soon).await.expect("written without another line");
    chores.abort();

    // a journal that is written anew says all that waited
    come(3);
    gone(3);
    hub.rewrite_journal().expect("written");
    assert_eq!(written(), "");
    hub.write_journal();
    assert_eq!(written(), "");
    come(4);
    gone(4);
    hub.write_journal();
    assert_eq!(written(), "DE");
}

/// RabbitMQ takes a job back that was delivered and not acknowledged: only what is acknowledged before it is done is
/// written.
#[test]
fn what_the_broker_takes_back_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let (conn, _) = worker_on(Protocol::Amqp, &hub, [10, 0, 0, 1]);
    let tell = |event| hub.with_fleet(|fleet, now| fleet.event(now, conn, event));
    tell(JobEvent::Recognised(System::Celery));
    let key = |tag| JobKey::Delivery { seed: 1, channel: 1, tag };
    let come = |tag| {
        let queue = "jobs".into();
        tell(JobEvent::Delivered(Job { key: key(tag), id: String::new(), name: String::new(), queue, eta: None }));
    };
    let written = || -> String {
        let journal = std::fs::read_to_string(dir.path().join("journal")).expect("there");
        let letters = journal.lines().filter_map(|line| line.split_once('\t').map(|(letter, _)| letter));
        letters.filter(|letter| ["D", "A", "E"].contains(letter)).collect()
    };
    come(1);
    tell(JobEvent::Ended { key: key(1), outcome: Outcome::Requeued });
    come(2);
    hub.write_journal();
    assert_eq!(written(), "");
    tell(JobEvent::Acked(key(2)));
    hub.write_journal();
    assert_eq!(written(), "D");
    come(3);
    tell(JobEvent::Ended { key: key(2), outcome: Outcome::Finished });
    hub.write_journal();
    assert_eq!(written(), "DE");
}

#[test]
fn a_state_that_makes_no_sense_is_refused() {
    for (name, content) in [("drains", "nonsense\n"), ("journal", "draingate journal 1\nnonsense\nmore\n")] {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(name), content).expect("written");
        let (store, saved) = Store::open(&StateConfig::in_dir(dir.path()), false).expect("the files are text");
        let error = Hub::open(FleetSettings::default(), store, saved).err().expect("refused").to_string();
        assert!(error.contains(name) && error.contains("--ignore-state") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_look_does_not_count_as_a_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let mut changes = hub.changes();
    hub.look(|fleet, now| fleet.drains(now));
    assert!(!changes.has_changed().expect("the hub lives"));
    let (conn, _) = worker(&hub, [10, 0, 0, 1]);
    assert!(changes.has_changed().expect("the hub lives"));
    changes.mark_unchanged();
    hub.disconnect(conn, ClosedBy::Client);
    assert!(changes.has_changed().expect("the hub lives"));
    assert_eq!(hub.connections(), 0);
}

fn pause(queue: &str) -> PauseRequest {
    PauseRequest { queue: queue.into(), ttl: Ttl::For(90_000), reason: None }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_with_every_connection_outlives_the_gate_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let (_, before) = worker(&hub, [10, 0, 0, 1]);
    assert!(hub.pause(&pause("jobs")).expect("made").created);
    let (_, behind) = worker(&hub, [10, 0, 0, 2]);
    for handle in [&before, &behind] {
        assert!(handle.flags().pauses() == 1 && handle.paused().covers("jobs", Default::default()));
    }
    assert!(!hub.pause(&pause("jobs")).expect("renewed").created);

    drop(hub);
    let hub = open(dir.path());
    let chores = tokio::spawn(hub.clone().chores());
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    assert!(handle.paused().covers("jobs", Default::default()));
    let mut changes = hub.changes();
    while !handle.paused().is_empty() {
        changes.changed().await.expect("the hub lives");
    }
    assert!(!hub.resume("jobs").expect("nothing to save"));
    chores.abort();
}

#[test]
fn a_pause_that_cannot_be_saved_is_not_in_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let hub = open(&state);
    let (_, handle) = worker(&hub, [10, 0, 0, 1]);
    hub.pause(&pause("mail")).expect("saved");
    std::fs::rename(&state, dir.path().join("away")).expect("renamed");
    let refused = hub.pause(&pause("queue:mail")).expect_err("it cannot be saved");
    assert!(matches!(refused, HubError::Store(_)), "{refused}");
    let set = handle.paused();
    assert!(set.covers("mail", Default::default()), "the other one stays");
    assert_eq!(set.len(), 1);
    std::fs::rename(dir.path().join("away"), &state).expect("renamed");
    assert!(hub.resume("mail").expect("saved") && handle.paused().is_empty());
}

/// A thread with connections must not stand still because somebody looks at thousands of workers.
#[test]
fn what_connections_tell_is_put_off_while_somebody_has_the_fleet_for_long() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    let (conn, _) = worker(&hub, [10, 0, 0, 1]);
    let tell = hub.teller();
    let mut facts = vec![(conn, JobEvent::ClientNamed("w".into()))];
    hub.look(|_, _| assert!(!tell(&mut facts, false)));
    assert_eq!(facts.len(), 1, "they are left");
    assert!(tell(&mut facts, false) && facts.is_empty());
    assert_eq!(hub.look(|fleet, now| fleet.workers(now, Some("client=w"), false)).expect("it is known").len(), 1);
}

/// A fetch that waits would be let through in between.
#[test]
fn a_newcomers_mark_is_not_lifted_for_a_moment_when_its_process_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = open(dir.path());
    hub.drain(&DrainRequest { standing: true, allow_empty: true, ..request("all", 3_600_000) }).expect("made");
    let (ip, listener) = ([127, 0, 0, 1].into(), "redis".into());
    let peer = Peer { listener, listener_is_identity: false, protocol: Protocol::Redis, ip, port: 1, local: true };
    let (conn, handle) = hub.connect(peer);
    assert!(handle.flags().marked());
    let process = Process { pid: 77, started: 1, started_at: 0 };
    let effects = hub.with_fleet(|fleet, now| {
        fleet.identified(now, conn, &[process], None);
        fleet.take_effects()
    });
    let marks: Vec<&Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Mark(..))).collect();
    assert!(marks.is_empty(), "{marks:?}");
}
