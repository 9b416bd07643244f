//! The gate's API from the caller's side.

use crate::api::error::{Kind, Problem};
use crate::api::goal::Goal;
use crate::api::model::{Drain, NewDrain, NewPause, Pause};
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::cli::{Failure, GateArgs};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take that does not have to wait for anything.
const ANSWER: Duration = Duration::from_secs(20);

/// A gate somewhere.
pub(super) struct Client {
    place: Place,
    token: Option<String>,
    http: reqwest::Client,
}

/// An answer: as read, and as it was written.
#[derive(Debug)]
pub(super) struct Reply<T> {
    pub(super) value: T,
    pub(super) text: String,
}

/// An answer that goes on.
pub(super) struct Stream {
    response: reqwest::Response,
    address: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ClientError {
    /// Nobody answered, or something on the way answered that it cannot reach the gate.
    Unreachable(String),
    /// The two do not agree on TLS.
    Untrusted(String),
    /// The gate refused.
    Problem(Box<Problem>),
    /// What answered does not speak like a gate of this version.
    Odd(String),
}

impl Client {
    /// A client for the gate that flags and environment name.
    pub(super) fn new(args: &GateArgs) -> Result<Client, Failure> {
        let place = Place::of(args)?;
        let http = place.client(args, CONNECT)?;
        // a file that it was read from ends its line
        let token = args.token.as_deref().map(str::trim).filter(|token| !token.is_empty());
        if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')) {
            let why = "--token or DRAINGATE_TOKEN: it holds what no header can carry, expected printable ASCII";
            return Err(Failure::new(Exit::Usage, why));
        }
        let token = token.map(str::to_owned);
        Ok(Client { place, token, http })
    }

    /// Where the gate is, for messages.
    pub(super) fn address(&self) -> &str {
        &self.place.name
    }

    /// `GET` of a path given by its segments.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, ClientError> {
        self.send(self.request(Method::GET, path).query(query).timeout(ANSWER)).await
    }

    /// One drain, now.
    pub(super) async fn drain_named(&self, name: &str) -> Result<Reply<Drain>, ClientError> {
        self.get(&["v1", "drains", name], &[]).await
    }

    /// One drain, at the latest after `timeout`.
    pub(super) async fn drain_after(
        &self,
        name: &str,
        goal: Goal,
        timeout: Duration,
    ) -> Result<Reply<Drain>, ClientError> {
        let millis = format!("{}ms", timeout.as_millis());
        let request = self.request(Method::GET, &["v1", "drains", name]);
        let request = request.query(&[("wait", goal.as_str()), ("timeout", &millis)]);
        self.send(request.timeout(timeout + CONNECT)).await
    }

    /// Makes a drain.
    pub(super) async fn create(&self, body: &NewDrain) -> Result<Reply<Drain>, ClientError> {
        self.send(self.request(Method::POST, &["v1", "drains"]).json(body).timeout(ANSWER)).await
    }

    /// Lifts a drain.
    pub(super) async fn lift(&self, name: &str) -> Result<(), ClientError> {
        self.text(self.request(Method::DELETE, &["v1", "drains", name]).timeout(ANSWER)).await.map(|_| ())
    }

    /// Pauses a queue.
    pub(super) async fn pause(&self, name: &str, body: &NewPause) -> Result<Reply<Pause>, ClientError> {
        self.send(self.request(Method::PUT, &["v1", "queues", name, "pause"]).json(body).timeout(ANSWER)).await
    }

    /// Lifts the pauses of a queue.
    pub(super) async fn resume(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &["v1", "queues", name, "pause"]);
        self.text(request.timeout(ANSWER)).await.map(|_| ())
    }

    /// The stream of events behind `last`; with `follow` it does not end by itself.
    pub(super) async fn events(&self, follow: bool, last: Option<u64>) -> Result<Stream, ClientError> {
        let follow = if follow { "true" } else { "false" };
        let mut request = self.request(Method::GET, &["v1", "events"]).query(&[("follow", follow)]);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(Stream { response, address: self.address().to_owned() });
        }
        match self.answer(response).await {
            Err(error) => Err(error),
            Ok(_) => Err(ClientError::Odd(format!("{} answered what is no stream", self.address()))),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.place.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Reply<T>, ClientError> {
        let text = self.text(request).await?;
        let value = read(&text).map_err(|error| {
            ClientError::Odd(format!("{} answered what is no answer of a gate ({error})", self.address()))
        })?;
        Ok(Reply { value, text })
    }

    async fn text(&self, request: RequestBuilder) -> Result<String, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.answer(response).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        unreachable(self.address(), error)
    }

    async fn answer(&self, response: reqwest::Response) -> Result<String, ClientError> {
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        if let Ok(problem) = read::<Problem>(&text) {
            return Err(ClientError::Problem(Box::new(problem)));
        }
        let answered = format!("{} answered {status}", self.address());
        Err(match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                ClientError::Unreachable(answered)
            }
            _ => ClientError::Odd(format!("{answered}, which is no answer of a gate")),
        })
    }
}

impl Stream {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let chunk = self.response.chunk().await.map_err(|error| unreachable(&self.address, &error))?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }

    /// Reads one event.
    pub(super) fn read<T: DeserializeOwned>(data: &str) -> Result<T, ClientError> {
        read(data).map_err(|error| ClientError::Odd(format!("the gate sent what is no event ({error})")))
    }
}

fn unreachable(address: &str, error: &reqwest::Error) -> ClientError {
    let cause = innermost(error);
    let of_tls = cause.downcast_ref::<rustls::Error>();
    let why = match of_tls {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        Some(rustls::Error::InvalidMessage(_)) => "what is there speaks no TLS".to_owned(),
        None if cause.downcast_ref().is_some_and(hyper::Error::is_parse) => {
            "what is there speaks no HTTP (for TLS say https://)".to_owned()
        }
        _ => cause.to_string(),
    };
    let text = format!("the gate at {address} cannot be reached: {why}");
    match of_tls {
        None | Some(rustls::Error::InvalidMessage(_)) => ClientError::Unreachable(text),
        Some(_) => ClientError::Untrusted(text),
    }
}

/// "Connection refused" rather than "error sending request".
fn innermost<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    // what an I/O error carries is not its source
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = carried.map(|carried| carried as &(dyn Error + 'static)).or_else(|| error.source());
    inner.map_or(error, innermost)
}

impl ClientError {
    /// Whether it may well be otherwise in a moment, as while a gate restarts.
    pub(super) fn passes(&self) -> bool {
        match self {
            ClientError::Unreachable(_) => true,
            ClientError::Problem(problem) => problem.status >= 500,
            ClientError::Odd(_) | ClientError::Untrusted(_) => false,
        }
    }

    /// Whether the gate said that there is no such drain.
    pub(super) fn no_drain(&self) -> bool {
        matches!(self, ClientError::Problem(problem) if problem.is(Kind::NoDrain))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Unreachable(text) => {
                Failure::new(Exit::Unreachable, text).hint("--admin or DRAINGATE_ADMIN says where the gate is")
            }
            ClientError::Untrusted(text) => Failure::new(Exit::Unreachable, text).hint(
                "--ca or DRAINGATE_CA says who has signed the gate's certificate, --cert and --key what it is shown",
            ),
            ClientError::Odd(text) => Failure::new(Exit::Failed, text),
            ClientError::Problem(problem) => {
                let failure = Failure::new(exit_of(&problem), problem.detail);
                problem.hint.into_iter().fold(failure, Failure::hint)
            }
        }
    }
}

/// Reads JSON. Names of workers and jobs come from anybody who can reach the broker, and the result is printed on
/// terminals: control characters do not get that far. (In the JSON itself they are escaped.)
fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json: Value = serde_json::from_str(text)?;
    without_controls(&mut json);
    serde_json::from_value(json)
}

fn without_controls(json: &mut Value) {
    match json {
        Value::String(text) if text.contains(char::is_control) => {
            *text = text.replace(char::is_control, "\u{fffd}");
        }
        Value::Array(list) => list.iter_mut().for_each(without_controls),
        Value::Object(map) => map.values_mut().for_each(without_controls),
        _ => {}
    }
}

fn exit_of(problem: &Problem) -> Exit {
    let refused = [Kind::NothingMatched, Kind::WouldStarve, Kind::CannotTellApart, Kind::NoDrain, Kind::NoWorker];
    match problem.status {
        401 | 403 => Exit::NotAllowed,
        _ if refused.into_iter().any(|kind| problem.is(kind)) => Exit::Nothing,
        400 | 413 | 422 => Exit::Usage,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let read: Vec<String> = read(r#"["a\u001b[31mb", "c\nd", "é"]"#).expect("JSON");
        assert_eq!(read, ["a\u{fffd}[31mb", "c\u{fffd}d", "é"]);
    }

    #[test]
    fn problems_become_exit_codes() {
        for (kind, exit) in [
            (Kind::BadSelector, Exit::Usage),
            (Kind::NameTaken, Exit::Usage),
            (Kind::NothingMatched, Exit::Nothing),
            (Kind::WouldStarve, Exit::Nothing),
            (Kind::CannotTellApart, Exit::Nothing),
            (Kind::NoDrain, Exit::Nothing),
            (Kind::NoToken, Exit::NotAllowed),
            (Kind::Scope, Exit::NotAllowed),
            (Kind::ForeignPage, Exit::NotAllowed),
            (Kind::Store, Exit::Failed),
        ] {
            assert_eq!(exit_of(&Problem::new(kind, "")), exit, "{kind:?}");
        }
    }
}
