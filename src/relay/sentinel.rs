//! Which Redis is the master? The Sentinels know, and it may change: one is asked when a connection comes, but not more often
//! than once a second, whoever comes. What stays connected to a former master is cut by the Sentinels, which end its
//! clients' connections when they make it a replica.

use crate::config::{HostPort, Sentinel};
use crate::redis_server::Connection;
use std::io;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// So long an answer is good. (When workers come back after a failover, all of them want to know at once.)
const FRESH: Duration = Duration::from_secs(1);
/// A Sentinel that has not answered is not asked again for so long: it takes seconds to notice that, and others may know.
const SILENT: Duration = Duration::from_secs(5);

/// What each Sentinel has said last. Who wants to know waits while another asks.
#[derive(Debug, Default)]
pub(super) struct Masters {
    said: Mutex<Vec<Said>>,
}

#[derive(Debug)]
struct Said {
    by: Sentinel,
    until: Instant,
    /// Where the master is, or why it could not be learned.
    master: Result<HostPort, String>,
}

impl Masters {
    /// Where the master is, as this Sentinel says.
    pub(super) async fn find(&self, sentinel: &Sentinel) -> io::Result<HostPort> {
        let mut said = self.said.lock().await;
        said.retain(|said| Instant::now() < said.until);
        let known = said.iter().find(|said| said.by == *sentinel).map(|said| said.master.clone());
        let master = match known {
            Some(master) => master,
            None => {
                let by = sentinel.clone();
                let asked = spawn_blocking(move || ask(&by)).await;
                let master = asked.map_err(io::Error::other).flatten().map_err(|error| format!("Sentinel: {error}"));
                let until = Instant::now() + if master.is_ok() { FRESH } else { SILENT };
                said.push(Said { by: sentinel.clone(), until, master: master.clone() });
                master
            }
        };
        master.map_err(io::Error::other)
    }
}

fn ask(sentinel: &Sentinel) -> io::Result<HostPort> {
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(&sentinel.master);
    let answer: Option<(String, u16)> = Connection::open(&sentinel.server, 0)?.ask(&question)?;
    let (host, port) =
        answer.ok_or_else(|| io::Error::other(format!("it knows no master called {}", sentinel.master)))?;
    Ok(HostPort { host, port })
}
