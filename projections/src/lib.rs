//! The answers of HishamOS: projectors that turn the journal into tables, and typed queries over those tables.
//!
//! Invariants: nothing here acts on the world or appends events; rows and checkpoint move in one transaction, so each
//! event counts exactly once; every read model can be made again from the journal beside the live one.

mod error;
mod progress;
mod queries;
mod rows;

pub use error::Error;
pub use queries::{CatalogFilter, Page, Queries, RunFilter, Window};
pub use rows::{
    AgentMetricsRow, AgentRow, AgentVersionRow, AttemptRow, CheckpointRow, RunRow, StatusCountRow, StepRow, TaskRow,
    TemplateRow, TemplateVersionRow, WorkflowRow, WorkflowVersionRow,
};
