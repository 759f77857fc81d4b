//! Triggers: what starts runs without being asked for each of them. A schedule starts them at times, an event trigger
//! when something happens in HishamOS, and an external trigger when something is posted from outside.
//!
//! Invariants: what happens to a tick, or to an event, is decided once, because a trigger's decisions are one stream and
//! each names how far it has come; the id of the run follows from the trigger and the cause, so even a second decision
//! could not start a second run; what waits is bounded.

mod command;
mod decide;
mod event;
mod refusal;
mod schedule;
mod settings;
mod state;

pub use command::TriggerCommand;
pub use decide::{MAX_BUFFER, MAX_CHAIN};
pub use event::{Cause, EventRef, RunEnd, SkipReason, TriggerEvent};
pub use refusal::TriggerRefusal;
pub use schedule::{Cron, InvalidSchedule, Schedule, Zone, time_zones};
pub use settings::{InvalidOverlap, Overlap, TriggerKind, TriggerSettings};
pub use state::{Trigger, TriggerPause};

crate::decide::aggregate!(Trigger, TriggerCommand, TriggerEvent, TriggerRefusal, Trigger);
