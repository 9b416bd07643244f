//! Who calls the admin API, seen as a worker: a process drains itself without knowing its name.

use super::Hub;
use crate::fleet::{Peer, Process};
use crate::job::WorkerId;
use crate::process::{self, Processes, Question};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::PoisonError;

/// Where a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Over TCP.
    Tcp {
        /// The caller's socket.
        peer: SocketAddr,
        /// The gate's end of the same connection.
        local: SocketAddr,
    },
    /// Over the Unix socket, so from the gate's own host.
    Unix {
        /// The process that connected. `None`: it is in another PID namespace.
        pid: Option<u32>,
        /// The user that it runs as.
        uid: u32,
    },
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Tcp { peer, .. } => write!(f, "{}", peer.ip().to_canonical()),
            Caller::Unix { pid: Some(pid), .. } => write!(f, "process {pid}"),
            Caller::Unix { pid: None, uid } => write!(f, "a process of user {uid}"),
        }
    }
}

impl Hub {
    /// The workers that a new connection from the caller's process and address would belong to, were it made to any of
    /// the listeners: looks the process up as for a local peer, then asks [`crate::fleet::Fleet::would_belong`]. Blocks
    /// on `/proc`. One: that is the caller's worker. Several: they cannot be told apart from here. `None`: neither the
    /// process nor the address is known, and it matters.
    pub fn workers_of_caller(&self, caller: Caller) -> Option<Vec<WorkerId>> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (from, local, lineage) = match caller {
            Caller::Unix { pid, .. } => (nowhere, true, pid.map(process::lineage).unwrap_or_default()),
            Caller::Tcp { peer, .. } if process::is_local(peer.ip(), nowhere.ip()) => {
                (peer, true, self.lineage_of(peer))
            }
            Caller::Tcp { peer, .. } => (peer, false, Vec::new()),
        };
        let identities = self.identities.read().unwrap_or_else(PoisonError::into_inner).clone();
        let listeners = self.listeners();
        let all_are_identities = listeners.iter().all(|listener| identities.contains(&listener.name));
        if from == nowhere && lineage.is_empty() && !all_are_identities {
            return None;
        }
        let workers = self.look(|fleet, _| {
            let mut workers: Vec<WorkerId> = Vec::new();
            for listener in listeners {
                let peer = Peer {
                    listener_is_identity: identities.contains(&listener.name),
                    listener: listener.name.into(),
                    protocol: listener.protocol,
                    ip: from.ip().to_canonical(),
                    port: from.port(),
                    local,
                };
                workers.extend(fleet.would_belong(&peer, &lineage));
            }
            workers.sort();
            workers.dedup();
            workers
        });
        Some(workers)
    }

    /// The process behind a call over TCP and its ancestors upwards.
    fn lineage_of(&self, peer: SocketAddr) -> Vec<Process> {
        let port = self.admin().address.parse().map_or(0, |admin: SocketAddr| admin.port());
        let gate = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let owner = Processes::default().owners(&[Question { peer, gate }]).pop().flatten();
        owner.map(|owner| owner.lineage).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StateConfig;
    use crate::fleet::FleetSettings;
    use crate::hub::ListenerInfo;
    use crate::job::{JobEvent, Place, Protocol};
    use crate::store::{AdminInfo, Store};
    use std::collections::HashSet;

    fn listener(name: &str) -> ListenerInfo {
        ListenerInfo { name: name.into(), protocol: Protocol::Redis, address: String::new(), upstream: String::new() }
    }

    /// A container beside the gate that shares its socket, and not its processes.
    #[test]
    fn who_cannot_be_seen_is_known_by_a_listener_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, saved) = Store::open(&StateConfig::in_dir(dir.path()), false).expect("opened");
        let hub = Hub::open(FleetSettings::default(), store, saved).expect("opened");
        let own: HashSet<String> = [String::from("own")].into();
        hub.set_ready(vec![listener("own"), listener("shared")], own.clone(), AdminInfo::default());
        let caller = Caller::Unix { pid: None, uid: 0 };
        assert_eq!(hub.workers_of_caller(caller), None, "it may be a worker behind the other");

        hub.set_ready(vec![listener("own")], own, AdminInfo::default());
        assert_eq!(hub.workers_of_caller(caller), Some(vec![]), "nobody is there");
        let peer = Peer {
            listener: "own".into(),
            listener_is_identity: true,
            protocol: Protocol::Redis,
            ip: [10, 0, 0, 1].into(),
            port: 1,
            local: false,
        };
        let (conn, _handle) = hub.connect(peer);
        let asked = JobEvent::FetchAsked { place: Place::Broker, queues: ["jobs".into()].into(), blocking: true };
        hub.with_fleet(|fleet, now| fleet.event(now, conn, asked));
        let worker = hub.look(|fleet, now| fleet.workers(now, None, false)).expect("all").remove(0).id;
        assert_eq!(hub.workers_of_caller(caller), Some(vec![worker]));
    }
}
