//! Which process has a socket open. That takes a look at the open files of processes, one by one; so they are looked at in
//! the order in which they probably have it, until all that is asked for is found: those that have just come, those that
//! had others before, and the rest from the youngest on.

use procfs::process::Stat;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;

/// Processes remembered for their connections.
const RECENT: usize = 8;

/// What is remembered between searches.
#[derive(Default)]
pub(super) struct Search {
    /// The last ones that had what was looked for, the latest first.
    recent: VecDeque<i32>,
    /// Those that were there the last time.
    known: HashSet<i32>,
}

/// What has been read of processes in one search.
#[derive(Default)]
pub(super) struct Stats {
    by_pid: HashMap<i32, Option<Stat>>,
}

impl Search {
    /// The owner of each of the sockets that has one that can be seen; never the gate itself. Children inherit sockets: of
    /// a process and its ancestors that have it, the oldest is the owner.
    ///
    /// `still` says which are still open: it is asked before all processes are looked at.
    pub(super) fn owners(
        &mut self,
        inodes: &BTreeSet<u64>,
        stats: &mut Stats,
        still: impl FnOnce(&BTreeSet<u64>) -> BTreeSet<u64>,
    ) -> HashMap<u64, i32> {
        let (mut owners, mut missing) = (HashMap::new(), inodes.clone());
        if missing.is_empty() {
            return owners;
        }
        let (likely, others) = self.candidates();
        self.look(&likely, &mut missing, &mut owners, stats);
        if !missing.is_empty() && !others.is_empty() {
            missing = still(&missing);
            self.look(&others, &mut missing, &mut owners, stats);
        }
        owners
    }

    /// Looks at these processes until nothing is missing.
    fn look(&mut self, pids: &[i32], missing: &mut BTreeSet<u64>, owners: &mut HashMap<u64, i32>, stats: &mut Stats) {
        for pid in pids.iter().copied() {
            if missing.is_empty() {
                return;
            }
            let found = open_sockets(pid, missing);
            if found.is_empty() {
                continue;
            }
            owners.extend(found.iter().map(|inode| (*inode, pid)));
            let mut oldest = pid;
            for ancestor in stats.lineage(pid).into_iter().skip(1) {
                let inherited = open_sockets(ancestor, &found);
                if !inherited.is_empty() {
                    oldest = ancestor;
                }
                owners.extend(inherited.into_iter().map(|inode| (inode, ancestor)));
            }
            self.remember(oldest);
            missing.retain(|inode| !found.contains(inode));
        }
    }

    /// All processes but the gate, the most probable first: the likely ones, and the others.
    fn candidates(&mut self) -> (Vec<i32>, Vec<i32>) {
        let own = std::process::id() as i32;
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
        let mut all: Vec<i32> = entries.filter_map(pid).filter(|pid| *pid != own).collect();
        let rank = |pid: &i32| match self.recent.iter().position(|recent| recent == pid) {
            _ if !self.known.contains(pid) => 0,
            Some(place) => 1 + place,
            None => 1 + RECENT,
        };
        // process ids rise
        all.sort_unstable_by_key(|pid| (rank(pid), -pid));
        let likely = all.partition_point(|pid| rank(pid) <= RECENT);
        let others = all.split_off(likely);
        self.known = all.iter().chain(&others).copied().collect();
        (all, others)
    }

    fn remember(&mut self, pid: i32) {
        self.recent.retain(|recent| *recent != pid);
        self.recent.push_front(pid);
        self.recent.truncate(RECENT);
    }
}

/// Those of `wanted` that the process has open. The latest descriptors come first: they are the highest, mostly.
fn open_sockets(pid: i32, wanted: &BTreeSet<u64>) -> BTreeSet<u64> {
    let folder = format!("/proc/{pid}/fd");
    // not permitted, or gone: no sockets to see
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut descriptors: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    descriptors.sort_unstable_by_key(|descriptor| std::cmp::Reverse(*descriptor));
    let mut found = BTreeSet::new();
    for descriptor in descriptors {
        if found.len() == wanted.len() {
            break;
        }
        let inode = fs::read_link(format!("{folder}/{descriptor}"))
            .ok()
            .and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        found.extend(inode.filter(|inode| wanted.contains(inode)));
    }
    found
}

impl Stats {
    pub(super) fn stat(&mut self, pid: i32) -> Option<&Stat> {
        self.by_pid.entry(pid).or_insert_with(|| procfs::process::Process::new(pid).ok()?.stat().ok()).as_ref()
    }

    /// The process and its ancestors upwards, as far as they can be seen.
    pub(super) fn lineage(&mut self, pid: i32) -> Vec<i32> {
        let mut lineage = Vec::new();
        let mut next = pid;
        while next > 0
            && let Some(stat) = self.stat(next)
        {
            lineage.push(next);
            next = stat.ppid;
        }
        lineage
    }
}
