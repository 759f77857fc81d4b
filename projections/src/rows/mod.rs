//! What the read models answer with: one struct per kind of row.
//!
//! Moments are microseconds since the Unix epoch, money is billionths of a US dollar, versions and attempts count
//! from 1, and status texts are the stable snake_case names of the domain. `None` means unknown or not yet, never
//! zero.

mod actions;
mod catalog;
mod flow;
mod metrics;
mod runs;
mod usage;
mod webhooks;

pub use actions::ActionRow;
pub use catalog::{AgentRow, AgentVersionRow, TemplateRow, TemplateVersionRow, WorkflowRow, WorkflowVersionRow};
pub use flow::{HoldRow, LimitRow, SeatRow, SlotsRow};
pub use metrics::MetricsRow;
pub(crate) use metrics::MetricsSums;
pub use runs::{
    ApprovalRow, AttemptRow, DecisionRow, ItemRow, PauseRow, RelativeRow, RepeatRow, RunRow, SignalRow, StallRow,
    StatusCountRow, StepRow, TaskRow,
};
pub use usage::UsageRow;
pub use webhooks::{DeliveryAttemptRow, DeliveryRow};

/// How far a projector is, as it was last written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The projector's name.
    pub name: String,
    /// `live`, or `next` for a read model that is being rebuilt.
    pub slot: String,
    /// The position that its rows reflect.
    pub position: i64,
    /// Counts the owners; who holds an older number can write no more.
    pub fence: i64,
    /// The projector's version that built the rows.
    pub version: i32,
    /// `running`, `rebuilding` or `poisoned`.
    pub status: String,
    /// What stopped it.
    pub error: Option<String>,
    /// When the row was last written.
    pub updated_at: i64,
}
