//! Errors as `application/problem+json` (RFC 9457), with a `hint` that says what to do. Every kind of problem is one
//! line in `KINDS`; its `type` is what a program tells it by, its `detail` what a person reads.

use crate::fleet::DrainError;
use crate::hub::HubError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// A problem as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:draingate:` and the kind.
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What can go wrong with a call. The statuses and titles are in `KINDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body, a parameter or a duration is not what it should be.
    BadRequest,
    /// Not a selector.
    BadSelector,
    /// Not a name for a drain.
    BadName,
    /// Not a name for a queue.
    BadQueue,
    /// The body is larger than anything that a drain needs.
    TooLarge,
    /// A token is needed, or the one given is none of ours.
    NoToken,
    /// The token's scope does not cover the call.
    Scope,
    /// The call looks like a web page's.
    ForeignPage,
    /// There is no such path.
    NoRoute,
    /// The path has no such method.
    NoMethod,
    /// No worker of that id.
    NoWorker,
    /// No drain of that name.
    NoDrain,
    /// The selector matched nothing.
    NothingMatched,
    /// The name is in force with another body.
    NameTaken,
    /// Only a part of what cannot be told apart was selected, or the caller could be several workers.
    CannotTellApart,
    /// `no_starve`: a queue would be left without a consumer.
    WouldStarve,
    /// The state could not be saved.
    Store,
    /// Listeners or marks are not up yet.
    NotReady,
    /// A fault of the gate's own.
    Internal,
}

/// Kind, the end of its `type`, status, title, and what can be done as long as nothing better is known.
const KINDS: &[(Kind, &str, StatusCode, &str, &str)] = &[
    (
        Kind::BadRequest,
        "bad-request",
        StatusCode::BAD_REQUEST,
        "The request is not valid",
        "GET /openapi.json lists the calls, their fields and the values these take",
    ),
    (
        Kind::BadSelector,
        "bad-selector",
        StatusCode::BAD_REQUEST,
        "Not a selector",
        "a selector is `all`, a worker's name or id, or pairs such as `worker=celery@web-*,system=celery`",
    ),
    (
        Kind::BadName,
        "bad-name",
        StatusCode::BAD_REQUEST,
        "Not a name for a drain",
        "take a name such as deploy-2025.01, or none: then one is made up",
    ),
    (
        Kind::BadQueue,
        "bad-queue",
        StatusCode::UNPROCESSABLE_ENTITY,
        "Not a name for a queue",
        "name a queue as `draingate queues` shows it, or as its job system does",
    ),
    (
        Kind::TooLarge,
        "too-large",
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large",
        "select by a pattern such as `worker=celery@web-*` instead of naming each worker",
    ),
    (
        Kind::NoToken,
        "no-token",
        StatusCode::UNAUTHORIZED,
        "A token is needed",
        "send `Authorization: Bearer TOKEN` (`--token`, DRAINGATE_TOKEN)",
    ),
    (
        Kind::Scope,
        "scope",
        StatusCode::FORBIDDEN,
        "The token does not allow this",
        "use a token whose scope covers the call",
    ),
    (
        Kind::ForeignPage,
        "foreign-page",
        StatusCode::FORBIDDEN,
        "Not allowed for web pages",
        "call from a program; web pages of other origins are not answered",
    ),
    (Kind::NoRoute, "no-route", StatusCode::NOT_FOUND, "No such path", "GET /openapi.json lists the paths"),
    (
        Kind::NoMethod,
        "no-method",
        StatusCode::METHOD_NOT_ALLOWED,
        "The path has no such method",
        "GET /openapi.json lists the methods of each path",
    ),
    (
        Kind::NoWorker,
        "no-worker",
        StatusCode::NOT_FOUND,
        "No such worker",
        "GET /v1/workers lists the ids (`draingate workers -o wide`)",
    ),
    (
        Kind::NoDrain,
        "no-drain",
        StatusCode::NOT_FOUND,
        "No such drain",
        "GET /v1/drains (`draingate drains`) lists them; ended drains are forgotten after an hour",
    ),
    (
        Kind::NothingMatched,
        "nothing-matched",
        StatusCode::NOT_FOUND,
        "The selector matched nothing",
        "GET /v1/workers (`draingate workers`) lists the workers",
    ),
    (
        Kind::NameTaken,
        "name-taken",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The name is taken by another drain",
        "take another name, or lift the drain first (`draingate undrain NAME`)",
    ),
    (
        Kind::CannotTellApart,
        "cannot-tell-apart",
        StatusCode::CONFLICT,
        "These cannot be told apart",
        "select all of them, or give each worker a listener, a tag in its user name (user+tag) or an address of its own",
    ),
    (
        Kind::WouldStarve,
        "would-starve",
        StatusCode::CONFLICT,
        "A queue would be left without a worker",
        "start other workers on these queues first, or drain without `no_starve` (`--no-starve`)",
    ),
    (
        Kind::Store,
        "store",
        StatusCode::SERVICE_UNAVAILABLE,
        "The state could not be saved",
        "look at the disk behind the state directory, or at the Redis of `state.url`, then try again",
    ),
    (
        Kind::NotReady,
        "not-ready",
        StatusCode::SERVICE_UNAVAILABLE,
        "Not ready",
        "try again in a moment; the gate's log says what it waits for",
    ),
    (Kind::Internal, "internal", StatusCode::INTERNAL_SERVER_ERROR, "A fault of the gate", "the gate's log says more"),
];

impl Kind {
    /// The `type` of its problems.
    pub fn urn(self) -> String {
        format!("urn:draingate:{}", self.entry().1)
    }

    fn entry(self) -> &'static (Kind, &'static str, StatusCode, &'static str, &'static str) {
        KINDS.iter().find(|entry| entry.0 == self).unwrap_or(&KINDS[KINDS.len() - 1])
    }
}

impl Problem {
    /// A problem of this kind, with the hint that fits all of them.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        let &(_, _, status, title, hint) = kind.entry();
        Problem {
            r#type: kind.urn(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            hint: Some(hint.to_owned()),
        }
    }

    /// With what to do about it this time.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.r#type == kind.urn()
    }
}

impl From<DrainError> for Problem {
    fn from(error: DrainError) -> Problem {
        let detail = error.to_string();
        match error {
            DrainError::BadSelector(_) => Problem::new(Kind::BadSelector, detail),
            DrainError::BadName(_) => Problem::new(Kind::BadName, detail),
            DrainError::BadQueue(_) => Problem::new(Kind::BadQueue, detail),
            DrainError::BadRequest(_) => Problem::new(Kind::BadRequest, detail),
            DrainError::NothingMatched(_) => Problem::new(Kind::NothingMatched, detail).hint(
                "GET /v1/workers (`draingate workers`) lists the workers; \
                 `allow_empty` (`--allow-empty`) accepts a selector that matches nothing",
            ),
            DrainError::NameTaken(_) => Problem::new(Kind::NameTaken, detail),
            DrainError::CannotTellApart(_) => Problem::new(Kind::CannotTellApart, detail),
            DrainError::WouldStarve(_) => Problem::new(Kind::WouldStarve, detail),
        }
    }
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Problem {
        match error {
            HubError::Refused(refused) => refused.into(),
            HubError::Store(_) => Problem::new(Kind::Store, error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"draingate\""));
        }
        response
    }
}
