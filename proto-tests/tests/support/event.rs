//! The short text form of events.

use draingate::job::{FetchEnd, Job, JobEvent, JobKey, Outcome, Place, Report};

/// See the module.
pub fn text(event: &JobEvent) -> String {
    match event {
        JobEvent::Recognised(system) => format!("Recognised {}", system.as_str()),
        JobEvent::Named { system, name } => format!("Named {} {name}", system.as_str()),
        JobEvent::Born { system, name } => format!("Born {} {name}", system.as_str()),
        JobEvent::Begun => "Begun".to_owned(),
        JobEvent::Acknowledges => "Acknowledges".to_owned(),
        JobEvent::FetchRewritten { queues } => format!("FetchRewritten {}", queues.join(",")),
        JobEvent::ClientNamed(name) => format!("ClientNamed {name}"),
        JobEvent::User(user) => format!("User {user}"),
        JobEvent::VirtualHost(host) => format!("VirtualHost {host}"),
        JobEvent::Tagged(tag) => format!("Tagged {tag}"),
        JobEvent::FetchAsked { place: at, queues, blocking } => {
            format!("FetchAsked {} {} {}", place(*at), queues.join(","), kind(*blocking))
        }
        JobEvent::FetchMoved { to } => format!("FetchMoved {}", place(*to)),
        JobEvent::FetchAnswered { from, end, blocking } => {
            let end = match end {
                FetchEnd::Empty => "empty",
                FetchEnd::Job => "job",
                FetchEnd::Error => "error",
                FetchEnd::Vanished => "vanished",
            };
            format!("FetchAnswered {} {end} {}", place(*from), kind(*blocking))
        }
        JobEvent::FetchOrphaned => "FetchOrphaned".to_owned(),
        JobEvent::HandedOutAgain { id, queue } => format!("HandedOutAgain {id} {queue}"),
        JobEvent::Delivered(job) => format!("Delivered {}", shown(job)),
        JobEvent::Redelivered(job) => format!("Redelivered {}", shown(job)),
        JobEvent::Taken(job) => format!("Taken {}", shown(job)),
        JobEvent::Returned(key) => format!("Returned {}", key),
        JobEvent::GivenBack(key) => format!("GivenBack {}", key),
        JobEvent::Acked(key) => format!("Acked {}", key),
        JobEvent::Popped(key) => format!("Popped {}", key),
        JobEvent::Ended { key, outcome: Outcome::Finished } => format!("Ended {} finished", key),
        JobEvent::Ended { key, outcome: Outcome::Requeued } => format!("Ended {} requeued", key),
        JobEvent::Settled { keys, how } => format!("Settled [{}] {how:?}", listed(keys)),
        JobEvent::Result { id } => format!("Result {id}"),
        JobEvent::SchedulerReturned => "SchedulerReturned".to_owned(),
        JobEvent::PushedOn(keys) => format!("PushedOn [{}]", listed(keys)),
        JobEvent::Refused(keys) => format!("Refused [{}]", listed(keys)),
        JobEvent::Report(report) => format!("Report {}", reported(report)),
        JobEvent::Listens(listens) => format!("Listens {listens}"),
        JobEvent::Answered(answer) => {
            let tasks = answer.tasks.as_ref().map_or("?".to_owned(), |tasks| format!("[{}]", tasks.join(",")));
            format!("Answered {} {} {tasks}", answer.number, answer.list.command())
        }
        JobEvent::UnknownScript => "UnknownScript".to_owned(),
        JobEvent::Orphan(fate) => format!("Orphan {}", fate.as_str()),
        JobEvent::Blocked(why) => format!("Blocked {why}"),
        JobEvent::Bound(why) => format!("Bound {why}"),
        JobEvent::Unbound(why) => format!("Unbound {why}"),
        JobEvent::Unrefused { why, .. } => format!("Unrefused {why}"),
        JobEvent::PassesPause { queue, sure, .. } => {
            format!("PassesPause {queue} {}", if *sure { "surely" } else { "unknown" })
        }
        JobEvent::MarkTaken => "MarkTaken".into(),
        JobEvent::Opaque => "Opaque".to_owned(),
        JobEvent::PausesTaken { number, open } => {
            let open: Vec<String> = open
                .iter()
                .map(|(queue, why)| why.as_ref().map_or_else(|| queue.clone(), |why| format!("{queue} ({why})")))
                .collect();
            format!("PausesTaken {number} [{}]", open.join(","))
        }
    }
}

fn listed(keys: &[JobKey]) -> String {
    keys.iter().map(|key| key.to_string()).collect::<Vec<_>>().join(",")
}

/// `key queue name id`, with `-` for what is empty, and the ETA.
fn shown(job: &Job) -> String {
    let or_dash = |s: &str| if s.is_empty() { "-".to_owned() } else { s.to_owned() };
    let eta = job.eta.map(|at| format!(" eta={at}")).unwrap_or_default();
    format!("{} {} {} {}{eta}", job.key, or_dash(&job.queue), or_dash(&job.name), or_dash(&job.id))
}

fn reported(report: &Report) -> String {
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    match report {
        Report::Celery { pid, active, processed, timestamp, period } => {
            format!(
                "celery pid={} active={} processed={} at={} period={}",
                number(pid.map(u64::from)),
                number(active.map(u64::from)),
                number(*processed),
                number(*timestamp),
                number(*period)
            )
        }
        Report::Sidekiq { concurrency, busy, beat } => format!(
            "sidekiq concurrency={} busy={} beat={}",
            number(concurrency.map(u64::from)),
            number(busy.map(u64::from)),
            number(*beat)
        ),
        Report::Idle => "idle".to_owned(),
        Report::GaveUp => "gave up".to_owned(),
        Report::LockLost(key) => format!("lost the lock of {key}"),
        Report::Lease { lasts, renewed } => format!("lease {lasts} {renewed}"),
        Report::SidekiqWork { running } => {
            let shown: Vec<&str> = running.iter().map(|jid| if jid.is_empty() { "?" } else { jid }).collect();
            format!("work [{}]", shown.join(","))
        }
        Report::SidekiqLeft { name } => format!("left {name}"),
    }
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Broker => "broker",
        Place::Gate => "gate",
    }
}

fn kind(blocking: bool) -> &'static str {
    if blocking { "blocking" } else { "poll" }
}
