//! Asking: the write side of HishamOS.
//!
//! One function per thing that a caller may ask. Each loads what it needs, checks what spans aggregates, decides and
//! appends. GraphQL, REST, the CLI and triggers all go through here, so that a rule holds whoever asks.
//!
//! Nothing here reads a read model: what is decided upon is folded from the journal.

mod agents;
pub mod catalog;
mod error;
mod explain;
mod library;
mod load;
mod request;
mod runs;
mod schemas;
mod templates;
mod workflows;

use std::sync::Arc;

use journal::{Executor, Journal};

pub use error::{Error, Refused};
pub use explain::{Cause, Explanation, StepExplanation};
pub use load::{Change, Edited, LoadReport, LoadedEntry, PlannedEntry, Registered, catalogue_actor};
pub use request::{Outcome, Request, now};
pub use runs::{StartRun, Started};
pub use schemas::{SchemaCache, SchemaError};

/// The write side; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    executor: Executor,
    schemas: SchemaCache,
}

impl Commands {
    /// Over a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { executor: Executor::new(journal), schemas: SchemaCache::default() }
    }

    /// The executor that carries the commands out, shared with the engine so that both see the same cached states.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The compiled JSON Schemas, shared with the engine.
    #[must_use]
    pub fn schemas(&self) -> &SchemaCache {
        &self.schemas
    }
}
