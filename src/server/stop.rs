//! Leaving without hurting anybody: a worker whose connection is cut in mid-job may lose the job, so the gate holds all
//! fetches, lets workers without jobs go first (spread over time, for they will all come back at once), and waits for
//! the others as long as its grace allows. A fetch that the broker may still answer counts as a job: a worker that loses
//! one of its connections leaves the others as well (measured with Celery 5.7), and what came then would be lost.
//!
//! A job that runs may need another connection, to publish its next attempt or step: refused, Celery rejects and Dramatiq
//! acknowledges it as it is, and it is lost (measured with 5.7 and 2.2). So the gate accepts as long as somebody has jobs.
//! Who comes then is held, and stays until the last job has ended: he would come back at once.

use crate::hub::{Handle, Hub};
use crate::job::{ConnId, Protocol};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks at who still has jobs.
const LOOK: Duration = Duration::from_millis(100);
/// Between two groups of connections that are closed.
const STEP: Duration = Duration::from_millis(10);
/// What closing connections may take to write their last bytes.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Until all connections are closed at a safe boundary, or the grace is over. `accepting` ends when nobody has jobs.
pub(super) async fn safely(hub: &Hub, grace: Duration, accepting: &CancellationToken) {
    let end = Instant::now() + grace;
    let late = hub.set_leaving();
    while hub.connections() > 0 && Instant::now() < end {
        let busy = busy_connections(hub);
        if busy.is_empty() {
            accepting.cancel();
        }
        let stays = |conn| busy.contains(&conn) || (conn >= late && !accepting.is_cancelled());
        let free: Vec<Arc<Handle>> = hub.handles(|conn| !stays(conn));
        let free: Vec<_> = free.into_iter().filter(|handle| !handle.flags().stopping()).collect();
        for group in free.chunks(group_size(free.len(), grace)) {
            group.iter().for_each(|handle| handle.stop());
            tokio::time::sleep(STEP).await;
        }
        tokio::time::sleep(LOOK).await;
    }
    let left = hub.connections();
    if left > 0 {
        let busy = busy_connections(hub).len();
        tracing::warn!(connections = left, of_busy_workers = busy, "the grace is over: closing what is left");
    }
}

/// Closes all connections wherever they are.
pub(super) async fn now(hub: &Hub) {
    let end = Instant::now() + LAST_BYTES;
    for handle in hub.handles(|_| true) {
        handle.stop_now();
    }
    while hub.connections() > 0 && Instant::now() < end {
        tokio::time::sleep(STEP).await;
    }
}

/// So many at once that half of the grace suffices for all; few connections go one by one.
fn group_size(connections: usize, grace: Duration) -> usize {
    let groups = (grace / 2).as_millis() / STEP.as_millis();
    connections.div_ceil(usize::try_from(groups).unwrap_or(usize::MAX).max(1)).max(1)
}

/// The connections of workers that have jobs in flight, or may still get one. (RabbitMQ takes back what nobody has
/// acknowledged.)
fn busy_connections(hub: &Hub) -> HashSet<ConnId> {
    hub.look(|fleet, now| {
        let workers = fleet.workers(now, None, false).unwrap_or_default();
        let busy = workers.into_iter().filter(|worker| {
            let jobs = worker.in_flight;
            let asks = worker.protocol == Protocol::Redis && worker.at_broker > 0;
            asks || jobs.running + jobs.prefetched + jobs.delayed > 0
        });
        let details = busy.filter_map(|worker| fleet.worker(now, &worker.id.0));
        details.flat_map(|worker| worker.connections).map(|connection| connection.id).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_go_in_groups_and_few_one_by_one() {
        let grace = Duration::from_secs(30);
        assert_eq!(group_size(3, grace), 1);
        assert_eq!(group_size(15_000, grace), 10);
        assert_eq!(group_size(10, Duration::ZERO), 10);
    }
}
