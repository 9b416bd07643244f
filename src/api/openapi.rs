//! `GET /openapi.json`: the text in `openapi.json`, written by hand. Tests compare it with the routes and the models.

use axum::http::header;
use axum::response::IntoResponse;

/// The OpenAPI 3.1 text, with `VERSION` where the version goes.
const TEXT: &str = include_str!("openapi.json");

/// The OpenAPI text of this version.
pub fn text() -> String {
    TEXT.replacen("\"VERSION\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\""), 1)
}

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}
