//! What workers of the different job systems say about themselves, in their own words.

use super::{JobKey, Millis};

/// What a worker says about itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Celery's `worker-heartbeat`, and its `worker-online` and `worker-offline`, which say the same.
    Celery {
        /// Process id of the worker's main process, as it sees itself.
        pid: Option<u32>,
        /// Tasks being executed when it was composed; prefetched and ETA tasks are not counted.
        active: Option<u32>,
        /// Tasks accepted by the pool since the worker's start.
        processed: Option<u64>,
        /// When it was composed, by the worker's own clock.
        timestamp: Option<Millis>,
        /// The heartbeat's period (2,000 by default).
        period: Option<Millis>,
    },
    /// Sidekiq's heartbeat (every 5 s in 6.x, every 10 s in 7 and 8).
    Sidekiq {
        /// Worker threads of the process, all capsules together.
        concurrency: Option<u32>,
        /// Threads that run a job.
        busy: Option<u32>,
        /// When it was composed, by the worker's own clock.
        beat: Option<Millis>,
    },
    /// The process that holds this connection has nothing in hand at this moment (RQ's `state idle`).
    Idle,
    /// Jobs being worked on are locked for so long, and their locks renewed in time (BullMQ, Bull), or named so often
    /// (asynq).
    Lease {
        /// Milliseconds.
        lasts: Millis,
        /// One has just been renewed.
        renewed: bool,
    },
    /// The process has given up waiting for one of its jobs, which is over by its own word. What it runs may not have
    /// returned (asynq's time-outs).
    GaveUp,
    /// The end of this job was refused, for its lock had run out: it ends a run of it all the same (BullMQ, Bull).
    LockLost(JobKey),
    /// Sidekiq's work hash, written with each heartbeat.
    SidekiqWork {
        /// The jids in it; an entry whose jid could not be read stands as an empty text.
        running: Vec<String>,
    },
    /// A Sidekiq process took its name off the list of processes, at the very end of an orderly stop: its scheduler and
    /// its threads have ended, and what they had not finished has been pushed back.
    SidekiqLeft {
        /// The process.
        name: String,
    },
}
