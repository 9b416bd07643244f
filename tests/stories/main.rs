//! Real workers, a real broker, the real binary: what draingate promises, seen from outside. Needs what `make setup`
//! installs. `DRAINGATE_ROUNDS=200` tells each story two hundred times, `DRAINGATE_SEED` repeats one.

#[path = "../support/mod.rs"]
mod support;

mod arq;
mod asked;
mod asynq;
mod bull;
mod celery;
mod celery_rabbitmq;
mod cli;
mod clients;
mod crowd;
mod drains;
mod dramatiq_redis;
mod failures;
mod huey;
mod laravel;
mod loops;
mod pauses;
mod pipelines;
mod quiet;
mod rabbitmq;
mod rabbitmq_accounts;
mod rabbitmq_bad_input;
mod rabbitmq_kinds;
mod rabbitmq_queues;
mod rabbitmq_restarts;
mod rabbitmq_users;
mod rabbitmq_written;
mod recorder;
mod recovery;
mod resque;
mod rq;
mod sentinel;
mod servers;
mod settings;
mod sidekiq;
mod signals;
mod slow;
mod symfony;
mod taskiq_redis;
mod vanish;
mod without_gate;
