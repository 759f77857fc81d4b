use std::sync::Arc;

use domain::StreamId;

use crate::{Filter, Position, ReadError, RecordedEvent};

/// What a subscription brings at a time; it may be empty, and then says only how far it has looked.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The wanted events, in order.
    pub events: Vec<Arc<RecordedEvent>>,
    /// Everything up to here has been brought; a new subscription after it goes on without gap or repetition.
    pub position: Position,
    /// Whether this was the last there is for now.
    pub caught_up: bool,
}

/// Follows the journal.
pub struct Subscription {
    source: Arc<dyn Follow>,
    position: Position,
    filter: Filter,
    limit: usize,
    quiet: bool,
}

/// What a back end offers for following it.
#[async_trait::async_trait]
pub trait Follow: Send + Sync {
    /// The next events after `after`; waits while there are none at all. An answer without wanted events still
    /// reaches further than `after`. Dropping the future must lose nothing.
    ///
    /// # Errors
    /// When the store fails.
    async fn next(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError>;

    /// The same, but waits while there are none that are wanted, as far as the back end can tell.
    ///
    /// # Errors
    /// When the store fails.
    async fn next_wanted(&self, after: Position, filter: &Filter, limit: usize) -> Result<Batch, ReadError> {
        self.next(after, filter, limit).await
    }
}

impl Subscription {
    /// How many events a batch may hold.
    pub const BATCH: usize = 1000;

    /// Follows a back end from a position on.
    #[must_use]
    pub fn new(source: Arc<dyn Follow>, position: Position, filter: Filter) -> Self {
        Self { source, position, filter, limit: Self::BATCH, quiet: false }
    }

    /// The same subscription with another batch size, at least 1.
    #[must_use]
    pub fn with_batch(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// The same subscription, which is not woken by events that it does not want. Its position stands still meanwhile,
    /// so this is for those who do not tell others how far they have come.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Whether a task is known to be of the run that is followed.
    pub(crate) fn knows(&self, task: StreamId) -> bool {
        self.filter.of_run.as_ref().is_some_and(|of_run| of_run.tasks.contains(&task))
    }

    /// Follows this task of the run as well, after a position that the subscription has reached.
    pub(crate) fn learn(&mut self, task: StreamId, after: Position) {
        if let Some(of_run) = &mut self.filter.of_run {
            Arc::make_mut(&mut of_run.tasks).insert(task);
            self.position = after;
        }
    }

    /// What it follows.
    pub(crate) fn into_source(self) -> Arc<dyn Follow> {
        self.source
    }

    /// How far it has come.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next batch; waits for one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the store fails; calling again goes on from the same place.
    pub async fn next(&mut self) -> Result<Batch, ReadError> {
        let batch = if self.quiet {
            self.source.next_wanted(self.position, &self.filter, self.limit).await?
        } else {
            self.source.next(self.position, &self.filter, self.limit).await?
        };
        self.position = batch.position;
        Ok(batch)
    }
}
