use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{AppendError, Position, ReadError};

/// How far a reactor has come, and what it knew then. A reactor's knowledge follows from events alone; keeping some of
/// it spares reading everything again at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here has been taken in.
    pub position: Position,
    /// What the reactor wants to remember, in its own format.
    pub state: Vec<u8>,
}

/// Keeps the checkpoints of reactors, by name.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The last checkpoint that was saved.
    ///
    /// # Errors
    /// When the store fails.
    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, ReadError>;

    /// Saves a checkpoint, unless one further on is there.
    ///
    /// # Errors
    /// When the store fails.
    async fn save(&self, name: &str, checkpoint: Checkpoint) -> Result<(), AppendError>;
}

/// Checkpoints that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints {
    kept: Mutex<HashMap<String, Checkpoint>>,
}

#[async_trait]
impl Checkpoints for MemoryCheckpoints {
    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, ReadError> {
        Ok(self.kept.lock().get(name).cloned())
    }

    async fn save(&self, name: &str, checkpoint: Checkpoint) -> Result<(), AppendError> {
        let mut kept = self.kept.lock();
        if kept.get(name).is_none_or(|known| known.position <= checkpoint.position) {
            kept.insert(name.to_owned(), checkpoint);
        }
        Ok(())
    }
}
