//! What tasks ended in, straight from the journal.

use domain::{Task, TaskId};

use crate::{Commands, Error};

impl Commands {
    /// What a task has ended in: the parts of its output and how good it is are in it once it has completed.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn ended_task(&self, task: TaskId) -> Result<std::sync::Arc<Task>, Error> {
        // Other nodes may have recorded what became of it since, and people may have rated it.
        Ok(self.executor.load::<Task>(task.into()).await?.state)
    }
}
