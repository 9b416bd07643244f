//! The threads that connections live on: each drives its own, so that a connection never changes its processor and nothing
//! on its way takes a lock. A new one goes to the thread that has the fewest.

use super::reactor::{Caller, Life, Reactor};
use crate::hub::{Clock, Tell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::{io, thread};

/// More connections than any thread has.
const DEAD: usize = usize::MAX / 2;

/// See the module. Dropping it ends all connections at once.
pub struct Threads {
    threads: Vec<Thread>,
}

struct Thread {
    caller: Caller,
    connections: Arc<AtomicUsize>,
    join: Option<JoinHandle<()>>,
}

/// A connection's place on a thread, counted as long as this lives.
pub struct Seat {
    /// The thread's number.
    pub thread: usize,
    connections: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    /// Starts so many. `tell` is given what connections have to tell, those of one thread together.
    pub fn start(number: usize, clock: Clock, tell: Tell) -> io::Result<Threads> {
        let start = |index| Thread::start(index, clock, tell.clone());
        let threads = (0..number.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(Threads { threads })
    }

    /// How many there are if nobody says: as many as processors, or `DRAINGATE_THREADS`.
    pub fn default_number() -> usize {
        let wanted = std::env::var("DRAINGATE_THREADS").ok().and_then(|text| text.parse().ok());
        let available = || thread::available_parallelism().map_or(1, |number| number.get());
        wanted.filter(|number| *number > 0).unwrap_or_else(available)
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.threads.len()
    }

    /// Takes a seat on the least loaded thread.
    pub fn seat(&self) -> Seat {
        let by_load = |(_, thread): &(usize, &Thread)| thread.connections.load(Ordering::Relaxed);
        let least = self.threads.iter().enumerate().min_by_key(by_load);
        let (thread, connections) = least.map(|(index, t)| (index, t.connections.clone())).unwrap_or_default();
        connections.fetch_add(1, Ordering::Relaxed);
        Seat { thread, connections }
    }

    /// Lets a connection live on the thread on which it has its seat.
    pub fn enter(&self, thread: usize, life: Box<dyn Life>) {
        if let Some(thread) = self.threads.get(thread) {
            thread.caller.enter(life);
        }
    }
}

impl Thread {
    fn start(index: usize, clock: Clock, tell: Tell) -> io::Result<Thread> {
        let (reactor, caller) = Reactor::new(clock, tell)?;
        let connections = Arc::new(AtomicUsize::new(0));
        let load = connections.clone();
        let run = move || {
            if let Err(error) = reactor.run() {
                // the others take the new ones
                load.fetch_add(DEAD, Ordering::Relaxed);
                tracing::error!(%error, "a thread has ended, and its connections with it");
            }
        };
        let join = thread::Builder::new().name(format!("relay-{index}")).spawn(run)?;
        Ok(Thread { caller, connections, join: Some(join) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.caller.stop());
        for join in self.threads.iter_mut().filter_map(|thread| thread.join.take()) {
            // a thread that panicked has said so
            let _ = join.join();
        }
    }
}
