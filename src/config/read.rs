//! From as written to as meant: every key, its default and what it must be, section by section.

use super::address::{BrokerAddress, HostPort, Upstream, socket_path};
use super::problem::{ConfigError, Fault, Problem};
use super::section::{Problems, Section};
use super::source::Tree;
use super::*;
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::cell::RefCell;
use std::collections::HashSet;

/// Where the listeners listen that there are when nothing is written.
const REDIS_BIND: u16 = 6380;
const AMQP_BIND: u16 = 5673;
const ADMIN_BIND: u16 = 9480;
const MAX_CONNECTIONS: usize = 65_536;
/// Shorter slices would only load the broker, longer ones make the seal late.
const SLICE: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

const DURATION: &str = "a duration such as 90s, 5m or 12h";

/// Reads the whole tree; flags are stronger than what it says.
pub(super) fn config(tree: Tree, environment: &[(String, String)], flags: &Flags) -> Result<Config, ConfigError> {
    let problems: Problems = RefCell::default();
    let mut root = Section::new("", tree.root, &problems);
    let written = root.sections("listener");
    let mut places: Vec<String> = written.iter().map(|section| section.place_of("bind")).collect();
    let (celery_acks_late, celery_ask) = celery(root.section("celery"));
    let config = Config {
        listeners: listeners(written, flags, &problems),
        admin: admin(root.section("admin"), environment, flags),
        drains: drains(root.section("drains")),
        redis_slice: redis(root.section("redis")),
        celery_acks_late,
        celery_ask,
        gate: gate(root.section("gate")),
        state: state::read(root.section("state"), environment, flags),
        log: log(root.section("log")),
        shutdown_grace: shutdown(root.section("shutdown")),
    };
    root.finish();
    let mut problems = problems.into_inner();
    if problems.is_empty() {
        // else what is wrong was replaced by its default
        places.resize(config.listeners.len(), String::new());
        problems.extend(clashes(&config, &places));
    }
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(problems)) }
}

/// A set out of patterns that [`gate`] has checked.
pub(super) fn globs(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in patterns.iter().filter_map(|pattern| Glob::new(pattern).ok()) {
        set.add(glob);
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

/// Two that cannot listen both. `places` is where each listener's address is written.
fn clashes(config: &Config, places: &[String]) -> Option<Problem> {
    let admin = ("admin.bind".to_owned(), &config.admin.bind, "");
    let listeners = config.listeners.iter().zip(places);
    let listeners = listeners.map(|(it, place)| (format!("listener {:?}", it.name), &it.bind, place.as_str()));
    let all: Vec<_> = std::iter::once(admin).chain(listeners).collect();
    let (before, last) = all.iter().enumerate().find_map(|(index, last)| {
        all[..index].iter().find(|before| before.1.clashes_with(last.1)).map(|before| (before, last))
    })?;
    let text = format!("{} ({}) and {} ({}) would listen at the same address", before.0, before.1, last.0, last.1);
    let fault = Fault::Invalid(text + ": give each a port of its own");
    Some(Problem { place: last.2.to_owned(), key: "listener.bind".into(), fault })
}

fn listeners(written: Vec<Section<'_>>, flags: &Flags, problems: &Problems) -> Vec<ListenerConfig> {
    if !flags.redis.is_empty() || !flags.amqp.is_empty() {
        let of = |protocol, texts: &[String]| -> Vec<ListenerConfig> {
            texts.iter().enumerate().filter_map(|(i, text)| flagged(protocol, i, text, problems)).collect()
        };
        return [of(Protocol::Redis, &flags.redis), of(Protocol::Amqp, &flags.amqp)].concat();
    }
    if written.is_empty() {
        return vec![default_listener(Protocol::Redis), default_listener(Protocol::Amqp)];
    }
    let mut names = HashSet::new();
    let mut listeners = Vec::new();
    for (index, section) in written.into_iter().enumerate() {
        let place = section.place_of("name");
        let listener = listener(index, section);
        if !names.insert(listener.name.clone()) {
            let fault = Fault::Invalid(format!("another listener is named {:?}", listener.name));
            problems.borrow_mut().push(Problem { place, key: "listener.name".into(), fault });
        }
        listeners.push(listener);
    }
    listeners
}

fn default_listener(protocol: Protocol) -> ListenerConfig {
    let bind = match protocol {
        Protocol::Redis => REDIS_BIND,
        Protocol::Amqp => AMQP_BIND,
    };
    ListenerConfig {
        name: numbered(protocol, 0),
        protocol,
        bind: HostPort::new("127.0.0.1", bind),
        tls: None,
        proxy_protocol: false,
        upstream: Upstream {
            protocol,
            addresses: vec![BrokerAddress::Tcp(HostPort::new("127.0.0.1", protocol.default_port(false)))],
            secure: false,
        },
        upstream_tls: None,
        send_proxy_protocol: false,
        identity: IdentityBy::Auto,
        max_connections: MAX_CONNECTIONS,
    }
}

/// The names of listeners that were given none: `redis`, `redis-2`, `amqp`, ...
fn numbered(protocol: Protocol, index: usize) -> String {
    let name = protocol.as_str();
    if index == 0 { name.into() } else { format!("{name}-{}", index + 1) }
}

fn listener(index: usize, mut section: Section<'_>) -> ListenerConfig {
    let protocols = Protocol::ALL.map(|protocol| (protocol.as_str(), Some(protocol)));
    let named = section.has("protocol");
    let known = section.word("protocol", None, &protocols);
    // beside a word that is no protocol an upstream of either is right
    let wrong = named && known.is_none();
    let protocol = known.unwrap_or(Protocol::Redis);
    let default = default_listener(protocol);
    let name = section.text("name", || numbered(protocol, index), listener_name);
    let bind = section.text("bind", || default.bind, HostPort::parse);
    let tls = tls::server(&mut section);
    let proxy_protocol = section.boolean("proxy_protocol", default.proxy_protocol);
    let mut upstream = match section.texts("upstream") {
        None => default.upstream,
        Some(_) if wrong => default.upstream,
        Some(texts) => upstream(&section, protocol, texts).unwrap_or(default.upstream),
    };
    if section.has("upstream_tls") && upstream.has_unix_socket() {
        let text = "a Unix socket of the broker speaks no TLS: leave this out, or give its address on the network";
        section.problem(section.place_of("upstream_tls"), "upstream_tls", Fault::Invalid(text.into()));
    }
    let upstream_tls = tls::client(&mut section, "upstream_tls", upstream.secure);
    upstream.set_tls(upstream_tls.as_ref());
    let send_proxy_protocol = section.boolean("send_proxy_protocol", default.send_proxy_protocol);
    let identities =
        [("auto", IdentityBy::Auto), ("user-tag", IdentityBy::UserTag), ("listener", IdentityBy::Listener)];
    let identity = section.word("identity", IdentityBy::Auto, &identities);
    let max_connections = section.count("max_connections", default.max_connections);
    section.finish();
    ListenerConfig {
        name,
        protocol,
        bind,
        tls,
        proxy_protocol,
        upstream,
        upstream_tls,
        send_proxy_protocol,
        identity,
        max_connections,
    }
}

fn listener_name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(fits) {
        return Err("a name of letters, digits, - _ and .".into());
    }
    Ok(text.to_owned())
}

/// `None` if it is wrong, which has been said then.
fn upstream(section: &Section<'_>, protocol: Protocol, texts: Vec<(String, source::Value)>) -> Option<Upstream> {
    if texts.is_empty() {
        section.problem(String::new(), "upstream", Fault::Invalid("expected at least one broker".into()));
        return None;
    }
    let parsed = Upstream::parse(texts.iter().map(|(text, _)| text.as_str()), protocol);
    parsed
        .map_err(|faults| {
            for (index, expected) in faults {
                section.expected("upstream", &texts[index].1, &expected);
            }
        })
        .ok()
}

/// `LISTEN=UPSTREAM` of `--redis` or `--amqp`.
fn flagged(protocol: Protocol, index: usize, text: &str, problems: &Problems) -> Option<ListenerConfig> {
    let default = default_listener(protocol);
    let parsed = text
        .split_once('=')
        .ok_or_else(|| format!("LISTEN=UPSTREAM such as {}={}", default.bind, default.upstream))
        .and_then(|(bind, upstream)| {
            let bind = HostPort::parse(bind)?;
            let mut upstream = Upstream::parse(upstream.split(','), protocol).map_err(first)?;
            let upstream_tls = upstream.secure.then(ClientTls::default);
            upstream.set_tls(upstream_tls.as_ref());
            if let Some(tls) = &upstream_tls {
                crate::tls::client(tls).map_err(|error| format!("no TLS ({error})"))?;
            }
            Ok(ListenerConfig { name: numbered(protocol, index), bind, upstream, upstream_tls, ..default })
        });
    parsed
        .map_err(|expected| {
            problems.borrow_mut().push(flag_problem(&format!("--{}", protocol.as_str()), text, &expected))
        })
        .ok()
}

fn first(faults: Vec<(usize, String)>) -> String {
    faults.into_iter().next().map(|(_, expected)| expected).unwrap_or_default()
}

fn flag_problem(flag: &str, text: &str, expected: &str) -> Problem {
    let fault = Fault::Invalid(format!("expected {expected}, found {:?}", masked(text)));
    Problem { place: flag.to_owned(), key: String::new(), fault }
}

fn admin(mut section: Section<'_>, environment: &[(String, String)], flags: &Flags) -> AdminConfig {
    let place = section.place_of("bind");
    let mut bind = section.text("bind", || HostPort::new("127.0.0.1", ADMIN_BIND), HostPort::parse);
    if let Some(text) = &flags.admin {
        match HostPort::parse(text) {
            Ok(address) => bind = address,
            Err(expected) => section.problem("--admin".into(), "bind", Fault::Invalid(format!("expected {expected}"))),
        }
    }
    let unix_socket = section.text("unix_socket", || None, |text| socket_path(text).map(Some));
    let tls = tls::server(&mut section);
    let tokens: Vec<Token> =
        section.sections("tokens").into_iter().filter_map(|token| admin_token(token, environment)).collect();
    if !bind.is_loopback() && tokens.is_empty() {
        let place = if flags.admin.is_some() { "--admin".into() } else { place };
        let text = format!("{bind} can be reached from other hosts: give tokens (admin.tokens), or bind to 127.0.0.1");
        section.problem(place, "bind", Fault::Invalid(text));
    }
    section.finish();
    AdminConfig { bind, tls, unix_socket, tokens }
}

fn admin_token(mut section: Section<'_>, environment: &[(String, String)]) -> Option<Token> {
    let name = section.required("name", |text| Ok(text.to_owned()));
    let sha256 = section.required("sha256", |text| digest(&secret(text, environment)?));
    let scopes = [("read", Scope::Read), ("drain", Scope::Drain), ("admin", Scope::Admin)];
    let scope = section.word("scope", Scope::Read, &scopes);
    section.finish();
    Some(Token { name: name?, sha256: sha256?, scope })
}

fn digest(text: &str) -> Result<[u8; 32], String> {
    let expected = || "the SHA-256 of the token as 64 hexadecimal digits (printf %s TOKEN | sha256sum)".to_owned();
    let text = text.trim();
    if text.len() != 64 || !text.is_ascii() {
        return Err(expected());
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| expected())?;
    }
    Ok(bytes)
}

/// The text itself, or what stands in `file:PATH` or in the environment variable of `env:NAME`.
pub(super) fn secret(text: &str, environment: &[(String, String)]) -> Result<String, String> {
    if let Some(path) = text.strip_prefix("file:") {
        let content = std::fs::read_to_string(path).map_err(|error| format!("a file that can be read ({error})"))?;
        return Ok(content.trim_end().to_owned());
    }
    if let Some(name) = text.strip_prefix("env:") {
        let found = environment.iter().find(|(key, _)| key == name);
        return found.map(|(_, value)| value.clone()).ok_or_else(|| "an environment variable that is set".into());
    }
    Ok(text.to_owned())
}

fn drains(mut section: Section<'_>) -> DrainsConfig {
    let default_ttl = duration(&mut section, "default_ttl", 12 * 3600, above_zero);
    let forget_after = duration(&mut section, "forget_after", 60, above_zero);
    let requirable = [("exact", Evidence::Exact), ("reported", Evidence::Reported), ("inferred", Evidence::Inferred)];
    let require = section.word("require", Evidence::Inferred, &requirable);
    let delayed_margin = duration(&mut section, "delayed_margin", 600, Ok);
    section.finish();
    DrainsConfig { default_ttl, forget_after, require, delayed_margin }
}

fn redis(mut section: Section<'_>) -> Duration {
    let slice = duration(&mut section, "slice", 1, |slice| {
        if SLICE.contains(&slice) { Ok(slice) } else { Err("a duration from 100ms to 10s".into()) }
    });
    section.finish();
    slice
}

/// Whether all acks are late, and whether workers are asked.
fn celery(mut section: Section<'_>) -> (bool, bool) {
    let late = section.word("acks", false, &[("auto", false), ("late", true)]);
    let ask = section.word("ask", true, &[("auto", true), ("never", false)]);
    section.finish();
    (late, ask)
}

fn gate(mut section: Section<'_>) -> GateConfig {
    let mut patterns = |key| {
        let texts = section.texts(key).unwrap_or_default();
        for (text, value) in &texts {
            if let Err(error) = Glob::new(text) {
                section.expected(key, value, &format!("a pattern such as jobs:* ({})", error.kind()));
            }
        }
        texts.into_iter().map(|(text, _)| text).collect()
    };
    let gate = GateConfig { fetch: patterns("fetch"), pass: patterns("pass") };
    section.finish();
    gate
}

fn log(mut section: Section<'_>) -> LogConfig {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = section.word("format", LogFormat::Text, &formats);
    let filter = section.text(
        "filter",
        || "info".to_owned(),
        |text| {
            let parsed = tracing_subscriber::EnvFilter::try_new(text);
            parsed.map(|_| text.to_owned()).map_err(|error| format!("a filter such as info,draingate=debug ({error})"))
        },
    );
    section.finish();
    LogConfig { format, filter }
}

fn shutdown(mut section: Section<'_>) -> Duration {
    let grace = duration(&mut section, "grace", 30, Ok);
    section.finish();
    grace
}

fn duration(
    section: &mut Section<'_>,
    key: &'static str,
    default_seconds: u64,
    check: impl Fn(Duration) -> Result<Duration, String>,
) -> Duration {
    let default = || Duration::from_secs(default_seconds);
    section.text(key, default, |text| check(humantime::parse_duration(text).map_err(|_| DURATION.to_owned())?))
}

fn above_zero(duration: Duration) -> Result<Duration, String> {
    if duration.is_zero() { Err(format!("{DURATION}, above 0")) } else { Ok(duration) }
}

/// The text without what may be a password before an `@`.
pub(super) fn masked(text: &str) -> String {
    match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, after)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}***@{after}")
        }
    }
}
