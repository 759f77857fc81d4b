//! The REST API of HishamOS under `/api/v1`, and its OpenAPI document.
//!
//! Invariants: nothing here decides or stores anything. Every answer that reads read models carries the position that
//! it reflects; every answer that is no success is a problem (RFC 9457) with a stable code. Shapes are the edge: no
//! domain type and no row is shown as it is, and what a request holds that nobody knows is refused. The committed
//! `openapi.json` is made from the handlers and shapes that answer. Workers only move bytes: work runs on the runtime
//! that the API was made on, because connections to the database belong to it.

mod actions;
mod again;
mod answer;
mod api;
mod approvals;
mod as_of;
mod body;
mod call;
mod catalogue;
mod document;
mod errand;
mod event;
mod limiter;
mod metrics;
mod output;
mod page;
mod problem;
mod rating;
mod report;
mod run;
mod start;
mod steer;
mod task;
mod upload;
mod watch;
mod webhooks;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PathConfig, ServiceConfig};

pub use answer::Answer;
pub use api::{Api, Options, Parts};
pub use body::{Json, Params};
pub use call::Call;
pub use document::openapi;
pub use errand::{Errand, ErrandWish, Errands, MissingParameter};
pub use limiter::Rate;
pub use page::{Cursor, page};
pub use problem::{Fault, Problem, RefusedAs};

/// Where the API stands.
pub const PREFIX: &str = "/api/v1";

/// Adds the API to a server.
pub fn configure(api: Api) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let scope = web::scope(PREFIX)
            .app_data(Data::new(api))
            .app_data(
                PathConfig::default()
                    .error_handler(|error, _| Problem::invalid(format!("the path is wrong: {error}")).into()),
            )
            .configure(document::routes)
            .configure(start::routes)
            .configure(run::routes)
            .configure(report::routes)
            .configure(task::routes)
            .configure(output::routes)
            .configure(rating::routes)
            .configure(steer::routes)
            .configure(approvals::routes)
            .configure(actions::routes)
            .configure(again::routes)
            .configure(metrics::routes)
            .configure(catalogue::routes)
            .configure(webhooks::routes)
            .default_service(web::to(problem::nowhere))
            .wrap(from_fn(limiter::limit));
        config.service(scope);
    }
}
