//! The admin API: HTTP with JSON over the fleet, errors as problem+json.
//!
//! `routes` and `queues` have the calls, `model` what travels, `error` the problems, `auth` who may call, `poll` the
//! waiting, `goal` when a wait is over, `events` the stream, `dashboard` the page, `backend` what is asked of the gate,
//! `limit` how many connections there may be. Nothing here is on the way of a job: with the API dead the proxying goes
//! on.

pub mod auth;
pub mod backend;
mod dashboard;
pub mod error;
mod events;
pub mod goal;
mod limit;
pub mod model;
pub mod openapi;
mod poll;
mod queues;
mod request;
pub mod routes;

use crate::hub::Hub;
use auth::{Caller, Rules};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use backend::Backend;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use limit::{Admitted, Limited};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most connections at a time: the descriptors belong to the workers.
const CONNECTIONS: usize = 512;
/// So long a connection may wait for a call, or for the rest of its head: callers that say nothing must not keep others
/// out.
const SILENCE: Duration = Duration::from_secs(5);
/// How long calls under way may take to end after the stop.
const GRACE: Duration = Duration::from_secs(2);

/// What the API needs of the configuration.
#[derive(Clone)]
pub struct ApiSettings {
    /// Who may call.
    pub rules: Rules,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What every call has at hand.
struct Api {
    backend: Arc<dyn Backend>,
    settings: ApiSettings,
    stop: CancellationToken,
}

impl Default for ApiSettings {
    fn default() -> Self {
        ApiSettings { rules: Rules::default(), metrics: Arc::new(String::new) }
    }
}

/// Serves until `stop`. Long polls are answered then, and no call outlives it by more than two seconds.
pub async fn serve(hub: Arc<Hub>, settings: ApiSettings, listener: TcpListener, stop: CancellationToken) {
    serve_backend(hub, settings, listener, stop).await;
}

/// As [`serve`], for any gate.
pub async fn serve_backend(
    backend: Arc<dyn Backend>,
    settings: ApiSettings,
    listener: TcpListener,
    stop: CancellationToken,
) {
    warn_if_useless(&settings, &listener);
    let api = Arc::new(Api { backend, settings, stop: stop.clone() });
    let router = routes::router(api);
    let mut listener = Limited::new(listener, CONNECTIONS);
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        connections.spawn(serve_connection(stream, peer, router.clone(), stop.clone()));
    }
    drop(listener);
    connections.close();
    // what is under way then ends with the process
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

async fn serve_connection(stream: Admitted, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // Without the gate's own end of the connection nothing proves that it is a loopback one, nor that it is not:
    // the unspecified address equals no peer's.
    let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let caller = Caller { peer, local: stream.local_addr().unwrap_or(unknown) };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(caller));
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SILENCE)
            .serve_connection(TokioIo::new(stream), service)
    );
    // an error is the caller's: it went away, or spoke something else
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn warn_if_useless(settings: &ApiSettings, listener: &TcpListener) {
    let Ok(address) = listener.local_addr() else { return };
    if settings.rules.tokens.is_empty() && !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin API has no tokens, so only this host may use it: configure [admin] tokens");
    }
}
