//! Runs: one execution of one workflow version.

mod command;
mod decide;
mod event;
mod fold;
mod lineage;
mod mapping;
mod refusal;
mod state;
mod status;

pub use command::{RunCommand, TaskEnd};
pub use event::{
    Again, Firing, Lineage, LineageKind, Overrides, Parent, Pause, PauseClock, RunEvent, SlotsNeed, Start, StepOverride,
};
pub use mapping::MappingError;
pub use refusal::RunRefusal;
pub use state::{Activity, Asked, Cancel, Decision, ItemState, Items, Lease, Place, Queue, Run, StepState, Undo};
pub use status::{RunStatus, StepStatus};

crate::decide::aggregate!(
    Run,
    RunCommand,
    RunEvent,
    RunRefusal,
    Run,
    origin = RunEvent::origin,
    subject = Run::subject
);
