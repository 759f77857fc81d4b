use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use domain::run::Start;
use journal::{AppendError, Appended, Context};

/// Starts runs together with their first steps, so that a start costs one append. The engine of this process is one;
/// without it, a start is recorded alone, and an engine takes the run when it sees it.
#[async_trait]
pub trait Launcher: Send + Sync + 'static {
    /// Records the start and whatever begins with it.
    async fn launch(&self, start: Box<Start>, context: Context, remember: bool) -> Launch;
}

/// What came of it.
#[derive(Debug)]
pub enum Launch {
    /// It was recorded, or could not be.
    Done(Result<Appended, AppendError>),
    /// The run belongs elsewhere; nothing was recorded.
    Declined(Box<Start>),
}

/// The launcher of a process, shared by all copies of its commands.
#[derive(Clone, Default)]
pub(crate) struct LaunchSlot(Arc<OnceLock<Arc<dyn Launcher>>>);

impl LaunchSlot {
    pub(crate) fn get(&self) -> Option<&Arc<dyn Launcher>> {
        self.0.get()
    }

    /// The first one stays.
    pub(crate) fn set(&self, launcher: Arc<dyn Launcher>) {
        // A second engine in one process takes runs as it sees them.
        let _ = self.0.set(launcher);
    }
}
