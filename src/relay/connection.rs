//! The life of one connection: into the fleet, to the broker, through the pump, out of the fleet.

use super::pump::{self, Closed, Parts, Pump};
use super::quiet::Quiet;
use super::{Relay, Seat, upstream};
use crate::config::{Config, IdentityBy, ListenerConfig, Protocol};
use crate::fleet::{ClosedBy, Peer};
use crate::gate::Gate;
use crate::gate::amqp::{AmqpGate, AmqpSettings};
use crate::gate::resp::{RespGate, RespSettings};
use crate::hub::{Handle, Hub};
use crate::job::{ConnId, JobEvent};
use crate::process::{self, Question};
use crate::telemetry::{self, ListenerMeter};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// What the connections of one listener share.
pub(super) struct Front {
    pub(super) config: ListenerConfig,
    relay: Relay,
    gate: Gates,
    meter: Arc<ListenerMeter>,
    unreachable: Quiet,
    given_up: Quiet,
}

/// A connection fresh from `accept`.
pub(super) struct Arrival {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    /// Its room under `max_connections`.
    pub(super) permit: OwnedSemaphorePermit,
}

/// A connection that is connected on both sides.
struct Open<G> {
    pump: Box<Pump<TcpStream, TcpStream, G, Facts>>,
    entry: Entry,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

impl Front {
    pub(super) fn new(relay: Relay, config: &Config, listener: ListenerConfig, index: usize) -> Front {
        let gate = match listener.protocol {
            Protocol::Redis => Gates::Resp(Arc::new(config.resp_settings(&listener))),
            Protocol::Amqp => Gates::Amqp(Arc::new(config.amqp_settings(&listener))),
        };
        let meter = relay.meter.listeners()[index].clone();
        let name = || listener.name.clone();
        metrics::counter!("draingate_upstream_connect_errors_total", "listener" => name()).increment(0);
        for result in ["ok", "upstream_error"] {
            metrics::counter!("draingate_connections_total", "listener" => name(), "result" => result).increment(0);
        }
        Front { config: listener, relay, gate, meter, unreachable: Quiet::default(), given_up: Quiet::default() }
    }

    /// The whole life, on the thread of this seat. What only the beginning needs is in a box of its own, for most of
    /// its life a connection idles and should be small.
    pub(super) async fn serve(self: Arc<Front>, arrival: Arrival, seat: Seat) {
        match &self.gate {
            Gates::Resp(settings) => {
                let gate = |number| RespGate::new(settings.clone(), number);
                self.live(Box::pin(self.open(arrival, seat.thread, gate))).await;
            }
            Gates::Amqp(settings) => {
                // jobs are named by the seed in the journal, which outlives this gate and its numbers
                let seed = |number: u64| self.relay.hub.now() << 20 | (number & 0xF_FFFF);
                let gate = |number| AmqpGate::new(settings.clone(), seed(number));
                self.live(Box::pin(self.open(arrival, seat.thread, gate))).await;
            }
        }
        drop(seat);
    }

    async fn live<G: Gate>(&self, opening: Pin<Box<impl Future<Output = Option<Open<G>>>>>) {
        let Some(Open { mut pump, mut entry, peer, permit }) = opening.await else { return };
        let closed = pump.run().await;
        entry.closed_by = closed.by;
        drop(entry);
        self.say_closed(peer, &closed);
        Box::pin(pump.part()).await;
        drop(permit);
    }

    /// Into the fleet and to the broker.
    async fn open<G: Gate>(&self, arrival: Arrival, thread: usize, gate: impl FnOnce(u64) -> G) -> Option<Open<G>> {
        let Arrival { stream, peer, permit } = arrival;
        let prepared = stream.local_addr().and_then(|local| Ok((TcpStream::from_std(stream)?, local)));
        let (client, local) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // it was gone before it began
                tracing::debug!(listener = self.config.name, %peer, %error, "a connection was lost at once");
                return None;
            }
        };
        let mut entry = self.enter(peer, local);
        let broker = match upstream::connect(&self.config.upstream).await {
            Ok(broker) => broker,
            Err((address, error)) => {
                self.say_unreachable(&address, &error);
                return None;
            }
        };
        self.count("ok");
        entry.closed_by = ClosedBy::Gate;
        let gate = gate(entry.conn.0);
        let pump = Box::new(Pump::new(Parts {
            client,
            broker,
            gate,
            facts: entry.facts(),
            handle: entry.handle.clone(),
            clock: self.relay.hub.clock(),
            meter: self.meter.thread(thread),
        }));
        Some(Open { pump, entry, peer, permit })
    }

    /// Enters the connection into the fleet, and asks for its process.
    fn enter(&self, peer: SocketAddr, local: SocketAddr) -> Entry {
        let hub = self.relay.hub.clone();
        let is_local = process::is_local(peer.ip(), local.ip());
        let (conn, handle) = hub.connect(Peer {
            listener: self.config.name.clone(),
            listener_is_identity: self.config.identity == IdentityBy::Listener,
            protocol: self.config.protocol.as_str(),
            ip: peer.ip().to_canonical(),
            port: peer.port(),
            local: is_local,
        });
        if is_local {
            self.relay.resolver.ask(conn, Question { peer, gate: local });
        }
        self.meter.opened();
        // until something else ends it, it is the broker that could not be reached
        Entry { hub, conn, handle, meter: self.meter.clone(), closed_by: ClosedBy::Broker }
    }

    fn count(&self, result: &'static str) {
        let labels = [("listener", self.config.name.clone()), ("result", result.to_owned())];
        metrics::counter!("draingate_connections_total", &labels).increment(1);
    }

    fn say_unreachable(&self, address: &crate::config::HostPort, error: &io::Error) {
        let listener = &self.config.name;
        self.count("upstream_error");
        metrics::counter!("draingate_upstream_connect_errors_total", "listener" => listener.clone()).increment(1);
        if let Some(left_out) = self.unreachable.turn(self.relay.hub.now()) {
            tracing::warn!(listener, %address, %error, left_out, "the broker cannot be reached; the client is closed");
        }
    }

    fn say_closed(&self, peer: SocketAddr, closed: &Closed) {
        let listener = &self.config.name;
        let Closed { by, error, settled, to_client, to_broker } = closed;
        tracing::debug!(listener, %peer, ?by, to_client, to_broker, "connection closed");
        if !settled {
            tracing::warn!(listener, %peer, "a connection was closed before what its client had begun was settled");
        }
        let Some(error) = error else { return };
        telemetry::gate_error(error);
        if let Some(left_out) = self.given_up.turn(self.relay.hub.now()) {
            tracing::warn!(listener, %peer, %error, left_out, "a connection was given up: both sides are closed");
        }
    }
}

/// What the gates of a listener share.
enum Gates {
    Resp(Arc<RespSettings>),
    Amqp(Arc<AmqpSettings>),
}

/// A connection's place in the fleet, given up however its task ends.
struct Entry {
    hub: Arc<Hub>,
    conn: ConnId,
    handle: Arc<Handle>,
    meter: Arc<ListenerMeter>,
    closed_by: ClosedBy,
}

impl Entry {
    fn facts(&self) -> Facts {
        Facts { hub: self.hub.clone(), conn: self.conn, handle: self.handle.clone(), opaque: false }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.meter.closed();
        self.hub.disconnect(self.conn, self.closed_by);
    }
}

/// Carries what the gate tells to the fleet and into the metrics.
struct Facts {
    hub: Arc<Hub>,
    conn: ConnId,
    handle: Arc<Handle>,
    opaque: bool,
}

impl pump::FactSink for Facts {
    fn event(&mut self, event: JobEvent) {
        telemetry::connection_event(self.handle.flags().system(), &event);
        self.opaque |= event == JobEvent::Opaque;
        self.hub.with_fleet(|fleet, now| fleet.event(now, self.conn, event));
    }

    fn mark_seen(&mut self) {
        self.hub.with_fleet(|fleet, now| fleet.mark_seen(now, self.conn));
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        if self.opaque {
            metrics::gauge!("draingate_opaque_connections").decrement(1);
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of connections idle at the same time: what each keeps is worth a test.
    #[test]
    fn an_idle_connection_is_small() {
        fn size<F: Future>(_life: impl Fn(Arc<Front>, Arrival, Seat) -> F) -> usize {
            size_of::<F>()
        }
        let life = size(Front::serve);
        let pump = size_of::<Pump<TcpStream, TcpStream, RespGate, Facts>>();
        assert!(life <= 512 && pump <= 1024, "{life} + {pump} bytes");
    }
}
