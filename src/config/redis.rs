//! A Redis or Sentinel that the gate itself speaks to.

use super::address::HostPort;
use crate::tls::ClientTls;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use url::Url;

/// Where Sentinels listen.
const SENTINEL_PORT: u16 = 26379;
const SENTINEL: &str = "redis-sentinel://127.0.0.1:26379/mymaster";

/// What a name is not written with in a URL.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Where it is, and who the gate is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    /// Where it is.
    pub address: HostPort,
    /// Who the gate is there; `None`: the default user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Password>,
    /// Whether TLS is spoken there, and how.
    pub tls: Option<ClientTls>,
}

/// One of the Sentinels that know which Redis is the master. Shown without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// The Sentinel itself.
    pub server: RedisServer,
    /// What the master is called there.
    pub master: String,
}

impl Sentinel {
    /// From a URL whose path is the name. Fails with what was expected.
    pub(super) fn of_url(url: &Url) -> Result<Sentinel, String> {
        let server = RedisServer::of_url(url, SENTINEL_PORT, SENTINEL)?;
        let name = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8();
        match name {
            Ok(name)
                if !name.is_empty() && !name.contains('/') && url.query().is_none() && url.fragment().is_none() =>
            {
                Ok(Sentinel { server, master: name.into_owned() })
            }
            _ => Err(format!("the master's name, and nothing else, behind the Sentinel, such as {SENTINEL}")),
        }
    }
}

impl fmt::Display for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.server.tls.is_some() { "s" } else { "" };
        let master = utf8_percent_encode(&self.master, NAME);
        write!(f, "redis{s}-sentinel://{}/{master}", self.server.address)
    }
}

/// A password that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl RedisServer {
    /// What a URL says of it, by default at this port; nothing yet of TLS. Fails with what was expected, such as `example`.
    pub(super) fn of_url(url: &Url, default_port: u16, example: &str) -> Result<RedisServer, String> {
        let address = HostPort::of_url(url, default_port, example)?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(|text| text.into_owned()).map_err(|_| "a user and a password in UTF-8".to_owned())
        };
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?;
        let password = url.password().map(decoded).transpose()?.map(Password);
        if user.is_some() && password.is_none() {
            return Err(format!("a password behind the user ({}://user:password@host), or neither", url.scheme()));
        }
        Ok(RedisServer { address, user, password, tls: None })
    }
}
