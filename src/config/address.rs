//! Addresses as people write them: `host:port` of a listener, and the URL of a broker.

use super::Protocol;
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
    /// What is spoken there.
    pub protocol: Protocol,
    /// At least one.
    pub addresses: Vec<HostPort>,
}

impl Upstream {
    /// One address of it from `redis://host:port`, `amqp://host:port` or `host:port`. Fails with what was expected.
    pub fn parse_one(text: &str, protocol: Protocol) -> Result<HostPort, String> {
        let (scheme, port) = (protocol.as_str(), protocol.default_port());
        if !text.contains("://") {
            return HostPort::parse(text)
                .map_err(|_| format!("a broker such as {scheme}://127.0.0.1:{port} or 127.0.0.1:{port}"));
        }
        let url = Url::parse(text).map_err(|error| format!("a URL such as {scheme}://127.0.0.1:{port} ({error})"))?;
        match (protocol, url.scheme()) {
            (Protocol::Redis, "redis" | "valkey") | (Protocol::Amqp, "amqp") => (),
            (Protocol::Redis, "rediss" | "valkeys") | (Protocol::Amqp, "amqps") => {
                return Err(format!("{scheme}:// (TLS to the broker is not available in this version)"));
            }
            (Protocol::Redis, "unix") => {
                return Err("redis:// (a Unix socket of the broker is not available in this version)".into());
            }
            _ => return Err(format!("a URL that begins with {scheme}://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL without user and password: clients bring their own".into());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(match protocol {
                Protocol::Redis => "a URL without a database number: clients choose their own".into(),
                Protocol::Amqp => "a URL without a virtual host: clients choose their own".into(),
            });
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(format!("a URL with a host, such as {scheme}://127.0.0.1:{port}")),
        };
        Ok(HostPort { host, port: url.port().unwrap_or(port) })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{}://{address}", self.protocol.as_str())?;
        }
        Ok(())
    }
}
