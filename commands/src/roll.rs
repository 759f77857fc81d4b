//! All that there is of one kind, for lists. States are kept from one question to the next, so a list costs what was recorded
//! since the last one, and not a read for everything that is on it. What there was is also saved now and then, so that the first
//! question after a start does not look through the whole journal.
//!
//! Invariants: what is told is of the journal's end as it was when the question came, or later; what is saved follows from events
//! alone and only makes the first question quicker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{Decide, StreamId};
use journal::{Checkpoint, Checkpoints, Executor, Filter, Loaded, Position, ReadError};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How many events are looked at at a time for what has come to be.
const PAGE: usize = 1000;
/// The first byte of a saved copy; one with another is not read.
const FORMAT: u8 = 1;
/// After how many events, of whatever kind, it is saved again, at least.
const SAVE_EVERY: u64 = 20_000;
/// How many positions an event takes where positions are bytes of a log.
const BYTES: u64 = 1024;

/// Everything of one kind that was ever begun and is still there.
pub(crate) struct Roll<A> {
    /// The type of event by which one of them comes to be.
    begins: &'static str,
    /// Under which name it is saved.
    name: &'static str,
    /// After how many events it is saved again.
    save_every: u64,
    /// Whether one of them is still there.
    is_there: fn(&A) -> bool,
    known: Mutex<Known<A>>,
}

/// As of the last question.
struct Known<A> {
    /// Up to where the journal was looked through for what has come to be.
    position: Position,
    /// Up to where that is saved.
    saved: Position,
    /// In the order in which they came to be.
    entries: Vec<(StreamId, Loaded<A>)>,
}

impl<A: Decide> Roll<A> {
    pub(crate) fn new(name: &'static str, begins: &'static str, is_there: fn(&A) -> bool) -> Self {
        let known = Known { position: Position::START, saved: Position::START, entries: Vec::new() };
        Self { begins, name, save_every: SAVE_EVERY, is_there, known: Mutex::new(known) }
    }

    /// Everything that there is, in the order in which it came to be. The first question looks through what was recorded since
    /// it was last saved, through the whole journal when it never was; any other through what was recorded since the one
    /// before.
    pub(crate) async fn call(
        &self,
        executor: &Executor,
        checkpoints: Option<&dyn Checkpoints>,
    ) -> Result<Vec<(StreamId, Arc<A>)>, ReadError> {
        // Held while reading: whoever asks at the same time is answered from what was read for the one before.
        let mut known = self.known.lock().await;
        if known.position == Position::START
            && let Some(checkpoints) = checkpoints
        {
            self.load(&mut known, checkpoints).await;
        }
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
        let event = if executor.journal().gapless() { 1 } else { BYTES };
        let unsaved = known.position.as_u64().saturating_sub(known.saved.as_u64());
        if unsaved >= self.save_every.saturating_mul(event)
            && let Some(checkpoints) = checkpoints
        {
            self.save(&mut known, checkpoints).await;
        }
        Ok(known.entries.iter().map(|(stream, loaded)| (*stream, Arc::clone(&loaded.state))).collect())
    }

    /// Goes on from what was saved. Without it the whole journal is looked through.
    async fn load(&self, known: &mut Known<A>, checkpoints: &dyn Checkpoints) {
        match checkpoints.load(self.name).await {
            Ok(Some(Checkpoint { position, state })) => {
                let Some(streams) = thawed(&state) else { return };
                let stream = |id| StreamId { category: A::CATEGORY, id };
                known.entries = streams.into_iter().map(|id| (stream(id), Loaded::default())).collect();
                (known.position, known.saved) = (position, position);
            }
            Ok(None) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(roll = self.name, error, "what was saved for a list cannot be read; it is made anew");
            }
        }
    }

    /// Only the next start gets slower when it fails. What is gone is left out, also when it went later than the position that is
    /// saved: if it begins again, that is later still.
    async fn save(&self, known: &mut Known<A>, checkpoints: &dyn Checkpoints) {
        let ids = known.entries.iter().flat_map(|(stream, _)| stream.id.into_bytes());
        let state = std::iter::once(FORMAT).chain(ids).collect();
        match checkpoints.save(self.name, Checkpoint { position: known.position, state }).await {
            Ok(()) => known.saved = known.position,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(roll = self.name, error, "what there is was not saved for lists");
            }
        }
    }
}

/// The ids in a saved copy; `None` when it is not of this format.
fn thawed(state: &[u8]) -> Option<Vec<Uuid>> {
    let (format, ids) = state.split_first()?;
    let (ids, rest) = ids.as_chunks::<16>();
    (*format == FORMAT && rest.is_empty()).then(|| ids.iter().map(|id| Uuid::from_bytes(*id)).collect())
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

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use domain::limit::{LimitScope, LimitSettings};
    use domain::slots::Capacity;
    use domain::{Actor, Key, Limit};
    use journal::{Journal, MemoryCheckpoints, MemoryJournal};

    use super::*;
    use crate::{Commands, Request};

    fn roll(save_every: u64) -> Roll<Limit> {
        Roll { save_every, ..Roll::new("roll.limits", "limit.set", |limit| limit.settings().is_some()) }
    }

    struct House {
        commands: Commands,
        checkpoints: MemoryCheckpoints,
    }

    impl House {
        fn new() -> Self {
            let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
            Self { commands: Commands::new(journal), checkpoints: MemoryCheckpoints::default() }
        }

        async fn set(&self, key: &str) {
            let key: Key = key.parse().unwrap();
            let settings = LimitSettings {
                key: key.clone(),
                description: String::new(),
                scope: LimitScope::Agent(key),
                by: None,
                capacity: Capacity { max_running: Some(1), rate: None },
                fairness: None,
            };
            self.commands.set_limit(Request::by(Actor::person("ada")), settings).await.unwrap();
        }

        async fn remove(&self, key: &str) {
            let request = Request::by(Actor::person("ada"));
            self.commands.remove_limit(request, &key.parse().unwrap(), String::new()).await.unwrap();
        }

        /// What is on a list, as a program that has just started tells it, or one that goes on.
        async fn told(&self, roll: &Roll<Limit>) -> Vec<String> {
            let all = roll.call(self.commands.executor(), Some(&self.checkpoints)).await.unwrap();
            all.iter().map(|(_, limit)| limit.settings().unwrap().key.to_string()).collect()
        }

        async fn saved(&self) -> Option<u64> {
            self.checkpoints.load("roll.limits").await.unwrap().map(|saved| saved.position.as_u64())
        }
    }

    #[tokio::test]
    async fn a_start_goes_on_from_what_was_saved_and_tells_the_same() {
        let house = House::new();
        for key in ["a", "b", "c"] {
            house.set(key).await;
        }
        let first = roll(4);
        assert_eq!((house.told(&first).await, house.saved().await), (vec!["a".into(), "b".into(), "c".into()], None));
        house.remove("b").await;
        assert_eq!(house.told(&first).await, ["a", "c"]);
        assert_eq!(house.saved().await, Some(4), "as soon as it is worth it");
        for (change, expected) in [("d", vec!["a", "c", "d"]), ("b", vec!["a", "c", "d", "b"])] {
            house.set(change).await;
            let (before, after) = (house.told(&first).await, house.told(&roll(4)).await);
            assert_eq!((&before, &after), (&expected.iter().map(ToString::to_string).collect(), &before));
        }
        house.remove("a").await;
        assert_eq!(house.told(&roll(4)).await, ["c", "d", "b"]);
    }

    #[tokio::test]
    async fn what_was_saved_is_not_looked_for_again() {
        let house = House::new();
        house.set("a").await;
        house.set("b").await;
        // A copy that knows less than the journal is believed, so nothing before it is read.
        let only = domain::LimitId::from_key(&"b".parse().unwrap()).as_uuid();
        let state: Vec<u8> = std::iter::once(FORMAT).chain(only.into_bytes()).collect();
        let copy = Checkpoint { position: Position::from_u64(2), state };
        house.checkpoints.save("roll.limits", copy.clone()).await.unwrap();
        assert_eq!(house.told(&roll(100)).await, ["b"]);
        // One of another format is not, nor one that was cut.
        for state in [[&[FORMAT + 1], &copy.state[1..]].concat(), copy.state[..16].to_vec(), vec![]] {
            let checkpoints = MemoryCheckpoints::default();
            checkpoints.save("roll.limits", Checkpoint { state, ..copy.clone() }).await.unwrap();
            let house = House { commands: house.commands.clone(), checkpoints };
            assert_eq!(house.told(&roll(100)).await, ["a", "b"]);
        }
    }
}
