//! What a handler answers: made where the work is done, written where the bytes are moved.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse, Responder};
use journal::Position;
use serde::Serialize;

use crate::{Call, Problem};

/// The header with the journal's position that an answer reflects at least.
pub(crate) const POSITION: &str = "x-hishamos-position";

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// A JSON body.
    ///
    /// # Errors
    /// When the value cannot be written, which is our failure.
    pub fn json<T: Serialize>(call: &Call, status: StatusCode, value: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|error| Problem::internal(call.correlation, &error))?;
        Ok(Self::text(status, "application/json", body))
    }

    /// A body of any type.
    #[must_use]
    pub fn text(status: StatusCode, media_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, media_type.to_owned())], body }
    }

    /// No body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With the position that it reflects at least.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        self.with(HeaderName::from_static(POSITION), position.to_string())
    }

    /// With the entity tag of a revision.
    #[must_use]
    pub fn revision(self, revision: Option<u64>) -> Self {
        match revision {
            Some(revision) => self.with(ETAG, tag(revision)),
            None => self,
        }
    }

    /// With where a new resource stands.
    #[must_use]
    pub fn location(self, path: String) -> Self {
        self.with(LOCATION, path)
    }

    /// With links to other pages.
    #[must_use]
    pub fn links(self, links: String) -> Self {
        self.with(LINK, links)
    }

    /// With a note that this is the answer that the same request got before.
    #[must_use]
    pub fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with(HeaderName::from_static("idempotency-replayed"), "true".to_owned()) } else { self }
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// The entity tag of a revision.
pub(crate) fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in self.headers {
            response.insert_header(header);
        }
        response.body(self.body)
    }
}
