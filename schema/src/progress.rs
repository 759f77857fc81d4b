//! How far the answers of a subscription are, for whoever sends them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::{Context, Request};
use journal::Position;

use crate::failure::Caller;

/// The position of the answer that a subscription has given last: who subscribes again after it misses nothing and gets
/// nothing twice.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

/// A position after which a subscription goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached(Position);

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Progress {
    /// How far the answers are; nothing before the first, and for what is no subscription.
    #[must_use]
    pub fn position(&self) -> Option<Reached> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            position => Some(Reached(Position::from_u64(position))),
        }
    }

    /// That of the request; one that nobody looks at when the request has none.
    pub(crate) fn of(context: &Context<'_>) -> Self {
        context.data_opt::<Self>().cloned().unwrap_or_default()
    }

    /// The next answer is of this position.
    pub(crate) fn reach(&self, position: Position) {
        self.0.store(position.as_u64(), Ordering::Release);
    }
}

impl Caller {
    /// Makes a request this caller's, and says how far its answers are.
    #[must_use]
    pub fn follows(self, request: Request) -> (Request, Progress) {
        let progress = Progress::default();
        (self.asks(request).data(progress.clone()), progress)
    }
}
