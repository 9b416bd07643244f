//! The wiring: configuration, store, hub, threads, listeners and API become a running gate. What an earlier gate left
//! is loaded before the first connection is accepted; a broker that is down stops nothing.

mod api;
mod reload;
mod stop;
mod unix;

use crate::config::{Config, ConfigError, Flags, IdentityBy};
use crate::hub::Hub;
use crate::relay::{BindError, Bound, Relay, Resolver, Threads};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, LogControl, Meter, Metrics};
use crate::tls::TlsError;
use api::{Api, Sockets};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use unix::UnixSocketError;

/// Threads for everything that is not a connection.
const CONTROL_THREADS: usize = 2;
/// Files for everything that is not a connection: the state, the API's calls, look-ups of processes.
const FILES_BESIDE: usize = 200;
/// How often the metrics are tidied when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(30);

/// The flags of `draingate serve`.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Those that are stronger than the configuration.
    pub flags: Flags,
    /// `--ignore-state`.
    pub ignore_state: bool,
}

/// Why the gate could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state of an earlier gate cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address is taken or not ours.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin API's Unix socket is taken or cannot be made.
    #[error(transparent)]
    Unix(#[from] UnixSocketError),
    /// The admin API's certificates cannot be used.
    #[error("no TLS for the admin API: {0}")]
    Tls(TlsError),
    /// The metrics cannot be kept.
    #[error("the metrics cannot be kept: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The system refuses threads, signals or the like.
    #[error("the system refuses {what}: {error}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl ServeOptions {
    /// Reads the configuration that these flags lead to.
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.flags)
    }
}

/// Runs the gate until it is told to stop.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let config = options.load()?;
    let log = telemetry::init_log(&config.log);
    log_panics();
    let files = raise_file_limit();
    let metrics = Arc::new(Metrics::install()?);
    let (store, saved) = Store::open(&config.state, options.ignore_state)?;
    let hub = Hub::open(config.fleet_settings(), store, saved)?;
    let system = |what| move |error| ServeError::System { what, error };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(system("threads"))?;
    runtime.block_on(serve(options, config, log, metrics, hub, files))?;
    // a look-up of a name that hangs must not keep the process
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

async fn serve(
    options: ServeOptions,
    mut config: Config,
    log: LogControl,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    files: usize,
) -> Result<(), ServeError> {
    let system = |what| move |error| ServeError::System { what, error };
    let mut signals = Signals::new().map_err(system("signals"))?;
    // all addresses are taken before anything is accepted: a gate starts as a whole or not at all
    let listeners = config.listeners.iter().cloned().map(Bound::new).collect::<Result<Vec<_>, _>>()?;
    let admin = Sockets::bind(&config.admin)?;
    let threads = Threads::start(Threads::default_number(), hub.clock(), hub.teller());
    let threads = Arc::new(threads.map_err(system("threads"))?);
    let names = config.listeners.iter().map(|listener| listener.name.as_str());
    let meter = Arc::new(Meter::new(names, threads.number()));
    let resolver = Arc::new(Resolver::start(hub.clone()).map_err(system("threads"))?);
    let max_connections = (files.saturating_sub(FILES_BESIDE) / 2).max(1);
    let relay = Relay { hub: hub.clone(), threads, meter: meter.clone(), resolver, max_connections };

    tokio::spawn(hub.clone().chores());
    tokio::spawn(hub.clone().keep_drains());
    tokio::spawn(upkeep(metrics.clone()));
    let mut api = Api::start(hub.clone(), &config, admin, metrics, meter).map_err(system("the admin address"))?;
    say_ready(&hub, &config, &listeners, &api);

    let certificates: Vec<_> = listeners.iter().map(Bound::certificates).chain([api.certificates()]).collect();
    let accepting = CancellationToken::new();
    let acceptors = TaskTracker::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        let (relay, config, stop) = (relay.clone(), config.clone(), accepting.clone());
        acceptors.spawn(async move {
            let name = listener.config().name.clone();
            if let Err(error) = listener.accept(relay, &config, index, stop).await {
                tracing::error!(listener = name, %error, "the listener cannot accept");
            }
        });
    }
    acceptors.close();

    while signals.next().await == Told::Reload {
        reload::reload(&options, &mut config, &hub, &log, &certificates, &mut api);
    }
    tracing::info!(grace = ?config.shutdown_grace, connections = hub.connections(), "stopping");
    tokio::select! {
        () = stop::safely(&hub, config.shutdown_grace, &accepting) => (),
        () = signals.stop_again() => tracing::warn!(connections = hub.connections(), "told again: leaving now"),
    }
    accepting.cancel();
    acceptors.wait().await;
    stop::now(&hub).await;
    api.stop().await;
    hub.write_journal();
    // a panic in there has been logged
    let _ = tokio::task::spawn_blocking(move || hub.leave_drains()).await;
    tracing::info!("stopped");
    Ok(())
}

fn say_ready(hub: &Hub, config: &Config, listeners: &[Bound], api: &Api) {
    for listener in listeners {
        let info = listener.info();
        tracing::info!(
            listener = info.name,
            protocol = info.protocol.as_str(),
            address = info.address,
            upstream = info.upstream,
            "listening"
        );
    }
    let by_listener = config.listeners.iter().filter(|listener| listener.identity == IdentityBy::Listener);
    let identities = by_listener.map(|listener| listener.name.clone()).collect();
    let admin = api.info();
    let drains = hub.look(|fleet, now| fleet.drains(now).iter().filter(|drain| drain.in_force).count());
    hub.set_ready(listeners.iter().map(Bound::info).collect(), identities, admin.clone());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        admin = admin.address,
        unix_socket = admin.unix_socket,
        state = %config.state.dir.display(),
        drains_in = config.state.redis.as_ref().map(|redis| redis.to_string()),
        drains,
        "draingate is ready"
    );
}

/// What a signal says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    async fn stop_again(&mut self) {
        while self.next().await == Told::Reload {}
    }
}

async fn upkeep(metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.upkeep();
    }
}

/// A panic ends one connection or one call, never the gate; it must not go unseen.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::error!("a defect of draingate, please report it: {panic}")));
}

/// Each connection takes two files, and the soft limit is often 1,024. The limit in force.
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    in_force.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}
