//! Waiting for a drain: `wait NAME` and `drain --wait`. A wait is a row of long polls, so it can be taken up again from
//! anywhere, and it rides over a restart of the gate: once the drain has been seen, only the time-out ends the asking.

use crate::api::goal::Goal;
use crate::api::model::Drain;
use crate::cli::args::{For, Format, WaitArgs};
use crate::cli::client::{Client, ClientError, Reply};
use crate::cli::exit::{Exit, verdict};
use crate::cli::progress::Progress;
use crate::cli::report::{self, Ended};
use crate::cli::{Failure, complain};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longest single poll: how old the progress shown may be.
const POLL: Duration = Duration::from_secs(2);
/// Shortest time between two polls, should the gate answer at once.
const PAUSE: Duration = Duration::from_millis(200);
/// Time between two attempts while the gate is away.
const RETRY: Duration = Duration::from_millis(500);

/// What is being waited for.
pub(super) struct Waiting<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a str,
    pub(super) goal: Goal,
    pub(super) timeout: Duration,
    pub(super) output: Format,
}

/// How far a wait has come.
struct Course {
    deadline: Instant,
    /// The drain as it was last seen.
    last: Option<Reply<Drain>>,
    /// The gate did not answer the last time.
    away: bool,
    progress: Progress,
}

/// `draingate wait`.
pub(super) async fn wait(client: &Client, args: WaitArgs) -> Result<Exit, Failure> {
    let goal = match args.goal {
        For::Sealed => Goal::Sealed,
        For::Drained => Goal::Drained,
    };
    let waiting = Waiting { client, name: &args.name, goal, timeout: args.timeout, output: args.output };
    waiting.run(None).await
}

impl Waiting<'_> {
    /// Waits and reports. `seen` is the drain as it was when it was made, if this command made it.
    pub(super) async fn run(&self, seen: Option<Reply<Drain>>) -> Result<Exit, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut course = Course { deadline, last: seen, away: false, progress: Progress::new() };
        let ended = tokio::select! {
            ended = self.until_over(&mut course) => Some(ended),
            _ = tokio::signal::ctrl_c() => None,
        };
        course.progress.clear();
        let Some(ended) = ended else {
            complain(&format!("interrupted; {}", report::stays(self.name)));
            return Ok(Exit::Interrupted);
        };
        let ended = ended?;
        report::ended(&ended, self.goal, self.timeout, self.output);
        Ok(ended.exit)
    }

    async fn until_over(&self, course: &mut Course) -> Result<Ended, Failure> {
        // The first look does not wait: there is something to show at once.
        let mut longest = Duration::ZERO;
        loop {
            let began = Instant::now();
            let poll = course.deadline.saturating_duration_since(began).min(longest);
            longest = POLL;
            let again = match self.client.drain_after(self.name, self.goal, poll).await {
                Ok(reply) => match self.answered(course, reply) {
                    Some(ended) => return Ok(ended),
                    None => began + PAUSE,
                },
                Err(error) => match self.failed(course, error)? {
                    Some(ended) => return Ok(ended),
                    None => Instant::now() + RETRY,
                },
            };
            sleep_until(again.min(course.deadline)).await;
        }
    }

    /// The gate said how the drain stands.
    fn answered(&self, course: &mut Course, reply: Reply<Drain>) -> Option<Ended> {
        if std::mem::take(&mut course.away) {
            course.progress.note("the gate is back");
        }
        if let Some(last) = course.last.take_if(|last| last.value.created_at != reply.value.created_at) {
            let why = format!("the drain {} ended while waiting: a new one has its name now", self.name);
            return Some(Ended { exit: Exit::Ended, drain: last, why: Some(why) });
        }
        course.progress.show(&reply.value, self.goal);
        if let Some(exit) = verdict(&reply.value, self.goal, Instant::now() >= course.deadline) {
            return Some(Ended { exit, drain: reply, why: None });
        }
        course.last = Some(reply);
        None
    }

    /// The gate did not say how the drain stands.
    fn failed(&self, course: &mut Course, error: ClientError) -> Result<Option<Ended>, Failure> {
        let Some(last) = course.last.take() else { return Err(error.into()) };
        if error.no_drain() {
            let why = format!("the drain {} ended while waiting: the gate does not know it any more", self.name);
            return Ok(Some(Ended { exit: Exit::Ended, drain: last, why: Some(why) }));
        }
        let passes = error.passes();
        let failure = Failure::from(error);
        if !passes {
            return Err(failure);
        }
        if Instant::now() >= course.deadline {
            return Err(failure.hint(report::last_seen(&last.value, self.timeout)));
        }
        if !std::mem::replace(&mut course.away, true) {
            course.progress.note(&format!("{}: {failure}; asking again until the time is up", self.name));
        }
        course.last = Some(last);
        Ok(None)
    }
}
