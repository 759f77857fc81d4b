//! Asking: the write side of HishamOS.
//!
//! One function per thing that a caller may ask. Each loads what it needs, checks what spans aggregates, decides and
//! appends. GraphQL, REST, the CLI and triggers all go through here, so that a rule holds whoever asks.
//!
//! Nothing here reads a read model: what is decided upon is folded from the journal.

mod actions;
mod again;
mod agents;
mod approvals;
mod budgets;
pub mod catalog;
mod compat;
mod control;
pub mod denials;
mod error;
mod explain;
mod follow;
mod holds;
mod judging;
mod launch;
mod library;
mod limits;
mod lineage;
pub mod live;
mod load;
mod outcomes;
mod output;
mod ratings;
mod repeat;
mod request;
mod result;
mod roll;
mod runs;
mod schemas;
mod searches;
mod subjects;
mod surroundings;
mod tasks;
mod templates;
mod triggers;
pub mod webhooks;
mod workflows;

use std::sync::Arc;

use domain::task::Form;
use domain::{Purse, Trigger, Webhook};
use journal::{Checkpoints, Executor, Journal, Snapshots};

pub use actions::ChangeAction;
pub use again::RunTaskAgain;
pub use approvals::DecideApproval;
pub use budgets::{BudgetStanding, PurseStanding};
pub use compat::{Compatibility, Difference};
pub use error::{Error, Refused};
pub use explain::{Assignment, Cause, Explanation, StepExplanation};
pub use follow::{FollowedRun, Told};
pub use judging::StartJudging;
pub use launch::{Launch, Launcher};
pub use lineage::{Branch, Changes};
pub use load::{Change, Edited, LoadReport, LoadedEntry, PlannedEntry, Registered, catalogue_cause};
pub use output::{FollowedTask, Output};
pub use ratings::RateTask;
pub use request::{Outcome, Request, TENANT};
pub use result::{result_of, task_result};
pub use runs::{Origin, StartRun, Started};
pub use schemas::{SchemaCache, SchemaError};
pub use subjects::{About, Told as SubjectEvent};
pub use surroundings::{RealSurroundings, SeededSurroundings, Surroundings, now};
pub use tasks::StartTask;
pub use triggers::{Backfill, Backfilled, Decided, PostEvent};

/// The write side; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    executor: Executor,
    schemas: SchemaCache,
    surroundings: Arc<dyn Surroundings>,
    launch: launch::LaunchSlot,
    webhooks: Option<Arc<webhooks::WebhookSetup>>,
    subjects: Option<Arc<dyn journal::privacy::Subjects>>,
    live: live::LiveOutputs,
    form: Form,
    rolls: Arc<Rolls>,
    checkpoints: Option<Arc<dyn Checkpoints>>,
}

/// What lists are made of that are folded from the journal.
struct Rolls {
    triggers: roll::Roll<Trigger>,
    webhooks: roll::Roll<Webhook>,
    purses: roll::Shelf<Purse>,
}

impl Default for Rolls {
    fn default() -> Self {
        Self {
            triggers: roll::Roll::new("roll.triggers", "trigger.set", |trigger| trigger.settings().is_some()),
            webhooks: roll::Roll::new("roll.webhooks", "webhook.subscribed", |webhook| webhook.status().is_some()),
            purses: roll::Shelf::default(),
        }
    }
}

impl Commands {
    /// Over a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self::within(journal, Arc::new(RealSurroundings))
    }

    /// Over a journal, with a clock and dice of the caller's choice.
    #[must_use]
    pub fn within(journal: Arc<dyn Journal>, surroundings: Arc<dyn Surroundings>) -> Self {
        Self {
            executor: Executor::new(journal),
            schemas: SchemaCache::default(),
            surroundings,
            launch: launch::LaunchSlot::default(),
            webhooks: None,
            subjects: None,
            live: live::LiveOutputs::default(),
            form: Form::default(),
            rolls: Arc::default(),
            checkpoints: None,
        }
    }

    /// What running tasks are saying right now.
    #[must_use]
    pub fn live(&self) -> &live::LiveOutputs {
        &self.live
    }

    /// Asks for so much of the output layer where whoever starts a run does not say it: every part, unless this is called.
    #[must_use]
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Keeps snapshots of what has a long history, and begins with them.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Arc<dyn Snapshots>) -> Self {
        self.executor = self.executor.with_snapshots(snapshots);
        self
    }

    /// Saves now and then which triggers and webhooks there are, so that their first list after a start is quick.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Arc<dyn Checkpoints>) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// The same write side for a caller who decided upon what something was at `revision`: what this asks of a run, a
    /// workflow, an agent or a template that is at another revision by now is a conflict, and nothing is recorded.
    #[must_use]
    pub fn only_at(&self, revision: u64) -> Self {
        Self { executor: self.executor.only_at(revision), ..self.clone() }
    }

    /// From now on runs are started by this launcher, if it wants them.
    pub fn launch_by(&self, launcher: Arc<dyn Launcher>) {
        self.launch.set(launcher);
    }

    /// The clock and the dice, shared with the engine.
    #[must_use]
    pub fn surroundings(&self) -> &Arc<dyn Surroundings> {
        &self.surroundings
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
