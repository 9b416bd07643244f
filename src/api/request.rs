//! What callers send, checked: bodies and parameters become the fleet's requests, or a problem that says what was
//! expected.

use crate::api::error::{Kind, Problem};
use crate::api::goal::Goal;
use crate::api::model::{NewDrain, NewPause};
use crate::fleet::{DrainRequest, PauseRequest, Ttl};
use crate::job::{Evidence, Millis};
use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest TTL and longest wait: beyond it a number is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Longest reason, in bytes.
const LONGEST_REASON: usize = 1_000;
/// How long a long poll waits that does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// `GET /v1/workers`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkersQuery {
    pub(super) selector: Option<String>,
    pub(super) gone: Option<bool>,
}

/// `GET /v1/events`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    pub(super) follow: Option<bool>,
}

/// `GET /v1/report`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    since: Option<String>,
}

/// `GET /v1/drains/{name}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<String>,
    timeout: Option<String>,
}

/// `POST /v1/self/drain`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SelfQuery {
    wait: Option<String>,
    timeout: Option<String>,
    ttl: Option<String>,
    reason: Option<String>,
    require: Option<String>,
    delayed: Option<String>,
}

/// A wait as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) goal: Goal,
    pub(super) timeout: Duration,
}

impl ReportQuery {
    /// How far back.
    pub(super) fn back(&self) -> Result<Millis, Problem> {
        let back = duration("since", self.since.as_deref().unwrap_or("24h"))?;
        Ok(u64::try_from(back.as_millis()).unwrap_or(u64::MAX))
    }
}

impl WaitQuery {
    /// The wait, if one was asked for.
    pub(super) fn wait(&self) -> Result<Option<Wait>, Problem> {
        wait(self.wait.as_deref(), self.timeout.as_deref())
    }
}

impl SelfQuery {
    /// The wait, if one was asked for.
    pub(super) fn wait(&self) -> Result<Option<Wait>, Problem> {
        wait(self.wait.as_deref(), self.timeout.as_deref())
    }

    /// The drain of the worker with this id. The name follows from the id, so that asking again is the same drain.
    pub(super) fn drain(self, worker: &str) -> Result<DrainRequest, Problem> {
        let body = NewDrain {
            selector: crate::api::model::Selectors::One(worker.to_owned()),
            name: Some(format!("self-{worker}")),
            ttl: self.ttl,
            reason: self.reason,
            require: self.require,
            delayed: self.delayed,
            ..NewDrain::default()
        };
        drain(body)
    }
}

/// The parameters behind the `?`.
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let query = Query::<T>::try_from_uri(uri);
    query.map(|Query(parameters)| parameters).map_err(|rejection| {
        let cause = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
        Problem::new(Kind::BadRequest, format!("the parameters are not valid: {cause}"))
    })
}

/// The body of `POST /v1/drains`. Its content type is not asked for: `curl -d` names another.
pub(super) fn new_drain(body: &[u8]) -> Result<DrainRequest, Problem> {
    let hint = r#"send JSON such as {"selector": "worker=celery@web-*"}; GET /openapi.json lists the fields"#;
    let body = serde_json::from_slice::<NewDrain>(body)
        .map_err(|error| Problem::new(Kind::BadRequest, format!("the body is not valid: {error}")).hint(hint))?;
    drain(body)
}

fn drain(body: NewDrain) -> Result<DrainRequest, Problem> {
    let selector = body.selector.into_vec();
    if selector.is_empty() || selector.iter().any(|one| one.trim().is_empty()) {
        return Err(Problem::new(Kind::BadSelector, "the selector is empty")
            .hint("`all` selects every worker; a bare word a worker's name or id"));
    }
    let reason = reason(body.reason)?;
    let ttl = ttl(body.ttl.as_deref())?;
    if ttl == Ttl::Endless && reason.is_none() {
        return Err(Problem::new(Kind::BadRequest, "a drain without a TTL needs a reason")
            .hint("give a `reason` (--reason), or a `ttl` such as 12h"));
    }
    let require = body.require.as_deref().map(require).transpose()?;
    Ok(DrainRequest {
        selector,
        name: body.name,
        ttl,
        reason,
        require,
        delayed_wait: delayed_wait(body.delayed.as_deref())?,
        standing: body.standing.unwrap_or(false),
        allow_empty: body.allow_empty.unwrap_or(false),
        no_starve: body.no_starve.unwrap_or(false),
        dry_run: body.dry_run.unwrap_or(false),
    })
}

/// The body of `PUT /v1/queues/{name}/pause`, which may be empty.
pub(super) fn new_pause(queue: String, body: &[u8]) -> Result<PauseRequest, Problem> {
    let queue = queue.trim().to_owned();
    if queue.is_empty() {
        return Err(no_name());
    }
    let body = if body.trim_ascii().is_empty() { Ok(NewPause::default()) } else { serde_json::from_slice(body) };
    let body = body.map_err(|error| {
        Problem::new(Kind::BadRequest, format!("the body is not valid: {error}"))
            .hint(r#"send JSON such as {"ttl": "10m", "reason": "mail provider is down"}, or nothing"#)
    })?;
    let ttl = ttl(body.ttl.as_deref())?;
    Ok(PauseRequest { queue, ttl, reason: reason(body.reason)? })
}

pub(super) fn no_name() -> Problem {
    Problem::new(Kind::BadQueue, "the queue has no name")
        .hint("GET /v1/queues (`draingate queues`) lists those that have been asked for")
}

fn reason(text: Option<String>) -> Result<Option<String>, Problem> {
    let reason = text.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
        return Err(Problem::new(Kind::BadRequest, format!("the reason is longer than {LONGEST_REASON} bytes")));
    }
    Ok(reason)
}

/// `none` is no expiry.
fn ttl(text: Option<&str>) -> Result<Ttl, Problem> {
    let text = match text {
        None => return Ok(Ttl::Usual),
        Some("none") => return Ok(Ttl::Endless),
        Some(text) => text,
    };
    let ttl = duration("ttl", text)?;
    if ttl.is_zero() {
        return Err(Problem::new(Kind::BadRequest, "a ttl of nothing would end it at once")
            .hint("give a duration such as 12h, or none"));
    }
    Ok(Ttl::For(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}

fn require(text: &str) -> Result<Evidence, Problem> {
    let evidence = Evidence::from_name(text).filter(|evidence| *evidence != Evidence::Unknown);
    evidence.ok_or_else(|| {
        Problem::new(Kind::BadRequest, format!("require is {text:?}, expected exact, reported or inferred"))
    })
}

fn delayed_wait(text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("ignore") => Ok(false),
        Some("wait") => Ok(true),
        Some(text) => Err(Problem::new(Kind::BadRequest, format!("delayed is {text:?}, expected ignore or wait"))),
    }
}

fn wait(goal: Option<&str>, timeout: Option<&str>) -> Result<Option<Wait>, Problem> {
    let Some(goal) = goal else {
        return match timeout {
            None => Ok(None),
            Some(_) => Err(Problem::new(Kind::BadRequest, "there is a timeout but no wait")
                .hint("add wait=drained or wait=sealed")),
        };
    };
    let goal = Goal::from_name(goal)
        .ok_or_else(|| Problem::new(Kind::BadRequest, format!("wait is {goal:?}, expected sealed or drained")))?;
    let timeout = timeout.map(|text| duration("timeout", text)).transpose()?.unwrap_or(DEFAULT_WAIT);
    Ok(Some(Wait { goal, timeout }))
}

fn duration(what: &str, text: &str) -> Result<Duration, Problem> {
    let wrong = |why: String| {
        Problem::new(Kind::BadRequest, format!("{what} is {text:?}: {why}"))
            .hint("durations are written as 90s, 5m, 2h or 1h 30m")
    };
    let duration = humantime::parse_duration(text.trim()).map_err(|error| wrong(error.to_string()))?;
    if duration > LONGEST { Err(wrong("longer than ten years".to_owned())) } else { Ok(duration) }
}
