//! Purses: what has been spent of a budget in its window, and what is set aside for calls that are under way.
//!
//! Everything is decided from the events of this one stream, so that calls of several nodes can never together get more
//! than the limit. What an attempt may cost at most is reserved in the append that records its start, and settled in the
//! append that records its end, however it ends.

mod command;
mod decide;
mod event;
mod reserved;
mod state;

pub use command::{PurseCommand, Terms};
pub use decide::{Exhausted, PurseRefusal};
pub use event::PurseEvent;
pub use state::{Payer, Purse, Reservation};

crate::decide::aggregate!(Purse, PurseCommand, PurseEvent, PurseRefusal, Purse);
