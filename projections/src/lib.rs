//! The answers of HishamOS: projectors that turn the journal into tables, and typed queries over those tables.
//!
//! Invariants: nothing here acts on the world or appends events; rows and checkpoint move in one transaction, so each
//! event counts exactly once (which is a promise about this database only); every read model can be made again from
//! the journal beside the live one.

/// One column of many rows, as PostgreSQL's `unnest` takes it. It is bound `as _`, because a column may be borrowed
/// text or optional, which the compile-time check of parameters does not know; PostgreSQL itself checks the types.
///
/// Rows are taken by one `unnest` for each column, side by side in the list of what is selected, and not by one for all
/// columns behind `FROM`: that one puts every row into a store before the first is read, which is a third of what it
/// costs to insert them. It is used where few rows come, or where a column takes a query of its own.
macro_rules! column {
    ($rows:expr, $row:pat => $value:expr) => {
        &$rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

mod actions;
mod catalog;
mod compare;
mod error;
mod flow;
mod moments;
mod past;
mod progress;
mod projector;
mod quality;
mod queries;
mod rebuild;
mod report;
mod rows;
mod runner;
mod runs;
mod search;
mod service;
mod tables;
mod text;
mod usage;
mod webhooks;

use std::sync::Arc;

pub use compare::{Comparison, TableComparison};
pub use error::Error;
pub use past::Past;
pub use queries::{
    ActionFilter, ActionKey, ApprovalFilter, ApprovalKey, AttemptFilter, AttemptKey, Calibration, CatalogFilter,
    CatalogKey, DefinitionDiff, DeliveryFilter, DeliveryKey, Effort, FieldDiff, FoundRow, HoldFilter, HoldKey,
    ItemWindow, LimitFilter, MetricsKey, MetricsOf, Page, Place, Queries, Relation, RelativeFilter, RelativeKey,
    RunComparison, RunFilter, RunKey, RunQualityRow, RunSide, SortKey, Standing, StepChange, StepComparison, StepDiff,
    StepSide, TaskFilter, TaskKey, UsageFilter, UsageGroups, UsageKey, Window, sorted,
};
pub use rebuild::Rebuilding;
pub use report::{outcome, report};
pub use rows::{
    ActionRow, AgentRow, AgentVersionRow, ApprovalRow, AttemptRow, CheckpointRow, DecisionRow, DeliveryAttemptRow,
    DeliveryRow, HoldRow, ItemRow, LimitRow, MetricsRow, PauseRow, RelativeRow, RepeatRow, RunRow, SeatRow, SignalRow,
    SlotsRow, StallRow, StatusCountRow, StepRow, TaskRow, TemplateRow, TemplateVersionRow, UsageRow, WorkflowRow,
    WorkflowVersionRow,
};
pub use service::{Handle, Options, Service, compare, create_tables, forget, is_used, names, rebuild};

/// Every projector.
fn projectors() -> Vec<Arc<dyn projector::Projector>> {
    vec![
        Arc::new(actions::Actions::default()),
        Arc::new(catalog::Catalog),
        Arc::new(flow::Flow),
        Arc::new(moments::Moments),
        Arc::new(quality::Quality),
        Arc::new(runs::Runs),
        Arc::new(search::Search::default()),
        Arc::new(usage::UsageModel),
        Arc::new(webhooks::Webhooks),
    ]
}
