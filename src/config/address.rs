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
    /// Whether it is written as a broker that speaks TLS (`rediss://`, `amqps://`). All of them are, or none.
    pub secure: bool,
}

impl Upstream {
    /// All its addresses. Fails with what was expected, for each that is wrong.
    pub(super) fn parse<'t>(
        texts: impl Iterator<Item = &'t str>,
        protocol: Protocol,
    ) -> Result<Upstream, Vec<(usize, String)>> {
        let (mut upstream, mut faults) = (Upstream { protocol, addresses: Vec::new(), secure: false }, Vec::new());
        for (index, text) in texts.enumerate() {
            match Upstream::parse_one(text, protocol) {
                Ok((_, secure)) if !upstream.addresses.is_empty() && secure != upstream.secure => {
                    faults.push((index, "TLS to all the brokers of a listener, or to none".to_owned()));
                }
                Ok((address, secure)) => {
                    upstream.addresses.push(address);
                    upstream.secure = secure;
                }
                Err(expected) => faults.push((index, expected)),
            }
        }
        if faults.is_empty() { Ok(upstream) } else { Err(faults) }
    }

    /// One address of it from `redis://host:port`, `amqps://host:port` or `host:port`, and whether TLS is spoken there.
    fn parse_one(text: &str, protocol: Protocol) -> Result<(HostPort, bool), String> {
        let (scheme, port) = (protocol.as_str(), protocol.default_port(false));
        if !text.contains("://") {
            let address = HostPort::parse(text)
                .map_err(|_| format!("a broker such as {scheme}://127.0.0.1:{port} or 127.0.0.1:{port}"))?;
            return Ok((address, false));
        }
        let url = Url::parse(text).map_err(|error| format!("a URL such as {scheme}://127.0.0.1:{port} ({error})"))?;
        let secure = match (protocol, url.scheme()) {
            (Protocol::Redis, "redis" | "valkey") | (Protocol::Amqp, "amqp") => false,
            (Protocol::Redis, "rediss" | "valkeys") | (Protocol::Amqp, "amqps") => true,
            (Protocol::Redis, "unix") => {
                return Err("redis:// (a Unix socket of the broker is not available in this version)".into());
            }
            _ => return Err(format!("a URL that begins with {scheme}:// or {scheme}s://")),
        };
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
        Ok((HostPort { host, port: url.port().unwrap_or(protocol.default_port(secure)) }, secure))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let s = if self.secure { "s" } else { "" };
            write!(f, "{separator}{}{s}://{address}", self.protocol.as_str())?;
        }
        Ok(())
    }
}
