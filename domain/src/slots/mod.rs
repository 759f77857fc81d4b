//! The slots of a limit: who has one, who waits for one, and who is next.
//!
//! Everything is decided from the events of this one stream, so that two nodes can never give the same slot twice, and
//! a holder that ends gives its slot back in the append that records its end.

mod command;
mod decide;
mod event;
mod state;

pub use command::SlotsCommand;
pub use decide::{AGEING, SlotsRefusal};
pub use event::SlotsEvent;
pub use state::{Capacity, Holder, MAX_RATE, Rate, Slots, Waiting};

crate::decide::aggregate!(Slots, SlotsCommand, SlotsEvent, SlotsRefusal, Slots);
