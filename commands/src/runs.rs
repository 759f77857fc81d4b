use std::sync::Arc;

use domain::{
    Category, Decide, Event, Key, Refusal, Run, RunCommand, RunId, RunRefusal, StreamId, Workflow, WorkflowId,
};
use journal::{Append, AppendError, Expected, Position, StreamAppend};
use serde_json::Value;
use uuid::Uuid;

use crate::{Commands, Error, Outcome, Refused, Request, SchemaError};

/// Asks for a run.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// Which workflow.
    pub workflow: Key,
    /// Which version; the active one when not given.
    pub version: Option<u32>,
    /// The input, an object.
    pub input: Value,
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// What the command came to.
    pub outcome: Outcome,
}

impl Commands {
    /// Starts a run: checks and completes the input, keeps the definition, and records the start. The engine takes
    /// it from there. A repeated command id answers with the run that it started the first time.
    ///
    /// # Errors
    /// `WORKFLOW_NOT_FOUND`, `WORKFLOW_NOT_ACTIVE`, `WORKFLOW_VERSION_UNKNOWN`, `RUN_INPUT_INVALID`,
    /// `RUN_INPUT_TOO_LARGE`.
    pub async fn start_run(&self, request: Request, start: StartRun) -> Result<Started, Error> {
        let (context, remember) = request.context();
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return first_start(&first.heads, first.position);
        }
        let StartRun { workflow: key, version, mut input } = start;
        let (version, definition) = self.runnable(&key, version).await?;
        self.schemas.complete_and_check(&definition.input_schema, &mut input).map_err(|error| match error {
            SchemaError::Value(problems) => {
                Refused::InputInvalid { workflow: key.clone(), problems: problems.join("; ") }
            }
            error => Refused::SchemaInvalid { place: format!("workflow `{key}`, input_schema"), error },
        })?;
        domain::check_size(&input).map_err(Refused::InputTooLarge)?;
        let run = RunId::from_uuid(Uuid::now_v7());
        let command = RunCommand::Start {
            id: run,
            workflow: WorkflowId::from_key(&key),
            version,
            definition,
            input: Arc::new(input),
        };
        // The id is new, so nothing has to be loaded: the journal itself refuses a second start.
        let events = Run::default().decide(command).map_err(|refusal| Error::Refused(Box::new(refusal)))?;
        let append = Append {
            streams: vec![StreamAppend {
                stream: run.into(),
                expected: Expected::NoStream,
                events: events.into_iter().map(Event::from).collect(),
            }],
            context,
            remember,
        };
        match self.executor.journal().append(append).await {
            Ok(done) if done.repeated => first_start(&done.heads, done.position),
            Ok(done) => Ok(Started {
                run,
                outcome: Outcome {
                    stream: run.into(),
                    revision: Some(0),
                    position: done.position,
                    repeated: false,
                    changed: true,
                },
            }),
            Err(AppendError::Conflict { .. }) => Err(Error::Refused(Box::new(RunRefusal::AlreadyStarted))),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks a run to stop; the engine cuts what is running.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`.
    pub async fn cancel_run(&self, request: Request, run: RunId, reason: String) -> Result<Outcome, Error> {
        let stream = StreamId::from(run);
        let (context, remember) = request.context();
        let command = RunCommand::RequestCancel { reason };
        match self.executor.execute::<Run>(stream, command, context, remember).await {
            Ok(done) => Ok(Outcome::of(stream, &done)),
            Err(journal::ExecuteError::Refused(refusal)) if refusal.code() == RunRefusal::NotFound.code() => {
                Err(Refused::RunNotFound(run).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn runnable(&self, key: &Key, version: Option<u32>) -> Result<(u32, Arc<domain::Definition>), Error> {
        let stream = StreamId::from(WorkflowId::from_key(key));
        let mut workflow = self.executor.load_cached::<Workflow>(stream).await?.state;
        let wanted = |workflow: &Workflow| version.or(workflow.active());
        if wanted(&workflow).is_none_or(|version| workflow.version(version).is_none()) {
            workflow = self.executor.load::<Workflow>(stream).await?.state;
        }
        let newest = workflow.newest();
        if newest == 0 {
            return Err(Refused::WorkflowNotFound(key.clone()).into());
        }
        let Some(version) = wanted(&workflow) else {
            return Err(Refused::WorkflowNotActive(key.clone()).into());
        };
        match workflow.version(version) {
            Some(definition) => Ok((version, Arc::clone(definition))),
            None => Err(Refused::WorkflowVersionNotFound { key: key.clone(), version, newest }.into()),
        }
    }
}

fn first_start(heads: &[(StreamId, u64)], position: Position) -> Result<Started, Error> {
    match heads.last() {
        Some((stream, revision)) if stream.category == Category::Run => Ok(Started {
            run: RunId::from_uuid(stream.id),
            outcome: Outcome { stream: *stream, revision: Some(*revision), position, repeated: true, changed: false },
        }),
        _ => Err(Error::Conflict("this command id was used for another kind of command".to_owned())),
    }
}
