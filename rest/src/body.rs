//! What a request brings along: its body and its query string, both read strictly.

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut, Data, Query};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;

use crate::problem::Fault;
use crate::{Api, Problem};

/// A JSON body; what nobody knows in it is refused. No body at all stands for an empty object.
pub struct Json<T> {
    /// What it says.
    pub value: T,
    /// Its bytes, by which a repeated request is known.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::from_request(request, payload);
        Box::pin(async move {
            let Body { media_type, bytes, .. } = body.await?;
            if bytes.is_empty() {
                return Ok(Self { value: parse(b"{}")?, bytes });
            }
            if media_type != "application/json" && !media_type.ends_with("+json") {
                return Err(wrong_type("application/json"));
            }
            Ok(Self { value: parse(&bytes)?, bytes })
        })
    }
}

/// A body of any type, within the limit.
pub(crate) struct Body {
    /// Its type without parameters, in small letters; empty when the request does not say.
    pub(crate) media_type: String,
    /// Its type as the request says it.
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<Data<Api>>().map_or(0, |api| api.options().max_body);
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let content_type = content_type.to_owned();
        let mut payload = payload.take();
        Box::pin(async move {
            let mut bytes = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| {
                    let detail = format!("the request could not be read to its end: {error}");
                    Problem::new(StatusCode::BAD_REQUEST, "BODY_INVALID", detail)
                })?;
                if bytes.len().saturating_add(chunk.len()) > limit {
                    let detail = format!("the request is too large; at most {limit} bytes are allowed");
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Self { media_type, content_type, bytes: bytes.freeze() })
        })
    }
}

/// The problem with a body of the wrong type.
pub(crate) fn wrong_type(allowed: &str) -> Problem {
    let detail = format!("the content type must be {allowed}");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "CONTENT_TYPE_REFUSED", detail)
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let wrong = |field: Option<String>, message: String| {
        let detail = match &field {
            Some(field) => format!("the body is wrong at `{field}`: {message}"),
            None => format!("the body is wrong: {message}"),
        };
        Problem::new(StatusCode::BAD_REQUEST, "BODY_INVALID", detail).with_errors(vec![Fault {
            message,
            field,
            ..Fault::default()
        }])
    };
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let field = Some(error.path().to_string()).filter(|path| path != ".");
        wrong(field, error.inner().to_string())
    })?;
    source.end().map_err(|error| wrong(None, error.to_string()))?;
    Ok(value)
}

/// The query string; a parameter that nobody knows is refused.
pub struct Params<T>(
    /// What it says.
    pub T,
);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = Query::<T>::from_query(request.query_string());
        ready(parsed.map(|query| Self(query.into_inner())).map_err(|error| {
            let why = match error {
                actix_web::error::QueryPayloadError::Deserialize(error) => error.to_string(),
                error => error.to_string(),
            };
            Problem::invalid(format!("the query string is wrong: {why}"))
        }))
    }
}
