//! `[state]`: a directory always, and Redis if the drains are to outlive it.

use super::problem::Fault;
use super::read::secret;
use super::redis::RedisServer;
use super::section::Section;
use super::{Flags, tls};
use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// The key of the drains if the URL names none.
const DEFAULT_KEY: &str = "draingate";
/// The longest key, in bytes.
const LONGEST_KEY: usize = 200;
const EXAMPLE: &str = "redis://user:password@127.0.0.1:6379/0?key=draingate";

/// Where what outlives the gate is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StateConfig {
    /// The journal, `admin.json`, and the drains if they are not in Redis.
    pub dir: PathBuf,
    /// The drains.
    pub redis: Option<StateInRedis>,
}

impl StateConfig {
    /// All of it in a directory.
    pub fn in_dir(dir: &Path) -> StateConfig {
        StateConfig { dir: dir.to_owned(), redis: None }
    }
}

/// A Redis or Valkey that keeps the drains. Shown without user and password.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInRedis {
    /// Where it is.
    pub server: RedisServer,
    /// The database's number.
    pub database: u32,
    /// Under which key the drains are; each gate needs its own.
    pub key: String,
}

impl fmt::Display for StateInRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.server.tls.is_some() { "s" } else { "" };
        write!(f, "redis{s}://{}/{}?key={}", self.server.address, self.database, self.key)
    }
}

impl StateInRedis {
    /// From a URL, and whether it asks for TLS. Fails with what was expected.
    fn parse(text: &str) -> Result<(StateInRedis, bool), String> {
        let url = Url::parse(text).map_err(|error| format!("a URL such as {EXAMPLE} ({error})"))?;
        let secure = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err("a URL that begins with redis:// or rediss://".into()),
        };
        let server = RedisServer::of_url(&url, 6379, EXAMPLE)?;
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => {
                number.parse().map_err(|_| "a URL with a database number, or none, behind the host".to_owned())?
            }
        };
        Ok((StateInRedis { server, database, key: key(&url)? }, secure))
    }
}

/// What `?key=` says. A brace would put the keys that are made of it into other slots of a cluster.
fn key(url: &Url) -> Result<String, String> {
    if url.fragment().is_some() {
        return Err("a URL without a # (in a password: %23)".into());
    }
    let mut key = DEFAULT_KEY.to_owned();
    for (name, value) in url.query_pairs() {
        if name != "key" {
            return Err("nothing but ?key=NAME behind the database".into());
        }
        key = value.into_owned();
    }
    let fits =
        !key.is_empty() && key.len() <= LONGEST_KEY && !key.contains(|c: char| c.is_control() || "{}".contains(c));
    if fits { Ok(key) } else { Err(format!("?key= with a name of at most {LONGEST_KEY} bytes, without {{ and }}")) }
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>, environment: &[(String, String)], flags: &Flags) -> StateConfig {
    let dir = dir(&mut section, environment, flags);
    let parse = |text: &str| StateInRedis::parse(&secret(text, environment)?).map(Some);
    let written = section.has("url");
    let url = section.text("url", || None, parse);
    if section.has("tls") && !written {
        let text = "there is no state.url that TLS could be spoken to";
        section.problem(section.place_of("tls"), "tls", Fault::Invalid(text.into()));
    }
    let tls = tls::client(&mut section, "tls", url.as_ref().is_some_and(|(_, secure)| *secure));
    section.finish();
    let redis = url.map(|(redis, _)| StateInRedis { server: RedisServer { tls, ..redis.server }, ..redis });
    StateConfig { dir, redis }
}

fn dir(section: &mut Section<'_>, environment: &[(String, String)], flags: &Flags) -> PathBuf {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    };
    let written = section.text(
        "dir",
        || None,
        |text| match (text.strip_prefix("~/"), variable("HOME")) {
            _ if text.is_empty() => Err("a directory".into()),
            (Some(rest), Some(home)) => Ok(Some(home.join(rest))),
            (Some(_), None) => Err("a directory (~ needs the environment variable HOME)".into()),
            (None, _) => Ok(Some(PathBuf::from(text))),
        },
    );
    let default = || {
        let base = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        base.map(|base| base.join("draingate"))
    };
    flags.state_dir.clone().or(written).or_else(default).unwrap_or_else(|| {
        let text = "there is no home directory: say where marks are to be kept (--state-dir or state.dir)";
        section.problem(String::new(), "dir", Fault::Invalid(text.into()));
        PathBuf::new()
    })
}
