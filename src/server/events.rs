//! GraphQL over server-sent events: graphql-sse in its mode of distinct connections
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), at the same address as everything else, for
//! whoever accepts `text/event-stream`.
//!
//! One request is one operation; its answers come as `next`, its end as `complete`. A client that does not read makes
//! the operation wait. When its patience is used up it is told in a last answer after which position to go on, and the
//! stream ends; so is everybody when the server stops.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, http::StatusCode};
use async_graphql::{Request, Response};
use futures_util::StreamExt;
use schema::{Caller, Progress};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

use super::metrics::Underway;
use super::reply::refuse;
use super::{State, denials, graphql, metrics};

/// How many answers wait for the client.
const OUTBOX: usize = 16;
/// How many more places are kept for how a stream ends, so that whoever begins to read again finds it.
const LAST_WORDS: usize = 2;
/// What keeps a quiet stream open.
const PULSE: &[u8] = b":\n\n";
const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// Streams the answers of an operation.
pub(super) fn stream(state: &Data<State>, caller: Caller, mut operation: Request) -> HttpResponse {
    if state.closing.is_cancelled() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
    }
    let Ok(permit) = std::sync::Arc::clone(&state.sockets).try_acquire_owned() else {
        let message = format!("there are {} open streams already; close one", state.options.max_sockets);
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", &message);
    };
    let kind = graphql::word(graphql::kind(&mut operation));
    let noted = denials::Operation::of(&caller, &mut operation);
    let (operation, progress) = caller.follows(operation);
    let (outbox, inbox) = mpsc::channel(OUTBOX + LAST_WORDS);
    let work = {
        let state = Data::clone(state);
        let counted = (Underway::connection(), Underway::operation());
        async move {
            let failed = answer(&state, operation, &noted, &progress, &outbox).await;
            metrics::operation(kind, failed);
            drop(counted);
        }
    };
    state.tracker.spawn_on(work.in_current_span(), &state.runtime);
    // It counts as long as there is anything to read, also when nothing more is said.
    let body = futures_util::stream::unfold((inbox, permit), |(mut inbox, permit)| async move {
        let bytes: Bytes = inbox.recv().await?;
        Some((Ok::<_, Infallible>(bytes), (inbox, permit)))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(body)
}

/// Why a stream ends before its operation.
#[derive(Debug)]
enum End {
    /// The client is gone.
    Gone,
    /// The client does not read.
    Slow,
    /// The server stops.
    Closing,
}

/// Executes the operation and sends what comes of it; true when something failed.
async fn answer(
    state: &State,
    operation: Request,
    noted: &denials::Operation,
    progress: &Progress,
    outbox: &mpsc::Sender<Bytes>,
) -> bool {
    let Ok(mut places) = outbox.reserve_many(LAST_WORDS).await else { return false };
    let mut responses = state.schema.execute_stream(operation);
    let mut failed = false;
    // The last answer that was handed over, not the one that is waiting.
    let mut told = progress.position();
    let ended = loop {
        let response = tokio::select! {
            () = state.closing.cancelled() => break Some(End::Closing),
            () = outbox.closed() => break Some(End::Gone),
            response = timeout(state.options.keepalive, responses.next()) => response,
        };
        let bytes = match response {
            Err(_) => Bytes::from_static(PULSE),
            Ok(None) => break None,
            Ok(Some(mut response)) => {
                failed |= response.is_err();
                schema::label(&mut response);
                noted.answered(state, &response);
                next(&response)
            }
        };
        match hand_over(state, outbox, bytes).await {
            Ok(()) => told = progress.position(),
            Err(end) => break Some(end),
        }
    };
    drop(responses);
    let (code, message) = match ended {
        Some(End::Gone) => return failed,
        Some(End::Slow) => ("SLOW_CLIENT", "the client reads too slowly"),
        Some(End::Closing) => ("SHUTTING_DOWN", "the server is shutting down"),
        None => {
            places.next().into_iter().for_each(|place| place.send(Bytes::from_static(COMPLETE)));
            return failed;
        }
    };
    let ending = [last_words(code, message, told), Bytes::from_static(COMPLETE)];
    places.zip(ending).for_each(|(place, bytes)| place.send(bytes));
    true
}

async fn hand_over(state: &State, outbox: &mpsc::Sender<Bytes>, bytes: Bytes) -> Result<(), End> {
    let patience: Duration = state.options.patience;
    tokio::select! {
        () = state.closing.cancelled() => Err(End::Closing),
        sent = timeout(patience, outbox.send(bytes)) => match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        },
    }
}

/// An answer as an event. JSON has no line breaks of its own, so one `data` line is enough.
fn next(response: &Response) -> Bytes {
    match serde_json::to_string(response) {
        Ok(text) => Bytes::from(format!("event: next\ndata: {text}\n\n")),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            last_words("INTERNAL", "the answer could not be written", None)
        }
    }
}

/// A last answer, with the position after which to subscribe again.
fn last_words(code: &str, message: &str, position: Option<schema::Reached>) -> Bytes {
    let message = match &position {
        Some(position) => format!("{message}; subscribe again after position {position}"),
        None => format!("{message}; subscribe again"),
    };
    let position = position.map(|position| position.to_string());
    let kind = "INFRASTRUCTURE";
    let extensions = json!({ "code": code, "kind": kind, "resumeAfter": position });
    let text = json!({ "data": null, "errors": [{ "message": message, "extensions": extensions }] });
    Bytes::from(format!("event: next\ndata: {text}\n\n"))
}
