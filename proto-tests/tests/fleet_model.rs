//! The promise of the product against a model: worlds of simulated workers whose truth is known, with bytes under way on
//! every connection. Whatever happens, `drained` must never be said while a job is in flight; and once all is done, it
//! must be said.

mod world;

use draingate::fleet::view::WorkerState;
use draingate::job::Millis;
use proptest::prelude::*;
use world::USUAL;
use world::celery::{self, Celery, Speaks};
use world::sidekiq::{self, Sidekiq};

/// So many cases; `PROPTEST_CASES` asks for more.
fn cases(n: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(n), failure_persistence: None, ..ProptestConfig::default() }
}

fn celery_job() -> impl Strategy<Value = celery::Task> {
    let eta = prop_oneof![3 => Just(None), 1 => (500_u64..8_000).prop_map(Some)];
    (0_u64..12_000, 1_u64..5_000, any::<bool>(), eta).prop_map(|(at, lasts, late, eta)| celery::Task {
        at,
        lasts,
        late,
        eta,
    })
}

fn sidekiq_job() -> impl Strategy<Value = sidekiq::Task> {
    (0_u64..15_000, 1_u64..7_000).prop_map(|(at, lasts)| sidekiq::Task { at, lasts })
}

/// Of the first things that are sent, each by itself: the ways stand still now and then, and what was sent before comes later
/// than what went another way.
fn latencies(longest: Millis) -> impl Strategy<Value = Vec<Millis>> {
    let latency = prop_oneof![7 => 0..USUAL, 1 => USUAL..900_u64, 1 => 900_u64..longest];
    prop::collection::vec(latency, 1..120)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn celery_is_never_drained_with_a_job_in_flight_and_always_in_the_end(
        tasks in prop::collection::vec(celery_job(), 0..12),
        latencies in latencies(9_000),
        slots in 1_usize..4,
        drain_at in 0_u64..14_000,
        restart_at in prop_oneof![3 => Just(None), 1 => (1_000_u64..16_000).prop_map(Some)],
        speaks in prop_oneof![Just(Speaks::Heartbeats), Just(Speaks::Answers), Just(Speaks::Both)],
    ) {
        // what is under way when the gate dies is lost, and arrives in this world: it must not be much
        let latencies = latencies.into_iter().map(|l| if restart_at.is_some() { l % 900 } else { l }).collect();
        let mut world = Celery::new(tasks, latencies, slots, speaks);
        world.run(drain_at, restart_at, 90_000)?;
        prop_assert_eq!(world.state(), Some(WorkerState::Drained), "{}", world.story());
    }

    #[test]
    fn sidekiq_is_never_drained_with_a_job_in_flight_and_always_in_the_end(
        tasks in prop::collection::vec(sidekiq_job(), 0..12),
        latencies in latencies(3_000),
        threads in 1_usize..5,
        drain_at in 0_u64..14_000,
        errors in prop::collection::vec(0_u8..30, 1..30),
        quiet_at in prop_oneof![3 => Just(None), 1 => (1_000_u64..20_000).prop_map(Some)],
    ) {
        let mut world = Sidekiq::new(tasks, latencies, threads, errors, quiet_at);
        world.run(drain_at, 120_000)?;
        prop_assert_eq!(world.state(), Some(WorkerState::Drained), "{}", world.story());
    }
}
