//! The commands that only look: `workers`, `drains` and `status`.

use crate::api::model::{Drain, Drains, Worker, Workers};
use crate::cli::args::{DrainsArgs, Format, StatusArgs, WorkersArgs, WorkersFormat};
use crate::cli::client::{Client, Reply};
use crate::cli::exit::Exit;
use crate::cli::{Failure, complain, history, print, report, table};
use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

/// Time between two looks with `--watch`.
const AGAIN: Duration = Duration::from_secs(1);

/// One look.
struct Look {
    text: String,
    /// Two looks with the same key show the same but for the time that has passed.
    key: String,
    /// There is nothing more to wait for.
    last: bool,
}

/// `draingate workers`.
pub(super) async fn workers(client: &Client, args: WorkersArgs) -> Result<Exit, Failure> {
    let mut query = vec![];
    if let Some(selector) = &args.selector {
        query.push(("selector", selector.as_str()));
    }
    if args.gone {
        query.push(("gone", "true"));
    }
    repeat(args.watch, async || {
        let reply = client.get::<Workers>(&["v1", "workers"], &query).await?;
        let key = key_of_workers(&reply.value);
        Ok(Look { text: show_workers(reply, args.output), key, last: false })
    })
    .await
}

/// `draingate drains`.
pub(super) async fn drains(client: &Client, args: DrainsArgs) -> Result<Exit, Failure> {
    let reply = client.get::<Drains>(&["v1", "drains"], &[]).await?;
    let text = match args.output {
        Format::Json => reply.text,
        Format::Name => table::names(reply.value.drains.iter().map(|drain| &drain.name)),
        Format::Table => table::drains(&reply.value.drains),
    };
    print(&text);
    Ok(Exit::Done)
}

/// `draingate status`.
pub(super) async fn status(client: &Client, args: StatusArgs) -> Result<Exit, Failure> {
    repeat(args.watch, async || {
        let reply = client.drain_named(&args.name).await?;
        let (key, last) = (key_of_drain(&reply.value), !reply.value.in_force);
        Ok(Look { text: show_drain(reply, args.output), key, last })
    })
    .await
}

fn show_workers(reply: Reply<Workers>, output: WorkersFormat) -> String {
    let workers = &reply.value.workers;
    match output {
        WorkersFormat::Json => reply.text,
        WorkersFormat::Name => table::names(workers.iter().map(|worker| &worker.name)),
        WorkersFormat::Table => with_past(workers, false),
        WorkersFormat::Wide => with_past(workers, true),
    }
}

/// The table, and under it the last jobs of those that are over.
fn with_past(workers: &[Worker], wide: bool) -> String {
    [table::workers(workers, wide)].into_iter().chain(history::past_jobs(workers)).collect::<Vec<_>>().join("\n")
}

fn show_drain(reply: Reply<Drain>, output: Format) -> String {
    match output {
        Format::Json => reply.text,
        Format::Name => reply.value.name,
        Format::Table => {
            let jobs = table::jobs(reply.value.workers.iter());
            [report::full(&reply.value)].into_iter().chain(jobs).collect::<Vec<_>>().join("\n")
        }
    }
}

fn key_of_workers(workers: &Workers) -> String {
    let mut timeless = workers.clone();
    timeless.workers.iter_mut().for_each(|worker| (worker.oldest_job_seconds, worker.estimate) = (None, None));
    format!("{timeless:?}")
}

fn key_of_drain(drain: &Drain) -> String {
    let mut timeless = drain.clone();
    timeless.estimate = None;
    for worker in &mut timeless.workers {
        (worker.oldest_job_seconds, worker.unknown_seconds, worker.estimate) = (None, None, None);
    }
    format!("{timeless:?}")
}

/// Looks once, or again and again: on a terminal always on a fresh screen, elsewhere only when something changed.
/// A gate that goes away meanwhile is waited for.
async fn repeat<F>(watch: bool, look: impl Fn() -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Look, Failure>>,
{
    let screen = watch && std::io::stdout().is_terminal();
    let mut shown: Option<String> = None;
    let mut away = false;
    loop {
        match look().await {
            Ok(look) => {
                if screen {
                    print(&format!("\x1b[H\x1b[2J{}", look.text));
                } else if shown.as_ref() != Some(&look.key) {
                    print(&look.text);
                }
                if !watch || look.last {
                    return Ok(Exit::Done);
                }
                (shown, away) = (Some(look.key), false);
            }
            Err(failure) if shown.is_some() && failure.exit == Exit::Unreachable => {
                if !std::mem::replace(&mut away, true) {
                    complain(&format!("{failure}; asking again"));
                }
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
