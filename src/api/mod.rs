//! The admin API: HTTP with JSON over the fleet, errors as problem+json.
//!
//! `routes` and `queues` have the calls, `model` what travels, `error` the problems, `auth` who may call, `poll` the waiting, `goal`
//! when a wait is over, `events` the stream, `backend` what is asked of the gate, `limit` how many connections there may be. Nothing here is on the way of a job: with the API dead the
//! proxying goes on.

pub mod auth;
pub mod backend;
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
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use backend::Backend;
use limit::Limited;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Most connections at a time: the descriptors belong to the workers.
const CONNECTIONS: usize = 512;
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
    let service = routes::router(api).into_make_service_with_connect_info::<Caller>();
    let stopped = stop.clone();
    let server = axum::serve(Limited::new(listener, CONNECTIONS), service)
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    tokio::select! {
        served = async { server.await } => if let Err(error) = served {
            tracing::error!("the admin API ended: {error}");
        },
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {}
    }
}

fn warn_if_useless(settings: &ApiSettings, listener: &TcpListener) {
    let Ok(address) = listener.local_addr() else { return };
    if settings.rules.tokens.is_empty() && !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin API has no tokens, so only this host may use it: configure [admin] tokens");
    }
}

impl Connected<IncomingStream<'_, Limited>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Caller {
        // Without the gate's own end of the connection nothing proves that it is a loopback one, nor that it is not:
        // the unspecified address equals no peer's.
        let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        Caller { peer: *stream.remote_addr(), local: stream.io().local_addr().unwrap_or(unknown) }
    }
}
