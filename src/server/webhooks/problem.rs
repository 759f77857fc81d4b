//! Errors as problem details (RFC 9457), with our stable codes.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use commands::Error;
use serde_json::json;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        Self { status, code: code.to_owned(), detail: detail.to_owned() }
    }

    pub(super) fn bad(code: &str, detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "something failed on the server; its log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    }

    /// A failure of ours, logged here.
    pub(super) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::internal()
    }

    pub(super) fn response(&self) -> HttpResponse {
        let Self { status, code, detail } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let mut response = HttpResponse::build(*status).content_type("application/problem+json").json(json!({
            "type": format!("urn:hishamos:error:{code}"),
            "title": title,
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        }));
        response.extensions_mut().insert(rest::RefusedAs(code.clone()));
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        let status = match (&error, code) {
            (Error::Refused(_), "WEBHOOK_NOT_FOUND" | "DELIVERY_NOT_FOUND") => StatusCode::NOT_FOUND,
            (Error::Refused(_), "WEBHOOK_NOT_ACTIVE" | "WEBHOOK_KEY_UNKNOWN" | "WEBHOOKS_TOO_MANY") => {
                StatusCode::CONFLICT
            }
            (Error::Refused(_), "WEBHOOKS_OFF") => StatusCode::SERVICE_UNAVAILABLE,
            (Error::Refused(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
            (Error::Conflict(_), _) => StatusCode::CONFLICT,
            (Error::Full, _) => StatusCode::INSUFFICIENT_STORAGE,
            (Error::Unavailable(_), _) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, code, &error.to_string())
    }
}
