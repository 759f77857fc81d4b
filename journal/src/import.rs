//! Taking in another journal's events as they are: ids, times, metadata, hashes and all; only positions are new.

use async_trait::async_trait;

use crate::chain::Entry;
use crate::{AppendError, Position};

/// What a back end offers for moving a journal into it. Nobody else may write to it meanwhile.
#[async_trait]
pub trait Import: Send {
    /// Writes the next events, in their order, each at its revision. Repeating what is there already does nothing in
    /// back ends that can tell; others are asked only for what is not there.
    ///
    /// # Errors
    /// When the store fails, or holds something else where an event belongs.
    async fn import(&mut self, entries: &[Entry]) -> Result<Position, ImportError>;
}

/// Why events were not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The journal is not the beginning of the one that is copied.
    #[error("the journal is written to by somebody else, or is another one: {0}")]
    Diverged(String),
    /// The store failed.
    #[error(transparent)]
    Append(#[from] AppendError),
}
