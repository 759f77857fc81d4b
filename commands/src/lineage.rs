//! Runs that take over another run's history: a failed run tried again, a run done again from some steps on, a branch
//! off any event. The other run is never changed.

use std::sync::Arc;

use domain::run::{Lineage, LineageKind, Overrides, RunStatus, Start};
use domain::{Decide, Definition, Event, Run, RunCommand, RunId, StepName, StreamId};
use journal::{Append, AppendError, Expected, Loaded, StreamAppend};
use serde_json::Value;

use crate::runs::{Started, first_start};
use crate::{Commands, Error, Outcome, Refused, Request};

/// From where a new run takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branch {
    /// The run ended without completing; its completed steps are kept, and the rest is tried again.
    Retry,
    /// These steps, and all that follow from them, are done again; other completed steps are kept.
    Rerun {
        /// From which steps on; at least one.
        from: Vec<StepName>,
    },
    /// What had happened up to and including the event with this revision of the run's stream; steps that had completed
    /// by then are kept.
    Fork {
        /// Which event.
        revision: u64,
    },
}

/// What is different in the new run.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Other input; steps that were kept have used the old one.
    pub input: Option<Value>,
    /// Another version of the workflow.
    pub version: Option<u32>,
    /// Other agents, templates or models.
    pub overrides: Overrides,
}

impl Commands {
    /// Starts a run that takes over another's history.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_NOT_RETRYABLE`, `STEP_UNKNOWN`, `REVISION_UNKNOWN`, `RUN_INPUT_INVALID`,
    /// `WORKFLOW_VERSION_UNKNOWN`.
    pub async fn branch_run(
        &self,
        request: Request,
        run: RunId,
        branch: Branch,
        changes: Changes,
    ) -> Result<Started, Error> {
        let (mut context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return first_start(&first.heads, first.position);
        }
        let newest = self.executor.load::<Run>(run.into()).await?;
        let (Some(head), Some(workflow)) = (newest.revision, newest.state.workflow()) else {
            return Err(Refused::RunNotFound(run).into());
        };
        let base = match branch {
            Branch::Fork { revision } if revision > head => {
                return Err(Refused::RevisionUnknown { run, revision, head }.into());
            }
            Branch::Fork { revision } => self.executor.load_at::<Run>(run.into(), revision).await?,
            Branch::Retry | Branch::Rerun { .. } => newest,
        };
        context.subject = base.state.subject();
        let Some(own) = base.state.definition().cloned() else { return Err(Refused::RunNotFound(run).into()) };
        let (version, definition) = match changes.version {
            None => (base.state.version(), own),
            Some(version) => self.runnable(&own.key, Some(version)).await?,
        };
        check_overrides(&definition, &changes.overrides)?;
        let (kind, kept) = kept(run, &base.state, &definition, &branch)?;
        let input = match changes.input {
            None => Arc::clone(base.state.input()),
            Some(mut input) => {
                self.check_input(&definition, &mut input)?;
                Arc::new(input)
            }
        };
        let lineage = Lineage { run, revision: base.revision.unwrap_or(0), kind, kept, overrides: changes.overrides };
        let id = RunId::from_uuid(self.surroundings.new_id());
        let start = Box::new(Start {
            id,
            workflow,
            version,
            deadline: definition.timeout.map(|timeout| context.at.plus(timeout)),
            definition,
            input,
            by: request.actor.clone(),
            at: context.at,
            priority: base.state.priority(),
            parent: None,
            lineage: Some(lineage),
            trigger: None,
            again: base.state.again().cloned(),
            subject: base.state.subject(),
            form: base.state.form(),
        });
        self.record_branch(id, &base, start, context, remember).await
    }

    async fn record_branch(
        &self,
        id: RunId,
        base: &Loaded<Run>,
        start: Box<Start>,
        context: journal::Context,
        remember: bool,
    ) -> Result<Started, Error> {
        let events = base.state.decide(RunCommand::Start(start));
        let events = events.map_err(|refusal| Error::Refused(Box::new(refusal)))?;
        let stream = StreamId::from(id);
        let events = events.into_iter().map(Event::from).collect();
        let streams = vec![StreamAppend { stream, expected: Expected::NoStream, events }];
        match self.executor.journal().append(Append { streams, context, remember }).await {
            Ok(done) if done.repeated => first_start(&done.heads, done.position),
            Ok(done) => {
                let position = done.position;
                let outcome = Outcome { stream, revision: Some(0), position, repeated: false, changed: true };
                Ok(Started { run: id, outcome })
            }
            Err(AppendError::Conflict { .. }) => Err(Error::Conflict(format!("{stream} exists already"))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Which steps are taken over. One whose dependencies are not taken over is not either, so that what is kept never
/// rests on something that is done again.
fn kept(
    run: RunId,
    base: &Run,
    definition: &Definition,
    branch: &Branch,
) -> Result<(LineageKind, Vec<StepName>), Error> {
    let mut again: &[StepName] = &[];
    let kind = match branch {
        Branch::Retry => {
            if !base.status().is_terminal() || base.status() == RunStatus::Completed {
                return Err(Refused::RunNotRetryable { run, status: base.status() }.into());
            }
            LineageKind::Retry
        }
        Branch::Rerun { from } => {
            if let Some(name) = from.iter().find(|name| definition.step(name).is_none()) {
                return Err(Refused::StepUnknown { workflow: definition.key.clone(), step: name.clone() }.into());
            }
            again = from;
            LineageKind::Rerun
        }
        Branch::Fork { .. } => LineageKind::Fork,
    };
    Ok((kind, base.keepable(definition, again)))
}

fn check_overrides(definition: &Definition, overrides: &Overrides) -> Result<(), Error> {
    for change in &overrides.steps {
        if definition.step(&change.step).is_none_or(|step| step.tasks().next().is_none()) {
            return Err(Refused::StepUnknown { workflow: definition.key.clone(), step: change.step.clone() }.into());
        }
    }
    Ok(())
}
