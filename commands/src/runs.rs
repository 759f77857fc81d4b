use std::sync::Arc;

use domain::run::{Firing, Parent, Start};
use domain::task::Form;
use domain::{
    Actor, Category, Decide, Definition, Event, Key, Run, RunCommand, RunId, RunRefusal, StreamId, SubjectId,
    Timestamp, Workflow, WorkflowId,
};
use journal::{Append, AppendError, Appended, Context, Expected, Position, StreamAppend};
use serde_json::Value;

use crate::{Commands, Error, Launch, Outcome, Refused, Request, SchemaError};

/// Asks for a run.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// Which workflow.
    pub workflow: Key,
    /// Which version; the active one when not given.
    pub version: Option<u32>,
    /// The input, an object.
    pub input: Value,
    /// Which runs go first when a limit makes them wait: higher before lower, 0 is usual, -100 to 100.
    pub priority: i32,
    /// The caller's name for this run: the same key always means the same run, however often and by whomever it is
    /// asked for.
    pub idempotency_key: Option<String>,
    /// The name of the person whom it is about: what is personal in it is then sealed under that person's key.
    pub subject: Option<String>,
    /// How much of the output layer is asked for; `None` for as much as is usual here ([`Commands::with_form`]).
    pub form: Option<Form>,
}

impl StartRun {
    /// The active version of a workflow, with usual priority.
    #[must_use]
    pub fn new(workflow: Key, input: Value) -> Self {
        Self { workflow, version: None, input, priority: 0, idempotency_key: None, subject: None, form: None }
    }
}

/// What a run goes back to.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its id.
    pub id: RunId,
    /// Who wanted it.
    pub by: Actor,
    /// When it starts.
    pub at: Timestamp,
    /// The run and step that start it.
    pub parent: Option<Parent>,
    /// The trigger that starts it.
    pub trigger: Option<Firing>,
    /// The person whom it is about.
    pub subject: Option<SubjectId>,
}

/// A run that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// What the command came to.
    pub outcome: Outcome,
}

/// The longest idempotency key, in bytes.
const MAX_IDEMPOTENCY_KEY: usize = 255;

impl Commands {
    /// Starts a run: checks and completes the input, keeps the definition, and records the start. The engine takes
    /// it from there. A repeated command id, or idempotency key, answers with the run that it started the first time.
    ///
    /// # Errors
    /// `WORKFLOW_NOT_FOUND`, `WORKFLOW_NOT_ACTIVE`, `WORKFLOW_VERSION_UNKNOWN`, `RUN_INPUT_INVALID`,
    /// `RUN_INPUT_TOO_LARGE`, `RUN_PRIORITY_INVALID`, `IDEMPOTENCY_KEY_INVALID`, `IDEMPOTENCY_KEY_REUSED`,
    /// `SUBJECT_INVALID`, `SUBJECTS_OFF`.
    pub async fn start_run(&self, request: Request, start: StartRun) -> Result<Started, Error> {
        let (mut context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return first_start(&first.heads, first.position);
        }
        let id = match &start.idempotency_key {
            Some(key) if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY => {
                return Err(Refused::IdempotencyKeyInvalid { max: MAX_IDEMPOTENCY_KEY }.into());
            }
            Some(key) => RunId::of_idempotency_key(&context.tenant, key),
            None => RunId::from_uuid(self.surroundings.new_id()),
        };
        let by = request.actor.clone();
        let subject = match &start.subject {
            Some(name) => Some(self.subject_of(name).await?),
            None => None,
        };
        context.subject = subject;
        let origin = Origin { id, by, at: context.at, parent: None, trigger: None, subject };
        let keyed = start.idempotency_key.clone();
        let begin = self.prepare_run(start, origin).await?;
        let (workflow, input) = (begin.workflow, Arc::clone(&begin.input));
        match self.record_start(begin, context, remember).await? {
            Ok(done) if done.repeated => first_start(&done.heads, done.position),
            Ok(done) => Ok(Started {
                run: id,
                outcome: Outcome {
                    stream: id.into(),
                    revision: done.heads.last().map(|(_, revision)| *revision),
                    position: done.position,
                    repeated: false,
                    changed: true,
                },
            }),
            Err(AppendError::Conflict { .. }) => match keyed {
                Some(key) => self.same_start(id, key, workflow, &input).await,
                None => Err(Error::Refused(Box::new(RunRefusal::AlreadyStarted))),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Records a start: with its first steps when the engine of this process takes it, else alone. The id is new, so
    /// nothing has to be loaded: the journal itself refuses a second start.
    pub(crate) async fn record_start(
        &self,
        mut start: Box<Start>,
        context: Context,
        remember: bool,
    ) -> Result<Result<Appended, AppendError>, Error> {
        if let Some(launcher) = self.launch.get() {
            match launcher.launch(start, context.clone(), remember).await {
                Launch::Done(done) => return Ok(done),
                Launch::Declined(declined) => start = declined,
            }
        }
        let stream = StreamAppend { stream: start.id.into(), expected: Expected::NoStream, events: started(start)? };
        Ok(self.executor.journal().append(Append { streams: vec![stream], context, remember }).await)
    }

    /// Everything that makes the start of a run, checked: the definition that it keeps, and the input with its
    /// defaults.
    ///
    /// # Errors
    /// As [`Commands::start_run`].
    pub async fn prepare_run(&self, start: StartRun, origin: Origin) -> Result<Box<Start>, Error> {
        let StartRun { workflow: key, version, mut input, priority, form, .. } = start;
        if !(-100..=100).contains(&priority) {
            return Err(Refused::PriorityInvalid { priority }.into());
        }
        let (version, definition) = self.runnable(&key, version).await?;
        self.check_input(&definition, &mut input)?;
        let Origin { id, by, at, parent, trigger, subject } = origin;
        Ok(Box::new(Start {
            id,
            workflow: WorkflowId::from_key(&key),
            version,
            input: Arc::new(input),
            by,
            at,
            deadline: definition.timeout.map(|timeout| at.plus(timeout)),
            definition,
            priority,
            parent,
            lineage: None,
            trigger,
            subject,
            form: form.unwrap_or(self.form),
            again: None,
        }))
    }

    pub(crate) fn check_input(&self, definition: &Definition, input: &mut Value) -> Result<(), Error> {
        let key = &definition.key;
        self.schemas.complete_and_check(&definition.input_schema, input).map_err(|error| match error {
            SchemaError::Value(problems) => {
                Refused::InputInvalid { workflow: key.clone(), problems: problems.join("; ") }
            }
            error => Refused::SchemaInvalid { place: format!("workflow `{key}`, input_schema"), error },
        })?;
        domain::check_size(input).map_err(Refused::InputTooLarge)?;
        Ok(())
    }

    /// The run that the same key started before, if it is the same in all that matters.
    async fn same_start(
        &self,
        id: RunId,
        key: String,
        workflow: WorkflowId,
        input: &Arc<Value>,
    ) -> Result<Started, Error> {
        let loaded = self.executor.load::<Run>(id.into()).await?;
        if loaded.state.workflow() != Some(workflow) || loaded.state.input() != input {
            return Err(Refused::IdempotencyKeyReused { key, run: id }.into());
        }
        let position = self.executor.journal().head().await?;
        let outcome =
            Outcome { stream: id.into(), revision: loaded.revision, position, repeated: true, changed: false };
        Ok(Started { run: id, outcome })
    }

    pub(crate) async fn runnable(&self, key: &Key, version: Option<u32>) -> Result<(u32, Arc<Definition>), Error> {
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

/// The events with which a run begins.
pub(crate) fn started(start: Box<Start>) -> Result<Vec<Event>, Error> {
    let events = Run::default().decide(RunCommand::Start(start));
    let events = events.map_err(|refusal| Error::Refused(Box::new(refusal)))?;
    Ok(events.into_iter().map(Event::from).collect())
}

pub(crate) fn first_start(heads: &[(StreamId, u64)], position: Position) -> Result<Started, Error> {
    match heads.last() {
        Some((stream, revision)) if stream.category == Category::Run => Ok(Started {
            run: RunId::from_uuid(stream.id),
            outcome: Outcome { stream: *stream, revision: Some(*revision), position, repeated: true, changed: false },
        }),
        _ => Err(Error::Conflict("this command id was used for another kind of command".to_owned())),
    }
}
