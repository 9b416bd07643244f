//! The life of one connection: into the fleet, to the broker, through the pump, out of the fleet.

use super::agreed::{self, Caller};
use super::header::Ends;
use super::pump::{self, Closed, Parts, Pump};
use super::quiet::Quiet;
use super::reactor::{Life, Turn};
use super::socket::Socket;
use super::upstream::Broker;
use super::wire::Wire;
use super::{Relay, Seat};
use crate::config::{BrokerAddress, Config, IdentityBy, ListenerConfig};
use crate::fleet::{ClosedBy, Peer};
use crate::gate::Gate;
use crate::gate::amqp::{AmqpGate, AmqpSettings};
use crate::gate::resp::{RespGate, RespSettings};
use crate::hub::{self, Hub};
use crate::job::{ConnId, JobEvent, Millis, Protocol};
use crate::process::{self, Question};
use crate::telemetry::{self, ListenerMeter};
use crate::tls::Certificates;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::Context;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// RabbitMQ greets who has sent its header at once: who is not greeted for so long, in milliseconds, waits for nothing.
const GREETING: Millis = 1_000;

/// What the connections of one listener share.
pub(super) struct Front {
    pub(super) config: ListenerConfig,
    /// The listener's, for all its connections.
    name: Arc<str>,
    relay: Relay,
    gate: Gates,
    certificates: Arc<Certificates>,
    broker: Broker,
    meter: Arc<ListenerMeter>,
    unmet: Quiet,
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
    front: Arc<Front>,
    pump: Pump<Wire, Wire, G, Facts>,
    entry: Entry,
    peer: SocketAddr,
    /// Since when it is connected.
    since: Millis,
    /// How it ended.
    closed: Option<Box<Closed>>,
    /// Where its sockets are closed.
    runtime: Handle,
    permit: OwnedSemaphorePermit,
    seat: Seat,
}

impl Front {
    pub(super) fn new(
        relay: Relay,
        config: &Config,
        listener: ListenerConfig,
        certificates: Arc<Certificates>,
        index: usize,
    ) -> Front {
        let gate = match listener.protocol {
            Protocol::Redis => Gates::Resp(Arc::new(config.resp_settings(&listener))),
            Protocol::Amqp => Gates::Amqp(Arc::new(config.amqp_settings(&listener))),
        };
        let meter = relay.meter.listeners()[index].clone();
        let name = || listener.name.clone();
        metrics::counter!("draingate_upstream_connect_errors_total", "listener" => name()).increment(0);
        for result in ["ok", "client_error", "upstream_error"] {
            metrics::counter!("draingate_connections_total", "listener" => name(), "result" => result).increment(0);
        }
        let name = listener.name.as_str().into();
        let (unmet, unreachable, given_up) = (Quiet::default(), Quiet::default(), Quiet::default());
        let broker = Broker::new(listener.upstream.clone(), certificates.clone());
        Front { config: listener, name, relay, gate, certificates, broker, meter, unmet, unreachable, given_up }
    }

    /// Opens a connection and hands it to the thread on which it lives from then on. To be called on a runtime.
    pub(super) async fn serve(self: Arc<Front>, arrival: Arrival) {
        let seat = self.relay.threads.seat();
        let thread = seat.thread;
        let life: Option<Box<dyn Life>> = match &self.gate {
            Gates::Resp(settings) => {
                let gate = |number| RespGate::new(settings.clone(), number);
                self.clone().open(arrival, seat, gate).await.map(|open| Box::new(open) as Box<dyn Life>)
            }
            Gates::Amqp(settings) => {
                // jobs are named by the seed in the journal, which outlives this gate and its numbers
                let seed = |number: u64| self.relay.hub.now() << 20 | (number & 0xF_FFFF);
                let gate = |number| AmqpGate::new(settings.clone(), seed(number));
                self.clone().open(arrival, seat, gate).await.map(|open| Box::new(open) as Box<dyn Life>)
            }
        };
        if let Some(life) = life {
            self.relay.threads.enter(thread, life);
        }
    }

    /// Into the fleet and to the broker.
    async fn open<G: Gate>(
        self: Arc<Front>,
        arrival: Arrival,
        seat: Seat,
        gate: impl FnOnce(u64) -> G,
    ) -> Option<Open<G>> {
        let Arrival { stream, peer, permit } = arrival;
        let ends = match agreed::ends(&stream, peer) {
            Ok(ends) => ends,
            Err(error) => {
                // it was gone before it began
                tracing::debug!(listener = self.config.name, %peer, %error, "a connection was lost at once");
                return None;
            }
        };
        let caller = match agreed::meet(&self.certificates, stream, ends, self.config.proxy_protocol).await {
            Ok(caller) => caller,
            Err(error) => {
                self.say_unmet(peer, &error);
                return None;
            }
        };
        let mut entry = self.enter(&caller);
        let told = self.config.send_proxy_protocol.then_some(caller.ends);
        let broker = match self.broker.connect(told).await {
            Ok(broker) => broker,
            Err((address, error)) => {
                self.say_unreachable(&address, &error);
                return None;
            }
        };
        self.count("ok");
        entry.closed_by = ClosedBy::Gate;
        let pump = Pump::new(Parts {
            client: caller.wire,
            broker,
            gate: gate(entry.conn.0),
            facts: entry.facts(),
            handle: entry.handle.clone(),
            clock: self.relay.hub.clock(),
            meter: self.meter.thread(seat.thread),
        });
        let (runtime, since) = (Handle::current(), self.relay.hub.now());
        Some(Open { front: self, pump, entry, peer, since, closed: None, runtime, permit, seat })
    }

    /// Enters the connection into the fleet, and asks for its process.
    fn enter(&self, caller: &Caller) -> Entry {
        let hub = self.relay.hub.clone();
        let (peer, local): Ends = caller.ends;
        let is_local = !caller.is_proxied && process::is_local(peer.ip(), local.ip());
        let (conn, handle) = hub.connect(Peer {
            listener: self.name.clone(),
            listener_is_identity: self.config.identity == IdentityBy::Listener,
            protocol: self.config.protocol,
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

    fn say_unmet(&self, peer: SocketAddr, error: &io::Error) {
        let listener = &self.config.name;
        self.count("client_error");
        if let Some(left_out) = self.unmet.turn(self.relay.hub.now()) {
            tracing::warn!(listener, %peer, %error, left_out, "the handshake with a client failed; it is closed");
        }
    }

    fn say_unreachable(&self, address: &BrokerAddress, error: &io::Error) {
        let listener = &self.config.name;
        self.count("upstream_error");
        metrics::counter!("draingate_upstream_connect_errors_total", "listener" => listener.clone()).increment(1);
        if let Some(left_out) = self.unreachable.turn(self.relay.hub.now()) {
            tracing::warn!(listener, %address, %error, left_out, "the broker cannot be reached; the client is closed");
        }
    }

    /// The client has waited for the broker's greeting, and has left without it. (Redis sends none, and may have reason not to
    /// answer for long.)
    fn was_not_greeted(&self, closed: &Closed, since: Millis) -> bool {
        let waited = self.relay.hub.now().saturating_sub(since) >= GREETING;
        let asked = closed.by == ClosedBy::Client && closed.to_broker > 0 && closed.to_client == 0;
        self.config.protocol == Protocol::Amqp && asked && waited
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
            tracing::warn!(listener, %peer, %error, left_out, "a connection was given up or refused: both sides are closed");
        }
    }
}

impl<G: Gate + Send + 'static> Life for Open<G> {
    fn sockets(&mut self) -> [&mut Socket; 2] {
        self.pump.streams().map(Wire::socket)
    }

    fn turn(&mut self, now: Millis, cx: &mut Context<'_>) -> Turn {
        let closed = self.pump.turn(now, cx);
        self.outcome(closed)
    }

    fn hand_over(&mut self, facts: &mut Vec<(ConnId, JobEvent)>) -> bool {
        self.pump.hand_over(facts)
    }

    fn resume(&mut self, now: Millis, cx: &mut Context<'_>, asked: bool) -> Turn {
        let closed = self.pump.resume(now, cx, asked);
        self.outcome(closed)
    }

    fn timer(&mut self) -> Option<Millis> {
        self.pump.timer()
    }

    /// The fleet hears of the end before a socket is closed.
    fn close(self: Box<Self>) {
        let Open { front, pump, mut entry, peer, since, closed, runtime, permit, seat } = *self;
        if let Some(closed) = &closed {
            entry.closed_by = closed.by;
        }
        drop(entry);
        if let Some(closed) = &closed {
            front.say_closed(peer, closed);
        }
        let client_ended_first = pump.client_ended_first();
        let [client, broker] = pump.into_streams().map(Wire::into_inner);
        if closed.is_some_and(|closed| front.was_not_greeted(&closed, since))
            && let Some(address) = broker.peer_addr().ok().and_then(|address| address.as_socket())
        {
            front.broker.keeps_waiting(address);
        }
        runtime.spawn(async move {
            let _ = broker.shutdown(Shutdown::Write);
            if client_ended_first {
                // nothing is waited for
                let _ = client.shutdown(Shutdown::Write);
            } else if let Ok(mut client) = TcpStream::from_std(client.into()) {
                // it came over TCP
                pump::part(&mut client).await;
            }
            drop((broker, permit, seat));
        });
    }
}

impl<G: Gate + Send + 'static> Open<G> {
    fn outcome(&mut self, closed: Option<Box<Closed>>) -> Turn {
        match closed {
            Some(_) => {
                self.closed = closed;
                Turn::Over
            }
            None if self.pump.is_parked() => Turn::Parked,
            None => Turn::Waits,
        }
    }
}

/// What the gates of a listener share.
enum Gates {
    Resp(Arc<RespSettings>),
    Amqp(Arc<AmqpSettings>),
}

/// A connection's place in the fleet, given up however it ends.
struct Entry {
    hub: Arc<Hub>,
    conn: ConnId,
    handle: Arc<hub::Handle>,
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
    handle: Arc<hub::Handle>,
    opaque: bool,
}

impl Facts {
    /// Counts it. False if it is no news of a job, and nothing that the fleet has to hear.
    #[inline(always)]
    fn count(&mut self, event: &JobEvent) -> bool {
        telemetry::connection_event(self.handle.flags().system(), event);
        self.opaque |= matches!(event, JobEvent::Opaque);
        !matches!(event, JobEvent::UnknownScript)
    }
}

impl pump::FactSink for Facts {
    fn events(&mut self, events: impl Iterator<Item = JobEvent>) {
        let (hub, conn) = (self.hub.clone(), self.conn);
        let mut news = events.filter(|event| self.count(event));
        let Some(first) = news.next() else { return };
        hub.with_fleet(|fleet, now| {
            fleet.event(now, conn, first);
            news.for_each(|event| fleet.event(now, conn, event));
        });
    }

    fn hand_over(&mut self, event: JobEvent, facts: &mut Vec<(ConnId, JobEvent)>) {
        if self.count(&event) {
            facts.push((self.conn, event));
        }
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
        let (resp, amqp) = (size_of::<Open<RespGate>>(), size_of::<Open<AmqpGate>>());
        assert!(resp <= 896 && amqp <= 1_024, "{resp} and {amqp} bytes");
    }
}
