//! What was: `report`, and the last jobs behind `workers --gone`.

use crate::api::model::{Departure, Job, PastJob, Report, Worker};
use crate::cli::args::{Plain, ReportArgs};
use crate::cli::client::Client;
use crate::cli::exit::Exit;
use crate::cli::{Failure, print, table};

/// `draingate report`.
pub(super) async fn report(client: &Client, args: ReportArgs) -> Result<Exit, Failure> {
    let since = humantime::format_duration(args.since).to_string();
    let reply = client.get::<Report>(&["v1", "report"], &[("since", &since)]).await?;
    match args.output {
        Plain::Json => print(&reply.text),
        Plain::Table => print(&in_words(&reply.value, &since)),
    }
    Ok(Exit::Done)
}

fn in_words(report: &Report, since: &str) -> String {
    let unproven = report.lost.iter().filter(|departure| departure.jobs.is_empty() && departure.more == 0).count();
    let lost = table::count(report.lost.len() - unproven, "worker");
    let gone = table::count(report.gone, "worker");
    let unproven = match unproven {
        0 => String::new(),
        _ => format!(" {} without proof of having none,", table::count(unproven, "worker")),
    };
    let mut lines =
        vec![format!("in the last {since}: {lost} lost with jobs in flight,{unproven} {gone} left with none")];
    for departure in &report.lost {
        lines.push(format!(
            "{} {} ({}) was lost with {}",
            departure.at,
            departure.name,
            departure.system,
            held(departure)
        ));
        lines.extend(departure.jobs.iter().map(|job| cut(job, departure)));
        if departure.more > 0 {
            lines.push(format!("  and {} more", departure.more));
        }
    }
    if report.watched_since > report.since {
        lines.push(format!("note: nothing is known of the time before {}", report.watched_since));
    }
    lines.join("\n")
}

fn held(departure: &Departure) -> String {
    match departure.jobs.len() + departure.more {
        0 => "nothing that the gate knows of, and no proof that it was idle".to_owned(),
        jobs => format!("{} in flight", table::count(jobs, "job")),
    }
}

fn cut(job: &Job, departure: &Departure) -> String {
    let name = if job.name.is_empty() { "(unnamed)" } else { &job.name };
    let age = table::between(job.delivered_at, departure.at);
    let fate = if job.kept_by_broker { "the broker hands it out again" } else { "the broker no longer has it" };
    format!("  {name}[{}] {} from {}, delivered {age} before; {fate}", job.id, job.kind, job.queue)
}

/// The last jobs of workers that are over, a line each.
pub(super) fn past_jobs(workers: &[Worker]) -> Vec<String> {
    let line = |worker: &Worker, job: &PastJob| {
        let name = if job.name.is_empty() { "(unnamed)" } else { &job.name };
        let took = table::between(job.started_at.unwrap_or(job.delivered_at), job.ended_at);
        format!(
            "  {}: {} {name}[{}] {} after {took}, from {}",
            worker.name, job.ended_at, job.id, job.outcome, job.queue
        )
    };
    workers.iter().flat_map(|worker| worker.recent.iter().map(move |job| line(worker, job))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::Time;

    #[test]
    fn a_report_names_who_was_lost_with_what() {
        let job = |id: &str, kept_by_broker| Job {
            id: id.into(),
            name: "mail.send".into(),
            queue: "mail".into(),
            kind: "running".into(),
            delivered_at: Time(90_000),
            kept_by_broker,
        };
        let departure = |jobs, more| Departure {
            worker: "w".into(),
            name: "celery@web".into(),
            system: "celery".into(),
            at: Time(100_000),
            jobs,
            more,
        };
        let lost = vec![departure(vec![job("1", true), job("2", false)], 3), departure(vec![], 0)];
        let report = Report { since: Time(0), until: Time(200_000), watched_since: Time(50_000), gone: 1, lost };
        let text = in_words(&report, "1h");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "in the last 1h: 1 worker lost with jobs in flight, 1 worker without proof of having none, 1 worker left with \
                 none",
                "1970-01-01T00:01:40Z celery@web (celery) was lost with 5 jobs in flight",
                "  mail.send[1] running from mail, delivered 10s before; the broker hands it out again",
                "  mail.send[2] running from mail, delivered 10s before; the broker no longer has it",
                "  and 3 more",
                "1970-01-01T00:01:40Z celery@web (celery) was lost with nothing that the gate knows of, and no proof that \
                 it was idle",
                "note: nothing is known of the time before 1970-01-01T00:00:50Z",
            ]
        );
    }
}
