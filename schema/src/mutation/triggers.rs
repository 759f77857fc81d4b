//! Triggers, and what is posted for them.

use ::commands::Outcome;
use async_graphql::{Context, Object, Result, SimpleObject};
use domain::{CommandId, Key};
use uuid::Uuid;

use super::{asking, commands, request};
use crate::failure;
use crate::input::{BackfillTriggerInput, PostEventInput, SetTriggerInput, TriggerInput, key};
use crate::reflected::recorded;
use crate::scalar::{Count, DateTime, Position};
use crate::trigger::Trigger;

/// Triggers.
#[derive(Default)]
pub(super) struct TriggerCommands;

/// What a command on a trigger came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct TriggerPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// The trigger's revision after the command.
    revision: Option<Count>,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// Whether anything was recorded now; otherwise it was true already, or this is a repetition.
    changed: bool,
    /// The trigger as it is now; null when it was taken away.
    trigger: Option<Trigger>,
}

/// A run that a trigger was asked for.
#[derive(Debug, SimpleObject)]
pub(crate) struct TriggerRunPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the command's effect.
    position: Position,
    /// Whether the command had been carried out before, and this is that first answer.
    repeated: bool,
    /// The run.
    run_id: Uuid,
}

/// What became of the ticks of a past range.
#[derive(Debug, SimpleObject)]
pub(crate) struct BackfillPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// A position that contains all that was begun.
    position: Position,
    /// Whether all of it had been carried out before, and this is that first answer.
    repeated: bool,
    /// Those that started a run.
    started: Vec<BackfilledTick>,
    /// Those that wait until other runs have ended.
    waiting: Vec<DateTime>,
    /// Those that were skipped, as the overlap policy says.
    skipped: Vec<DateTime>,
    /// Those that had a run already.
    known: Vec<DateTime>,
}

/// A tick that was made up for.
#[derive(Debug, SimpleObject)]
pub(crate) struct BackfilledTick {
    /// The tick.
    tick: DateTime,
    /// Its run.
    run_id: Uuid,
}

/// What a post came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct PostEventPayload {
    /// The command's id, as it was given.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the event.
    position: Position,
    /// The event's own id, which follows from the poster's.
    event_id: Uuid,
    /// Whether it was recorded now; otherwise it had been posted before.
    changed: bool,
}

impl TriggerPayload {
    async fn of(
        context: &Context<'_>,
        command: Option<CommandId>,
        key: &Key,
        outcome: Result<Outcome, ::commands::Error>,
    ) -> Result<Self> {
        let outcome = outcome.map_err(|error| failure::command(context, error))?;
        Ok(Self {
            client_mutation_id: command.map(CommandId::as_uuid),
            position: recorded(context, outcome.position),
            revision: outcome.revision.map(Count),
            repeated: outcome.repeated,
            changed: outcome.changed,
            trigger: Trigger::find(context, key).await?,
        })
    }
}

#[Object]
impl TriggerCommands {
    /// Sets a trigger, or changes it.
    async fn set_trigger(&self, context: &Context<'_>, input: SetTriggerInput) -> Result<TriggerPayload> {
        let request = request(context, input.client_mutation_id)?;
        let settings = input.into_settings()?;
        let (command, key) = (request.command, settings.key.clone());
        let outcome = commands(context)?.set_trigger(request, settings).await;
        TriggerPayload::of(context, command, &key, outcome).await
    }

    /// Takes a trigger away. The runs that it started go on; what waited does not start.
    async fn remove_trigger(&self, context: &Context<'_>, input: TriggerInput) -> Result<TriggerPayload> {
        let (request, key) = (request(context, input.client_mutation_id)?, key(&input.key)?);
        let command = request.command;
        let outcome = commands(context)?.remove_trigger(request, &key, input.reason).await;
        TriggerPayload::of(context, command, &key, outcome).await
    }

    /// Lets a trigger fire no more until it is resumed. The runs that it started go on.
    async fn pause_trigger(&self, context: &Context<'_>, input: TriggerInput) -> Result<TriggerPayload> {
        let (request, key) = (request(context, input.client_mutation_id)?, key(&input.key)?);
        let command = request.command;
        let outcome = commands(context)?.pause_trigger(request, &key, input.reason).await;
        TriggerPayload::of(context, command, &key, outcome).await
    }

    /// Lets a paused trigger fire again, from now on.
    async fn resume_trigger(&self, context: &Context<'_>, input: TriggerInput) -> Result<TriggerPayload> {
        let (request, key) = (request(context, input.client_mutation_id)?, key(&input.key)?);
        let command = request.command;
        let outcome = commands(context)?.resume_trigger(request, &key).await;
        TriggerPayload::of(context, command, &key, outcome).await
    }

    /// Starts a run of a trigger at once, whatever else is going on and even when it is paused.
    async fn run_trigger_now(&self, context: &Context<'_>, input: TriggerInput) -> Result<TriggerRunPayload> {
        let (request, key) = (request(context, input.client_mutation_id)?, key(&input.key)?);
        let started = commands(context)?.run_trigger_now(request, &key).await;
        let started = started.map_err(|error| failure::command(context, error))?;
        Ok(TriggerRunPayload {
            client_mutation_id: input.client_mutation_id,
            position: recorded(context, started.outcome.position),
            repeated: started.outcome.repeated,
            run_id: started.run.as_uuid(),
        })
    }

    /// Makes up for the ticks of a past range that have no run; at most 1,000. Repeating it goes on where it was
    /// interrupted.
    async fn backfill_trigger(&self, context: &Context<'_>, input: BackfillTriggerInput) -> Result<BackfillPayload> {
        let request = asking(context, input.client_mutation_id, "backfillTrigger", &input)?;
        let done = commands(context)?.backfill_trigger(request, &key(&input.key)?, input.range()).await;
        let done = done.map_err(|error| failure::command(context, error))?;
        let moments = |ticks: Vec<domain::Timestamp>| ticks.into_iter().map(DateTime::from).collect();
        let started = done.started.into_iter();
        Ok(BackfillPayload {
            client_mutation_id: input.client_mutation_id,
            position: recorded(context, done.position),
            repeated: done.repeated,
            started: started.map(|(tick, run)| BackfilledTick { tick: tick.into(), run_id: run.as_uuid() }).collect(),
            waiting: moments(done.waiting),
            skipped: moments(done.skipped),
            known: moments(done.known),
        })
    }

    /// Posts something from outside. It is recorded whether or not a trigger waits for it.
    async fn post_event(&self, context: &Context<'_>, input: PostEventInput) -> Result<PostEventPayload> {
        let client_mutation_id = input.client_mutation_id;
        let request = request(context, client_mutation_id)?;
        let posted = commands(context)?.post_event(request, input.into_event()?).await;
        let (event, outcome) = posted.map_err(|error| failure::command(context, error))?;
        Ok(PostEventPayload {
            client_mutation_id,
            position: recorded(context, outcome.position),
            event_id: event.as_uuid(),
            changed: outcome.changed,
        })
    }
}
