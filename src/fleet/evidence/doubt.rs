//! What stands in the way of knowing, in words for people, and what they can do about it.

use crate::fleet::whole::Adopted;
use crate::job::{Millis, System};

/// Why a worker cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Doubt {
    /// Jobs were acknowledged at their start and no heartbeat was ever seen.
    NoHeartbeat,
    /// A Celery worker has tasks that it begins in a way of their own, and does not tell of.
    Conceals,
    /// The heartbeats have stopped.
    Silent {
        /// For how long, in milliseconds.
        since: Millis,
    },
    /// More processes fetch than send heartbeats.
    Unheard,
    /// A heartbeat composed after the seal is still due. Passes by itself.
    ReportDue,
    /// Others at its address may be at work and not have come back to the gate, which has just begun. Passes by itself.
    Others {
        /// In so many milliseconds.
        within: Millis,
    },
    /// Jobs may be in its hands that the gate has not seen.
    Adopted(Adopted, System),
    /// A Celery worker that came back has begun so many tasks fewer than the one that went.
    Behind(u64),
    /// A Celery worker says that so many more tasks run than it has in hand.
    GoesOn(usize),
    /// Unacknowledged jobs came over connections that were cut.
    CutMidJob(usize),
    /// Sidekiq's heartbeat has not told the number of threads yet.
    NoConcurrency,
    /// It came back after all its connections were gone, and has not said yet that it is the same process.
    Gap,
    /// More fetches than threads.
    TooManyFetches,
    /// Not all threads have come back to fetch.
    NotBack {
        /// Idle threads.
        idle: usize,
        /// Threads ever seen at once.
        peak: usize,
    },
    /// It stopped and wanted to give back so many jobs which the broker did not take.
    Refused(usize),
    /// The broker refused the end of so many jobs: the worker may try again, or be done with them.
    EndRefused(usize),
    /// It has no connection: it may come back.
    Away {
        /// For how long it has been away.
        since: Millis,
        /// After how long it is lost.
        until: Millis,
        /// Jobs that it is known to have in hand.
        jobs: usize,
    },
    /// The gate was restarted, RabbitMQ took its jobs back, and it has no connection yet: it may be at one of them.
    TakenBack {
        /// For how long it has been away.
        since: Millis,
        /// After how long it is gone.
        until: Millis,
    },
    /// An unknown system takes jobs from queues that were not declared.
    Undeclared,
    /// An unknown system takes jobs by polling, which says nothing about its threads.
    Polled,
    /// An unknown system gets something in ways that are no fetches to the gate.
    Unrefused,
    /// Its threads share a pool of connections.
    Shared,
    /// Its jobs leave no trace when they are over.
    NoResults,
    /// It works on a job twice.
    Twice,
    /// Two job systems behind one address.
    Mixed,
}

impl Doubt {
    /// The line in `blocked`; `None` for what passes by itself in a moment.
    pub(in crate::fleet) fn reason(self) -> Option<String> {
        Some(match self {
            Doubt::NoHeartbeat => "it has started jobs, and no heartbeat says when they end".to_owned(),
            Doubt::Conceals => "it knows tasks that stand neither in its heartbeats nor in its answers when they run \
                                (celery-batches), and are acknowledged when they begin"
                .to_owned(),
            Doubt::Silent { since } => format!("its heartbeats stopped {} s ago", since / 1_000),
            Doubt::Unheard => "more processes fetch behind its address than send heartbeats".to_owned(),
            Doubt::ReportDue => return None,
            Doubt::Others { within } => format!(
                "the gate has just begun: until {} s from now others may come back to it from the same address",
                within.div_ceil(1_000)
            ),
            Doubt::Adopted(Adopted::MidLife, _) => {
                "it was met in mid-life: the gate does not know what it took before".to_owned()
            }
            Doubt::Adopted(Adopted::Restart, _) => {
                "the gate was restarted meanwhile: it does not know what the worker did in between".to_owned()
            }
            Doubt::Adopted(Adopted::Unseen, _) => "jobs may have reached it in a way the gate cannot follow".to_owned(),
            Doubt::Behind(n) => format!(
                "it came back, and its heartbeat counts {n} task(s) fewer than it had acknowledged before: it may be another \
                 process, or they were revoked or had expired"
            ),
            Doubt::GoesOn(n) => format!(
                "its heartbeat tells of {n} running task(s) that it has not in hand: it goes on with what the broker took \
                 back when its connection went"
            ),
            Doubt::CutMidJob(n) => {
                format!("{n} job(s) came over a connection that was cut or closed and have not been acknowledged since")
            }
            Doubt::NoConcurrency => "its heartbeat has not said yet how many threads it has".to_owned(),
            Doubt::Gap => "all its connections were gone with jobs in flight: is it still the same process?".to_owned(),
            Doubt::TooManyFetches => "it has more fetches outstanding than threads".to_owned(),
            Doubt::NotBack { idle, peak } => format!("{idle} of {peak} threads have come back to fetch"),
            Doubt::Refused(n) => format!("{n} job(s) that it wanted to give back were refused by the broker"),
            Doubt::EndRefused(n) => format!("the broker refused to end or to take back {n} of its jobs"),
            Doubt::Away { since, until, jobs } => {
                let with = if jobs > 0 { "with jobs in flight" } else { "and may have jobs in flight" };
                let (since, until) = (since / 1_000, until / 1_000);
                format!(
                    "it has had no connection for {since} s, {with}: it may come back, and counts as lost after {until} s"
                )
            }
            Doubt::TakenBack { since, until } => format!(
                "it has had no connection since the gate was restarted {} s ago: RabbitMQ took back what it had in hand, \
                 and it may still be at that; it counts as gone after {} s",
                since / 1_000,
                until / 1_000
            ),
            Doubt::Undeclared => "it takes jobs from queues whose use is not known".to_owned(),
            Doubt::Polled => "it polls for jobs, so the gate cannot see when one ends".to_owned(),
            Doubt::Unrefused => {
                "it takes something without a fetch that the gate knows, and that may be jobs".to_owned()
            }
            Doubt::Shared => {
                "several threads share its connections: the gate cannot see which of them asks again".to_owned()
            }
            Doubt::NoResults => "it stores no results, and nothing else says when a job is over".to_owned(),
            Doubt::Twice => {
                "a job whose lock had run out came back to it: the gate cannot see which of the two runs has ended"
                    .to_owned()
            }
            Doubt::Mixed => "two job systems behind one address cannot be told apart".to_owned(),
        })
    }

    /// What the operator can do about it.
    pub(in crate::fleet) fn hint(self) -> Option<&'static str> {
        match self {
            Doubt::NoHeartbeat => Some(
                "start the worker without --without-heartbeat, or with its remote control on \
                 (worker_enable_remote_control) so that it can be asked, or declare [celery] acks = \"late\" if its \
                 tasks acknowledge late",
            ),
            Doubt::Unheard => Some(
                "start all of them without --without-heartbeat, or with their remote control on so that they can be asked",
            ),
            Doubt::Conceals => {
                Some("set acks_late=True on those tasks: then their acknowledgement says that they are over")
            }
            Doubt::Silent { .. } => Some("look whether the worker still runs: its heartbeat is due every few seconds"),
            Doubt::Adopted(_, System::Celery) => Some(
                "wait for two idle heartbeats or its answer (start the worker without --without-heartbeat, or with its \
                 remote control on)",
            ),
            Doubt::Adopted(_, System::Sidekiq) => Some("wait for its heartbeat (every 5 to 10 s)"),
            Doubt::Adopted(_, System::Bullmq | System::Bull) => {
                Some("wait until a job from before would have renewed its lock (lockDuration, 30 s by default)")
            }
            Doubt::Adopted(_, System::Asynq) => Some("wait for its next reports (every 5 s) that name no task"),
            Doubt::Adopted(_, System::Rq) => {
                Some("wait for the end of its job, or restart it while the gate is running")
            }
            Doubt::Adopted(_, _) => Some("restart the worker once while the gate is running"),
            Doubt::Behind(_) => {
                Some("stop it by hand if its log shows that it is idle: its count rises only with new jobs")
            }
            Doubt::GoesOn(_) => Some(
                "wait until they end; if its heartbeats tell of them for ever, as those of some releases of Celery do, \
                 stop it by hand",
            ),
            Doubt::CutMidJob(_) => {
                Some("they may never be acknowledged: look into the worker's log, and stop it by hand")
            }
            Doubt::NoConcurrency | Doubt::Gap => Some("wait for the worker's heartbeat (every 5 to 10 s)"),
            Doubt::Away { .. } | Doubt::TakenBack { .. } => Some("look whether its process still runs"),
            Doubt::Refused(_) => {
                Some("look into its log and the broker's: the jobs may have to be pushed again by hand")
            }
            Doubt::EndRefused(_) => {
                Some("look into its log: if it does not try again, it has to be restarted, and they may run once more")
            }
            Doubt::Undeclared => Some(
                "declare the queue's keys under [gate] fetch = [...] if each of its threads fetches on a connection of its \
                 own, and only when its job is done",
            ),
            Doubt::Shared => {
                Some("start it with one worker thread (-w 1), and declare its queue's keys under [gate] fetch = [...]")
            }
            Doubt::NoResults => Some("give it a result backend behind the gate, or use its broker with streams"),
            Doubt::Twice => Some("look into its log, and restart it when it has nothing to do"),
            Doubt::Others { .. } => Some("wait until then"),
            Doubt::Polled => Some("use a blocking pop, or a job system that the gate knows"),
            Doubt::Unrefused => Some(
                "declare keys that hold jobs under [gate] fetch = [...] and keys that never do under pass = [...]; what \
                 a script takes cannot be held",
            ),
            Doubt::Mixed | Doubt::TooManyFetches => {
                Some("give each worker a tag in its user name (user+tag) or a listener of its own")
            }
            Doubt::NotBack { .. } | Doubt::ReportDue => None,
        }
    }
}
