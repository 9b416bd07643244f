//! The admin API: HTTP with JSON over the fleet, errors as problem+json.
//!
//! `routes` and `queues` have the calls, `model` what travels, `error` the problems, `auth` who may call, `poll` the
//! waiting, `goal` when a wait is over, `events` the stream, `dashboard` the page, `backend` what is asked of the gate,
//! `door` where callers come in and `limit` how many. Nothing here is on the way of a job: with the API dead the
//! proxying goes on.

pub mod auth;
pub mod backend;
mod dashboard;
mod door;
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

pub use door::{Doors, Meeting};

use crate::hub::Hub;
use auth::Rules;
use backend::Backend;
use door::House;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
pub async fn serve(hub: Arc<Hub>, settings: ApiSettings, doors: Doors, stop: CancellationToken) {
    serve_backend(hub, settings, doors, stop).await;
}

/// As [`serve`], for any gate.
pub async fn serve_backend(backend: Arc<dyn Backend>, settings: ApiSettings, doors: Doors, stop: CancellationToken) {
    warn_if_useless(&settings, &doors.tcp);
    let api = Arc::new(Api { backend, settings, stop: stop.clone() });
    let house = House { router: routes::router(api), connections: TaskTracker::new(), stop };
    let unix = async {
        if let Some(unix) = doors.unix {
            house.open(unix, None).await;
        }
    };
    tokio::join!(house.open(doors.tcp, Some(doors.tls)), unix);
    house.connections.close();
    // what is under way then ends with the process
    let _ = tokio::time::timeout(GRACE, house.connections.wait()).await;
}

fn warn_if_useless(settings: &ApiSettings, listener: &TcpListener) {
    let Ok(address) = listener.local_addr() else { return };
    if settings.rules.tokens.is_empty() && !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin API has no tokens, so only this host may use it: configure [admin] tokens");
    }
}
