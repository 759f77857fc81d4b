//! Subjects: people whom runs are about. What is personal in such a run is recorded under the subject's own key, which lies
//! outside of the journal. When a subject is erased, the key is destroyed, and that it was is recorded here.
//!
//! No event holds a subject's name; an id stands for it, which means nothing without the list of names.

mod command;
mod decide;
mod event;
mod state;

pub use command::SubjectCommand;
pub use event::SubjectEvent;
pub use state::Subject;

crate::decide::aggregate!(Subject, SubjectCommand, SubjectEvent, std::convert::Infallible, Subject);
