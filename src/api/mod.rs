//! STUB, to be replaced as a whole by the admin API: accepts and answers nothing.

use crate::hub::Hub;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the API needs of the configuration.
#[derive(Clone)]
pub struct ApiSettings {
    /// Who may call.
    pub rules: auth::Rules,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Serves until `stop`.
pub async fn serve(hub: Arc<Hub>, settings: ApiSettings, listener: TcpListener, stop: CancellationToken) {
    use tokio::io::AsyncWriteExt;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((mut stream, _)) = accepted {
            let ready = if hub.ready() { "ready" } else { "not ready" };
            let text = format!("HTTP/1.0 200 OK\r\n\r\n# {ready}\n{}", (settings.metrics)());
            let _ = stream.write_all(text.as_bytes()).await;
        }
    }
}

/// STUB.
pub mod auth {
    /// What a token allows.
    #[derive(Clone, Copy, Debug)]
    pub enum Scope {
        /// Looking.
        Read,
        /// Draining.
        Drain,
        /// Everything.
        Admin,
    }
    /// A token from the configuration.
    #[derive(Clone)]
    pub struct Token;
    /// The rules in force.
    #[derive(Clone, Default)]
    pub struct Rules {
        /// The tokens; none: only the caller's address counts.
        pub tokens: Vec<Token>,
        /// Without tokens: callers from other hosts are allowed too.
        pub open_to_network: bool,
        /// Host names that calls over loopback may use.
        pub hosts: Vec<String>,
    }
    impl Token {
        /// A token as configured.
        pub fn new(_name: &str, _sha256: &str, _scope: Scope) -> Result<Token, String> {
            Ok(Token)
        }
    }
}
