//! Answers to requests that never reach GraphQL; they have the shape of GraphQL's errors.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use serde_json::json;

/// A refusal with a stable code.
pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    let kind = if status.is_server_error() { "INFRASTRUCTURE" } else { "REFUSAL" };
    let mut response = HttpResponse::build(status)
        .json(json!({ "errors": [{ "message": message, "extensions": { "code": code, "kind": kind } }] }));
    response.extensions_mut().insert(rest::RefusedAs(code.to_owned()));
    response
}

pub(super) async fn not_found() -> HttpResponse {
    refuse(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here; `/` lists what there is")
}

pub(super) async fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let message = format!("this path takes {allowed} only");
    let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
    response.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static(allowed));
    response
}

/// A page or a part of one.
pub(super) fn asset(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, content_type)).body(text)
}
