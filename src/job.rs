//! The shared vocabulary: who a connection, a worker and a job are, and what a gate tells of them.
//!
//! Plain data without logic. A gate (`crate::gate`) turns bytes into [`JobEvent`]s, the fleet (`crate::fleet`) turns
//! events into the truth about workers; neither knows the other, both know this file.

mod evidence;
mod outcome;
mod protocol;
mod report;

pub use evidence::Evidence;
pub use outcome::{Outcome, Settling};
pub use protocol::Protocol;
pub use report::Report;

use crate::question::Answer;
use std::fmt;
use std::sync::Arc;

/// Milliseconds since the Unix epoch. Time is always an argument in the pure half, never asked for.
pub type Millis = u64;

/// One TCP connection of a client through the gate. Never reused while the gate lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// One incarnation of a worker, as the API names it: `[a-z0-9-]+`, stable over reconnects and restarts of the gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What names a job within one worker's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKey {
    /// Celery's delivery tag, Sidekiq's jid, else a name of the gate's own.
    Text(String),
    /// A delivery on a channel (AMQP). Numbers only, because there are so many: a text is made of it where it is shown.
    Delivery {
        /// Makes it unique, also over restarts of the gate.
        seed: u64,
        /// The channel.
        channel: u16,
        /// The delivery tag.
        tag: u64,
    },
}

impl JobKey {
    /// A name as it stood in a message, key or reply.
    pub fn text(name: &[u8]) -> JobKey {
        JobKey::Text(String::from_utf8_lossy(name).into_owned())
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobKey::Text(text) => f.write_str(text),
            JobKey::Delivery { seed, channel, tag } => write!(f, "{seed:x}.{channel}.{tag}"),
        }
    }
}

/// The job system that a worker belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum System {
    /// Not recognised (yet): the generic rules apply.
    #[default]
    Unknown,
    /// Celery (kombu).
    Celery,
    /// Sidekiq 6, 7 and 8.
    Sidekiq,
    /// RQ 2 and 3.
    Rq,
    /// Huey 3.
    Huey,
    /// BullMQ 5 and 6.
    Bullmq,
    /// Bull 4.
    Bull,
    /// Dramatiq.
    Dramatiq,
    /// arq.
    Arq,
    /// taskiq: lists and streams.
    Taskiq,
    /// Resque.
    Resque,
    /// Laravel's queues.
    Laravel,
    /// asynq.
    Asynq,
}

impl System {
    /// All of them, in the order of their declaration.
    pub const ALL: [System; 13] = [
        System::Unknown,
        System::Celery,
        System::Sidekiq,
        System::Rq,
        System::Huey,
        System::Bullmq,
        System::Bull,
        System::Dramatiq,
        System::Arq,
        System::Taskiq,
        System::Resque,
        System::Laravel,
        System::Asynq,
    ];

    /// The name in the API, the metrics and the selectors (`system=celery`).
    pub fn as_str(self) -> &'static str {
        match self {
            System::Unknown => "unknown",
            System::Celery => "celery",
            System::Sidekiq => "sidekiq",
            System::Rq => "rq",
            System::Huey => "huey",
            System::Bullmq => "bullmq",
            System::Bull => "bull",
            System::Dramatiq => "dramatiq",
            System::Arq => "arq",
            System::Taskiq => "taskiq",
            System::Resque => "resque",
            System::Laravel => "laravel",
            System::Asynq => "asynq",
        }
    }

    /// Nothing but the pattern of its fetches says when its jobs are over.
    pub fn tells_nothing(self) -> bool {
        matches!(self, System::Unknown | System::Huey)
    }

    /// The reverse of [`System::as_str`]; `None` for a name that is no system of ours.
    pub fn from_name(name: &str) -> Option<System> {
        System::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// A job as its delivery showed it. Arguments are never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What the worker's ledger calls it.
    pub key: JobKey,
    /// The job system's own id (Celery task id, Sidekiq jid); empty if the message has none.
    pub id: String,
    /// Task name or class; empty if unknown.
    pub name: String,
    /// The queue's name as the broker knows it, without the job system's priority suffix.
    pub queue: Arc<str>,
    /// When it comes due, for a job that was delivered ahead of its time (Celery ETA and countdown).
    pub eta: Option<Millis>,
}

/// Where an outstanding fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Forwarded: the broker may answer it with a job at any moment.
    Broker,
    /// Held by the gate: no job can come of it.
    Gate,
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchEnd {
    /// The client was told that there is nothing.
    Empty,
    /// A job went to the client (its [`JobEvent::Delivered`] came before).
    Job,
    /// The broker answered with an error.
    Error,
    /// The client went away first; an element that came all the same was put back.
    Vanished,
}

/// What a command that is no fetch to the gate has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// A script has found nothing, as in an empty queue: the next time it may be a job.
    Nothing,
    /// A script has returned something, whatever that may be.
    Something,
    /// It was a pop, or a script over keys that are called as a queue's: more likely a job, now or the next time.
    Job,
}

/// What a gate saw on one connection. In the order of the bytes; a [`JobEvent::Delivered`] comes before the job's last
/// byte goes to the worker, an end only after the broker has confirmed it (product rule "struck out when confirmed").
#[derive(Clone, Debug, PartialEq)]
pub enum JobEvent {
    /// Something that only this job system sends.
    Recognised(System),
    /// The job system's own name of the worker (Celery `w1@host`, Sidekiq `host:pid:nonce`).
    Named {
        /// The system whose traffic carried the name.
        system: System,
        /// The name, verbatim.
        name: String,
    },
    /// A process of this name has just begun its life: whoever had the name before is another (RQ's `birth`).
    Born {
        /// As in [`JobEvent::Named`].
        system: System,
        /// As in [`JobEvent::Named`].
        name: String,
    },
    /// What only a process that has just begun its life says: nothing of it was missed. Its name, if it has one, has been
    /// told before.
    Begun,
    /// `CLIENT SETNAME`, `HELLO .. SETNAME`, AMQP `connection_name`.
    ClientNamed(String),
    /// The user that the client authenticated as (without the tag).
    User(String),
    /// The virtual host that the client opened, if it is not `/`: queues of the same name in another one are others.
    VirtualHost(String),
    /// The tag in the user name (`user+tag`), stripped before the broker saw it.
    Tagged(String),

    /// The client asked for a job. `place` says whether the fetch was forwarded or held.
    FetchAsked {
        /// Where it is now.
        place: Place,
        /// The queues asked for.
        queues: Arc<[String]>,
        /// False for a poll that is answered at once (LPOP, a pop script): it says nothing about an idle thread.
        blocking: bool,
    },
    /// An outstanding fetch changed place: parked after the broker's "nothing" (to [`Place::Gate`]) or resumed.
    FetchMoved {
        /// Where it is now.
        to: Place,
    },
    /// An outstanding fetch ended.
    FetchAnswered {
        /// Where it was.
        from: Place,
        /// How it ended.
        end: FetchEnd,
        /// As in [`JobEvent::FetchAsked`].
        blocking: bool,
    },

    /// The client has gone that waited for the fetch which is at the broker. What comes of it will be put back: until
    /// then it stands in the way of a seal, but nobody waits any more, who may have asked again on another connection.
    FetchOrphaned,

    /// The jobs that are fetched on this connection are acknowledged one by one when they are over.
    Acknowledges,
    /// A command that would have fetched beside its other business was changed so that it does not.
    FetchRewritten {
        /// The queues that it asked.
        queues: Arc<[String]>,
    },

    /// RabbitMQ says of the job that is delivered next that it had handed it out before.
    HandedOutAgain {
        /// As in [`Job::id`], and not empty.
        id: String,
        /// As in [`Job::queue`].
        queue: Arc<str>,
    },
    /// A job is about to reach the worker.
    Delivered(Job),
    /// The worker was told again of a job that is pending for it: one that it has, or that a process before it under the
    /// same name had.
    Redelivered(Job),
    /// A delivered job was put back at the end it came from: the worker vanished before its last byte.
    Returned(JobKey),
    /// The worker acknowledged it and the broker confirmed. For Celery this means *started*, unless the operator says more.
    Acked(JobKey),
    /// The job is over for this worker.
    Ended {
        /// The job.
        key: JobKey,
        /// How.
        outcome: Outcome,
    },
    /// Each of these has been acknowledged or is over, as RabbitMQ confirms it: many at a time.
    Settled {
        /// The jobs, none of them twice.
        keys: Vec<JobKey>,
        /// How.
        how: Settling,
    },
    /// It stands in its queue again, and whoever has it may still be at it: Celery gives back what it does not run any more
    /// when it stops, and whatever has not been acknowledged within the visibility time-out.
    GivenBack(JobKey),
    /// This was popped out of a list of the worker's own: over, if it is one of its jobs. Others may use the list, too:
    /// then it has got a job by that.
    Popped(JobKey),
    /// A terminal result of the job with this id passed (Celery `SUCCESS`, `FAILURE`, `REVOKED`).
    Result {
        /// The job system's id.
        id: String,
    },
    /// The worker's scheduler took a due job out of a set and will push it on to a queue itself. In flight until then.
    Taken(Job),
    /// The worker's scheduler asked again: it works one job at a time, so what it took before has been pushed on.
    SchedulerReturned,
    /// The worker pushed these jobs on to a queue: what of them it had in hand it has given back or passed on.
    PushedOn(Vec<JobKey>),
    /// The broker refused to write down that these jobs are over, or to take them back: they are as they were.
    Refused(Vec<JobKey>),
    /// The worker's own report about itself.
    Report(Report),

    /// Whether the process listens to remote control on this connection: it can be asked here.
    Listens(bool),
    /// A part of the worker's answer to a question of the gate's own.
    Answered(Answer),

    /// What became of an element that the broker handed out for a client that had gone.
    Orphan(Fate),

    /// This connection has a way to get jobs that the gate does not refuse (the reason, for the worker's `blocked`).
    Blocked(String),
    /// A consumer of jobs must not be stopped (the reason, for the worker's `blocked`). What it brings is counted all the
    /// same.
    Bound(String),
    /// That reason has gone.
    Unbound(String),
    /// Something that may have been a job came by a command that is no fetch to the gate: a plain pop of a key that
    /// nobody declared, a script. It says something only of a worker whose job system nobody knows (the reason, for its
    /// `blocked`); a known one's jobs come by its own fetches.
    Unrefused {
        /// The reason for people.
        why: String,
        /// What came of it.
        found: Found,
    },
    /// The connection takes elements from a queue by something that is not refused while the queue is paused.
    PassesPause {
        /// The queue, as far as its name can be told.
        queue: String,
        /// The reason for people.
        why: String,
        /// It takes jobs whatever the worker's job system is; else only if nobody knows that.
        sure: bool,
    },
    /// A script passed of which nothing is known. It says nothing of a job: that comes with [`JobEvent::Unrefused`].
    UnknownScript,
    /// Framing was lost: the connection is a blind pipe from now on.
    Opaque,
    /// The gate has taken over the mark that was set: no fetch that it judges from here on is forwarded.
    MarkTaken,
    /// The set of paused queues of this number is in force on the connection.
    PausesTaken {
        /// [`crate::queue::PausedQueues::number`].
        number: u64,
        /// The pauses under which something of this connection is still at the broker, and why if it will stay there.
        open: Vec<(String, Option<String>)>,
    },
}

/// See [`JobEvent::Orphan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Put back where it came from, confirmed by the broker.
    Returned,
    /// Kept by the broker for the group to claim (streams), or taken by somebody else from where it was moved to.
    Kept,
    /// Neither: too large to be kept, or the broker refused to take it back.
    Lost,
}

impl Fate {
    /// All of them, in the order of their declaration.
    pub const ALL: [Fate; 3] = [Fate::Returned, Fate::Kept, Fate::Lost];

    /// The label of `draingate_orphan_replies_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Returned => "returned",
            Fate::Kept => "delivered",
            Fate::Lost => "lost",
        }
    }
}
