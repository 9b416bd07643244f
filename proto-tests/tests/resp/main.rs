//! The RESP gate against byte scripts and properties.

#[path = "../support/mod.rs"]
mod support;

mod arq;
mod ask;
mod asynq;
mod bounds;
mod bull;
mod celery;
mod dramatiq;
mod footing;
mod framing;
mod generic;
mod huey;
mod identity;
mod laravel;
mod lists;
mod mode;
mod pauses;
mod pauses_of_systems;
mod pops;
mod put_back;
mod resque;
mod rq;
mod sidekiq;
mod silent;
mod slices;
mod symfony;
mod taskiq;
mod transparent;
mod walk;
mod world;
