//! The admin API as a task that can be started anew with other tokens on the sockets it has.

use super::ServeError;
use super::unix::UnixSocket;
use crate::api::auth::Rules;
use crate::api::{self, ApiSettings, Doors};
use crate::config::{AdminConfig, Config};
use crate::hub::Hub;
use crate::relay;
use crate::store::AdminInfo;
use crate::telemetry::{Meter, Metrics, Present};
use crate::tls::Certificates;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where it listens.
pub(super) struct Sockets {
    tcp: TcpListener,
    certificates: Arc<Certificates>,
    unix: Option<UnixSocket>,
}

/// See the module.
pub(super) struct Api {
    hub: Arc<Hub>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    sockets: Sockets,
    info: AdminInfo,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sockets {
    /// Takes what is configured, without accepting.
    pub(super) fn bind(config: &AdminConfig) -> Result<Sockets, ServeError> {
        let tcp = relay::bind(&config.bind)?;
        let certificates = Arc::new(Certificates::new(config.tls.clone(), None).map_err(ServeError::Tls)?);
        let unix = config.unix_socket.as_deref().map(UnixSocket::bind).transpose()?;
        Ok(Sockets { tcp, certificates, unix })
    }

    fn info(&self) -> io::Result<AdminInfo> {
        let unix_socket = self.unix.as_ref().map(|socket| socket.path().display().to_string());
        let (address, secure) = (self.tcp.local_addr()?.to_string(), self.certificates.are_there());
        Ok(AdminInfo { address, secure, unix_socket })
    }

    fn doors(&self) -> io::Result<Doors> {
        let tcp = tokio::net::TcpListener::from_std(self.tcp.try_clone()?)?;
        let unix = self.unix.as_ref().map(|unix| tokio::net::UnixListener::from_std(unix.try_clone()?)).transpose()?;
        let certificates = self.certificates.clone();
        Ok(Doors { tcp, tls: Arc::new(move || certificates.server()), unix })
    }
}

impl Api {
    pub(super) fn start(
        hub: Arc<Hub>,
        config: &Config,
        sockets: Sockets,
        metrics: Arc<Metrics>,
        meter: Arc<Meter>,
    ) -> io::Result<Api> {
        let info = sockets.info()?;
        let metrics = scrape(hub.clone(), metrics, meter);
        let stop = CancellationToken::new();
        let task = spawn(hub.clone(), config, metrics.clone(), &sockets, stop.clone())?;
        Ok(Api { hub, metrics, sockets, info, stop, task })
    }

    /// Where it is.
    pub(super) fn info(&self) -> &AdminInfo {
        &self.info
    }

    /// What callers over TCP are shown.
    pub(super) fn certificates(&self) -> Arc<Certificates> {
        self.sockets.certificates.clone()
    }

    /// Serves with other tokens from now on. Calls under way end first.
    pub(super) fn restart(&mut self, config: &Config) -> io::Result<()> {
        let stop = CancellationToken::new();
        let task = spawn(self.hub.clone(), config, self.metrics.clone(), &self.sockets, stop.clone())?;
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

/// What a scrape is answered.
fn scrape(hub: Arc<Hub>, metrics: Arc<Metrics>, meter: Arc<Meter>) -> Arc<dyn Fn() -> String + Send + Sync> {
    Arc::new(move || metrics.render(&hub.look(Present::of), &meter))
}

fn spawn(
    hub: Arc<Hub>,
    config: &Config,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    sockets: &Sockets,
    stop: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let doors = sockets.doors()?;
    let settings = ApiSettings { rules: Rules { tokens: config.admin.tokens.clone() }, metrics };
    Ok(tokio::spawn(api::serve(hub, settings, doors, stop)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StateConfig;
    use crate::fleet::FleetSettings;
    use crate::store::Store;

    #[test]
    fn a_scrape_is_a_mere_look() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, saved) = Store::open(&StateConfig::in_dir(dir.path()), false).expect("opened");
        let hub = Hub::open(FleetSettings::default(), store, saved).expect("opened");
        let metrics = Arc::new(Metrics::install().expect("the only one of this process"));
        let changes = hub.changes();
        let text = scrape(hub.clone(), metrics, Arc::default())();
        assert!(text.contains("\ndraingate_workers{"), "{text}");
        assert!(!changes.has_changed().expect("the hub lives"), "each scrape would wake all long polls");
    }
}
