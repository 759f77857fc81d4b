//! What a client is told when its request was not carried out: problem details (RFC 9457) with our stable codes.

use std::error::Error as StdError;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::errand::Lacking;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not carried out.
#[derive(Debug, Clone)]
pub struct Problem(Box<Details>);

/// Why a request was not carried out (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// `urn:hishamos:error:` and the code: the same for the same kind of problem, for ever.
    #[serde(rename = "type")]
    kind: String,
    /// What the HTTP status means.
    title: String,
    /// The HTTP status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// The stable code; each has a page in docs/errors.
    code: String,
    /// What is wrong with this request, for a person.
    detail: String,
    /// Under which id the server's log has the details.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<Uuid>,
    /// Each thing that is wrong, when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// Of a request that does not say all that is needed: the template that would do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// Of such a request: what has to be given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    missing: Vec<Lacking>,
    #[serde(skip)]
    allow: Option<&'static str>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What is wrong, for a person.
    pub message: String,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The character within the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with a stable code.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: format!("urn:hishamos:error:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status,
            code: code.to_owned(),
            detail: detail.into(),
            correlation: None,
            errors: Vec::new(),
            template: None,
            missing: Vec::new(),
            allow: None,
            retry_after: None,
        }))
    }

    /// An argument that cannot be right in any state of the system.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ARGUMENT_INVALID", detail)
    }

    /// The same with everything that is wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same with what has to be given for a template.
    #[must_use]
    pub(crate) fn lacking(mut self, template: &domain::Key, missing: Vec<Lacking>) -> Self {
        (self.0.template, self.0.missing) = (Some(template.as_str().to_owned()), missing);
        self
    }

    /// The same with the seconds after which another try may succeed.
    #[must_use]
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// No run has this id.
    pub(crate) fn no_run(id: Uuid) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RUN_NOT_FOUND", format!("there is no run {id}"))
    }

    pub(crate) fn no_task(id: Uuid) -> Self {
        Self::new(StatusCode::NOT_FOUND, "TASK_NOT_FOUND", format!("there is no task {id}"))
    }

    /// Something failed that the client can do nothing about; it is logged here, once.
    pub fn internal(correlation: Uuid, error: &(dyn StdError + 'static)) -> Self {
        tracing::error!(%correlation, error, "a request failed");
        let detail = "something failed on the server; its log has the details under this correlation id";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail);
        problem.0.correlation = Some(correlation);
        problem
    }

    /// A command that was not carried out.
    pub fn command(correlation: Uuid, error: commands::Error) -> Self {
        let code = error.code();
        match error {
            commands::Error::Refused(refusal) => Self::new(status_of(code), code, refusal.to_string()),
            commands::Error::Conflict(what) => Self::new(StatusCode::CONFLICT, code, what),
            commands::Error::Full => {
                tracing::error!("the journal's disk is full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, code, commands::Error::Full.to_string())
            }
            error @ commands::Error::Unavailable(_) => Self::internal(correlation, &error),
        }
    }

    /// A read model that could not be read.
    pub fn query(correlation: Uuid, error: &projections::Error) -> Self {
        match error {
            projections::Error::Stale { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string()).after(1)
            }
            projections::Error::Poisoned { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string())
            }
            projections::Error::TooMuchPast { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string())
            }
            other => Self::internal(correlation, other),
        }
    }

    /// A failed read of the journal.
    pub fn read(correlation: Uuid, error: &journal::ReadError) -> Self {
        match error {
            journal::ReadError::Closed => closing(),
            other => Self::internal(correlation, other),
        }
    }

    /// Whether a read model was not new enough.
    pub(crate) fn is_stale(&self) -> bool {
        self.0.code == "READ_MODEL_STALE"
    }

    /// Whether a command met what had changed meanwhile.
    pub(crate) fn is_conflict(&self) -> bool {
        self.0.code == "CONFLICT"
    }
}

/// The server is on its way out.
pub(crate) fn closing() -> Problem {
    let detail = "the server is shutting down; try again later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "SHUTTING_DOWN", detail).after(5)
}

/// The status that says the same as a refusal's code.
fn status_of(code: &str) -> StatusCode {
    match code {
        "APPROVAL_NOT_YOURS" | "APPROVAL_OWN_RUN" => StatusCode::FORBIDDEN,
        "ACTION_NOT_TRACKED"
        | "APPROVAL_CONTENT_CHANGED"
        | "APPROVAL_NOT_PENDING"
        | "APPROVAL_REPEATED"
        | "RUN_ENDED"
        | "RUN_ENDING"
        | "RUN_EXISTS"
        | "RUN_NOT_PAUSED"
        | "RUN_NOT_RETRYABLE"
        | "SIGNALS_FULL"
        | "TASK_NOT_COMPLETED"
        | "TASK_NOT_ENDED"
        | "WEBHOOKS_TOO_MANY"
        | "WEBHOOK_KEY_UNKNOWN"
        | "WEBHOOK_NOT_ACTIVE"
        | "WORKFLOW_NOT_ACTIVE" => StatusCode::CONFLICT,
        "RUN_INPUT_TOO_LARGE" | "TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "WEBHOOKS_OFF" => StatusCode::SERVICE_UNAVAILABLE,
        code if code.ends_with("_NOT_FOUND") => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl StdError for Problem {}

/// Stands in the extensions of a response that refuses something: by which code, for whoever notes what is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAs(pub String);

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status).content_type(MEDIA_TYPE).json(&*self.0);
        response.extensions_mut().insert(RefusedAs(self.0.code.clone()));
        let headers = response.headers_mut();
        if let Some(allow) = self.0.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What stands nowhere.
pub(crate) async fn nowhere() -> HttpResponse {
    let detail = "there is nothing here; /api/v1/docs shows what there is";
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail).error_response()
}

/// What a resource answers to other methods than these.
pub(crate) fn only(allowed: &'static str) -> actix_web::Route {
    actix_web::web::to(move || async move {
        let detail = format!("this path takes {allowed} only");
        let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail);
        problem.0.allow = Some(allowed);
        problem.error_response()
    })
}
