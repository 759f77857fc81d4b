//! Holds: everything, or every run of one workflow, is paused until somebody lifts it. Runs that start meanwhile are
//! paused from the beginning.

mod command;
mod decide;
mod event;
mod state;

pub use command::HoldCommand;
pub use decide::HoldRefusal;
pub use event::HoldEvent;
pub use state::{Hold, HoldScope, Placed};

crate::decide::aggregate!(Hold, HoldCommand, HoldEvent, HoldRefusal, Hold);
