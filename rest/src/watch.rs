//! Waiting for a run: for its end, and for each of its events.
//!
//! Invariants: a stream tells each event once and in order, and the id of each is where `Last-Event-ID` goes on. A slow
//! client makes the stream wait, not the journal; one that takes nothing for a minute is let go, and may come back with
//! the last id.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, Responder};
use commands::{FollowedRun, Told};
use domain::{Run, RunId, StreamId};
use futures_util::{Stream, StreamExt, stream};
use journal::{Filter, Position};
use tokio::sync::mpsc;

use crate::event::Event;
use crate::problem::closing;
use crate::{Answer, Call, Problem};

/// The longest that somebody may wait for a result.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a quiet stream shows that it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long a client may take to read what it is sent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many events wait for a slow client.
const WAITING: usize = 16;
/// The events after which nothing happens to a run.
const ENDS: [&str; 3] = ["run.completed", "run.failed", "run.cancelled"];

/// How long somebody wants to wait, such as `30s`, `500ms` or `1m`.
pub(crate) fn wait(text: &str) -> Result<Duration, Problem> {
    let wrong = || Problem::invalid("`wait` must be a time such as 500ms, 30s or 1m, at most 60 s");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let unit = match text.get(digits.len()..) {
        Some("ms") => Duration::from_millis(1),
        Some("s") => Duration::from_secs(1),
        Some("m") => Duration::from_secs(60),
        _ => return Err(wrong()),
    };
    unit.checked_mul(number).filter(|wait| *wait <= MAX_WAIT).ok_or_else(wrong)
}

/// Waits until a run has ended or the time is over, whichever comes first; answers where the run ended.
pub(crate) async fn ended(call: &Call, run: RunId, wait: Duration) -> Result<Option<Position>, Problem> {
    let journal = call.api.journal();
    let failed = |error| Problem::read(call.correlation, &error);
    let stream = StreamId::from(run);
    // What ends between the two reads is after the head.
    let head = journal.head().await.map_err(failed)?;
    let loaded = call.api.commands().executor().load::<Run>(stream).await.map_err(failed)?;
    if loaded.revision.is_none() || loaded.state.status().is_terminal() {
        return Ok(None);
    }
    let filter = Filter { stream: Some(stream), types: ENDS.map(str::to_owned).to_vec(), ..Filter::default() };
    let mut subscription = journal.subscribe(head, filter);
    let end = async {
        loop {
            let events = subscription.next().await.map_err(failed)?.events;
            if let Some(last) = events.last() {
                return Ok(Some(last.position));
            }
        }
    };
    tokio::select! {
        end = end => end,
        () = tokio::time::sleep(wait) => Ok(None),
        () = call.api.closing().cancelled() => Err(closing()),
    }
}

/// Where a client wants to go on.
pub(crate) fn last_event(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(given) = headers.get("last-event-id") else { return Ok(None) };
    let position = given.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = "Last-Event-ID must be the id of an event of this stream, or must not be there";
    position.map(|position| Some(Position::from_u64(position))).ok_or_else(|| Problem::invalid(wrong))
}

/// Why a stream ends early; it is logged, and the client sees the end.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The events of a run and its tasks as server-sent events: what is recorded already, then what comes. The stream ends
/// with the run; who asks for more after that is told that there is none (204), so that browsers stop asking.
pub(crate) async fn progress(
    call: Call,
    run: RunId,
    after: Option<Position>,
    request: &actix_web::HttpRequest,
) -> Result<HttpResponse, Problem> {
    let opening = call.clone();
    let opened = call.api.run(call.correlation, async move {
        let opened = FollowedRun::open(&**opening.api.journal(), run, after).await;
        opened
            .map_err(|error| Problem::read(opening.correlation, &error))?
            .ok_or_else(|| Problem::no_run(run.as_uuid()))
    });
    let followed = opened.await?;
    if followed.is_over() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT).respond_to(request));
    }
    stream_to(&call, async move {
        Ok(stream::try_unfold(followed, |mut followed| async move {
            let Some(told) = followed.next().await? else { return Ok(None) };
            Ok(Some((message(told)?, followed)))
        }))
    })
    .await
}

/// Tells the client what a stream of server-sent events says, until it ends, the client has gone, or the server stops.
pub(crate) async fn stream_to<S>(
    call: &Call,
    opening: impl Future<Output = Result<S, Problem>> + Send + 'static,
) -> Result<HttpResponse, Problem>
where
    S: Stream<Item = Result<String, Failed>> + Send + 'static,
{
    let Ok(permit) = std::sync::Arc::clone(call.api.streams()).try_acquire_owned() else {
        let detail = format!("there are {} streams already, the most that are served", call.api.options().max_streams);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", detail).after(5));
    };
    let told = call.api.run(call.correlation, opening).await?;
    let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
    let telling = call.clone();
    call.api.begin(async move {
        let _permit = permit;
        tell(&telling, told, &sender).await;
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|bytes| (Ok::<_, actix_web::Error>(bytes), receiver))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(body))
}

async fn tell(call: &Call, told: impl Stream<Item = Result<String, Failed>>, sender: &mpsc::Sender<Bytes>) {
    let mut told = std::pin::pin!(told);
    loop {
        let next = tokio::select! {
            next = told.next() => next,
            () = tokio::time::sleep(KEEPALIVE) => Some(Ok(": still here\n\n".to_owned())),
            () = sender.closed() => return,
            () = call.api.closing().cancelled() => return,
        };
        match next {
            Some(Ok(text)) => {
                if !send(sender, text).await {
                    return;
                }
            }
            Some(Err(error)) => {
                let error: &(dyn std::error::Error + 'static) = &*error;
                tracing::error!(correlation = %call.correlation, error, "a stream of events ended early");
                return;
            }
            None => return,
        }
    }
}

/// Whether the client took it in time.
async fn send(sender: &mpsc::Sender<Bytes>, text: String) -> bool {
    matches!(tokio::time::timeout(PATIENCE, sender.send(Bytes::from(text))).await, Ok(Ok(())))
}

fn message(told: Told) -> Result<String, Failed> {
    let position = told.recorded.position;
    let event = Event::told(told)?;
    // JSON has no line breaks in it, so one line of data is enough.
    Ok(format!("id: {position}\nevent: {}\ndata: {}\n\n", event.kind(), serde_json::to_string(&event)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn waits_have_a_unit_and_a_limit() {
        assert_eq!(wait("30s").unwrap(), Duration::from_secs(30));
        assert_eq!(wait("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(wait("1m").unwrap(), MAX_WAIT);
        for wrong in ["", "30", "61s", "2m", "-1s", "1h", "s", "é", "99999999999s"] {
            assert!(wait(wrong).is_err(), "{wrong}");
        }
    }
}
