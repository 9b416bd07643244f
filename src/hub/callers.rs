//! Who calls the admin API, seen as a worker: a process drains itself without knowing its name.

use super::Hub;
use crate::fleet::Peer;
use crate::job::WorkerId;
use crate::process::{self, Processes, Question};
use std::net::SocketAddr;
use std::sync::PoisonError;

impl Hub {
    /// The workers that a new connection from the caller's process and address would belong to, were it made to any of
    /// the listeners: looks the process up as for a local peer, then asks [`crate::fleet::Fleet::would_belong`]. Blocks
    /// on `/proc`. One: that is the caller's worker. Several: they cannot be told apart from here.
    pub fn workers_of_caller(&self, caller: SocketAddr) -> Vec<WorkerId> {
        let port = self.admin_address().parse().map_or(0, |admin: SocketAddr| admin.port());
        let gate = SocketAddr::from(([0, 0, 0, 0], port));
        let local = process::is_local(caller.ip(), gate.ip());
        let owner =
            if local { Processes::default().owners(&[Question { peer: caller, gate }]).pop().flatten() } else { None };
        let lineage = owner.map(|owner| owner.lineage).unwrap_or_default();
        let identities = self.identities.read().unwrap_or_else(PoisonError::into_inner).clone();
        let listeners = self.listeners();
        self.look(|fleet, _| {
            let mut workers: Vec<WorkerId> = Vec::new();
            for listener in listeners {
                let peer = Peer {
                    listener_is_identity: identities.contains(&listener.name),
                    listener: listener.name.into(),
                    protocol: listener.protocol,
                    ip: caller.ip().to_canonical(),
                    port: caller.port(),
                    local,
                };
                workers.extend(fleet.would_belong(&peer, &lineage));
            }
            workers.sort();
            workers.dedup();
            workers
        })
    }
}
