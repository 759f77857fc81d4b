//! Tasks and their attempts.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use commands::Commands;
use domain::TaskId;
use projections::{AttemptRow, TaskRow, Window};
use uuid::Uuid;

use crate::agent::Agent;
use crate::as_of::past_above;
use crate::assignment::Assignment;
use crate::failure;
use crate::flow::Seat;
use crate::loader::Loaders;
use crate::mutation::commands;
use crate::node::{GlobalId, global_id};
use crate::order::{Cursor, held, some_of};
use crate::outcome::{AttemptPurpose, FailedJudgement, Judgement, OutputParts, Quality, Review, TaskRating};
use crate::page::{Arguments, Pages, connection, cost};
use crate::query::RunFilter;
use crate::run::{Failure, Run, between, moment, position};
use crate::scalar::{Count, DateTime, Json, NanoUsd, Position};
use crate::status::{AttemptStatus, CostSource, TaskStatus};
use crate::template::Template;

/// One unit of AI work done by an agent, for a step of a run or on its own.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Task {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The task's own id.
    task_id: Uuid,
    /// The id of the run that it belongs to.
    run_id: Option<Uuid>,
    /// The name of the step that it belongs to.
    step: Option<String>,
    /// The element of the step's list that it is for, from 0.
    item: Option<i32>,
    /// Whether it undoes the step.
    undoes: bool,
    /// The id of the template that says what is done.
    template_id: Uuid,
    /// That template's version.
    template_version: i32,
    /// The id of the agent that has it.
    agent_id: Option<Uuid>,
    /// That agent's version.
    agent_version: Option<i32>,
    /// Why this agent.
    assign_reason: Option<String>,
    /// The template's parameters.
    parameters: Json,
    /// Where it stands.
    status: TaskStatus,
    /// When the next attempt starts, while waiting.
    retry_at: Option<DateTime>,
    /// Why it failed.
    error: Option<Failure>,
    /// Why it was cancelled.
    cancel_reason: Option<String>,
    /// When it was created.
    created_at: DateTime,
    /// When it fails if no attempt has started by then; null once one has, and when it may wait for ever.
    start_by: Option<DateTime>,
    /// When it ended.
    ended_at: Option<DateTime>,
    /// How many attempts were started.
    attempt_count: i32,
    /// The position of its last event that is reflected here.
    position: Position,
}

impl Task {
    pub(crate) fn of(row: TaskRow) -> Result<Self> {
        Ok(Self {
            id: global_id(domain::Category::Task, row.id),
            task_id: row.id,
            run_id: row.run_id,
            step: row.step,
            item: row.item,
            undoes: row.undoes,
            template_id: row.template_id,
            template_version: row.template_version,
            agent_id: row.agent_id,
            agent_version: row.agent_version,
            assign_reason: row.assign_reason,
            parameters: async_graphql::Json(row.parameters),
            status: TaskStatus::of(&row.status)?,
            retry_at: row.retry_at.map(moment),
            error: Failure::of(row.error_kind, row.error_message)?,
            cancel_reason: row.cancel_reason,
            created_at: moment(row.created_at),
            start_by: row.start_by.filter(|_| row.attempts == 0 && row.ended_at.is_none()).map(moment),
            ended_at: row.ended_at.map(moment),
            attempt_count: row.attempts,
            position: position(row.position),
        })
    }
}

impl Task {
    async fn ended(&self, context: &Context<'_>) -> Result<Arc<domain::Task>> {
        if let Some(past) = past_above(context) {
            return past.task(self.task_id).await.map_err(|error| failure::query(context, &error));
        }
        let task = commands(context)?.ended_task(domain::TaskId::from_uuid(self.task_id)).await;
        task.map_err(|error| failure::command(context, error))
    }
}

#[ComplexObject]
impl Task {
    /// The run that it belongs to.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        match self.run_id {
            Some(id) => Loaders::of(context)?.run(id).await,
            None => Ok(None),
        }
    }

    /// The task that it does again, when it does one: as that was, or changed.
    async fn again_of(&self, context: &Context<'_>) -> Result<Option<Task>> {
        match self.run_id {
            Some(run) => Loaders::of(context)?.again_of(run).await,
            None => Ok(None),
        }
    }

    /// The runs that do it again, the one that started first first.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn repetitions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<RunFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, Run>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let loaders = Loaders::of(context)?;
        let position = loaders.position().await?;
        let filter: projections::RunFilter = filter.unwrap_or_default().into();
        let mut runs = loaders.repetitions(self.task_id).await?;
        runs.retain(|run| filter.wants(run));
        let page = held(runs, &window, reversed, "started", |run| (run.started_at, run.id))?;
        connection(page, &window, position, |(cursor, run)| Ok((cursor, Run::of(run)?)))
    }

    /// The agent that has it, as it is now.
    async fn agent(&self, context: &Context<'_>) -> Result<Option<Agent>> {
        match self.agent_id {
            Some(id) => Loaders::of(context)?.agent_by_id(id).await,
            None => Ok(None),
        }
    }

    /// Who has it, straight from the journal, and how that agent was chosen when none was named; null while nobody has it.
    #[graphql(complexity = "10 + child_complexity")]
    async fn assignment(&self, context: &Context<'_>) -> Result<Option<Assignment>> {
        let (commands, task) = (context.data::<Commands>()?, TaskId::from_uuid(self.task_id));
        let found = match past_above(context) {
            Some(past) => commands.assignment_as_of(task, past.position()).await,
            None => commands.assignment(task).await,
        };
        Ok(found.map_err(|error| failure::command(context, error))?.map(Assignment::from))
    }

    /// The template that says what is done, as it is now.
    async fn template(&self, context: &Context<'_>) -> Result<Option<Template>> {
        Loaders::of(context)?.template_by_id(self.template_id).await
    }

    /// The slots of limits that its attempt has, or that it waits for, the one that was asked for first first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn seats(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that are waited for, or only those that are held.")] waiting: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Seat>> {
        let Some(run) = self.run_id else { return Ok(vec![]) };
        let seats = Loaders::of(context)?.seats_of_run(run).await?;
        Ok(some_of(seats, reversed, |seat| seat.is_of_task(self.task_id) && seat.is_one_of(waiting)))
    }

    /// The parts of its output, straight from the journal; null while it has not completed. Parts that were not asked for, or
    /// that the model did not give, are null; the results are always there.
    #[graphql(complexity = "5 + child_complexity")]
    async fn output(&self, context: &Context<'_>) -> Result<Option<OutputParts>> {
        let task = self.ended(context).await?;
        if let Some(output) = task.output() {
            return Ok(Some(OutputParts::from(&**output)));
        }
        Ok(task.reply().map(|reply| {
            let data = commands::task_result(&reply.text).get_mut("json").map(serde_json::Value::take);
            let data = data.filter(|data| !data.is_null());
            OutputParts::from(&domain::task::Output { results: reply.text.clone(), data, ..Default::default() })
        }))
    }

    /// How good its answer is by everybody who has said so, straight from the journal; null when nobody has, and while the
    /// task has not completed.
    #[graphql(complexity = "5 + child_complexity")]
    async fn quality(&self, context: &Context<'_>) -> Result<Option<Quality>> {
        Ok(Quality::of(&*self.ended(context).await?))
    }

    /// What people give its answer, straight from the journal: the last rating of each.
    #[graphql(complexity = "5 + child_complexity")]
    async fn ratings(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only by this actor, as `kind:id`.")] by: Option<String>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<TaskRating>> {
        let ratings = self.ended(context).await?.ratings().iter().map(TaskRating::from).collect();
        Ok(some_of(ratings, reversed, |rating: &TaskRating| by.as_ref().is_none_or(|by| *by == rating.by)))
    }

    /// The average of what people give its answer, 1 to 10; null when nobody has rated it.
    #[graphql(complexity = 5)]
    async fn average_rating(&self, context: &Context<'_>) -> Result<Option<f64>> {
        let task = self.ended(context).await?;
        let (mut sum, mut count) = (0.0, 0.0);
        for rating in task.ratings() {
            sum += f64::from(rating.mark.hundredths()) / 100.0;
            count += 1.0;
        }
        Ok((count > 0.0).then(|| sum / count))
    }

    /// What a judge gives its answer, straight from the journal; null when none has judged it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn judgement(&self, context: &Context<'_>) -> Result<Option<Judgement>> {
        Ok(Judgement::of(&*self.ended(context).await?))
    }

    /// Why a judge that was to judge its answer brought no mark, straight from the journal.
    #[graphql(complexity = "5 + child_complexity")]
    async fn failed_judgement(&self, context: &Context<'_>) -> Result<Option<FailedJudgement>> {
        Ok(self.ended(context).await?.failed_judgement().map(|failed| FailedJudgement::from(&**failed)))
    }

    /// What became of reviewing its answer before it counted, straight from the journal; null when it was not reviewed.
    #[graphql(complexity = "5 + child_complexity")]
    async fn review(&self, context: &Context<'_>) -> Result<Option<Review>> {
        Ok(self.ended(context).await?.review().map(|review| Review::from(&**review)))
    }

    /// Its attempts, oldest first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn attempts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only at one of these statuses; empty means any.", default)] statuses: Vec<AttemptStatus>,
        #[graphql(desc = "The newest first.", default)] reversed: bool,
    ) -> Result<Vec<Attempt>> {
        let attempts = Loaders::of(context)?.attempts(self.task_id).await?;
        Ok(some_of(attempts, reversed, |attempt| statuses.is_empty() || statuses.contains(&attempt.status)))
    }
}

/// Tokens as the platform reported them; null means not reported, which is not zero.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub(crate) input_tokens: Option<Count>,
    /// Of these, read from the platform's cache.
    pub(crate) cached_input_tokens: Option<Count>,
    /// Tokens of the answer, reasoning included.
    pub(crate) output_tokens: Option<Count>,
    /// Of these, spent on reasoning.
    pub(crate) reasoning_tokens: Option<Count>,
}

/// An answer that was given before, and serves again to the same request. What a platform's own cache saves is told by the
/// cached tokens of the usage.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct KeptAnswer {
    /// When it was asked for.
    at: DateTime,
    /// What it had cost, which is what was saved now; null means unknown.
    saved: Option<NanoUsd>,
}

/// One call to a platform for a task.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Attempt {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The id of its task.
    task_id: Uuid,
    /// Counts from 1 within the task.
    pub(crate) number: i32,
    /// Which platform.
    platform: String,
    /// The model that was asked for; null is the platform's default.
    model: Option<String>,
    /// The model that answered, as the platform names it.
    answered_by: Option<String>,
    /// How it stands.
    status: AttemptStatus,
    /// Why it failed.
    error: Option<Failure>,
    /// Why the model stopped: `stop`, `length`, `content_filter` or the platform's own word.
    finish_reason: Option<String>,
    /// The answer.
    text: Option<String>,
    /// Whether no model was asked at all.
    simulated: bool,
    /// Tokens.
    usage: Usage,
    /// What it cost; null means unknown, which is not free.
    cost: Option<NanoUsd>,
    /// Where its cost comes from, of an answer or of what was used before it failed; null while nothing was used, and of a kept
    /// answer.
    cost_source: Option<CostSource>,
    /// The list of prices that the cost was computed from, such as `2026-11-25`; of one that was imported, `imported/2026-12-01`.
    price_list: Option<String>,
    /// From sending to the last byte in milliseconds, as the platform's adapter measured it.
    platform_duration_ms: Option<Count>,
    /// From sending to the first piece of the answer's text in milliseconds; null when the answer did not come in pieces.
    first_piece_ms: Option<Count>,
    /// BLAKE3 over the request, in hexadecimal: equal requests have equal hashes.
    request_hash: String,
    /// The kept answer that served instead of a call; null when the platform was called.
    kept: Option<KeptAnswer>,
    /// When the platform was called.
    started_at: DateTime,
    /// When the outcome was recorded.
    ended_at: Option<DateTime>,
    /// Whether the answer came after the attempt had been given up; then it changed nothing, though it may have been
    /// paid for.
    late: bool,
}

impl Attempt {
    pub(crate) fn of(row: AttemptRow) -> Result<Self> {
        Ok(Self {
            id: GlobalId::Attempt(row.task_id, row.number).into(),
            task_id: row.task_id,
            number: row.number,
            platform: row.platform,
            model: row.model,
            answered_by: row.answered_by,
            status: AttemptStatus::of(&row.status)?,
            error: Failure::of(row.error_kind, row.error_message)?,
            finish_reason: row.finish_reason,
            text: row.text,
            simulated: row.simulated,
            usage: Usage {
                input_tokens: row.input_tokens.map(Count::of),
                cached_input_tokens: row.cached_input_tokens.map(Count::of),
                output_tokens: row.output_tokens.map(Count::of),
                reasoning_tokens: row.reasoning_tokens.map(Count::of),
            },
            cost: row.cost_nano_usd.map(NanoUsd),
            cost_source: row.cost_source.as_deref().map(CostSource::of).transpose()?,
            price_list: row.price_list,
            platform_duration_ms: row.duration_ms.map(Count::of),
            first_piece_ms: row.first_piece_ms.map(Count::of),
            request_hash: hex(&row.request_hash),
            kept: row.kept_at.map(|at| KeptAnswer { at: moment(at), saved: row.saved_nano_usd.map(NanoUsd) }),
            started_at: moment(row.started_at),
            ended_at: row.ended_at.map(moment),
            late: row.late,
        })
    }
}

#[ComplexObject]
impl Attempt {
    /// What it is for, straight from the journal.
    #[graphql(complexity = 3)]
    async fn purpose(&self, context: &Context<'_>) -> Result<Option<AttemptPurpose>> {
        let Ok(number) = u32::try_from(self.number) else { return Ok(None) };
        let purpose = commands(context)?.attempt_purpose(TaskId::from_uuid(self.task_id), number).await;
        Ok(purpose.map_err(|error| failure::command(context, error))?.map(AttemptPurpose::from))
    }

    /// Its task.
    async fn task(&self, context: &Context<'_>) -> Result<Option<Task>> {
        Loaders::of(context)?.task(self.task_id).await
    }

    /// From calling the platform to recording the outcome, in milliseconds; null while it is under way.
    async fn duration_ms(&self) -> Option<Count> {
        between(self.started_at, self.ended_at)
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
