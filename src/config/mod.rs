//! The configuration in two levels: as written (`source`: a tree of values that each know their line) and as meant
//! ([`Config`]: checked once, complete, what the rest of the gate sees). Every key has a default; a key that is not
//! known, or a value that cannot be meant, is one clear line.
//!
//! To add a key: a field in [`Config`], a line in `read`, a line in `draingate.toml` at the root of the repository.

mod address;
mod problem;
mod read;
mod redis;
mod section;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod tls;

pub use self::redis::{Password, RedisServer, Sentinel};
pub use address::{BrokerAddress, HostPort, Upstream};
pub use problem::{ConfigError, Problem};
pub use state::{StateConfig, StateInRedis};

use crate::fleet::FleetSettings;
use crate::gate::amqp::AmqpSettings;
use crate::gate::resp::RespSettings;
use crate::job::{Evidence, Millis, Protocol};
use crate::tls::{ClientTls, ServerTls};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// The configuration as meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where workers connect, and which broker is behind each.
    pub listeners: Vec<ListenerConfig>,
    /// The admin API.
    pub admin: AdminConfig,
    /// Defaults of drains and the judgement of workers.
    pub drains: DrainsConfig,
    /// How long a slice of a long blocking fetch lasts at the broker.
    pub redis_slice: Duration,
    /// `[celery] acks = "late"`: the operator's word that every ack comes after the task.
    pub celery_acks_late: bool,
    /// `[celery] ask`: whether workers are asked what they run.
    pub celery_ask: bool,
    /// Home-made queues.
    pub gate: GateConfig,
    /// Where marks and the journal are kept.
    pub state: StateConfig,
    /// The log.
    pub log: LogConfig,
    /// How long a safe stop may take.
    pub shutdown_grace: Duration,
}

/// One `[[listener]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerConfig {
    /// Its name in the log, the metrics and selectors.
    pub name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where it listens.
    pub bind: HostPort,
    /// Whether clients speak TLS, and how.
    pub tls: Option<ServerTls>,
    /// Whether a header of the PROXY protocol comes first on every connection and says whose it is.
    pub proxy_protocol: bool,
    /// The broker behind it.
    pub upstream: Upstream,
    /// Whether the broker is spoken to by TLS, and how.
    pub upstream_tls: Option<ClientTls>,
    /// Whether the broker is told by a header of the PROXY protocol whose connection it is.
    pub send_proxy_protocol: bool,
    /// What tells workers apart.
    pub identity: IdentityBy,
    /// Accepted at the same time; more wait in the kernel's queue.
    pub max_connections: usize,
}

/// What tells the workers behind a listener apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityBy {
    /// Names learned from traffic, processes, addresses.
    Auto,
    /// A tag in the user name (`user+tag`), stripped before the broker sees it.
    UserTag,
    /// The listener itself: all its connections are one worker.
    Listener,
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminConfig {
    /// Where the API, the dashboard and the metrics are served.
    pub bind: HostPort,
    /// TLS there.
    pub tls: Option<ServerTls>,
    /// A Unix socket beside it.
    pub unix_socket: Option<PathBuf>,
    /// Who may call it; without any, everybody on this host may.
    pub tokens: Vec<Token>,
}

/// One of `admin.tokens`.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Who it is, for the log.
    pub name: String,
    /// SHA-256 of the token itself, which is never stored.
    pub sha256: [u8; 32],
    /// What it allows.
    pub scope: Scope,
}

/// What a token allows; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Looking.
    Read,
    /// Draining and lifting drains.
    Drain,
    /// Everything.
    Admin,
}

impl Scope {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Drain => "drain",
            Scope::Admin => "admin",
        }
    }
}

/// `[drains]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainsConfig {
    /// TTL of a drain that names none.
    pub default_ttl: Duration,
    /// How long a worker without a connection counts as present.
    pub forget_after: Duration,
    /// The evidence that `drained` needs.
    pub require: Evidence,
    /// Jobs due later than this are ignored.
    pub delayed_margin: Duration,
}

/// `[gate]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct GateConfig {
    /// Keys that hold jobs, as globs.
    pub fetch: Vec<String>,
    /// Keys that never do, as globs.
    pub pass: Vec<String>,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// What is logged, in the notation of tracing-subscriber's `EnvFilter`.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What `draingate serve` was called with; stronger than the environment, which is stronger than the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--redis LISTEN=UPSTREAM`.
    pub redis: Vec<String>,
    /// `--amqp LISTEN=UPSTREAM`.
    pub amqp: Vec<String>,
    /// `--admin ADDR`.
    pub admin: Option<String>,
    /// `--state-dir DIR`.
    pub state_dir: Option<PathBuf>,
}

/// Whether the file holds a configuration that `serve` would accept; else a line for each thing that is wrong.
pub fn check_file(path: &Path) -> Result<(), Vec<String>> {
    match Config::load(Some(path), &Flags::default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().lines().map(str::to_owned).collect()),
    }
}

impl Config {
    /// Reads the file (none: all defaults), then this process's environment, then the flags.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Config, ConfigError> {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        match file {
            None => Config::parse(None, &environment, flags),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
                Config::parse(Some((&path.display().to_string(), &text)), &environment, flags)
            }
        }
    }

    /// The same from `(name, text)` of a file and the given environment.
    pub fn parse(
        file: Option<(&str, &str)>,
        environment: &[(String, String)],
        flags: &Flags,
    ) -> Result<Config, ConfigError> {
        let mut tree = source::Tree::new(file)?;
        tree.overlay_environment(environment);
        read::config(tree, environment, flags)
    }

    /// What the fleet needs to know.
    pub fn fleet_settings(&self) -> FleetSettings {
        FleetSettings {
            default_ttl: millis(self.drains.default_ttl),
            forget_after: millis(self.drains.forget_after),
            require: self.drains.require,
            delayed_margin: millis(self.drains.delayed_margin),
            celery_acks_late: self.celery_acks_late,
            asks: self.celery_ask.then_some(*NONCE),
            declared_fetch: read::globs(&self.gate.fetch),
            confirm_marks: true,
        }
    }

    /// What the gates of one listener need to know.
    pub fn resp_settings(&self, listener: &ListenerConfig) -> RespSettings {
        RespSettings {
            slice: millis(self.redis_slice),
            fetch: read::globs(&self.gate.fetch),
            pass: read::globs(&self.gate.pass),
            user_tag: listener.identity == IdentityBy::UserTag,
            nonce: Some(*NONCE),
        }
    }

    /// The same for a listener in front of RabbitMQ.
    pub fn amqp_settings(&self, listener: &ListenerConfig) -> AmqpSettings {
        AmqpSettings {
            fetch: read::globs(&self.gate.fetch),
            pass: read::globs(&self.gate.pass),
            user_tag: listener.identity == IdentityBy::UserTag,
            nonce: Some(*NONCE),
        }
    }
}

/// The answers to this gate's questions go to addresses that nobody can guess, and that no other gate's answers go to.
static NONCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
