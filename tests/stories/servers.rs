//! The newer servers: Redis 8 and Valkey, with clients that speak RESP3 (Celery with redis-py 8, Sidekiq 8).

use crate::support::World;
use crate::support::celery::Celery;
use crate::support::redis::Server;
use crate::support::rounds_or;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{Load, System, drain_and_kill};

fn story(server: Server, system: &dyn System) {
    drain_and_kill(&World::on(server), system, Load::default(), rounds_or(1));
}

#[test]
fn celery_on_redis_8() {
    story(Server::Redis8, &Celery::default());
}

#[test]
fn celery_on_valkey_8() {
    story(Server::Valkey8, &Celery { late: true, ..Celery::default() });
}

#[test]
fn sidekiq_on_redis_8() {
    story(Server::Redis8, &Sidekiq::new(8));
}

#[test]
fn sidekiq_on_valkey_8() {
    story(Server::Valkey8, &Sidekiq::new(7));
}
