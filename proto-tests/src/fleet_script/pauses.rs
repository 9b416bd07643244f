//! Pauses in scripts:
//!
//! ```text
//! pause NAME [ttl=10m|none] [reason=x] [! error|again]      resume NAME
//! c1 held q                  a fetch that is held because its queue is paused
//! c1 takes [NAME..]          its gate has taken the set over; under these names something is still at the broker (NAME!why)
//! ? queue NAME paused systems=celery consumers=1 held=1 by=NAME reason=x blocked~text unseen     ? no queue NAME
//! ```

use super::Script;
use super::words::span;
use draingate::fleet::{PauseRequest, Ttl};
use draingate::job::JobEvent;

impl Script {
    pub(super) fn pause(&mut self, line: &str) -> Result<(), String> {
        let (command, wanted) = match line.split_once(" ! ") {
            Some((command, wanted)) => (command, Some(wanted.trim())),
            None => (line, None),
        };
        let mut words = command.split_whitespace().skip(1);
        let queue = words.next().unwrap_or_default().trim_matches('"').to_owned();
        let mut request = PauseRequest { queue, ttl: Ttl::Usual, reason: None };
        for word in words {
            match word.split_once('=') {
                Some(("ttl", "none")) => request.ttl = Ttl::Endless,
                Some(("ttl", time)) => request.ttl = Ttl::For(span(time)?),
                Some(("reason", reason)) => request.reason = Some(reason.to_owned()),
                _ => return Err(format!("{word}?")),
            }
        }
        match (self.fleet.pause(self.now, &request), wanted) {
            (Ok(answer), None) if answer.created => Ok(()),
            (Ok(answer), Some("again")) if !answer.created => Ok(()),
            (Err(error), Some(wanted)) if error.to_string().contains(wanted) => super::one_line(&error),
            (answer, wanted) => Err(format!("expected {wanted:?}, got {answer:?}")),
        }
    }

    /// The gate of a connection says how far it is with the set in force.
    pub(super) fn taken(&self, open: &[&str]) -> JobEvent {
        let open = open.iter().map(|name| match name.split_once('!') {
            Some((name, why)) => (name.to_owned(), Some(why.to_owned())),
            None => ((*name).to_owned(), None),
        });
        JobEvent::PausesTaken { number: self.fleet.paused().number(), open: open.collect() }
    }

    pub(super) fn check_queue(&self, words: &[&str]) -> Result<(), String> {
        let queues = self.fleet.queues();
        let queue = queues.iter().find(|queue| queue.name == words[0]).ok_or_else(|| format!("{queues:#?}"))?;
        let systems: Vec<&str> = queue.systems.iter().map(|system| system.as_str()).collect();
        for word in &words[1..] {
            let right = match word.split_once(['=', '~']) {
                None if *word == "unseen" => !queue.seen,
                None => queue.state.as_str() == *word,
                Some(("systems", wanted)) => systems.join(",") == wanted,
                Some(("consumers", wanted)) => queue.consumers.to_string() == wanted,
                Some(("held", wanted)) => queue.held.to_string() == wanted,
                Some(("by", wanted)) => queue.pause.as_ref().is_some_and(|pause| pause.name == wanted),
                Some(("reason", wanted)) => queue.pause.as_ref().and_then(|p| p.reason.as_deref()) == Some(wanted),
                Some(("blocked", wanted)) => queue.blocked.iter().any(|why| why.contains(wanted)),
                Some(_) => return Err(format!("{word}?")),
            };
            if !right {
                return Err(format!("not {word}: {queue:#?}"));
            }
        }
        Ok(())
    }
}
