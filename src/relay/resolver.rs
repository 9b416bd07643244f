//! A thread that asks which process is behind each new connection from this host, all that wait in one pass.

use crate::hub::Hub;
use crate::job::ConnId;
use crate::process::{self, Owner, Question};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Connections of one process come in bursts: waiting this long finds them in one pass.
const GATHER: Duration = Duration::from_millis(2);
/// Passes may take half of the thread's time, so that thousands of connections become few passes; but no longer than
/// this is waited between two.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// See the module. The thread ends with it.
pub struct Resolver {
    questions: mpsc::Sender<(ConnId, Question)>,
}

impl Resolver {
    /// Starts the thread. Answers go to the fleet.
    pub fn start(hub: Arc<Hub>) -> io::Result<Resolver> {
        let (questions, waiting) = mpsc::channel::<(ConnId, Question)>();
        thread::Builder::new().name("resolver".into()).spawn(move || {
            let mut pause = GATHER;
            while let Ok(first) = waiting.recv() {
                thread::sleep(pause);
                let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                let begun = Instant::now();
                answer(&hub, &batch);
                pause = begun.elapsed().clamp(GATHER, LONGEST_PAUSE);
            }
        })?;
        Ok(Resolver { questions })
    }

    /// Asks. An answer always comes, if only that the process cannot be told.
    pub fn ask(&self, conn: ConnId, question: Question) {
        // the thread ends with the last sender only
        let _ = self.questions.send((conn, question));
    }
}

fn answer(hub: &Hub, batch: &[(ConnId, Question)]) {
    let questions: Vec<Question> = batch.iter().map(|(_, question)| *question).collect();
    let owners = process::owners(&questions);
    hub.with_fleet(|fleet, now| {
        for ((conn, _), owner) in batch.iter().zip(&owners) {
            match owner {
                Some(Owner { lineage, command }) => fleet.identified(now, *conn, lineage, Some(command)),
                None => fleet.identified(now, *conn, &[], None),
            }
        }
    });
}
