//! States of many streams at once.

use std::sync::Arc;

use domain::{Decide, Event, StreamId};

use crate::{Executor, Loaded, ReadError, RecordedEvent, Several};

impl Executor {
    /// Folds whatever was recorded after each of these states. The streams are read together: what that costs goes by what was
    /// recorded of them, not by how many they are. One of which there is much to fold, or that takes over another one, is
    /// read by itself.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up); those that were folded by then stay so.
    pub async fn catch_up_all<A: Decide>(&self, known: &mut [(StreamId, Loaded<A>)]) -> Result<(), ReadError> {
        let mut rest = known;
        while !rest.is_empty() {
            let next = |loaded: &Loaded<A>| loaded.revision.map_or(0, |revision| revision + 1);
            let wanted: Vec<(StreamId, u64)> = rest.iter().map(|(stream, loaded)| (*stream, next(loaded))).collect();
            let Several { events, streams } = self.journal().read_each(&wanted, Self::PAGE).await?;
            let mut events = events.into_iter().peekable();
            let (read, later) = rest.split_at_mut(streams.clamp(1, wanted.len()));
            for (stream, loaded) in read {
                let mut page = Vec::new();
                while let Some(event) = events.next_if(|event| event.stream == *stream) {
                    page.push(event);
                }
                let own = page.iter().map(|recorded| own::<A>(recorded)).collect::<Result<Vec<_>, _>>()?;
                let takes_over =
                    loaded.revision.is_none() && own.first().is_some_and(|event| A::origin(event).is_some());
                if takes_over || page.len() == Self::PAGE || streams == 0 {
                    *loaded = self.catch_up(*stream, loaded.clone()).await?;
                    continue;
                }
                own.into_iter().for_each(|event| Arc::make_mut(&mut loaded.state).apply(event));
                loaded.revision = page.last().map(|recorded| recorded.revision).or(loaded.revision);
            }
            rest = later;
        }
        Ok(())
    }
}

/// An event of an aggregate's own stream.
pub(crate) fn own<A: Decide>(recorded: &RecordedEvent) -> Result<A::Event, ReadError> {
    let damaged = |what: String| ReadError::Damaged { position: recorded.position, what };
    let event = recorded.event().map_err(|error| damaged(error.to_string()))?;
    let strange = |other: &Event| format!("`{}` does not belong into stream {}", other.name(), recorded.stream);
    A::own(event.clone()).map_err(|other| damaged(strange(&other)))
}
