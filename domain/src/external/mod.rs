//! External events: something happened outside, and somebody posted it. Each is a stream of one event, named by whoever
//! posts it, so that a repetition is seen as one. Triggers wait for them.

mod command;
mod decide;
mod event;
mod state;

pub use command::ExternalCommand;
pub use decide::ExternalRefusal;
pub use event::{ExternalEvent, Posted};
pub use state::External;

crate::decide::aggregate!(External, ExternalCommand, ExternalEvent, ExternalRefusal, External);
