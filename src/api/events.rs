//! `GET /v1/events`: server-sent events, resumed by `Last-Event-ID`. Each listener reads at its own pace.

use crate::api::Api;
use crate::api::error::{Kind, Problem};
use crate::api::model::{Event, What};
use crate::hub::Heard;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{self, KeepAlive};
use futures_util::stream::{self, Stream, StreamExt};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// A comment is sent when nothing else was for so long: proxies on the way cut what is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a listener stands.
struct Listener {
    api: Arc<Api>,
    last: Option<u64>,
    /// Waits for more when it has read all there is.
    follow: bool,
    over: bool,
}

/// The number that the caller heard last.
pub(super) fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| {
        Problem::new(Kind::BadRequest, "Last-Event-ID is not the id of an event")
            .hint("send the `id` of the last event that you have read, or leave the header out")
    })
}

/// What came after `last`, and with `follow` all that comes.
pub(super) fn stream(
    api: Arc<Api>,
    last: Option<u64>,
    follow: bool,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let listener = Listener { api, last, follow, over: false };
    let batches = stream::unfold(listener, async |mut listener| {
        let heard = listener.next().await?;
        Some((stream::iter(written(heard)), listener))
    });
    Sse::new(batches.flatten()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Listener {
    async fn next(&mut self) -> Option<Heard> {
        let mut newest = self.api.backend.newest_event();
        while !self.over {
            newest.borrow_and_update();
            let heard = self.api.backend.events_after(self.last);
            self.over = !self.follow || self.api.stop.is_cancelled();
            if let Some(event) = heard.events.last() {
                self.last = Some(event.id);
                return Some(heard);
            }
            if !self.over {
                tokio::select! {
                    changed = newest.changed() => self.over |= changed.is_err(),
                    () = self.api.stop.cancelled() => self.over = true,
                }
            }
        }
        None
    }
}

fn written(heard: Heard) -> Vec<Result<sse::Event, Infallible>> {
    let missed = heard.missed.then(|| heard.events.first()).flatten();
    let missed = missed.map(|first| Event { id: first.id.saturating_sub(1), at: first.into(), what: What::Missed });
    let events = missed.into_iter().chain(heard.events.iter().map(Event::from));
    events.map(|event| Ok(write(&event))).collect()
}

fn write(event: &Event) -> sse::Event {
    // plain data always turns into JSON
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().id(event.id.to_string()).event(event.what.name()).data(data)
}
