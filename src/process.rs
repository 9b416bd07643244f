//! Which process on the gate's own host is behind a connection: its socket is found by its two ends, and then among the
//! open files of processes in `/proc`. Many questions are answered in one pass.

mod search;
mod sockets;

use crate::fleet::Process;
use crate::job::Millis;
use procfs::process::Stat;
use search::{Search, Stats};
use sockets::Sockets;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::OnceLock;

/// One connection to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The peer's end.
    pub peer: SocketAddr,
    /// The gate's end. An unspecified address stands for any of this host's.
    pub gate: SocketAddr,
}

/// Who has the peer's end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The process itself, then its ancestors upwards.
    pub lineage: Vec<Process>,
    /// The process's command name.
    pub command: String,
}

/// Whether a peer at this address, seen from `gate`, is on the gate's own host.
pub fn is_local(peer: IpAddr, gate: IpAddr) -> bool {
    let (peer, gate) = (peer.to_canonical(), gate.to_canonical());
    if gate.is_unspecified() {
        // only an address of this host can be bound to
        return peer.is_loopback() || UdpSocket::bind((peer, 0)).is_ok();
    }
    peer.is_loopback() || peer == gate
}

/// Looks processes up, and remembers where it has found some: it looks there first the next time.
#[derive(Default)]
pub struct Processes {
    sockets: Sockets,
    search: Search,
}

impl Processes {
    /// Looks all of them up in one pass. `None`: closed already, not permitted to see, or in another namespace.
    pub fn owners(&mut self, questions: &[Question]) -> Vec<Option<Owner>> {
        let inodes = self.sockets.inodes(questions);
        let mut stats = Stats::default();
        // what is not where it probably is has been closed meanwhile, mostly
        let still = |missing: &BTreeSet<u64>| {
            let is_missing = |inode: &u64| missing.contains(inode);
            let doubtful = questions.iter().zip(&inodes).filter(|(_, inode)| inode.as_ref().is_some_and(is_missing));
            let doubtful: Vec<Question> = doubtful.map(|(question, _)| *question).collect();
            self.sockets.inodes(&doubtful).into_iter().flatten().filter(is_missing).collect()
        };
        let owners = self.search.owners(&inodes.iter().flatten().copied().collect(), &mut stats, still);
        inodes.iter().map(|inode| owner(*owners.get(inode.as_ref()?)?, &mut stats)).collect()
    }
}

/// The process with this id, then its ancestors upwards. Empty: it is gone, or cannot be seen.
pub fn lineage(pid: u32) -> Vec<Process> {
    i32::try_from(pid).map_or_else(|_| Vec::new(), |pid| lineage_in(pid, &mut Stats::default()))
}

fn owner(pid: i32, stats: &mut Stats) -> Option<Owner> {
    let command = stats.stat(pid)?.comm.clone();
    Some(Owner { lineage: lineage_in(pid, stats), command })
}

fn lineage_in(pid: i32, stats: &mut Stats) -> Vec<Process> {
    stats.lineage(pid).into_iter().filter_map(|pid| stats.stat(pid).map(process)).collect()
}

/// Whether the process with this id and start time has ended. False where that cannot be seen.
pub fn has_ended(pid: u32, started: u64) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    match procfs::process::Process::new(pid).and_then(|process| process.stat()) {
        Ok(stat) => stat.starttime != started || matches!(stat.state, 'Z' | 'X'),
        Err(procfs::ProcError::NotFound(_)) => true,
        Err(_) => false,
    }
}

fn process(stat: &Stat) -> Process {
    static BOOT: OnceLock<u64> = OnceLock::new();
    let boot_seconds = *BOOT.get_or_init(|| procfs::boot_time_secs().unwrap_or(0));
    let since_boot = stat.starttime.saturating_mul(1000) / procfs::ticks_per_second().max(1);
    Process {
        pid: stat.pid.unsigned_abs(),
        started: stat.starttime,
        started_at: boot_seconds as Millis * 1000 + since_boot,
    }
}

#[cfg(test)]
mod tests;
