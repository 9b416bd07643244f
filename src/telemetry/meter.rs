//! Counters of the relay that lie on the way of every byte. Each thread writes its own and only a scrape adds them up,
//! so that counting costs a plain store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// All listeners' counters.
#[derive(Debug, Default)]
pub struct Meter {
    listeners: Vec<Arc<ListenerMeter>>,
}

/// One listener's.
#[derive(Debug)]
pub struct ListenerMeter {
    /// The listener's name.
    pub name: String,
    open: AtomicUsize,
    threads: Vec<Arc<ThreadMeter>>,
}

/// One listener's on one thread. Only that thread writes.
#[derive(Debug, Default)]
#[repr(align(128))] // a cache line (and its neighbour) of its own
pub struct ThreadMeter {
    from_client: AtomicU64,
    from_broker: AtomicU64,
}

impl Meter {
    /// Counters for these listeners on so many threads.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>, threads: usize) -> Meter {
        let listener = |name: &str| {
            let threads = (0..threads).map(|_| Arc::default()).collect();
            Arc::new(ListenerMeter { name: name.to_owned(), open: AtomicUsize::new(0), threads })
        };
        Meter { listeners: names.map(listener).collect() }
    }

    /// In the order given.
    pub fn listeners(&self) -> &[Arc<ListenerMeter>] {
        &self.listeners
    }
}

impl ListenerMeter {
    /// The counters of one of the threads.
    pub fn thread(&self, index: usize) -> Arc<ThreadMeter> {
        self.threads.get(index).cloned().unwrap_or_default()
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// One more is open.
    pub fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One less is open.
    pub fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes read from clients and from the broker so far.
    pub fn bytes(&self) -> (u64, u64) {
        self.threads.iter().fold((0, 0), |(client, broker), thread| {
            let add = |sum: u64, counter: &AtomicU64| sum.wrapping_add(counter.load(Ordering::Relaxed));
            (add(client, &thread.from_client), add(broker, &thread.from_broker))
        })
    }
}

impl ThreadMeter {
    /// Bytes were read from the client.
    pub fn from_client(&self, bytes: usize) {
        add(&self.from_client, bytes);
    }

    /// Bytes were read from the broker.
    pub fn from_broker(&self, bytes: usize) {
        add(&self.from_broker, bytes);
    }
}

/// A load and a store: there is one writer.
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(bytes as u64), Ordering::Relaxed);
}
