//! Templates: the command library. Each entry is one job with typed parameters and instructions.

mod checklist;
mod command;
mod decide;
mod event;
mod slices;
mod state;

pub use checklist::{Check, ChecklistItem, Example};
pub use command::TemplateCommand;
pub use decide::TemplateRefusal;
pub use event::TemplateEvent;
pub use state::{RenderError, Template, TemplateBody};

crate::decide::aggregate!(Template, TemplateCommand, TemplateEvent, TemplateRefusal, Template);
