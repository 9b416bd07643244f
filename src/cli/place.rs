//! Where the gate is, and what is needed to get there: a URL or a Unix socket, and whom to believe over TLS.

use crate::cli::exit::Exit;
use crate::cli::{Failure, GateArgs};
use crate::config::{Config, Flags};
use crate::store::Store;
use crate::tls::{self, ClientTls, KeyPair, TlsError};
use reqwest::Url;
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the gate is if nobody says.
const DEFAULT_ADMIN: &str = "http://127.0.0.1:9480";

/// Where a gate is.
#[derive(Debug)]
pub(super) struct Place {
    /// What paths are put behind.
    pub(super) base: Url,
    /// The Unix socket that leads there.
    socket: Option<PathBuf>,
    /// For messages.
    pub(super) name: String,
}

impl Place {
    /// What flags and environment say, else what a gate on this host does.
    pub(super) fn of(args: &GateArgs) -> Result<Place, Failure> {
        let from_env = || std::env::var("DRAINGATE_ADMIN").ok().filter(|url| !url.is_empty());
        let text = args.admin.clone().or_else(from_env).or_else(told).unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
        Place::parse(&text).map_err(|why| Failure::new(Exit::Usage, format!("--admin {text}: {why}")))
    }

    /// Reads a URL or `unix:/path`, or says what is wrong with it.
    fn parse(text: &str) -> Result<Place, String> {
        let expected = "expected a URL such as http://127.0.0.1:9480, or unix:/run/draingate/admin.sock";
        let (with_scheme, socket) = match text.strip_prefix("unix:") {
            // as curl and Docker write it, too
            Some(path) => ("http://localhost".to_owned(), Some(path.strip_prefix("//").unwrap_or(path))),
            None if text.contains("://") => (text.to_owned(), None),
            None => (format!("http://{text}"), None),
        };
        let base = Url::parse(&with_scheme).map_err(|error| format!("{error}; {expected}"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || socket.is_some_and(str::is_empty) {
            return Err(expected.to_owned());
        }
        let name = match socket {
            Some(path) => format!("unix:{path}"),
            None => base.as_str().trim_end_matches('/').to_owned(),
        };
        Ok(Place { base, socket: socket.map(PathBuf::from), name })
    }

    /// What speaks to it. A connection is made within `patience`.
    pub(super) fn client(&self, args: &GateArgs, patience: Duration) -> Result<reqwest::Client, Failure> {
        tls::provide();
        // A proxy from the environment is meant for the world outside, not for the gate.
        let http = reqwest::Client::builder().no_proxy().connect_timeout(patience);
        let http = match self.socket.as_deref() {
            Some(path) => http.unix_socket(path),
            None if self.base.scheme() == "https" => http.use_preconfigured_tls((*config(args)?).clone()),
            None => http,
        };
        http.build().map_err(|error| Failure::new(Exit::Failed, format!("no HTTP client: {error}")))
    }
}

/// Where the gate is whose state lies where one with this environment has it.
fn told() -> Option<String> {
    let gate = Store::read_admin(&Config::load(None, &Flags::default()).ok()?.state.dir)?;
    Some(match (gate.secure, gate.unix_socket) {
        // a certificate is hardly ever for the address that it listens at
        (true, Some(path)) => format!("unix:{path}"),
        (true, None) => format!("https://{}", gate.address),
        (false, _) => format!("http://{}", gate.address),
    })
}

/// Whom to believe, and what to show.
fn config(args: &GateArgs) -> Result<Arc<ClientConfig>, Failure> {
    let identity = match (args.cert.clone(), args.key.clone()) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(KeyPair { cert, key }),
        _ => return Err(Failure::new(Exit::Usage, "--cert and --key belong together: give both, or neither")),
    };
    let wanted = ClientTls { ca: args.ca.clone(), identity, server_name: None };
    tls::client(&wanted).map_err(|error| {
        let failure = Failure::new(Exit::Usage, format!("no TLS: {error}"));
        if matches!(error, TlsError::NoRoots) { failure.hint("--ca or DRAINGATE_CA does") } else { failure }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text| Place::parse(text).expect("a place");
        assert_eq!(place("127.0.0.1:9480").base.as_str(), "http://127.0.0.1:9480/");
        assert_eq!(place("http://gate:1/under/").base.as_str(), "http://gate:1/under/");
        for text in ["unix:/run/gate.sock", "unix:///run/gate.sock"] {
            let place = place(text);
            assert_eq!(place.name, "unix:/run/gate.sock");
            assert_eq!((place.base.as_str(), place.socket), ("http://localhost/", Some("/run/gate.sock".into())));
        }
        assert_eq!(place("https://gate").base.as_str(), "https://gate/");
        for wrong in ["unix:", "unix://", "ftp://gate", "http://", "https://", ""] {
            let why = Place::parse(wrong).expect_err(wrong);
            assert!(why.contains("expected a URL such as"), "{wrong}: {why}");
        }
    }
}
