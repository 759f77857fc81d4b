//! Purses as appends that are under way will leave them, so that attempts which budgets count need not wait for each other's
//! commits: who comes next decides upon what the one before it is about to record.
//!
//! Invariants: nothing is decided upon it that the journal does not check, because every append names the revision that it is based
//! on; when one append fails, those that were based on it meet a conflict, and nothing ahead is believed any more. That there is
//! not enough is never decided upon it, but upon what is recorded. It is used by a node that is alone, and by no other: a revision
//! says how many events a purse has, and not which, so that another node's event may stand where ours was expected.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Purse, PurseId};
use journal::Loaded;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Cheap to clone; all drivers of a node share it.
#[derive(Clone, Default)]
pub(crate) struct Ahead(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Nothing is under way any more.
    settled: Notify,
}

#[derive(Default)]
struct State {
    purses: HashMap<PurseId, Loaded<Purse>>,
    under_way: usize,
}

impl Ahead {
    /// A purse as what is under way will leave it; `None` when nothing is, or nothing is known of it.
    pub(crate) fn purse(&self, id: PurseId) -> Option<Loaded<Purse>> {
        self.0.state.lock().purses.get(&id).cloned()
    }

    /// An append sets out that will leave these purses so.
    pub(crate) fn set_out(&self, purses: impl IntoIterator<Item = (PurseId, Loaded<Purse>)>) -> UnderWay {
        let mut state = self.0.state.lock();
        state.purses.extend(purses);
        state.under_way += 1;
        UnderWay { ahead: self.clone(), recorded: false }
    }

    /// Waits until nothing is under way.
    pub(crate) async fn settled(&self) {
        loop {
            let settled = self.0.settled.notified();
            tokio::pin!(settled);
            // From here on no end is missed.
            settled.as_mut().enable();
            if self.0.state.lock().under_way == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// An append that is under way; one that is dropped before it was recorded has failed.
pub(crate) struct UnderWay {
    ahead: Ahead,
    recorded: bool,
}

impl UnderWay {
    /// It was recorded, and whoever looks at what is recorded finds it.
    pub(crate) fn recorded(mut self) {
        self.recorded = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.ahead.0.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if !self.recorded || state.under_way == 0 {
            state.purses.clear();
        }
        let settled = state.under_way == 0;
        drop(state);
        if settled {
            self.ahead.0.settled.notify_waiters();
        }
    }
}
