//! Stopping, pausing and going on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::run::{Pause, PauseClock};
use domain::{
    Decide, Event, Refusal, Run, RunCommand, RunId, RunRefusal, StepName, StreamId, Task, TaskCommand, TaskEvent,
};
use journal::{Append, AppendError, ExecuteError, StreamAppend};
use serde_json::Value;

use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// How long running attempts may go on when somebody cancels a run and does not say otherwise.
    pub const GRACE: Duration = Duration::from_secs(5);
    /// How often a decision over several streams is made anew when others were faster.
    const TRIES: usize = 16;

    /// Asks a run to stop. Nothing new starts; running attempts get `grace` to end, then they are cut; then what the
    /// workflow wants undone is undone.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`, `RUN_ENDING`.
    pub async fn cancel_run(
        &self,
        request: Request,
        run: RunId,
        reason: String,
        grace: Duration,
    ) -> Result<Outcome, Error> {
        let now = self.surroundings.now();
        self.on_run(request, run, RunCommand::RequestCancel { reason, now, grace }).await
    }

    /// Lets nothing new of a run start until somebody resumes it. What platforms answer meanwhile is recorded.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`, `RUN_ENDING`.
    pub async fn pause_run(
        &self,
        request: Request,
        run: RunId,
        reason: String,
        clock: PauseClock,
    ) -> Result<Outcome, Error> {
        let by = request.actor.clone();
        let pause = Pause { by, reason, at: self.surroundings.now(), clock, hold: None };
        self.on_run(request, run, RunCommand::Pause(pause)).await
    }

    /// Lets a paused run go on. If its clock was frozen, the retries and deadlines of its tasks move in the same
    /// append.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`, `RUN_NOT_PAUSED`.
    pub async fn resume_run(&self, request: Request, run: RunId) -> Result<Outcome, Error> {
        let stream = StreamId::from(run);
        let (mut context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            let revision = first.heads.last().map(|(_, revision)| *revision);
            return Ok(Outcome { stream, revision, position: first.position, repeated: true, changed: false });
        }
        // Where an append can be recorded in part, a try before may have moved the times of tasks already.
        let mut moved = BTreeMap::new();
        for _ in 0..Self::TRIES {
            let loaded = self.executor.load::<Run>(stream).await?;
            self.executor.check_revision(stream, loaded.revision)?;
            context.subject = loaded.state.subject();
            let now = self.surroundings.now();
            let resume = RunCommand::Resume { by: request.actor.clone(), now };
            let events = loaded.state.decide(resume).map_err(|refusal| refused(run, refusal))?;
            let mut streams = Vec::new();
            for (_, id) in loaded.state.open_tasks() {
                let task = self.executor.load::<Task>(id.into()).await?;
                if moved.get(&id) == Some(&(task.state.retry_at(), task.state.start_by())) {
                    continue;
                }
                let defer = TaskCommand::Defer { by: loaded.state.frozen_for(now) };
                let deferred = task.state.decide(defer).map_err(|refusal| Error::Refused(Box::new(refusal)))?;
                if let [TaskEvent::Deferred { retry_at, start_by }] = deferred.as_slice() {
                    moved.insert(id, (*retry_at, *start_by));
                    let events = deferred.into_iter().map(Event::from).collect();
                    streams.push(StreamAppend { stream: id.into(), expected: task.expected(), events });
                }
            }
            let events = events.into_iter().map(Event::from).collect();
            streams.push(StreamAppend { stream, expected: loaded.expected(), events });
            match self.executor.journal().append(Append { streams, context: context.clone(), remember }).await {
                Ok(done) => {
                    let revision = done.heads.last().map(|(_, revision)| *revision);
                    let (position, repeated) = (done.position, done.repeated);
                    return Ok(Outcome { stream, revision, position, repeated, changed: !repeated });
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict(format!("too many others changed {stream} at the same time; try again")))
    }

    /// Gives a run a signal; a step that waits for it, now or later, goes on with its payload.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`, `SIGNALS_FULL`, `RUN_INPUT_TOO_LARGE`.
    pub async fn signal_run(
        &self,
        request: Request,
        run: RunId,
        signal: StepName,
        payload: Value,
    ) -> Result<Outcome, Error> {
        domain::check_size(&payload).map_err(Refused::InputTooLarge)?;
        let command = RunCommand::Signal { signal, payload: Arc::new(payload), now: self.surroundings.now() };
        self.on_run(request, run, command).await
    }

    pub(crate) async fn on_run(&self, request: Request, run: RunId, command: RunCommand) -> Result<Outcome, Error> {
        let stream = StreamId::from(run);
        let (context, remember) = self.context(&request);
        match self.executor.execute::<Run>(stream, command, context, remember).await {
            Ok(done) => Ok(Outcome::of(stream, &done)),
            Err(ExecuteError::Refused(refusal)) => Err(refused(run, refusal)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The aggregate does not know its own id when it does not exist.
pub(crate) fn refused(run: RunId, refusal: RunRefusal) -> Error {
    if refusal.code() == RunRefusal::NotFound.code() {
        Refused::RunNotFound(run).into()
    } else {
        Error::Refused(Box::new(refusal))
    }
}
