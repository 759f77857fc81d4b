//! Appends that are decided upon what earlier ones will leave behind, before these are recorded.
//!
//! An expected revision says how many events a stream has, and not which. So it is enough for who decides upon what is recorded, and
//! too little for who decides upon what is about to be: should that fail, and an event of somebody else take its place, the
//! revision is there and holds something else. Such an append therefore also names those that it is based on.
//!
//! Invariants: a [`Ticket`] says that its append is recorded only when it is, and says so for ever; whoever drops a [`Turn`] in any
//! other way has said that it is not. An append whose outcome nobody knows counts as not recorded. What is based on such an
//! append is not recorded either.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use domain::StreamId;

use crate::{AppendError, Appended};

/// Stands for an append of this process, whether it is recorded yet or not; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ticket(Arc<OnceLock<bool>>);

impl Ticket {
    /// Whether the append is known not to be recorded, or nobody will ever know.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.get() == Some(&false)
    }

    fn is_recorded(&self) -> bool {
        self.0.get() == Some(&true)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How an append is handed in when others are decided upon what it will leave behind, or it upon what others will.
#[derive(Debug, Default)]
pub struct Turn {
    ticket: Ticket,
    /// Kept until the append has its place among all others.
    held: Option<Box<dyn Any + Send>>,
    based_on: Vec<(StreamId, Ticket)>,
}

impl Turn {
    /// Of an append that is based on nothing but what is recorded, and that nobody waits for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps others from asking for an append by holding this until it has its place.
    #[must_use]
    pub fn holding(mut self, held: impl Any + Send) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    /// What is expected of a stream is what the append with this ticket will leave there. That one has to be asked for earlier.
    #[must_use]
    pub fn based_on(mut self, stream: StreamId, ticket: Ticket) -> Self {
        self.based_on.push((stream, ticket));
        self
    }

    /// What others name to be based on this append.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket.clone()
    }

    /// What keeps others from asking; dropping it lets them, once no append that is asked for later is recorded before this one.
    #[must_use]
    pub fn take_held(&mut self) -> Option<Box<dyn Any + Send>> {
        self.held.take()
    }

    /// Whether all that the append is based on is recorded, or will be together with it: `beside` are those of the same commit, in
    /// their order.
    pub(crate) fn check(&self, beside: &[Ticket]) -> Result<(), AppendError> {
        // Usually it is the one right before.
        let goes_along = |ticket: &Ticket| beside.iter().rev().any(|other| other.is(ticket));
        match self.based_on.iter().find(|(_, ticket)| !ticket.is_recorded() && !goes_along(ticket)) {
            Some((stream, _)) => Err(AppendError::Unfounded { stream: *stream }),
            None => Ok(()),
        }
    }

    /// Says what became of the append. The answer to a repeated command is not what this append would have left behind.
    pub(crate) fn settle(self, done: &Result<Appended, AppendError>) {
        let recorded = done.as_ref().is_ok_and(|done| !done.repeated);
        // Nobody else settles it, and nobody has before.
        let _ = self.ticket.0.set(recorded);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Unless it is settled already.
        let _ = self.ticket.0.set(false);
    }
}
