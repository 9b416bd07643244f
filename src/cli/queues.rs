//! `queues`, `pause` and `resume`.

use crate::api::model::{NewPause, Queue, Queues};
use crate::cli::args::{Format, PauseArgs, QueuesArgs, ResumeArgs};
use crate::cli::client::Client;
use crate::cli::exit::Exit;
use crate::cli::{Failure, check_reason, note, print, table};
use crate::fleet::view::QueueState;
use std::time::{Duration, Instant};

/// Time between two looks of `--wait`.
const AGAIN: Duration = Duration::from_millis(100);

/// `draingate queues`.
pub(super) async fn queues(client: &Client, args: QueuesArgs) -> Result<Exit, Failure> {
    let reply = client.get::<Queues>(&["v1", "queues"], &[]).await?;
    let queues = &reply.value.queues;
    let text = match args.output {
        Format::Json => reply.text,
        Format::Name => table::names(queues.iter().map(|queue| &queue.name)),
        Format::Table => table::queues(queues),
    };
    print(&text);
    Ok(Exit::Done)
}

/// `draingate pause`.
pub(super) async fn pause(client: &Client, args: PauseArgs) -> Result<Exit, Failure> {
    let name = named(&args.queue)?;
    check_reason(args.ttl.as_deref(), args.reason.as_deref())?;
    let body = NewPause { ttl: args.ttl.clone(), reason: args.reason.clone() };
    let reply = client.pause(name, &body).await?;
    let pause = &reply.value;
    if !pause.seen {
        let nearest = match pause.nearest.join(", ") {
            names if names.is_empty() => String::new(),
            names => format!("; nearest: {names}"),
        };
        note(&format!("draingate: no queue of that name has been seen yet{nearest}"));
    }
    let exit = if args.wait { wait(client, name, args.timeout).await? } else { Exit::Done };
    match args.output {
        Format::Json => print(&reply.text),
        Format::Name => print(&pause.name),
        Format::Table => {
            let until =
                pause.until.map_or_else(|| "until it is resumed".to_owned(), |at| format!("for {}", table::until(at)));
            let held: Vec<&str> = pause.queues.iter().map(String::as_str).filter(|queue| *queue != name).collect();
            let held = if held.is_empty() { String::new() } else { format!(" ({})", held.join(", ")) };
            print(&format!("{}{held} paused {until}", pause.name));
        }
    }
    Ok(exit)
}

/// `draingate resume`.
pub(super) async fn resume(client: &Client, args: ResumeArgs) -> Result<Exit, Failure> {
    let names = args.queue.iter().map(|queue| named(queue)).collect::<Result<Vec<_>, _>>()?;
    let queues = client.get::<Queues>(&["v1", "queues"], &[]).await?.value.queues;
    for name in names {
        let is_paused = |queue: &Queue| queue.paused.as_ref().is_some_and(|by| by.name == name || queue.name == name);
        let was_paused = queues.iter().any(is_paused);
        client.resume(name).await?;
        if was_paused {
            print(&format!("{name} resumed"));
        } else {
            note(&format!("no queue named {name} is paused"));
        }
    }
    Ok(Exit::Done)
}

/// Until no fetch of the paused queue is at the broker.
async fn wait(client: &Client, name: &str, timeout: Duration) -> Result<Exit, Failure> {
    let until = Instant::now() + timeout;
    loop {
        let queues = client.get::<Queues>(&["v1", "queues"], &[]).await?.value.queues;
        let ours = |queue: &&Queue| queue.paused.as_ref().is_some_and(|paused| paused.name == name);
        let Some(waits) = queues.iter().filter(ours).find(|queue| queue.state.0 == QueueState::Pausing) else {
            return Ok(Exit::Done);
        };
        if Instant::now() >= until {
            note(&format!("draingate: {} is still pausing after {}", waits.name, table::words(timeout)));
            waits.blocked.iter().for_each(|why| note(&format!("  {why}")));
            return Ok(Exit::TimeOut);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// `queue=NAME`, or the name alone, if nobody could take it for a selector.
fn named(text: &str) -> Result<&str, Failure> {
    let name = text.strip_prefix("queue=");
    if name.is_none() && text.contains('=') {
        let hint = format!("a queue of that name is queue={text}");
        return Err(Failure::new(Exit::Usage, format!("{text}: expected queue=NAME")).hint(hint));
    }
    let name = name.unwrap_or(text).trim();
    if name.is_empty() {
        return Err(Failure::new(Exit::Usage, "the queue has no name").hint("`draingate queues` lists them"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_with_or_without_its_key() {
        assert_eq!(named("queue=mail").ok(), Some("mail"));
        assert_eq!(named("mail").ok(), Some("mail"));
        assert_eq!(named("queue=a=b").ok(), Some("a=b"));
        for wrong in ["worker=w1", "queue=", "queue= "] {
            assert!(named(wrong).is_err_and(|failure| failure.exit == Exit::Usage), "{wrong}");
        }
    }
}
