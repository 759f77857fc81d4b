//! What clients are told when something fails.
//!
//! Refusals are part of the API: they carry a stable code and say what would be right. Failures of the
//! infrastructure are logged here, once, and reach the client only as a code and a correlation id.

use std::error::Error as StdError;

use async_graphql::{Context, Error, ErrorExtensions, Response, ServerError};
use uuid::Uuid;

/// For whom a request is carried out; the server puts one into every request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who asks.
    pub actor: domain::Actor,
    /// The same for all that follows from this request; it is in the log and in the journal.
    pub correlation: Uuid,
}

impl Caller {
    pub(crate) fn of<'a>(context: &Context<'a>) -> async_graphql::Result<&'a Self> {
        context.data::<Self>()
    }
}

fn coded(kind: &'static str, code: &str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", code);
        extensions.set("kind", kind);
    })
}

/// Gives every error that GraphQL itself has raised a stable code, so that none is without one.
pub fn label(response: &mut Response) {
    for error in &mut response.errors {
        let code = match error.message.as_str() {
            "Query is nested too deep." => "QUERY_TOO_DEEP",
            message if message.starts_with("The recursion depth of the query") => "QUERY_TOO_DEEP",
            "Query is too complex." => "QUERY_TOO_COMPLEX",
            _ if error.path.is_empty() => "QUERY_INVALID",
            _ => "ARGUMENT_INVALID",
        };
        label_one(error, code);
    }
}

/// Gives every error without a code this one.
pub fn label_as(response: &mut Response, code: &str) {
    response.errors.iter_mut().for_each(|error| label_one(error, code));
}

fn label_one(error: &mut ServerError, code: &str) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
        extensions.set("kind", "REFUSAL");
    }
}

/// The rules say no.
pub(crate) fn refused(code: &str, message: impl Into<String>) -> Error {
    coded("REFUSAL", code, message)
}

/// An argument that cannot be right in any state of the system.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    coded("REFUSAL", "ARGUMENT_INVALID", message)
}

/// Something that cannot be told of the past.
pub(crate) fn now_only(what: &str) -> Error {
    let message = format!("`{what}` can be told of the present only; leave it out, or leave out `asOf`");
    refused("AS_OF_UNSUPPORTED", message)
}

/// A command that was not carried out.
pub(crate) fn command(context: &Context<'_>, error: commands::Error) -> Error {
    let code = error.code();
    match error {
        commands::Error::Refused(refusal) => refused(code, refusal.to_string()),
        commands::Error::Conflict(what) => coded("CONFLICT", code, what),
        // It says nothing about the inside, and an operator can do something about it.
        commands::Error::Full => {
            tracing::error!("the journal's disk is full");
            coded("INFRASTRUCTURE", code, commands::Error::Full.to_string())
        }
        error @ commands::Error::Unavailable(_) => internal(context, &error),
    }
}

/// A read model that could not be read.
pub(crate) fn query(context: &Context<'_>, error: &projections::Error) -> Error {
    match error {
        // Both say nothing about the inside, and what the caller can do differs.
        projections::Error::Stale { .. } => coded("CONFLICT", error.code(), error.to_string()),
        error if error.is_timeout() => too_slow(),
        projections::Error::TooMuchPast { .. } => refused(error.code(), error.to_string()),
        projections::Error::Poisoned { .. } => coded("INFRASTRUCTURE", error.code(), error.to_string()),
        other => internal(context, other),
    }
}

/// A question that the database was told to give up.
pub(crate) fn too_slow() -> Error {
    let message = "the question took too long and was given up; ask for less at a time";
    coded("INFRASTRUCTURE", "TIMEOUT", message)
}

/// Something failed that the client can do nothing about.
pub(crate) fn internal(context: &Context<'_>, error: &(dyn StdError + 'static)) -> Error {
    internal_for(Caller::of(context).map(|caller| caller.correlation).unwrap_or_else(|_| Uuid::nil()), error)
}

/// The same, where no context is at hand.
pub(crate) fn internal_for(correlation: Uuid, error: &(dyn StdError + 'static)) -> Error {
    tracing::error!(%correlation, error = %chain(error), "a request failed");
    opaque(correlation)
}

/// What a client is told of a failure that has been logged.
pub(crate) fn opaque(correlation: Uuid) -> Error {
    let message = "something failed on the server; its log has the details under this correlation id";
    coded("INFRASTRUCTURE", "INTERNAL", message)
        .extend_with(|_, extensions| extensions.set("correlation", correlation.to_string()))
}

/// A failed read of the journal.
pub(crate) fn read(correlation: Uuid, error: &journal::ReadError) -> Error {
    match error {
        journal::ReadError::Closed => {
            coded("INFRASTRUCTURE", "SHUTTING_DOWN", "the server is shutting down; try again later")
        }
        other => internal_for(correlation, other),
    }
}

/// An error with all its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A word in a read model that this version does not know.
pub(crate) fn unreadable(what: &str, word: &str) -> Error {
    tracing::error!(what, word, "a read model holds a word that this version does not know");
    coded("INFRASTRUCTURE", "INTERNAL", format!("unknown {what}"))
}
