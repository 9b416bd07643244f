//! `draingate events`: what happened, and with `--follow` what happens. A gate that goes away is waited for, and the
//! stream goes on behind the last event that was read.

use crate::api::model::{Event, What};
use crate::cli::args::{EventsArgs, Plain};
use crate::cli::client::{Client, ClientError, Stream};
use crate::cli::exit::Exit;
use crate::cli::{Failure, complain, print, table};
use std::time::Duration;

/// Time between two attempts while the gate is away.
const RETRY: Duration = Duration::from_secs(1);

/// `draingate events`.
pub(super) async fn events(client: &Client, args: EventsArgs) -> Result<Exit, Failure> {
    let mut course = Course { output: args.output, last: None };
    let mut away = false;
    loop {
        match course.listen(client, args.follow, &mut away).await {
            Ok(()) if !args.follow => return Ok(Exit::Done),
            Ok(()) => {}
            Err(error) if args.follow && course.last.is_some() && error.passes() => {
                if !std::mem::replace(&mut away, true) {
                    complain(&format!("{}; asking again", Failure::from(error)));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY).await;
    }
}

struct Course {
    output: Plain,
    /// The number of the last event that was read.
    last: Option<u64>,
}

impl Course {
    /// Until the stream ends.
    async fn listen(&mut self, client: &Client, follow: bool, away: &mut bool) -> Result<(), ClientError> {
        let mut stream = client.events(follow, self.last).await?;
        *away = false;
        // 0 is before all events: from now on a gate that goes away is waited for
        self.last.get_or_insert(0);
        let mut lines = Lines::default();
        while let Some(chunk) = stream.chunk().await? {
            for data in lines.add(&chunk) {
                let event = Stream::read::<Event>(&data)?;
                self.last = Some(event.id);
                match self.output {
                    Plain::Json => print(&data),
                    Plain::Table => print(&in_words(&event)),
                }
            }
        }
        Ok(())
    }
}

/// The `data` of the events in a stream, which comes in pieces. The gate writes each event's data as one line.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn add(&mut self, chunk: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(chunk);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return vec![] };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| data.trim_start().to_owned()).collect()
    }
}

fn in_words(event: &Event) -> String {
    let what = match &event.what {
        What::WorkerSeen { name, system, .. } => format!("worker {name} ({system}) seen"),
        What::WorkerState { name, from, to, .. } => format!("worker {name} {from} -> {to}"),
        What::WorkerLost { name, jobs, .. } if jobs.is_empty() => format!("worker {name} lost, no job known in flight"),
        What::WorkerLost { name, jobs, .. } => format!("worker {name} lost with {}", jobs.join(", ")),
        What::DrainCreated { drain, workers } => format!("drain {drain} made for {}", table::count(*workers, "worker")),
        What::DrainEnded { drain, how } => format!("drain {drain} {how}"),
        What::QueuePaused { queue, until, reason } => {
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("queue {queue} paused{until}{reason}")
        }
        What::QueueResumed { queue, how } => format!("pause of queue {queue} {how}"),
        What::Missed => "earlier events are not kept any more".to_owned(),
        What::Unknown => "something that this version of the command does not know".to_owned(),
    };
    format!("{} {what}", event.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text = "id: 1\nevent: missed\ndata: {\"a\":1}\n\n: comment\n\ndata:{\"b\":\"ä\"}\n\n".as_bytes();
        for cut in 0..=text.len() {
            let mut lines = Lines::default();
            let mut read = lines.add(&text[..cut]);
            read.extend(lines.add(&text[cut..]));
            assert_eq!(read, ["{\"a\":1}", "{\"b\":\"ä\"}"], "cut at {cut}");
        }
    }
}
