//! The words of a script as what they stand for: jobs, reports, requests and times; and notices as words.

use super::ZERO;
use draingate::fleet::view::JobEnd;
use draingate::fleet::{DrainRequest, JobCount, Notice, Ttl};
use draingate::job::{Evidence, Found, Job, JobEvent, JobKey, Millis, Outcome, Report, System};

pub(super) fn job(words: &[&str], now: Millis) -> Result<Job, String> {
    let key = words.get(1).copied().ok_or("a job needs a key")?;
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let eta = match option("eta") {
        Some(eta) if eta.starts_with('+') => Some(now + span(&eta[1..])?),
        Some(eta) => Some(moment(eta)?),
        None => None,
    };
    Ok(Job {
        key: JobKey::Text(key.to_owned()),
        id: option("id").unwrap_or(key).to_owned(),
        name: option("task").unwrap_or("task").to_owned(),
        queue: option("queue").unwrap_or("q").into(),
        eta,
    })
}

/// What a gate tells in one word and what belongs to it.
pub(super) fn told(words: &[&str], now: Millis) -> Result<JobEvent, String> {
    let rest = |from: usize| words.get(from).copied().map(str::to_owned).ok_or("a word is missing");
    let key = || rest(1).map(JobKey::Text);
    let keys = || words[1..].iter().map(|key| JobKey::Text((*key).to_owned())).collect();
    let system = || System::from_name(words[1]).ok_or("no such system");
    Ok(match words[0] {
        "orphaned" => JobEvent::FetchOrphaned,
        "again" => {
            let Job { id, queue, .. } = job(words, now)?;
            JobEvent::HandedOutAgain { id, queue }
        }
        "delivers" => JobEvent::Delivered(job(words, now)?),
        "reread" => JobEvent::Redelivered(job(words, now)?),
        "taken" => JobEvent::Taken(job(words, now)?),
        "acknowledges" => JobEvent::Acknowledges,
        "pushed" => JobEvent::SchedulerReturned,
        "ack" => JobEvent::Acked(key()?),
        "result" => JobEvent::Result { id: rest(1)? },
        "end" => JobEvent::Ended { key: key()?, outcome: Outcome::Finished },
        "pops" => JobEvent::Popped(key()?),
        "requeue" => JobEvent::Ended { key: key()?, outcome: Outcome::Requeued },
        "restores" => JobEvent::GivenBack(key()?),
        "returned" => JobEvent::Returned(key()?),
        "pushes" => JobEvent::PushedOn(keys()),
        "refused" => JobEvent::Refused(keys()),
        "leaves" => JobEvent::Report(Report::SidekiqLeft { name: rest(1)? }),
        "is" => JobEvent::Recognised(system()?),
        "named" => JobEvent::Named { system: system()?, name: rest(2)? },
        "born" => JobEvent::Born { system: system()?, name: rest(2)? },
        "begun" => JobEvent::Begun,
        "idle" => JobEvent::Report(Report::Idle),
        "unlocked" => JobEvent::Report(Report::LockLost(key()?)),
        "gives" => JobEvent::Report(Report::GaveUp),
        "lease" | "renewed" => {
            JobEvent::Report(Report::Lease { lasts: span(words[1])?, renewed: words[0] == "renewed" })
        }
        "listens" => JobEvent::Listens(true),
        "deaf" => JobEvent::Listens(false),
        "client" => JobEvent::ClientNamed(words[1..].join(" ")),
        "user" => JobEvent::User(rest(1)?),
        "vhost" => JobEvent::VirtualHost(rest(1)?),
        "tag" => JobEvent::Tagged(rest(1)?),
        "blocked" => JobEvent::Blocked(words[1..].join(" ")),
        "bound" => JobEvent::Bound(words[1..].join(" ")),
        "unbound" => JobEvent::Unbound(words[1..].join(" ")),
        "unrefused" => JobEvent::Unrefused { why: words[1..].join(" "), found: Found::Job },
        "passes" => JobEvent::PassesPause { queue: words[1].to_owned(), why: rest(3)?, sure: words[2] == "surely" },
        "scripts" => JobEvent::Unrefused { why: words[1..].join(" "), found: Found::Something },
        "seeks" => JobEvent::Unrefused { why: words[1..].join(" "), found: Found::Nothing },
        "opaque" => JobEvent::Opaque,
        "beat" | "online" => celery_report(words, now)?,
        "sidekiq" => sidekiq_report(words, now)?,
        "work" => {
            JobEvent::Report(Report::SidekiqWork { running: words[1..].iter().map(|jid| (*jid).to_owned()).collect() })
        }
        "seen" => JobEvent::MarkTaken,
        other => return Err(format!("nothing is called {other}")),
    })
}

pub(super) fn celery_report(words: &[&str], now: Millis) -> Result<JobEvent, String> {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let timestamp = match option("ts") {
        Some("none") => None,
        Some(ts) => Some(moment(ts)?),
        None => Some(now),
    };
    Ok(JobEvent::Report(Report::Celery {
        pid: Some(option("pid").map_or(Ok(1), str::parse).map_err(|_| "pid")?),
        active: Some(option("active").map_or(Ok(0), str::parse).map_err(|_| "active")?),
        processed: option("processed").map(str::parse).transpose().map_err(|_| "processed")?,
        timestamp,
        period: Some(option("every").map_or(Ok(2_000), span)?),
    }))
}

pub(super) fn sidekiq_report(words: &[&str], now: Millis) -> Result<JobEvent, String> {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    Ok(JobEvent::Report(Report::Sidekiq {
        concurrency: option("c").map(str::parse).transpose().map_err(|_| "c")?,
        busy: option("busy").map(str::parse).transpose().map_err(|_| "busy")?,
        beat: Some(option("beat").map_or(Ok(now), moment)?),
    }))
}

/// `drain NAME SELECTOR... OPTION...`; a name `-` is none.
pub(super) fn request(line: &str) -> Result<DrainRequest, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = words.get(1).filter(|name| **name != "-").map(|name| (*name).to_owned());
    let mut request = DrainRequest { name, ..DrainRequest::default() };
    for word in words.iter().skip(2) {
        match (*word, word.split_once('=')) {
            ("standing", _) => request.standing = true,
            ("delayed", _) => request.delayed_wait = true,
            ("empty", _) => request.allow_empty = true,
            ("nostarve", _) => request.no_starve = true,
            ("dry", _) => request.dry_run = true,
            (_, Some(("ttl", "none"))) => request.ttl = Ttl::Endless,
            (_, Some(("ttl", ttl))) => request.ttl = Ttl::For(span(ttl)?),
            (_, Some(("reason", reason))) => request.reason = Some(reason.to_owned()),
            (_, Some(("require", level))) => {
                request.require = Some(Evidence::from_name(level).ok_or("no such evidence")?);
            }
            ("''", _) => request.selector.push(String::new()),
            _ => request.selector.push((*word).to_owned()),
        }
    }
    Ok(request)
}

/// A point on the script's clock; `-5s` is before its zero.
pub(super) fn moment(text: &str) -> Result<Millis, String> {
    match text.strip_prefix('-') {
        Some(before) => Ok(ZERO - span(before)?),
        None => Ok(ZERO + span(text)?),
    }
}

/// `7.05s`, `3m`, `2h`.
pub(super) fn span(text: &str) -> Result<Millis, String> {
    let unit = text.chars().last().ok_or("a time is missing")?;
    let factor = match unit {
        's' => 1_000.0,
        'm' => 60_000.0,
        'h' => 3_600_000.0,
        _ => return Err(format!("{text} is no line of a script and no time")),
    };
    let number: f64 = text[..text.len() - 1].parse().map_err(|_| format!("{text} is no line of a script"))?;
    Ok((number * factor).round() as Millis)
}

/// One text for each of the jobs.
pub(super) fn job_texts(count: &JobCount) -> Vec<String> {
    let text = format!("{} {}", count.end.map_or("delivered", JobEnd::as_str), count.system.as_str());
    vec![text; usize::try_from(count.jobs).unwrap_or(0)]
}

pub(super) fn notice_text(notice: &Notice) -> String {
    match notice {
        Notice::WorkerSeen { name, system, .. } => format!("seen {name} {}", system.as_str()),
        Notice::WorkerState { name, from, to, .. } => format!("{name} {} -> {}", from.as_str(), to.as_str()),
        Notice::WorkerLost { name, jobs, .. } => format!("lost {name} with {}", jobs.join(" ")),
        Notice::DrainCreated { drain, workers } => format!("drain {drain} marks {workers}"),
        Notice::DrainEnded { drain, how } => format!("drain {drain} {}", how.as_str()),
        Notice::QueuePaused { queue, .. } => format!("queue {queue} paused"),
        Notice::QueueResumed { queue, how } => format!("queue {queue} {}", how.as_str()),
    }
}
