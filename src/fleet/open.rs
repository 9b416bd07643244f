//! How many workers can get jobs of each queue now. Its name alone does not say which queue that is: RabbitMQ has one of
//! the same name in every virtual host.

use super::Fleet;
use super::worker::{Worker, WorkerNo};
use std::collections::HashMap;
use std::sync::Arc;

/// Queues without a consumer are remembered up to so many.
const MOST: usize = 16_384;
/// Queues remembered of one worker: unknown clients may wait on a fresh key each time.
const QUEUES: usize = 256;

/// In which virtual host a worker reads its queues; `None` is `/`, and Redis, which has none.
pub(super) type VirtualHost = Option<Arc<str>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenConsumers {
    by_queue: HashMap<String, Vec<(VirtualHost, usize)>>,
}

impl OpenConsumers {
    /// The queue has been asked for there, by one more worker that may take jobs, or by one that may not.
    pub(super) fn add(&mut self, queue: &str, host: &VirtualHost, open: bool) {
        let hosts = match self.by_queue.get_mut(queue) {
            Some(hosts) => hosts,
            None => self.by_queue.entry(queue.to_owned()).or_default(),
        };
        match hosts.iter_mut().find(|(at, _)| at == host) {
            Some((_, workers)) => *workers += usize::from(open),
            None => hosts.push((host.clone(), usize::from(open))),
        }
    }

    /// A worker that might take jobs of it may no more.
    pub(super) fn remove(&mut self, queue: &str, host: &VirtualHost) {
        let hosts = self.by_queue.get_mut(queue).into_iter().flatten();
        for (_, workers) in hosts.filter(|(at, _)| at == host) {
            *workers = workers.saturating_sub(1);
        }
    }

    /// Workers for the queue of that name there.
    pub(super) fn within(&self, queue: &str, host: &VirtualHost) -> usize {
        let hosts = self.by_queue.get(queue).into_iter().flatten();
        hosts.filter(|(at, _)| at == host).map(|(_, workers)| workers).sum()
    }

    /// Workers for queues of that name, wherever they are.
    pub(super) fn of(&self, queue: &str) -> usize {
        self.by_queue.get(queue).into_iter().flatten().map(|(_, workers)| workers).sum()
    }

    /// All that were asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_queue.keys().map(String::as_str)
    }

    /// Forgets queues that nobody reads if there are too many.
    fn shrink(&mut self) {
        if self.by_queue.len() > MOST {
            self.by_queue.retain(|_, hosts| hosts.iter().any(|(_, workers)| *workers > 0));
        }
    }
}

impl Fleet {
    /// The worker has asked for these.
    pub(super) fn add_queues(&mut self, no: WorkerNo, queues: &[String]) {
        for queue in queues {
            let Some(worker) = self.workers.get_mut(&no) else { return };
            if worker.queues.contains(queue) {
                continue;
            }
            worker.asks_declared |= self.settings.declared_fetch.is_match(queue);
            if worker.queues.len() < QUEUES {
                worker.queues.insert(queue.clone());
                self.open.add(queue, &worker.host, worker.open);
                self.journal_queue(no, queue);
            }
        }
    }

    /// Counts a worker among the open consumers of its queues, or no more.
    pub(super) fn count_open(&mut self, no: WorkerNo) {
        let Some(worker) = self.workers.get(&no) else { return };
        let open = !worker.conns.is_empty() && !worker.is_marked() && !worker.key.is_pending();
        self.set_open(no, open);
    }

    pub(super) fn close_open(&mut self, no: WorkerNo) {
        self.set_open(no, false);
    }

    /// The worker reads its queues in this virtual host. (One that reads in several counts in that of the latest.)
    pub(super) fn reads_in(&mut self, no: WorkerNo, host: VirtualHost) {
        let Some(worker) = self.workers.get(&no).filter(|worker| worker.host != host) else { return };
        let open = worker.open;
        self.set_open(no, false);
        if let Some(worker) = self.workers.get_mut(&no) {
            worker.host = host;
        }
        self.set_open(no, open);
    }

    fn set_open(&mut self, no: WorkerNo, open: bool) {
        let Some(worker) = self.workers.get_mut(&no).filter(|worker| worker.open != open) else { return };
        worker.open = open;
        for queue in &worker.queues {
            if open {
                self.open.add(queue, &worker.host, true);
            } else {
                self.open.remove(queue, &worker.host);
            }
        }
        self.open.shrink();
    }
}

impl Worker {
    /// These queues are among its own, or it has so many that no more are remembered.
    pub(super) fn knows_all(&self, queues: &[String]) -> bool {
        self.queues.len() >= QUEUES || queues.iter().all(|queue| self.queues.contains(queue))
    }
}
