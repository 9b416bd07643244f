//! The threads that connections live on: one single-threaded runtime each, so that a connection never changes its
//! processor and nothing on its way takes a lock. A new one goes to the thread that has the fewest.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::{io, thread};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// See the module. Dropping it ends all connections at once.
pub struct Threads {
    threads: Vec<Thread>,
    stop: CancellationToken,
}

struct Thread {
    runtime: Handle,
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
    /// Starts so many.
    pub fn start(number: usize) -> io::Result<Threads> {
        let stop = CancellationToken::new();
        let threads = (0..number.max(1)).map(|index| Thread::start(index, stop.clone())).collect::<io::Result<_>>()?;
        Ok(Threads { threads, stop })
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

    /// Runs a life on the least loaded thread, on which it takes the seat. (The future is the life itself: one around it
    /// would keep each connection's state twice.)
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&self, life: impl FnOnce(Seat) -> F) {
        let by_load = |(_, thread): &(usize, &Thread)| thread.connections.load(Ordering::Relaxed);
        let Some((index, thread)) = self.threads.iter().enumerate().min_by_key(by_load) else { return };
        thread.connections.fetch_add(1, Ordering::Relaxed);
        thread.runtime.spawn(life(Seat { thread: index, connections: thread.connections.clone() }));
    }
}

impl Thread {
    fn start(index: usize, stop: CancellationToken) -> io::Result<Thread> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let join =
            thread::Builder::new().name(format!("relay-{index}")).spawn(move || runtime.block_on(stop.cancelled()))?;
        Ok(Thread { runtime: handle, connections: Arc::default(), join: Some(join) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
        for join in self.threads.iter_mut().filter_map(|thread| thread.join.take()) {
            // a thread that panicked has said so
            let _ = join.join();
        }
    }
}
