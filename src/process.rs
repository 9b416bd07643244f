//! Which process on the gate's own host is behind a connection, by `/proc`. Many questions are answered in one pass:
//! reading the table of sockets and the open files of all processes is what costs.

use crate::fleet::Process;
use crate::job::Millis;
use procfs::process::Stat;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
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

/// Looks all of them up in one pass. `None`: closed already, not permitted to see, or in another namespace.
pub fn owners(questions: &[Question]) -> Vec<Option<Owner>> {
    let inodes = inodes(questions);
    let holders = holders(&inodes.iter().flatten().copied().collect());
    let mut stats = Stats::default();
    inodes.iter().map(|inode| stats.owner(holders.get(inode.as_ref()?)?)).collect()
}

/// The peers' sockets. Both ends must match: by the peer's alone the gate's own socket to a broker could be found.
fn inodes(questions: &[Question]) -> Vec<Option<u64>> {
    let mut wanted: HashMap<SocketAddr, Vec<usize>> = HashMap::new();
    for (index, question) in questions.iter().enumerate() {
        wanted.entry(canonical(question.peer)).or_default().push(index);
    }
    let mut found = vec![None; questions.len()];
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    for entry in tables.into_iter().flatten().flatten().filter(|entry| entry.inode != 0) {
        let Some(indices) = wanted.get(&canonical(entry.local_address)) else { continue };
        let remote = canonical(entry.remote_address);
        for index in indices {
            let gate = canonical(questions[*index].gate);
            if remote.port() == gate.port() && (gate.ip().is_unspecified() || remote.ip() == gate.ip()) {
                found[*index] = Some(entry.inode);
            }
        }
    }
    found
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The processes that have these sockets open; never the gate itself.
fn holders(inodes: &BTreeSet<u64>) -> BTreeMap<u64, Vec<i32>> {
    let mut holders: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    if inodes.is_empty() {
        return holders;
    }
    let own = std::process::id() as i32;
    let Ok(processes) = fs::read_dir("/proc") else { return holders };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if pid == own {
            continue;
        }
        for inode in sockets(&entry.path().join("fd")) {
            if inodes.contains(&inode) {
                holders.entry(inode).or_default().push(pid);
            }
        }
    }
    holders
}

fn sockets(fds: &Path) -> impl Iterator<Item = u64> {
    // not permitted, or gone: no sockets to see
    let entries = fs::read_dir(fds).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// What has been read of processes in this pass.
#[derive(Default)]
struct Stats {
    by_pid: HashMap<i32, Option<Stat>>,
}

impl Stats {
    fn stat(&mut self, pid: i32) -> Option<&Stat> {
        self.by_pid.entry(pid).or_insert_with(|| procfs::process::Process::new(pid).ok()?.stat().ok()).as_ref()
    }

    /// The oldest of the holders: children inherit sockets from it.
    fn owner(&mut self, holders: &[i32]) -> Option<Owner> {
        let started = |stats: &mut Stats, pid| stats.stat(pid).map(|stat| (stat.starttime, pid));
        let (_, pid) = holders.iter().filter_map(|pid| started(self, *pid)).min()?;
        let command = self.stat(pid)?.comm.clone();
        let mut lineage = Vec::new();
        let mut next = pid;
        while next > 0 {
            let Some(stat) = self.stat(next) else { break };
            lineage.push(process(stat));
            next = stat.ppid;
        }
        Some(Owner { lineage, command })
    }
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
