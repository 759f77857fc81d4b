//! Purses as appends that are under way will leave them, so that attempts which budgets count need not wait for each other's
//! commits: who comes next decides upon what the one before it is about to record.
//!
//! Invariants: nothing is decided upon it that the journal does not check, because every append names the revision and the append
//! that it is based on, and is refused when that one is not recorded, whoever else has taken its place; once an append has failed,
//! nobody decides upon what it would have left. That there is not enough is never decided upon it, but upon what is recorded.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Purse, PurseId};
use journal::{Loaded, Ticket};
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
    purses: HashMap<PurseId, Foreseen>,
    under_way: usize,
    /// How often everything was given up because something failed. What fails with it had set out before.
    given_up: u64,
}

/// A purse as an append will leave it.
#[derive(Clone)]
pub(crate) struct Foreseen {
    pub(crate) purse: Loaded<Purse>,
    pub(crate) basis: Basis,
}

/// What somebody decides upon that is not recorded yet.
#[derive(Clone)]
pub(crate) struct Basis {
    /// The append that will leave it so.
    pub(crate) ticket: Ticket,
    /// How often everything had been given up when that set out.
    since: u64,
}

impl Ahead {
    /// A purse as what is under way will leave it; `None` when nothing is, or nothing is known of it.
    pub(crate) fn purse(&self, id: PurseId) -> Option<Foreseen> {
        self.0.state.lock().purses.get(&id).cloned()
    }

    /// An append sets out that will leave these purses so. What it is `based_on` may have been given up since it was decided; then
    /// it will fail, and nobody else is to decide upon it.
    pub(crate) fn set_out(
        &self,
        ticket: &Ticket,
        purses: impl IntoIterator<Item = (PurseId, Loaded<Purse>)>,
        based_on: &[Basis],
    ) -> UnderWay {
        let mut state = self.0.state.lock();
        let since = state.given_up;
        if based_on.iter().all(|basis| basis.since == since) {
            let basis = Basis { ticket: ticket.clone(), since };
            state.purses.extend(purses.into_iter().map(|(id, purse)| (id, Foreseen { purse, basis: basis.clone() })));
        }
        state.under_way += 1;
        UnderWay { ahead: self.clone(), since, recorded: false }
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
    /// How often everything had been given up when it set out.
    since: u64,
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
        if !self.recorded && self.since == state.given_up {
            state.given_up += 1;
            state.purses.clear();
        }
        let settled = state.under_way == 0;
        if settled {
            state.purses.clear();
        }
        drop(state);
        if settled {
            self.ahead.0.settled.notify_waiters();
        }
    }
}
