//! The fleet beside a gate, told as the hub tells it: all events of a read under one lock, their lines in the journal
//! before the bytes go on.

use draingate::fleet::{Fleet, FleetSettings, Peer};
use draingate::job::{ConnId, JobEvent, Protocol};
use std::net::{IpAddr, Ipv4Addr};

const CONN: ConnId = ConnId(1);

/// See the module.
pub(crate) struct Beside {
    fleet: Fleet,
    events: Vec<JobEvent>,
    /// Bytes of the journal.
    pub(crate) journal: usize,
}

impl Beside {
    /// With one connection of a worker elsewhere.
    pub(crate) fn new(now: u64, protocol: Protocol) -> Beside {
        let mut fleet = Fleet::new(FleetSettings::default(), now);
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
        let listener = "main".into();
        let peer = Peer { listener, listener_is_identity: false, protocol, ip, port: 4_242, local: false };
        fleet.connect(now, CONN, peer);
        Beside { fleet, events: Vec::new(), journal: 0 }
    }

    /// The gate has said something.
    pub(crate) fn hear(&mut self, event: JobEvent) {
        self.events.push(event);
    }

    /// That was all for now.
    pub(crate) fn tell(&mut self, now: u64) {
        if self.events.is_empty() {
            return;
        }
        self.events.drain(..).for_each(|event| self.fleet.event(now, CONN, event));
        std::hint::black_box(self.fleet.take_effects());
        self.journal += self.fleet.take_journal(|lines| std::hint::black_box(lines).len()).unwrap_or(0);
    }

    /// Jobs in flight.
    #[cfg(test)]
    pub(crate) fn in_flight(&self, now: u64) -> usize {
        let workers = self.fleet.workers(now, None, false).unwrap_or_default();
        workers.iter().map(|worker| worker.in_flight.running + worker.in_flight.prefetched).sum::<u32>() as usize
    }
}
