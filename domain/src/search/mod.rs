//! Saved searches: what somebody looks for again and again, under a name. Each caller has a book of their own.
//!
//! Invariant: what a search asks is not understood here, only bounded: a filter is an object in the words of the API,
//! which checks it before it is saved and again whenever it is asked.

mod command;
mod decide;
mod event;
mod settings;
mod state;

pub use command::SearchCommand;
pub use decide::{MAX_SEARCHES, SearchRefusal};
pub use event::SearchEvent;
pub use settings::{MAX_FILTER, MAX_NAME, MAX_WORDS, SavedSearch, SearchList};
pub use state::{Kept, Searches};

crate::decide::aggregate!(Searches, SearchCommand, SearchEvent, SearchRefusal, Search);
