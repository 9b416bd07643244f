//! The admin API as a task that can be started anew with other tokens on the socket it has.

use crate::api::auth::Rules;
use crate::api::{self, ApiSettings};
use crate::config::Config;
use crate::hub::Hub;
use crate::telemetry::{Meter, Metrics};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// See the module.
pub(super) struct Api {
    hub: Arc<Hub>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    socket: TcpListener,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Api {
    pub(super) fn start(
        hub: Arc<Hub>,
        config: &Config,
        socket: TcpListener,
        metrics: Arc<Metrics>,
        meter: Arc<Meter>,
    ) -> io::Result<Api> {
        let address = socket.local_addr()?;
        let of_hub = hub.clone();
        let metrics: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(move || metrics.render(&of_hub, &meter));
        let stop = CancellationToken::new();
        let task = spawn(hub.clone(), config, metrics.clone(), &socket, stop.clone())?;
        Ok(Api { hub, metrics, socket, address, stop, task })
    }

    /// The address in force.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves with other tokens from now on. Calls under way end first.
    pub(super) fn restart(&mut self, config: &Config) -> io::Result<()> {
        let stop = CancellationToken::new();
        let task = spawn(self.hub.clone(), config, self.metrics.clone(), &self.socket, stop.clone())?;
        std::mem::replace(&mut self.stop, stop).cancel();
        self.task = task;
        Ok(())
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the admin API did not end well");
        }
    }
}

fn spawn(
    hub: Arc<Hub>,
    config: &Config,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    socket: &TcpListener,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let listener = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
    let settings = ApiSettings { rules: Rules { tokens: config.admin.tokens.clone() }, metrics };
    Ok(tokio::spawn(api::serve(hub, settings, listener, stop)))
}
