//! Action items that are tracked: what somebody has to do because a task said so.
//!
//! An item comes to be without an event of its own. What a task asks for stands in `task.completed`, and from the moment on
//! at which the task's run has ended it is tracked, whoever reads that: so the run's last append is no longer than it
//! would be without action items, and nothing is told twice that could then differ. What people make of an item is
//! recorded in the item's own stream, each time with all that is true of it from then on.
//!
//! Invariants: an item is named by the task that asks for it and its number there, so its name follows from the journal
//! and never changes; what several tasks of a run ask for is one item, named by the one that asked first.

mod command;
mod decide;
mod event;
mod gather;
mod state;

pub use command::ActionCommand;
pub use decide::{ActionRefusal, MAX_NOTE, MAX_OWNER};
pub use event::ActionEvent;
pub use gather::{Gathered, absorb, gather, same_words};
pub use state::{Action, ActionState, Asked, Standing, day_of};

crate::decide::aggregate!(Action, ActionCommand, ActionEvent, ActionRefusal, Action);
