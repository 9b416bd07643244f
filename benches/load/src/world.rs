//! What all connections of a run share: how much is to be done, what has been, and how long it took.

use std::time::Instant;

/// See the module.
pub(crate) struct World {
    epoch: Instant,
    began: u64,
    ended: u64,
    pub(crate) goal: u64,
    pub(crate) done: u64,
    /// Jobs sent off.
    pub(crate) sent: u64,
    rate: u64,
    window: u64,
    /// Something was sent when all could send last: more may go without anything coming in between.
    pub(crate) moved: bool,
    pub(crate) running: bool,
    /// Connections that have not said yet that they are ready.
    pub(crate) unready: usize,
    /// Letters from one connection to another: a stamp.
    pub(crate) mail: Vec<(usize, u64)>,
    /// Those who feed the queue.
    pub(crate) feeders: Vec<usize>,
    /// Jobs are requests of the connections themselves, in turn.
    pub(crate) open_loop: bool,
    latencies: Vec<u64>,
}

impl World {
    pub(crate) fn new(goal: u64, rate: u64, window: u64) -> World {
        World {
            epoch: Instant::now(),
            began: 0,
            ended: 0,
            goal,
            done: 0,
            sent: 0,
            rate,
            window,
            moved: false,
            running: false,
            unready: 0,
            mail: Vec::new(),
            feeders: Vec::new(),
            open_loop: false,
            latencies: Vec::with_capacity(goal as usize),
        }
    }

    /// Nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    pub(crate) fn begin(&mut self) {
        self.running = true;
        self.began = self.now();
    }

    pub(crate) fn has_rate(&self) -> bool {
        self.rate > 0
    }

    /// When the next job is due.
    fn due(&self) -> u64 {
        self.began + (u128::from(self.sent) * 1_000_000_000 / u128::from(self.rate.max(1))) as u64
    }

    /// The stamp of a job that is to be sent now.
    pub(crate) fn next(&mut self, now: u64) -> Option<u64> {
        if !self.running || self.sent >= self.goal {
            return None;
        }
        let stamp = match self.rate {
            0 if self.sent >= self.done + self.window => return None,
            0 => now,
            _ => Some(self.due()).filter(|due| *due <= now)?,
        };
        self.sent += 1;
        self.moved = true;
        Some(stamp)
    }

    /// How long nothing is due; `None`: nothing will be by itself.
    pub(crate) fn idle(&self) -> Option<u64> {
        (self.rate > 0 && self.sent < self.goal).then(|| self.due().saturating_sub(self.now()))
    }

    /// A job that was due then is done.
    pub(crate) fn finish(&mut self, stamp: u64) {
        self.done += 1;
        self.ended = self.now();
        self.latencies.push(self.ended.saturating_sub(stamp));
    }

    /// So many are done that nobody measured one by one.
    pub(crate) fn finish_many(&mut self, number: u64) {
        self.done += number;
        self.ended = self.now();
    }

    /// As JSON.
    pub(crate) fn told(&mut self) -> String {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (self.latencies.len() as f64 * share) as usize;
            self.latencies.get(rank).map_or(0.0, |ns| *ns as f64 / 1000.0)
        };
        format!(
            r#"{{"jobs": {}, "seconds": {:.6}, "p50": {:.1}, "p99": {:.1}, "p999": {:.1}}}"#,
            self.done,
            (self.ended - self.began) as f64 / 1e9,
            at(0.5),
            at(0.99),
            at(0.999)
        )
    }
}
