//! What is spent, as it is spent.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Result, SimpleObject, Subscription};
use domain::{Category, Event, NanoUsd as Money, TaskEvent, Usage as Tokens};
use futures_util::Stream;
use journal::{Filter, RecordedEvent};
use uuid::Uuid;

use super::{Source, Teller, beginning, follow};
use crate::as_of;
use crate::failure::{self, Caller};
use crate::scalar::{Count, DateTime, NanoUsd, Position};
use crate::task::{Task, Usage};

/// What one attempt has cost.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct CostUpdate {
    /// The position of the event that says so; subscribe with it as `afterPosition` to go on after it.
    position: Position,
    /// When it was recorded.
    at: DateTime,
    /// The id of the task.
    task_id: Uuid,
    /// Which attempt of the task, from 1.
    attempt: u32,
    /// What it cost; null means unknown, which is not free.
    cost: Option<NanoUsd>,
    /// Tokens.
    usage: Usage,
    /// Whether it succeeded; an attempt that failed, or whose answer came too late, may have been paid for.
    succeeded: bool,
    /// Whether no model was asked at all.
    simulated: bool,
}

#[ComplexObject]
impl CostUpdate {
    /// The task as of that position, with its run, agent and attempts.
    #[graphql(complexity = "10 + child_complexity")]
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        as_of::at(context, self.position.0)?.task(self.task_id).await
    }
}

/// Costs.
#[derive(Default)]
pub(super) struct FollowedCosts;

#[Subscription]
impl FollowedCosts {
    /// What every attempt has cost, as it is recorded: of attempts that succeeded, that failed, that were lost, and whose
    /// answer came too late. An attempt that failed and whose answer came after all is told twice; the second time says
    /// what it cost.
    async fn costs(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where to go on; `\"0\"` is the beginning, and the present when nothing is said.")]
        after_position: Option<Position>,
    ) -> Result<impl Stream<Item = Result<CostUpdate>> + use<>> {
        let after = beginning(context, after_position).await?;
        let types = ["task.attempt_succeeded", "task.attempt_failed", "task.attempt_lost", "task.attempt_late"];
        let types = types.map(str::to_owned).into();
        let filter = Filter { types, ..Filter::categories([Category::Task]) };
        let teller = Ticker { correlation: Caller::of(context)?.correlation };
        follow(context, Source::all(context, after, filter)?, teller, vec![])
    }
}

struct Ticker {
    correlation: Uuid,
}

impl Teller for Ticker {
    type Answer = CostUpdate;

    async fn tell(&mut self, events: Vec<Arc<RecordedEvent>>) -> Result<Vec<(journal::Position, CostUpdate)>> {
        let mut told = Vec::new();
        for recorded in events {
            let event = recorded.event().map_err(|error| failure::internal_for(self.correlation, &error))?;
            let Event::Task(event) = event else { continue };
            let spent = match event {
                TaskEvent::AttemptSucceeded { attempt, reply } => {
                    (*attempt, reply.cost, reply.usage, true, reply.simulated)
                }
                TaskEvent::AttemptLate { attempt, reply } => {
                    (*attempt, reply.cost, reply.usage, false, reply.simulated)
                }
                TaskEvent::AttemptFailed { attempt, consumed, .. } => {
                    let consumed = consumed.as_ref();
                    let usage = consumed.map(|consumed| consumed.usage).unwrap_or_default();
                    (*attempt, consumed.and_then(|consumed| consumed.cost), usage, false, false)
                }
                TaskEvent::AttemptLost { attempt, .. } => (*attempt, None, Tokens::default(), false, false),
                _ => continue,
            };
            told.push((recorded.position, update(&recorded, spent)));
        }
        Ok(told)
    }
}

fn update(
    recorded: &RecordedEvent,
    (attempt, cost, usage, succeeded, simulated): (u32, Option<Money>, Tokens, bool, bool),
) -> CostUpdate {
    CostUpdate {
        position: recorded.position.into(),
        at: recorded.recorded_at.into(),
        task_id: recorded.stream.id,
        attempt,
        cost: cost.map(|cost| NanoUsd(cost.0)),
        usage: Usage {
            input_tokens: usage.input_tokens.map(Count),
            cached_input_tokens: usage.cached_input_tokens.map(Count),
            output_tokens: usage.output_tokens.map(Count),
            reasoning_tokens: usage.reasoning_tokens.map(Count),
        },
        succeeded,
        simulated,
    }
}
