//! Triggers: setting them, and what they decide. People and programs ask here, and so does the reactor of the engine when
//! a time comes, an event happens or a run ends; the rules are the same for all of them.
//!
//! Invariants: a firing is one append, of the trigger's decision, the run's start, and the cancelling of the runs that it
//! replaces; it expects the trigger as it was decided upon, and the run not to exist. However many nodes try, a cause
//! starts one run.

mod backfill;
mod fire;
mod post;
mod scope;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::trigger::{RunEnd, Schedule, TriggerKind, TriggerSettings};
use domain::{
    Key, Refusal, RunId, StreamId, Timestamp, Trigger, TriggerCommand, TriggerEvent, TriggerId, TriggerRefusal,
};
use journal::{ExecuteError, Loaded};

pub use backfill::{Backfill, Backfilled};
pub use post::PostEvent;

use self::fire::Fault;
use crate::{Commands, Error, Outcome, Refused, Request};

/// What a decision of a trigger came to.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What was recorded of the trigger; nothing, when there was nothing to decide.
    pub events: Vec<TriggerEvent>,
    /// The trigger after it.
    pub trigger: Loaded<Trigger>,
    /// What the command came to.
    pub outcome: Outcome,
}

impl Commands {
    /// The most firings that can be looked ahead.
    pub const MAX_PREVIEW: usize = 1000;

    /// Sets a trigger, or changes it. The workflow must exist and be such that the trigger can start it.
    ///
    /// # Errors
    /// `TRIGGER_INVALID`, `WORKFLOW_NOT_FOUND`, `WORKFLOW_NOT_ACTIVE`, `WORKFLOW_VERSION_UNKNOWN`.
    pub async fn set_trigger(&self, request: Request, settings: TriggerSettings) -> Result<Outcome, Error> {
        check_types(&settings).map_err(|refusal| Error::Refused(Box::new(refusal)))?;
        self.runnable(&settings.workflow, settings.version).await?;
        let (key, now) = (settings.key.clone(), self.surroundings.now());
        self.on_trigger(request, &key, TriggerCommand::Set { settings: Box::new(settings), now }).await
    }

    /// Takes a trigger away. The runs that it started go on; what waited does not start.
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`.
    pub async fn remove_trigger(&self, request: Request, key: &Key, reason: String) -> Result<Outcome, Error> {
        self.on_trigger(request, key, TriggerCommand::Remove { reason }).await
    }

    /// Lets a trigger fire no more until somebody resumes it. The runs that it started go on.
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`.
    pub async fn pause_trigger(&self, request: Request, key: &Key, reason: String) -> Result<Outcome, Error> {
        let command = TriggerCommand::Pause { by: request.actor.clone(), reason, now: self.surroundings.now() };
        self.on_trigger(request, key, command).await
    }

    /// Lets a paused trigger fire again, from now on.
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`, `TRIGGER_NOT_PAUSED`.
    pub async fn resume_trigger(&self, request: Request, key: &Key) -> Result<Outcome, Error> {
        let command = TriggerCommand::Resume { by: request.actor.clone(), now: self.surroundings.now() };
        self.on_trigger(request, key, command).await
    }

    /// A trigger as it is now.
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`.
    pub async fn trigger(&self, key: &Key) -> Result<Arc<Trigger>, Error> {
        let loaded = self.executor.load::<Trigger>(TriggerId::from_key(key).into()).await?;
        match loaded.state.settings() {
            Some(_) => Ok(loaded.state),
            None => Err(Refused::TriggerNotFound(key.clone()).into()),
        }
    }

    /// A trigger as it is now by its id; nothing when there is none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn trigger_by_id(&self, id: TriggerId) -> Result<Option<Arc<Trigger>>, Error> {
        let trigger = self.executor.load::<Trigger>(id.into()).await?.state;
        Ok(trigger.settings().is_some().then_some(trigger))
    }

    /// Every trigger that there is, sorted by key, straight from the journal. However many there are, they are read together,
    /// and only what was recorded since the last time; the first time what was recorded since that was last saved is looked through.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn triggers(&self) -> Result<Vec<Arc<Trigger>>, Error> {
        let all = self.rolls.triggers.call(&self.executor, self.checkpoints.as_deref()).await?.into_iter();
        let found: BTreeMap<Key, Arc<Trigger>> =
            all.filter_map(|(_, trigger)| Some((trigger.settings()?.key.clone(), trigger))).collect();
        Ok(found.into_values().collect())
    }

    /// The ticks of a trigger's schedule after the present and the times at which they fire, jitter included, whether
    /// or not the trigger is paused. At most [`Self::MAX_PREVIEW`].
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`, `TRIGGER_NO_SCHEDULE`.
    pub async fn next_firings(&self, key: &Key, count: usize) -> Result<Vec<(Timestamp, Timestamp)>, Error> {
        let trigger = self.trigger(key).await?;
        let schedule = trigger.settings().and_then(|settings| settings.schedule());
        let schedule = schedule.ok_or_else(|| Error::Refused(Box::new(TriggerRefusal::NoSchedule)))?;
        Ok(self.preview(TriggerId::from_key(key), schedule, count))
    }

    /// The same for a schedule that is not set yet.
    #[must_use]
    pub fn preview(&self, trigger: TriggerId, schedule: &Schedule, count: usize) -> Vec<(Timestamp, Timestamp)> {
        let ticks = schedule.ticks_after(self.surroundings.now()).take(count.min(Self::MAX_PREVIEW));
        ticks.map(|tick| (tick, schedule.fires_at(trigger, tick))).collect()
    }

    /// Starts a run of a trigger at once, whatever else is going on and even when the trigger is paused. The run counts
    /// as one of the trigger's. An event or external trigger has no `event` and no `payload` then.
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`, and those of [`Commands::start_run`].
    pub async fn run_trigger_now(&self, request: Request, key: &Key) -> Result<crate::Started, Error> {
        let (context, remember) = self.context(&request);
        if remember && let Some(first) = self.executor.journal().find_command(context.command).await? {
            return crate::runs::first_start(&first.heads, first.position);
        }
        let (by, now) = (request.actor.clone(), context.at);
        let command = TriggerCommand::RunNow { by, id: context.command.to_string(), now };
        let decided = self.decide_trigger(TriggerId::from_key(key), command, Fault::Return, Some(&request)).await;
        let decided = decided.map_err(|error| not_found(key, error))?;
        match decided.events.as_slice() {
            [TriggerEvent::Fired { run, .. }] => Ok(crate::Started { run: *run, outcome: decided.outcome }),
            _ => Err(Error::Conflict("the command was carried out in another way meanwhile; try again".to_owned())),
        }
    }

    /// Decides on the next tick of a trigger, if one is due; for the reactor.
    ///
    /// # Errors
    /// Only conflicts and failures of the journal: that a run cannot start is recorded.
    pub async fn tick_trigger(&self, id: TriggerId) -> Result<Decided, Error> {
        self.decide_trigger(id, TriggerCommand::Tick { now: self.surroundings.now() }, Fault::Record, None).await
    }

    /// Decides on an event that a trigger waits for, whose condition was met or could not be evaluated; for the
    /// reactor.
    ///
    /// # Errors
    /// As [`Commands::tick_trigger`].
    pub async fn notice_event(
        &self,
        id: TriggerId,
        event: domain::trigger::EventRef,
        fault: Option<String>,
    ) -> Result<Decided, Error> {
        let command = TriggerCommand::Notice { event, fault, now: self.surroundings.now() };
        self.decide_trigger(id, command, Fault::Record, None).await
    }

    /// Records that a run of a trigger has ended; for the reactor.
    ///
    /// # Errors
    /// As [`Commands::tick_trigger`].
    pub async fn end_trigger_run(&self, id: TriggerId, run: RunId, end: RunEnd) -> Result<Decided, Error> {
        let command = TriggerCommand::EndRun { run, end, now: self.surroundings.now() };
        self.decide_trigger(id, command, Fault::Record, None).await
    }

    /// Starts what waits, if it can start now; for the reactor.
    ///
    /// # Errors
    /// As [`Commands::tick_trigger`].
    pub async fn start_waiting(&self, id: TriggerId) -> Result<Decided, Error> {
        let command = TriggerCommand::StartBuffered { now: self.surroundings.now() };
        self.decide_trigger(id, command, Fault::Record, None).await
    }

    async fn on_trigger(&self, request: Request, key: &Key, command: TriggerCommand) -> Result<Outcome, Error> {
        let stream = StreamId::from(TriggerId::from_key(key));
        let (context, remember) = self.context(&request);
        match self.executor.execute::<Trigger>(stream, command, context, remember).await {
            Ok(done) => Ok(Outcome::of(stream, &done)),
            Err(ExecuteError::Refused(refusal)) => Err(not_found(key, Error::Refused(Box::new(refusal)))),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the types of event that a trigger waits for exist.
pub(crate) fn check_types(settings: &TriggerSettings) -> Result<(), TriggerRefusal> {
    let TriggerKind::Event { types, .. } = &settings.kind else { return Ok(()) };
    let known = |name: &str| journal::wire::types().iter().any(|known| known.name == name);
    match types.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(unknown) => {
            Err(TriggerRefusal::Invalid(format!("`types` names `{unknown}`, but there is no event of that type")))
        }
    }
}

/// The aggregate does not know its own key when it does not exist.
fn not_found(key: &Key, error: Error) -> Error {
    if error.code() == TriggerRefusal::NotFound.code() { Refused::TriggerNotFound(key.clone()).into() } else { error }
}
