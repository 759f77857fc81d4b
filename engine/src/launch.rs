//! Starts a run and takes its first turn in one append: the start, the claim, the first tasks and their attempts.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use commands::{Launch, Launcher};
use domain::RunId;
use domain::run::Start;
use journal::{AppendError, Appended, Context, Members};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::driver::{Driver, Shared};
use crate::drivers::Launched;

/// Runs that are being started right now. Whoever sees their first event leaves them alone.
#[derive(Clone, Default)]
pub(crate) struct Launching(Arc<Mutex<HashSet<RunId>>>);

impl Launching {
    pub(crate) fn contains(&self, run: RunId) -> bool {
        self.0.lock().contains(&run)
    }

    pub(crate) fn remove(&self, run: RunId) {
        self.0.lock().remove(&run);
    }
}

/// Takes runs from their very first event on.
pub(crate) struct Launchpad {
    pub(crate) shared: Arc<Shared>,
    pub(crate) members: Members,
    pub(crate) launching: Launching,
    pub(crate) launched: mpsc::UnboundedSender<Launched>,
}

#[async_trait]
impl Launcher for Launchpad {
    async fn launch(&self, start: Box<Start>, context: Context, remember: bool) -> Launch {
        let run = start.id;
        let elsewhere = self.members.owner(run.as_uuid()) != self.shared.node;
        if elsewhere || self.shared.shutdown.is_cancelled() || self.launched.is_closed() {
            return Launch::Declined(start);
        }
        self.launching.0.lock().insert(run);
        let guard = Guard { launching: &self.launching, run, armed: true };
        let recorded = Driver::launch(&self.shared, start, context, remember).await;
        self.hand_over(run, recorded, guard)
    }
}

impl Launchpad {
    fn hand_over(
        &self,
        run: RunId,
        recorded: Result<(Appended, Option<crate::driver::Ready>), AppendError>,
        mut guard: Guard<'_>,
    ) -> Launch {
        match recorded {
            Ok((appended, Some((driver, looks)))) => {
                // The engine takes the run out of those that are being started when it has the driver.
                guard.armed = self.launched.send(Launched { run, driver, looks }).is_err();
                Launch::Done(Ok(appended))
            }
            Ok((appended, None)) => Launch::Done(Ok(appended)),
            Err(error) => Launch::Done(Err(error)),
        }
    }
}

/// Forgets that a run is being started, also when the caller goes away in the middle.
struct Guard<'a> {
    launching: &'a Launching,
    run: RunId,
    armed: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.launching.remove(self.run);
        }
    }
}
