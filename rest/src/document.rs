//! The OpenAPI document, made from the handlers, and the page to try it.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use actix_web::web::{self, Path, ServiceConfig};
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use crate::problem::{nowhere, only};
use crate::{
    PREFIX, actions, again, approvals, catalogue, metrics, output, rating, report, run, start, steer, task, webhooks,
};

/// What the document is called, below the prefix.
const FILE: &str = "/openapi.json";

/// The page's files style single elements and show small pictures that stand in their style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "HishamOS",
        version = "1",
        description = "Start, steer and watch runs, decide on approvals, keep track of action items, read and write the catalogue, and subscribe webhooks.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        run::list, start::start, run::show, run::events, run::explain, report::document, start::upload, start::task,
        task::show, output::output, again::again, rating::show, rating::rate, rating::of_run,
        steer::pause, steer::resume, steer::cancel, steer::signal, steer::retry, steer::rerun, steer::fork,
        approvals::list, approvals::approve, approvals::reject,
        actions::list, actions::show, actions::change, metrics::list,
        catalogue::export, catalogue::list, catalogue::show, catalogue::write,
        webhooks::list, webhooks::subscribe, webhooks::delete_by_url, webhooks::show, webhooks::change, webhooks::delete,
        webhooks::pause, webhooks::resume, webhooks::rotate, webhooks::test, webhooks::deliveries, webhooks::replay_range,
        webhooks::replay_delivery, webhooks::event_types, webhooks::samples,
    ),
    components(schemas(catalogue::Kind, metrics::Of)),
    tags(
        (name = "runs", description = "Executions of workflows and single tasks."),
        (name = "approvals", description = "What waits for people."),
        (name = "action items", description = "What people have to do because runs asked for it."),
        (name = "metrics", description = "How agents and templates have done."),
        (name = "catalogue", description = "Agents, templates and workflows as files."),
        (name = "webhooks", description = "URLs that are told what happens (Standard Webhooks)."),
    ),
)]
struct Document;

/// The document, OpenAPI 3.1.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource(FILE).route(web::get().to(document)).default_service(only("GET")))
        .service(web::resource("/docs").route(web::get().to(to_page)).default_service(only("GET")))
        .service(web::resource("/docs/{file:.*}").route(web::get().to(asset)).default_service(only("GET")));
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}

async fn to_page() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{PREFIX}/docs/"))).finish()
}

/// A file of the page; all of them are in the program.
async fn asset(file: Path<String>) -> HttpResponse {
    let config = Arc::new(Config::from(format!("{PREFIX}{FILE}")));
    match utoipa_swagger_ui::serve(&file, config) {
        Ok(Some(found)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, found.content_type))
            .insert_header((HeaderName::from_static("content-security-policy"), POLICY))
            .body(found.bytes.into_owned()),
        Ok(None) => nowhere().await,
        Err(error) => {
            tracing::error!(error = &*error, "a file of the page cannot be read");
            nowhere().await
        }
    }
}
