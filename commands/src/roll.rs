//! All that there is of one kind, for lists. States are kept from one question to the next, so a list costs what was recorded
//! since the last one, and not a read for everything that is on it.
//!
//! Invariant: what is told is of the journal's end as it was when the question came, or later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{Decide, StreamId};
use journal::{Executor, Filter, Loaded, Position, ReadError};
use tokio::sync::Mutex;

/// How many events are looked at at a time for what has come to be.
const PAGE: usize = 1000;

/// Everything of one kind that was ever begun and is still there.
pub(crate) struct Roll<A> {
    /// The type of event by which one of them comes to be.
    begins: &'static str,
    /// Whether one of them is still there.
    is_there: fn(&A) -> bool,
    known: Mutex<Known<A>>,
}

/// As of the last question.
struct Known<A> {
    /// Up to where the journal was looked through for what has come to be.
    position: Position,
    /// In the order in which they came to be.
    entries: Vec<(StreamId, Loaded<A>)>,
}

impl<A: Decide> Roll<A> {
    pub(crate) fn new(begins: &'static str, is_there: fn(&A) -> bool) -> Self {
        Self { begins, is_there, known: Mutex::new(Known { position: Position::START, entries: Vec::new() }) }
    }

    /// Everything that there is, in the order in which it came to be. The first question looks through the whole journal, any
    /// other through what was recorded since the one before.
    pub(crate) async fn call(&self, executor: &Executor) -> Result<Vec<(StreamId, Arc<A>)>, ReadError> {
        // Held while reading: whoever asks at the same time is answered from what was read for the one before.
        let mut known = self.known.lock().await;
        let filter = Filter { types: vec![self.begins.to_owned()], ..Filter::categories([A::CATEGORY]) };
        let mut there: HashSet<StreamId> = known.entries.iter().map(|(stream, _)| *stream).collect();
        loop {
            let page = executor.journal().read_all(known.position, &filter, PAGE).await?;
            for event in &page.events {
                if there.insert(event.stream) {
                    known.entries.push((event.stream, Loaded::default()));
                }
            }
            if page.position == known.position {
                break;
            }
            known.position = page.position;
        }
        executor.catch_up_all(&mut known.entries).await?;
        // What is gone and begins again is found again, because that is recorded later than anything that was looked at.
        known.entries.retain(|(_, loaded)| (self.is_there)(&loaded.state));
        Ok(known.entries.iter().map(|(stream, loaded)| (*stream, Arc::clone(&loaded.state))).collect())
    }
}

/// States of streams that somebody else names.
pub(crate) struct Shelf<A>(Mutex<HashMap<StreamId, Loaded<A>>>);

impl<A> Default for Shelf<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Decide> Shelf<A> {
    /// The states of these streams, in their order. Those of others are not kept any longer.
    pub(crate) async fn take(&self, executor: &Executor, streams: &[StreamId]) -> Result<Vec<Arc<A>>, ReadError> {
        let mut kept = self.0.lock().await;
        let state = |stream: &StreamId| (*stream, kept.get(stream).cloned().unwrap_or_default());
        let mut states: Vec<(StreamId, Loaded<A>)> = streams.iter().map(state).collect();
        executor.catch_up_all(&mut states).await?;
        let taken = states.iter().map(|(_, loaded)| Arc::clone(&loaded.state)).collect();
        *kept = states.into_iter().collect();
        Ok(taken)
    }
}
