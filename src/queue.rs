//! What queues are called, and which of them are paused: like [`crate::job`] words that gates and fleet share.
//!
//! The gate shows a queue by its key (`queue:default`, `rq:queue:mail`, `bull:video`); people say what their job system
//! says (`default`, `mail`, `video`). A pause may name either: the key means that queue alone, the short name the queue
//! of that name of every job system.

use crate::job::System;
use std::collections::BTreeSet;

/// Dramatiq's suffix of the queue in which jobs wait for their time: it follows its queue.
const DELAYED: &str = ".DQ";

/// What the job system itself calls a queue, if that is not what the gate shows.
pub fn short_name(queue: &str, system: System) -> Option<&str> {
    if matches!(system, System::Bull | System::Bullmq) {
        return queue.rsplit_once(':').map(|(_, name)| name).filter(|name| !name.is_empty());
    }
    if system == System::Laravel {
        let (_, name) = queue.split_once("queues:").filter(|(_, name)| !name.is_empty())?;
        // in braces where a cluster's keys must stay together
        return name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).or(Some(name));
    }
    if system == System::Asynq {
        return queue.strip_prefix("asynq:{").and_then(|name| name.strip_suffix('}')).filter(|name| !name.is_empty());
    }
    // Sidekiq, Resque and RQ, with a namespace in front or not
    let name = queue.strip_prefix("queue:").or_else(|| queue.split_once(":queue:").map(|(_, name)| name));
    name.or_else(|| queue.strip_suffix(DELAYED)).filter(|name| !name.is_empty())
}

/// Whether somebody who says `name` means this queue.
pub fn is_called(name: &str, queue: &str, system: System) -> bool {
    name == queue || short_name(queue, system) == Some(name)
}

/// The queues that are paused at one moment. Made anew with each change, and shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PausedQueues {
    number: u64,
    names: BTreeSet<String>,
}

impl PausedQueues {
    /// `number` rises with each change.
    pub fn new(number: u64, names: impl IntoIterator<Item = String>) -> PausedQueues {
        PausedQueues { number, names: names.into_iter().collect() }
    }

    /// Which set it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Nothing is paused.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many pauses are in force.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The pauses that hold this queue.
    pub fn over<'a>(&'a self, queue: &str, system: System) -> impl Iterator<Item = &'a str> {
        let short = short_name(queue, system).filter(|short| *short != queue);
        [Some(queue), short].into_iter().flatten().filter_map(|name| self.names.get(name)).map(String::as_str)
    }

    /// Whether any pause does.
    pub fn covers(&self, queue: &str, system: System) -> bool {
        self.over(queue, system).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_meant_by_its_key_and_by_what_its_job_system_says() {
        let unknown = System::Unknown;
        for (queue, system, short) in [
            ("queue:default", unknown, Some("default")),
            ("shop:queue:default", unknown, Some("default")),
            ("rq:queue:mail", unknown, Some("mail")),
            ("resque:queue:a:b", unknown, Some("a:b")),
            ("default.DQ", unknown, Some("default")),
            ("bull:video", System::Bullmq, Some("video")),
            ("bull:video", unknown, None),
            ("queues:default", System::Laravel, Some("default")),
            ("laravel_database_queues:{a:b}", System::Laravel, Some("a:b")),
            ("queues:default", unknown, None),
            ("asynq:{a:b}", System::Asynq, Some("a:b")),
            ("asynq:{}", System::Asynq, None),
            ("huey.redis.app", System::Huey, None),
            ("celery", System::Celery, None),
            ("queue:", unknown, None),
            (".DQ", unknown, None),
        ] {
            assert_eq!(short_name(queue, system), short, "{queue}");
            assert!(is_called(queue, queue, system));
            assert_eq!(short.is_some_and(|short| is_called(short, queue, system)), short.is_some());
        }
    }

    #[test]
    fn a_set_says_by_which_name_it_holds_a_queue() {
        let set = PausedQueues::new(7, ["default".to_owned(), "rq:queue:mail".to_owned()]);
        assert_eq!(set.over("queue:default", System::Sidekiq).collect::<Vec<_>>(), ["default"]);
        assert!(set.covers("default", System::Celery) && set.covers("rq:queue:mail", System::Rq));
        assert!(!set.covers("queue:mail", System::Sidekiq) && !set.covers("defaults", System::Celery));
        assert!(PausedQueues::default().is_empty() && set.number() == 7);
    }
}
