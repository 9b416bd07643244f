//! The calls, one function each. [`ROUTES`] is the list that the router, the OpenAPI text and the 404 agree on.

use crate::api::auth::{Allowed, Caller, Scope};
use crate::api::backend::Backend;
use crate::api::error::{Kind, Problem};
use crate::api::model::{Drain, Drains, Listener, Report, Version, Worker, WorkerDetail, Workers};
use crate::api::request::{EventsQuery, ReportQuery, SelfQuery, WaitQuery, WorkersQuery, new_drain, parameters};
use crate::api::{Api, dashboard, events, openapi, poll, queues};
use crate::fleet::{DrainAnswer, DrainRequest};
use crate::job::WorkerId;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use std::sync::Arc;

/// Every path and its methods.
pub const ROUTES: &[(&str, &[&str])] = &[
    ("/v1/workers", &["get"]),
    ("/v1/workers/{id}", &["get"]),
    ("/v1/drains", &["get", "post"]),
    ("/v1/drains/{name}", &["get", "delete"]),
    ("/v1/queues", &["get"]),
    ("/v1/queues/{name}/pause", &["put", "delete"]),
    ("/v1/report", &["get"]),
    ("/v1/events", &["get"]),
    ("/v1/self/drain", &["post"]),
    ("/v1/version", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/", &["get"]),
];

/// Largest body, in bytes: a drain with some hundred selectors.
const BODY_LIMIT: usize = 256 * 1024;

pub(super) type Answer<T> = Result<T, Problem>;

pub(super) fn router(api: Arc<Api>) -> Router {
    let guarded = Router::new()
        .route("/v1/workers", get(workers))
        .route("/v1/workers/{id}", get(worker))
        .route("/v1/drains", get(drains).post(create))
        .route("/v1/drains/{name}", get(drain).delete(lift))
        .route("/v1/queues", get(queues::queues))
        .route("/v1/queues/{name}/pause", put(queues::pause).delete(queues::resume))
        .route("/v1/queues//pause", put(queues::unnamed).delete(queues::unnamed))
        .route("/v1/report", get(report))
        .route("/v1/events", get(listen))
        .route("/v1/self/drain", post(drain_self))
        .route("/v1/version", get(version))
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&api), guard));
    let open = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(openapi::document))
        .route("/", get(dashboard::page));
    guarded
        .merge(open)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(api)
}

/// Looking needs the scope `read`, everything else `drain`.
async fn guard(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let needed = if changes { Scope::Drain } else { Scope::Read };
    let Some(ConnectInfo(caller)) = request.extensions().get::<ConnectInfo<Caller>>().copied() else {
        return Problem::new(Kind::Internal, "the caller's address is not known").into_response();
    };
    match api.settings.rules.check(caller, request.headers(), needed, changes) {
        Ok(allowed) => {
            request.extensions_mut().insert(allowed);
            next.run(request).await
        }
        Err(problem) => {
            tracing::info!(%caller, path = request.uri().path(), "refused: {}", problem.detail);
            problem.into_response()
        }
    }
}

async fn workers(State(api): State<Arc<Api>>, uri: Uri) -> Answer<Json<Workers>> {
    let query: WorkersQuery = parameters(&uri)?;
    let selector = query.selector.as_deref().filter(|selector| !selector.is_empty());
    let views = api.backend.workers(selector, query.gone.unwrap_or(false))?;
    Ok(Json(Workers { workers: views.into_iter().map(Worker::from).collect() }))
}

async fn worker(State(api): State<Arc<Api>>, id: Result<Path<String>, PathRejection>) -> Answer<Json<WorkerDetail>> {
    let id = in_path(id)?;
    let detail = api
        .backend
        .worker(&id)
        .ok_or_else(|| Problem::new(Kind::NoWorker, format!("there is no worker with the id {id}")))?;
    Ok(Json(detail.into()))
}

async fn drains(State(api): State<Arc<Api>>) -> Json<Drains> {
    let views = api.backend.drains();
    let now = api.backend.now();
    Json(Drains { drains: views.into_iter().map(|view| Drain::new(view, now)).collect() })
}

async fn drain(
    State(api): State<Arc<Api>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Answer<Json<Drain>> {
    let name = in_path(name)?;
    let wait = parameters::<WaitQuery>(&uri)?.wait()?;
    let drain = match wait {
        Some(wait) => poll::drain_after(&api, &name, wait).await?,
        None => poll::drain_named(&api, &name)?,
    };
    Ok(Json(drain))
}

async fn create(
    State(api): State<Arc<Api>>,
    Extension(allowed): Extension<Allowed>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let request = new_drain(&body_of(body)?)?;
    let dry_run = request.dry_run;
    let answer = make(&api, request, &allowed).await?;
    let drain = Drain::new(answer.drain, api.backend.now());
    Ok(if dry_run { Json(drain).into_response() } else { made(answer.created, drain) })
}

async fn lift(
    State(api): State<Arc<Api>>,
    Extension(allowed): Extension<Allowed>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let name = in_path(name)?;
    let asked = name.clone();
    let lifted = blocking(&api, move |backend| backend.undrain(&asked)).await??;
    if lifted {
        tracing::info!(drain = name, by = %allowed, "drain lifted");
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn report(State(api): State<Arc<Api>>, uri: Uri) -> Answer<Json<Report>> {
    let back = parameters::<ReportQuery>(&uri)?.back()?;
    let since = api.backend.now().saturating_sub(back);
    Ok(Json(api.backend.went_away(since).into()))
}

async fn listen(State(api): State<Arc<Api>>, headers: HeaderMap, uri: Uri) -> Answer<Response> {
    let query: EventsQuery = parameters(&uri)?;
    let last = events::last_event(&headers)?;
    Ok(events::stream(api, last, query.follow.unwrap_or(true)).into_response())
}

async fn drain_self(
    State(api): State<Arc<Api>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Extension(allowed): Extension<Allowed>,
    uri: Uri,
) -> Answer<Response> {
    let query: SelfQuery = parameters(&uri)?;
    let wait = query.wait()?;
    let own = blocking(&api, move |backend| backend.workers_of_caller(caller)).await?;
    let worker = only_worker(caller, own)?;
    let answer = make(&api, query.drain(&worker)?, &allowed).await?;
    let drain = match wait {
        Some(wait) => poll::drain_after(&api, &answer.drain.name, wait).await?,
        None => Drain::new(answer.drain, api.backend.now()),
    };
    Ok(made(answer.created, drain))
}

fn only_worker(caller: Caller, own: Option<Vec<WorkerId>>) -> Answer<String> {
    let (kind, detail, hint) = match own.as_deref() {
        Some([worker]) => return Ok(worker.to_string()),
        Some([]) => (
            Kind::NothingMatched,
            format!("no worker of this gate would own a connection of yours (you call from {caller})"),
            "call from the worker's own container or process, or name it: POST /v1/drains",
        ),
        Some(several) => {
            let ids: Vec<&str> = several.iter().map(|id| id.0.as_str()).collect();
            let detail = format!("you call from {caller} and could be any of {}", ids.join(", "));
            (Kind::CannotTellApart, detail, "name the worker: POST /v1/drains")
        }
        None => (
            Kind::CannotTellApart,
            format!("you call over a Unix socket from {caller}, and the gate cannot see which process it is"),
            "name the worker: POST /v1/drains; or call the admin address from the worker's own container or process",
        ),
    };
    Err(Problem::new(kind, detail).hint(hint))
}

async fn version(State(api): State<Arc<Api>>) -> Json<Version> {
    let admin = api.backend.admin();
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        listeners: api.backend.listeners().into_iter().map(Listener::from).collect(),
        admin: admin.address,
        unix_socket: admin.unix_socket,
    })
}

async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (api.settings.metrics)())
}

async fn healthz() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "alive" }))
}

async fn readyz(State(api): State<Arc<Api>>) -> Answer<Json<serde_json::Value>> {
    if !api.backend.ready() {
        return Err(Problem::new(Kind::NotReady, "the listeners are not up or the marks are not loaded yet"));
    }
    Ok(Json(serde_json::json!({ "status": "ready" })))
}

async fn no_route(uri: Uri) -> Problem {
    let paths: Vec<&str> = ROUTES.iter().map(|(path, _)| *path).collect();
    Problem::new(Kind::NoRoute, format!("there is no {}", uri.path())).hint(format!("there are {}", paths.join(", ")))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::NoMethod, format!("{} does not take {method}", uri.path()))
}

async fn make(api: &Arc<Api>, request: DrainRequest, allowed: &Allowed) -> Answer<DrainAnswer> {
    let dry_run = request.dry_run;
    let answer = blocking(api, move |backend| backend.drain(&request)).await??;
    if !dry_run {
        let (drain, workers) = (&answer.drain.name, answer.drain.workers.len());
        tracing::info!(drain, workers, by = %allowed, created = answer.created, "drain in force");
    }
    Ok(answer)
}

/// 201 with a `Location` for a new drain, 200 for one that was in force.
fn made(created: bool, drain: Drain) -> Response {
    if !created {
        return Json(drain).into_response();
    }
    let location = format!("/v1/drains/{}", drain.name);
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(drain)).into_response()
}

/// Runs what may wait for the disk away from the runtime's own threads. It runs to its end even if the caller hangs up.
pub(super) async fn blocking<T: Send + 'static>(
    api: &Arc<Api>,
    work: impl FnOnce(&dyn Backend) -> T + Send + 'static,
) -> Answer<T> {
    let api = Arc::clone(api);
    let done = tokio::task::spawn_blocking(move || work(api.backend.as_ref())).await;
    done.map_err(|_| Problem::new(Kind::Internal, "the gate failed while doing this; its log says more"))
}

pub(super) fn body_of(body: Result<Bytes, BytesRejection>) -> Answer<Bytes> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Kind::TooLarge, format!("the body exceeds {BODY_LIMIT} bytes")),
        _ => Problem::new(Kind::BadRequest, rejection.to_string()),
    })
}

pub(super) fn in_path(text: Result<Path<String>, PathRejection>) -> Answer<String> {
    let Path(text) = text.map_err(|rejection| Problem::new(Kind::BadRequest, rejection.to_string()))?;
    Ok(text)
}
