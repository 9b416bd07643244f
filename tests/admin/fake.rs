//! A gate without connections: it answers what a test put into it, and serves the real API on a free port.

use crate::samples;
use draingate::api::auth::{Scope, Token};
use draingate::api::backend::Backend;
use draingate::api::{ApiSettings, Doors, serve_backend};
use draingate::fleet::view::{DrainState, DrainView, DrainWorker, QueueView, ReportView, WorkerDetail, WorkerView};
use draingate::fleet::{DrainAnswer, DrainError, DrainRequest, PauseAnswer, PauseRequest};
use draingate::hub::{Caller, Events, Heard, HubError, ListenerInfo};
use draingate::job::{Millis, Protocol, WorkerId};
use draingate::store::AdminInfo;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Fake {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    pub(crate) events: Events,
}

pub(crate) struct State {
    pub(crate) workers: Vec<WorkerView>,
    pub(crate) drains: Vec<DrainView>,
    /// The workers that a drain gets that is made by a call.
    pub(crate) to_drain: (DrainState, Vec<DrainWorker>),
    /// What the next drains are refused with.
    pub(crate) refusal: Option<fn() -> HubError>,
    pub(crate) of_caller: Option<Vec<WorkerId>>,
    /// Who asked for that.
    pub(crate) callers: Vec<Caller>,
    pub(crate) requests: Vec<DrainRequest>,
    pub(crate) ready: bool,
    pub(crate) paused: BTreeSet<String>,
}

/// The API of a fake, being served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A token as the configuration knows it.
pub(crate) fn token(name: &str, text: &str, scope: Scope) -> Token {
    Token { name: name.to_owned(), sha256: Sha256::digest(text).into(), scope }
}

impl Fake {
    pub(crate) fn new() -> Arc<Fake> {
        // the tests' own HTTP client asks for it
        draingate::tls::provide();
        let state = State {
            workers: vec![samples::worker()],
            drains: vec![],
            to_drain: (DrainState::Draining, vec![]),
            refusal: None,
            of_caller: Some(vec![]),
            callers: vec![],
            requests: vec![],
            ready: true,
            paused: BTreeSet::new(),
        };
        Arc::new(Fake { state: Mutex::new(state), changes: watch::Sender::new(0), events: Events::new(samples::NOON) })
    }

    /// With one drain.
    pub(crate) fn with(name: &str, state: DrainState, workers: Vec<DrainWorker>) -> Arc<Fake> {
        let fake = Fake::new();
        fake.set(name, state, workers);
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    /// Replaces a drain, or adds it, and wakes those who wait.
    pub(crate) fn set(&self, name: &str, state: DrainState, workers: Vec<DrainWorker>) {
        self.put(samples::drain(name, state, workers));
    }

    pub(crate) fn put(&self, drain: DrainView) {
        let mut fake = self.state();
        fake.drains.retain(|other| other.name != drain.name);
        fake.drains.push(drain);
        drop(fake);
        self.changes.send_modify(|n| *n += 1);
    }

    /// On a port that no outgoing connection takes while the gate is away: some tests start it again there.
    pub(crate) async fn serve(self: &Arc<Fake>) -> Served {
        let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000)).take(1_000);
        let free = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let address = format!("127.0.0.1:{}", free.expect("a free port"));
        self.serve_at(&address, ApiSettings::default()).await
    }

    pub(crate) async fn serve_at(self: &Arc<Fake>, address: &str, settings: ApiSettings) -> Served {
        self.serve_behind(Doors { tcp: bound(address).await, tls: Arc::new(|| None), unix: None }, settings)
    }

    /// On a Unix socket too.
    pub(crate) async fn serve_unix(self: &Arc<Fake>, path: &Path, settings: ApiSettings) -> Served {
        let unix = UnixListener::bind(path).expect("bound");
        self.serve_behind(Doors { tcp: bound("127.0.0.1:0").await, tls: Arc::new(|| None), unix: Some(unix) }, settings)
    }

    fn serve_behind(self: &Arc<Fake>, doors: Doors, settings: ApiSettings) -> Served {
        let address = doors.tcp.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve_backend(Arc::clone(self) as _, settings, doors, stop.clone()));
        Served { address, stop, task }
    }
}

/// A command that another test starts at the same moment has a copy of every socket until it runs its own program: also of
/// one that was closed here just now.
async fn bound(address: &str) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < Duration::from_secs(20) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{address}: {error}"),
        }
    }
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn stop(self) -> SocketAddr {
        self.stop.cancel();
        self.task.await.expect("serving does not panic");
        self.address
    }
}

impl Backend for Fake {
    fn now(&self) -> Millis {
        samples::NOON + 60_000
    }

    fn workers(&self, selector: Option<&str>, gone: bool) -> Result<Vec<WorkerView>, DrainError> {
        match selector {
            Some("=") => Err(DrainError::BadSelector("= is no selector".to_owned())),
            Some("none") => Ok(vec![]),
            _ if gone => Ok([self.state().workers.clone(), vec![samples::worker()]].concat()),
            _ => Ok(self.state().workers.clone()),
        }
    }

    fn worker(&self, id: &str) -> Option<WorkerDetail> {
        Some(samples::worker_detail()).filter(|detail| detail.worker.id.0 == id)
    }

    fn went_away(&self, since: Millis) -> ReportView {
        ReportView { since, ..samples::report() }
    }

    fn drains(&self) -> Vec<DrainView> {
        self.state().drains.clone()
    }

    fn drain_named(&self, name: &str) -> Option<DrainView> {
        self.state().drains.iter().find(|drain| drain.name == name).cloned()
    }

    fn drain(&self, request: &DrainRequest) -> Result<DrainAnswer, HubError> {
        let mut fake = self.state();
        fake.requests.push(request.clone());
        if let Some(refusal) = fake.refusal {
            return Err(refusal());
        }
        let name = request.name.clone().unwrap_or_else(|| "made-up".to_owned());
        let known = fake.drains.iter().find(|drain| drain.name == name).cloned();
        let created = known.is_none();
        let (state, workers) = fake.to_drain.clone();
        let drain = known.unwrap_or_else(|| samples::drain(&name, state, workers));
        if created && !request.dry_run {
            fake.drains.push(drain.clone());
        }
        Ok(DrainAnswer { drain, created })
    }

    fn undrain(&self, name: &str) -> Result<bool, HubError> {
        let mut fake = self.state();
        let Some(drain) = fake.drains.iter_mut().find(|drain| drain.name == name && drain.in_force) else {
            return Ok(false);
        };
        (drain.state, drain.in_force) = (DrainState::Lifted, false);
        drop(fake);
        self.changes.send_modify(|n| *n += 1);
        Ok(true)
    }

    fn queues(&self) -> Vec<QueueView> {
        samples::queues()
    }

    /// `queue:mail` is known, everything else is not; `full` finds no room on the disk.
    fn pause(&self, request: &PauseRequest) -> Result<PauseAnswer, HubError> {
        if request.queue == "full" {
            return Err(HubError::Store("no space left".to_owned()));
        }
        let mut fake = self.state();
        let created = fake.paused.insert(request.queue.clone());
        let queues = ["queue:mail"].into_iter().filter(|known| known.ends_with(&request.queue));
        Ok(PauseAnswer {
            pause: samples::pause(&request.queue, request.ttl, request.reason.clone()),
            created,
            queues: queues.map(str::to_owned).collect(),
        })
    }

    fn resume(&self, name: &str) -> Result<bool, HubError> {
        Ok(self.state().paused.remove(name))
    }

    fn workers_of_caller(&self, caller: Caller) -> Option<Vec<WorkerId>> {
        let mut fake = self.state();
        fake.callers.push(caller);
        fake.of_caller.clone()
    }

    fn events_after(&self, id: Option<u64>) -> Heard {
        self.events.after(id)
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.events.newest()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn listeners(&self) -> Vec<ListenerInfo> {
        vec![ListenerInfo {
            name: "redis".to_owned(),
            protocol: Protocol::Redis,
            address: "127.0.0.1:6380".to_owned(),
            upstream: "redis://127.0.0.1:6379".to_owned(),
        }]
    }

    fn admin(&self) -> AdminInfo {
        let unix_socket = Some("/run/draingate/admin.sock".to_owned());
        AdminInfo { address: "127.0.0.1:9480".to_owned(), secure: false, unix_socket }
    }

    fn ready(&self) -> bool {
        self.state().ready
    }
}
