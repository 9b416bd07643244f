//! Selectors: comma = and, several = any. `worker=celery@web-*`, `ip=10.0.3.0/24`, `client=`, `user=`, `listener=`,
//! `system=`, `before=now`, `all`; a bare word is a worker's name or id.
//!
//! A worker that consists of parts which cannot be told apart (two named processes behind one address) is matched as a
//! whole or not at all; a match of some parts only is [`Hit::Part`].

use super::boundary::DrainError;
use crate::job::{Millis, System};
use globset::{GlobBuilder, GlobMatcher};
use std::borrow::Cow;
use std::net::IpAddr;

const KEYS: [&str; 7] = ["worker", "ip", "client", "user", "listener", "system", "before"];

/// How much of a worker was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    No,
    Part,
    Whole,
}

/// What a selector can ask about a worker.
pub(super) struct Facts<'a> {
    /// The name as displayed; met literally it means the whole worker.
    pub(super) display: String,
    /// Names that stand for the whole worker: id, aliases, tag, process.
    pub(super) names: Vec<Cow<'a, str>>,
    pub(super) ips: Vec<IpAddr>,
    pub(super) users: Vec<&'a str>,
    pub(super) listeners: Vec<&'a str>,
    pub(super) since: Millis,
    /// At least one.
    pub(super) parts: Vec<Part<'a>>,
}

/// A process (or what is taken for one) inside a worker.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) clients: Vec<&'a str>,
    pub(super) system: System,
}

/// One selector as written.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
enum Term {
    All,
    Worker(Pattern),
    Ip(ipnet::IpNet),
    IpGlob(Pattern),
    Client(Pattern),
    User(Pattern),
    Listener(Pattern),
    System(System),
    Before(Millis),
}

/// A text to be met literally, or a glob.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    glob: Option<GlobMatcher>,
}

impl Selector {
    /// Reads a selector; `before=now` means `now`.
    pub(super) fn parse(text: &str, now: Millis) -> Result<Selector, DrainError> {
        if text.trim().is_empty() {
            return bad("the selector is empty: name a worker, or say all".to_owned());
        }
        let terms = text.split(',').map(|term| Term::parse(term.trim(), text, now)).collect::<Result<_, _>>()?;
        Ok(Selector { terms })
    }

    /// A selector for exactly that name or id, whatever characters it is made of.
    pub(super) fn exactly(name: &str) -> Selector {
        Selector { terms: vec![Term::Worker(Pattern { text: name.to_owned(), glob: None })] }
    }

    /// Whether it asks for something that a worker shows only after a while.
    pub(super) fn needs_learning(&self) -> bool {
        let learned = |term: &Term| matches!(term, Term::Worker(_) | Term::Client(_) | Term::User(_) | Term::System(_));
        self.terms.iter().any(learned)
    }

    fn meets(&self, facts: &Facts<'_>, part: &Part<'_>) -> bool {
        self.terms.iter().all(|term| term.meets(facts, part))
    }
}

/// How much of a worker is matched by any of the selectors.
pub(super) fn hit(selectors: &[Selector], facts: &Facts<'_>) -> Hit {
    let met = facts.parts.iter().filter(|part| selectors.iter().any(|s| s.meets(facts, part))).count();
    match met {
        0 => Hit::No,
        n if n == facts.parts.len() => Hit::Whole,
        _ => Hit::Part,
    }
}

impl Term {
    fn parse(term: &str, whole: &str, now: Millis) -> Result<Term, DrainError> {
        let Some((key, value)) = term.split_once('=') else {
            return match term {
                "" => bad(format!("{whole:?} has an empty part: conditions are joined by one comma")),
                "all" => Ok(Term::All),
                name => Ok(Term::Worker(Pattern::parse(name, term)?)),
            };
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() && KEYS.contains(&key) {
            return bad(format!("{key}= needs a value"));
        }
        match key {
            "worker" => Ok(Term::Worker(Pattern::parse(value, term)?)),
            "client" => Ok(Term::Client(Pattern::parse(value, term)?)),
            "user" => Ok(Term::User(Pattern::parse(value, term)?)),
            "listener" => Ok(Term::Listener(Pattern::parse(value, term)?)),
            "ip" => Term::parse_ip(value),
            "system" => Term::parse_system(value),
            "before" => Term::parse_before(value, now),
            _ => bad(unknown_key(key)),
        }
    }

    fn parse_ip(value: &str) -> Result<Term, DrainError> {
        if let Ok(ip) = value.parse::<IpAddr>() {
            return Ok(Term::Ip(ip.into()));
        }
        if value.contains('*') {
            return Ok(Term::IpGlob(Pattern::parse(value, value)?));
        }
        match value.parse::<ipnet::IpNet>() {
            Ok(net) => Ok(Term::Ip(net)),
            Err(_) => {
                bad(format!("ip={value}: expected an address, a network like 10.0.3.0/24 or a pattern like 10.0.3.*"))
            }
        }
    }

    fn parse_system(value: &str) -> Result<Term, DrainError> {
        if let Some(system) = System::from_name(value) {
            return Ok(Term::System(system));
        }
        let known = System::ALL.into_iter().filter(|system| *system != System::Unknown);
        let names: Vec<&str> = known.map(System::as_str).collect();
        let nearest = nearest(value, &names).map_or(String::new(), |name| format!(" (did you mean {name}?)"));
        bad(format!("system={value}: expected one of {}, unknown{nearest}", names.join(", ")))
    }

    fn parse_before(value: &str, now: Millis) -> Result<Term, DrainError> {
        if value == "now" {
            return Ok(Term::Before(now));
        }
        let moment = value.parse::<jiff::Timestamp>().ok().and_then(|t| Millis::try_from(t.as_millisecond()).ok());
        match moment {
            Some(moment) => Ok(Term::Before(moment)),
            None => bad(format!("before={value}: expected now or a time like 2025-01-31T12:00:00Z")),
        }
    }

    fn meets(&self, facts: &Facts<'_>, part: &Part<'_>) -> bool {
        match self {
            Term::All => true,
            Term::Worker(pattern) => {
                let named = part.name.into_iter().chain(facts.names.iter().map(AsRef::as_ref));
                let clients = part.clients.iter().copied().filter(|_| part.name.is_none());
                pattern.text == facts.display || named.chain(clients).any(|name| pattern.matches(name))
            }
            Term::Ip(net) => facts.ips.iter().any(|ip| net.contains(&canonical(*ip))),
            Term::IpGlob(pattern) => facts.ips.iter().any(|ip| pattern.matches(&canonical(*ip).to_string())),
            Term::Client(pattern) => part.clients.iter().any(|name| pattern.matches(name)),
            Term::User(pattern) => facts.users.iter().any(|user| pattern.matches(user)),
            Term::Listener(pattern) => facts.listeners.iter().any(|name| pattern.matches(name)),
            Term::System(system) => part.system == *system,
            Term::Before(moment) => facts.since <= *moment,
        }
    }
}

impl Pattern {
    fn parse(text: &str, term: &str) -> Result<Pattern, DrainError> {
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Ok(Pattern { text: text.to_owned(), glob: None });
        }
        match GlobBuilder::new(text).literal_separator(false).build() {
            Ok(glob) => Ok(Pattern { text: text.to_owned(), glob: Some(glob.compile_matcher()) }),
            Err(error) => bad(format!("{term}: not a pattern: {}", error.kind())),
        }
    }

    fn matches(&self, name: &str) -> bool {
        self.text == name || self.glob.as_ref().is_some_and(|glob| glob.is_match(name))
    }
}

fn bad<T>(text: String) -> Result<T, DrainError> {
    Err(DrainError::BadSelector(text))
}

fn unknown_key(key: &str) -> String {
    let nearest = nearest(key, &KEYS).map_or(String::new(), |name| format!(" (did you mean {name}=?)"));
    format!("a selector has no key {key:?}{nearest}: use {}=, or all", KEYS.join("=, "))
}

/// The nearest of `names`, if it is near at all.
fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = names.iter().map(|name| (strsim::levenshtein(word, name), *name)).min()?;
    (distance <= 2.max(name.len() / 3)).then_some(name)
}

fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}
