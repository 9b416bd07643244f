//! A thread that asks which process is behind each new connection from this host, all that wait in one pass.

use crate::hub::Hub;
use crate::job::ConnId;
use crate::process::{Owner, Processes, Question};
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
            let (mut processes, mut pause) = (Processes::default(), GATHER);
            while let Ok(first) = waiting.recv() {
                thread::sleep(pause);
                let mut batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
                // nobody asks any more for those that are closed
                batch.retain(|(conn, _)| hub.is_connected(*conn));
                let begun = Instant::now();
                answer(&hub, &mut processes, &batch);
                pause = begun.elapsed().clamp(GATHER, LONGEST_PAUSE);
            }
        })?;
        Ok(Resolver { questions })
    }

    /// Asks. An answer always comes while the connection is there, if only that the process cannot be told.
    pub fn ask(&self, conn: ConnId, question: Question) {
        // the thread ends with the last sender only
        let _ = self.questions.send((conn, question));
    }
}

fn answer(hub: &Hub, processes: &mut Processes, batch: &[(ConnId, Question)]) {
    if batch.is_empty() {
        return;
    }
    let questions: Vec<Question> = batch.iter().map(|(_, question)| *question).collect();
    let owners = processes.owners(&questions);
    hub.with_fleet(|fleet, now| {
        for ((conn, _), owner) in batch.iter().zip(&owners) {
            match owner {
                Some(Owner { lineage, command }) => fleet.identified(now, *conn, lineage, Some(command)),
                None => fleet.identified(now, *conn, &[], None),
            }
        }
    });
}
