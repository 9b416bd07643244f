//! Addresses as people write them: `host:port` of a listener, the URL of a broker, and the path of a Unix socket.

use super::redis::Sentinel;
use crate::job::Protocol;
use crate::tls::ClientTls;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
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

    /// Where a URL points to, by default at this port. Fails with what was expected, such as `example`.
    pub(super) fn of_url(url: &Url, default_port: u16, example: &str) -> Result<HostPort, String> {
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(format!("a URL with a host, such as {example}")),
        };
        Ok(HostPort { host, port: url.port().unwrap_or(default_port) })
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

    /// Whether nobody can listen there while somebody listens on `other`. Of names only the same one surely does not do.
    pub(super) fn clashes_with(&self, other: &HostPort) -> bool {
        // port 0 is another one each time
        if self.port != other.port || self.port == 0 {
            return false;
        }
        let all = |address: &IpAddr| address.is_unspecified();
        match (self.ip(), other.ip()) {
            (Some(one), Some(two)) if one.is_ipv4() == two.is_ipv4() => one == two || all(&one) || all(&two),
            // [::] is all addresses of either kind
            (one, two) if [one, two].iter().flatten().any(|ip| ip.is_ipv6() && all(ip)) => true,
            (None, None) => self.host.eq_ignore_ascii_case(&other.host),
            _ => false,
        }
    }

    /// The address, if it is no name.
    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok().map(|ip: IpAddr| ip.to_canonical())
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

/// The kernel takes no longer paths of Unix sockets, in bytes.
const LONGEST_PATH: usize = 107;

/// The path of a Unix socket. Fails with what was expected.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.len() > LONGEST_PATH || text.contains('\0') {
        return Err(format!("a path of at most {LONGEST_PATH} bytes such as /run/draingate/admin.sock"));
    }
    Ok(PathBuf::from(text))
}

/// Where one broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAddress {
    /// On the network.
    Tcp(HostPort),
    /// On this host, behind a Unix socket.
    Unix(PathBuf),
    /// Wherever this Sentinel says.
    Sentinel(Sentinel),
}

impl BrokerAddress {
    /// Whether it has to be asked where the broker is.
    fn is_asked(&self) -> bool {
        matches!(self, BrokerAddress::Sentinel(_))
    }

    /// From `unix:///run/redis/redis.sock` or `unix:/run/redis/redis.sock`; `None` if it is neither. The path is taken as it
    /// is written. Fails with what was expected.
    fn parse_unix(text: &str) -> Option<Result<BrokerAddress, String>> {
        let path = text.strip_prefix("unix:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let parsed = match path {
            _ if path.contains(['?', '#']) => {
                Err("a Unix socket without a database number: clients choose their own".to_owned())
            }
            _ if !path.starts_with('/') || path.len() > LONGEST_PATH || path.contains('\0') => {
                Err(format!("an absolute path of at most {LONGEST_PATH} bytes such as unix:///run/redis/redis.sock"))
            }
            _ => Ok(BrokerAddress::Unix(path.into())),
        };
        Some(parsed)
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerAddress::Tcp(address) => address.fmt(f),
            BrokerAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            BrokerAddress::Sentinel(sentinel) => sentinel.fmt(f),
        }
    }
}

/// The broker behind a listener: addresses to be tried in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What is spoken there.
    pub protocol: Protocol,
    /// At least one.
    pub addresses: Vec<BrokerAddress>,
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
                // what is no master would be taken for one when no Sentinel answers
                Ok((address, _))
                    if upstream.addresses.first().is_some_and(|one| one.is_asked() != address.is_asked()) =>
                {
                    faults.push((index, "Sentinels alone, or none".to_owned()));
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

    /// TLS is spoken there, in this way; to its Sentinels as well.
    pub(super) fn set_tls(&mut self, tls: Option<&ClientTls>) {
        self.secure |= tls.is_some();
        for address in &mut self.addresses {
            if let BrokerAddress::Sentinel(sentinel) = address {
                sentinel.server.tls = tls.cloned();
            }
        }
    }

    /// Whether one of its addresses is a Unix socket.
    pub fn has_unix_socket(&self) -> bool {
        self.addresses.iter().any(|address| matches!(address, BrokerAddress::Unix(_)))
    }

    /// One address of it from `redis://host:port`, `amqps://host:port`, `host:port` or `unix:///path`, and whether TLS is
    /// spoken there.
    fn parse_one(text: &str, protocol: Protocol) -> Result<(BrokerAddress, bool), String> {
        if protocol == Protocol::Redis
            && let Some(unix) = BrokerAddress::parse_unix(text)
        {
            return unix.map(|address| (address, false));
        }
        let (scheme, port) = (protocol.as_str(), protocol.default_port(false));
        if !text.contains("://") {
            let address = HostPort::parse(text)
                .map_err(|_| format!("a broker such as {scheme}://127.0.0.1:{port} or 127.0.0.1:{port}"))?;
            return Ok((BrokerAddress::Tcp(address), false));
        }
        let example = format!("{scheme}://127.0.0.1:{port}");
        let url = Url::parse(text).map_err(|error| format!("a URL such as {example} ({error})"))?;
        match (protocol, url.scheme()) {
            (Protocol::Redis, "redis-sentinel") => {
                return Ok((BrokerAddress::Sentinel(Sentinel::of_url(&url)?), false));
            }
            (Protocol::Redis, "rediss-sentinel") => {
                return Ok((BrokerAddress::Sentinel(Sentinel::of_url(&url)?), true));
            }
            _ => {}
        }
        let secure = match (protocol, url.scheme()) {
            (Protocol::Redis, "redis" | "valkey") | (Protocol::Amqp, "amqp") => false,
            (Protocol::Redis, "rediss" | "valkeys") | (Protocol::Amqp, "amqps") => true,
            (Protocol::Amqp, "unix") => return Err("amqp:// (RabbitMQ has no Unix socket)".into()),
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
        let address = HostPort::of_url(&url, protocol.default_port(secure), &example)?;
        Ok((BrokerAddress::Tcp(address), secure))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let s = if self.secure { "s" } else { "" };
            match address {
                BrokerAddress::Tcp(address) => write!(f, "{separator}{}{s}://{address}", self.protocol.as_str())?,
                BrokerAddress::Unix(path) => write!(f, "{separator}unix://{}", path.display())?,
                BrokerAddress::Sentinel(sentinel) => write!(f, "{separator}{sentinel}")?,
            }
        }
        Ok(())
    }
}
