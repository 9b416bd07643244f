//! Addresses as people write them: `host:port` of a listener, and the URL of a broker.

use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// A host (name or address) and a port. Names are looked up when they are used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HostPort {
    /// From a literal of our own.
    pub fn new(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    /// `127.0.0.1:6380`, `[::1]:6380`, `localhost:6380`, `:6380` (all addresses). Fails with what was expected.
    pub fn parse(text: &str) -> Result<HostPort, String> {
        let expected = || "an address such as 127.0.0.1:6380".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().map_err(|_| expected())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| expected())?.to_string(),
            None if host.is_empty() => "0.0.0.0".to_owned(),
            None if plain(host) => host.to_owned(),
            None => return Err(expected()),
        };
        Ok(HostPort { host, port })
    }

    /// Whether only this host can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A name or an IPv4 address: nothing that belongs to a URL.
fn plain(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The broker behind a listener: addresses to be tried in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// At least one.
    pub addresses: Vec<HostPort>,
}

impl Upstream {
    /// One address of it from `redis://host:port` or `host:port`. Fails with what was expected.
    pub fn parse_one(text: &str) -> Result<HostPort, String> {
        if !text.contains("://") {
            return HostPort::parse(text)
                .map_err(|_| "a broker such as redis://127.0.0.1:6379 or 127.0.0.1:6379".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("a URL such as redis://127.0.0.1:6379 ({error})"))?;
        match url.scheme() {
            "redis" | "valkey" => (),
            "rediss" | "valkeys" => return Err("redis:// (TLS to the broker is not available in this version)".into()),
            "unix" => return Err("redis:// (a Unix socket of the broker is not available in this version)".into()),
            _ => return Err("a URL that begins with redis://".into()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL without user and password: clients bring their own".into());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("a URL without a database number: clients choose their own".into());
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err("a URL with a host, such as redis://127.0.0.1:6379".into()),
        };
        Ok(HostPort { host, port: url.port().unwrap_or(6379) })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}redis://{address}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
