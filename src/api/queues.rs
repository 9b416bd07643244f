//! The calls about queues: what there is, pause and resume.

use crate::api::Api;
use crate::api::auth::Allowed;
use crate::api::error::Problem;
use crate::api::model::{Pause, Queue, Queues};
use crate::api::request::{new_pause, no_name};
use crate::api::routes::{Answer, blocking, body_of, in_path};
use crate::fleet::view::QueueView;
use crate::job::System;
use crate::queue::short_name;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use std::sync::Arc;

/// A name less like the one given than this is no help.
const LIKE: f64 = 0.4;
/// So many are named.
const NEAREST: usize = 3;

pub(super) async fn queues(State(api): State<Arc<Api>>) -> Json<Queues> {
    Json(Queues { queues: api.backend.queues().into_iter().map(Queue::from).collect() })
}

pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    Extension(allowed): Extension<Allowed>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let request = new_pause(in_path(name)?, &body_of(body)?)?;
    let answer = blocking(&api, move |backend| backend.pause(&request)).await??;
    let created = answer.created;
    let pause = Pause::new(answer, |name| nearest(name, &api.backend.queues()));
    tracing::info!(queue = pause.name, by = %allowed, created, seen = pause.seen, "pause in force");
    Ok(if created { (StatusCode::CREATED, Json(pause)).into_response() } else { Json(pause).into_response() })
}

/// A path without a name in it is a slip, and has an answer of its own.
pub(super) async fn unnamed() -> Problem {
    no_name()
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Extension(allowed): Extension<Allowed>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let name = in_path(name)?;
    let asked = name.clone();
    let lifted = blocking(&api, move |backend| backend.resume(&asked)).await??;
    if lifted {
        tracing::info!(queue = name, by = %allowed, "pause lifted");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The queues seen that are called most like it.
fn nearest(name: &str, queues: &[QueueView]) -> Vec<String> {
    let likeness = |queue: &QueueView| {
        let systems = queue.systems.iter().copied().chain([System::Unknown]);
        let names = systems.filter_map(|system| short_name(&queue.name, system)).chain([queue.name.as_str()]);
        names.map(|known| strsim::normalized_damerau_levenshtein(name, known)).fold(0.0, f64::max)
    };
    let mut like: Vec<(f64, &QueueView)> =
        queues.iter().filter(|queue| queue.seen).map(|queue| (likeness(queue), queue)).collect();
    like.retain(|(likeness, _)| *likeness >= LIKE);
    like.sort_by(|a, b| b.0.total_cmp(&a.0));
    like.into_iter().take(NEAREST).map(|(_, queue)| queue.name.clone()).collect()
}
