//! Whether a simulated process lives, moves, and reaches the journal.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How a process is cut off from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Not at all.
    No,
    /// Nothing comes back until the cut heals.
    Silent,
    /// Every call fails.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct State {
    frozen: bool,
    cut: Cut,
}

/// Asked at every point at which a process meets the world outside: a frozen one gets no further there, as if it had
/// been sent SIGSTOP. What it has in memory it may still work on until it comes to such a point, which is no other
/// than having been frozen a little later.
#[derive(Debug)]
pub(crate) struct Condition {
    state: Mutex<State>,
    changed: Notify,
}

impl Condition {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { frozen: false, cut: Cut::No }), changed: Notify::new() }
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        self.state.lock().frozen = frozen;
        self.changed.notify_waiters();
    }

    pub(crate) fn cut(&self, cut: Cut) {
        self.state.lock().cut = cut;
        self.changed.notify_waiters();
    }

    pub(crate) fn is_impaired(&self) -> bool {
        let state = *self.state.lock();
        state.frozen || state.cut != Cut::No
    }

    /// Goes on when the process is not frozen.
    pub(crate) async fn thawed(&self) {
        self.until(|state| !state.frozen).await;
    }

    /// Whether the journal can be reached; waits while nothing comes back.
    pub(crate) async fn reaches(&self) -> bool {
        self.until(|state| !state.frozen && state.cut != Cut::Silent).await.cut == Cut::No
    }

    async fn until(&self, wanted: impl Fn(State) -> bool) -> State {
        loop {
            let changed = self.changed.notified();
            let state = *self.state.lock();
            if wanted(state) {
                return state;
            }
            changed.await;
        }
    }
}
