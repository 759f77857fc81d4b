//! The same for many runs.
//!
//! Invariants: nothing happens to any run unless the filter hits as many as the caller expects; every run that was hit
//! is reported, whatever came of it.

use async_graphql::{Context, Object, Result, SimpleObject};
use commands::{Branch, Changes, Commands, Error, Outcome, Request};
use domain::RunId;
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::{commands, request};
use crate::failure;
use crate::input::BulkInput;
use crate::mutation::runs::grace;
use crate::query::{fresh, queries};
use crate::reflected::recorded;
use crate::scalar::{Count, Position};
use crate::status::PauseClock;

/// The most runs that one command acts on.
const MAX_RUNS: u32 = 5000;
/// How many of them are acted on at the same time.
const AT_ONCE: usize = 32;

/// What a command on many runs came to.
#[derive(Debug, SimpleObject)]
pub(crate) struct BulkPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// The position that contains the effect on all runs.
    position: Position,
    /// How many runs the filter hit.
    count: Count,
    /// On how many of them the command was carried out.
    done: Count,
    /// How many of them refused it, or could not be reached.
    failed: Count,
    /// What came of each, in the order in which the runs had started.
    results: Vec<BulkResult>,
}

/// What came of a command on one of many runs.
#[derive(Debug, SimpleObject)]
pub(crate) struct BulkResult {
    /// The id of the run.
    run_id: Uuid,
    /// Whether the command was carried out; also true when what it wants was true already.
    done: bool,
    /// Whether anything was recorded.
    changed: bool,
    /// Of a retry: the id of the new run.
    new_run_id: Option<Uuid>,
    /// The code of the error: each has a page in docs/errors.
    code: Option<String>,
    /// What is wrong, for a person.
    message: Option<String>,
}

/// What many runs are asked for.
#[derive(Clone)]
enum Wish {
    Cancel { reason: String, grace: std::time::Duration },
    Pause { reason: String, clock: PauseClock },
    Resume,
    Retry,
}

/// The same for many runs.
#[derive(Default)]
pub(super) struct Bulk;

#[Object]
impl Bulk {
    /// Asks every run that a filter hits to stop, as `cancelRun` does.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    async fn bulk_cancel_runs(
        &self,
        context: &Context<'_>,
        input: BulkInput,
        #[graphql(desc = "Why.", default)] reason: String,
        #[graphql(
            desc = "How many milliseconds running attempts may go on before they are cut, at most one day; null \
                          takes 5 s."
        )]
        grace_ms: Option<Count>,
    ) -> Result<BulkPayload> {
        let grace = grace(grace_ms)?;
        carry_out(context, input, Wish::Cancel { reason, grace }).await
    }

    /// Tries every failed or cancelled run that a filter hits again, each in a new run, as `retryRun` does; others
    /// refuse.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    async fn bulk_retry_runs(&self, context: &Context<'_>, input: BulkInput) -> Result<BulkPayload> {
        carry_out(context, input, Wish::Retry).await
    }

    /// Lets nothing new of every run start that a filter hits, as `pauseRun` does.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    async fn bulk_pause_runs(
        &self,
        context: &Context<'_>,
        input: BulkInput,
        #[graphql(desc = "Why.", default)] reason: String,
        #[graphql(desc = "What happens to timers, deadlines and expiries.", default_with = "PauseClock::Frozen")]
        clock: PauseClock,
    ) -> Result<BulkPayload> {
        carry_out(context, input, Wish::Pause { reason, clock }).await
    }

    /// Lets every paused run go on that a filter hits, as `resumeRun` does; others refuse.
    #[graphql(complexity = "100 + 20 * child_complexity")]
    async fn bulk_resume_runs(&self, context: &Context<'_>, input: BulkInput) -> Result<BulkPayload> {
        carry_out(context, input, Wish::Resume).await
    }
}

async fn carry_out(context: &Context<'_>, input: BulkInput, wish: Wish) -> Result<BulkPayload> {
    let base = request(context, input.client_mutation_id)?;
    let mut position = fresh(context, None).await?;
    let filter = input.filter.into();
    let failed = |error: projections::Error| failure::query(context, &error);
    let counts = queries(context)?.count_runs(&filter).await.map_err(failed)?;
    let count = Count::of(counts.iter().map(|row| row.count).sum());
    if count != input.expected_count {
        let message = format!(
            "the filter hits {} runs, not {}; nothing was done. Look at the preview again",
            count.0, input.expected_count.0
        );
        return Err(failure::refused("BULK_COUNT_CHANGED", message));
    }
    if count.0 > u64::from(MAX_RUNS) {
        let message = format!(
            "the filter hits {} runs; one command acts on at most {MAX_RUNS}. Narrow it, for instance by `startedBefore`",
            count.0
        );
        return Err(failure::refused("BULK_TOO_MANY", message));
    }
    let runs = queries(context)?.run_ids(&filter, MAX_RUNS).await.map_err(failed)?;
    let commands = commands(context)?;
    let (base, wish) = (&base, &wish);
    let each = stream::iter(runs).map(|run| async move { (run, one(commands, base, run, wish.clone()).await) });
    let mut results = Vec::new();
    let mut each = std::pin::pin!(each.buffered(AT_ONCE));
    while let Some((run_id, came)) = each.next().await {
        results.push(match came {
            Ok((new_run_id, outcome)) => {
                position = position.max(outcome.position);
                let changed = outcome.changed;
                BulkResult { run_id, done: true, changed, new_run_id, code: None, message: None }
            }
            Err(error) => {
                let code = Some(error.code().to_owned());
                // What failed inside is logged, and tells the caller no more than its code.
                let message = Some(failure::command(context, error).message);
                BulkResult { run_id, done: false, changed: false, new_run_id: None, code, message }
            }
        });
    }
    let done = results.iter().filter(|result| result.done).count();
    let number = |count: usize| Count(u64::try_from(count).unwrap_or(u64::MAX));
    Ok(BulkPayload {
        client_mutation_id: input.client_mutation_id,
        position: recorded(context, position),
        count: number(results.len()),
        done: number(done),
        failed: number(results.len() - done),
        results,
    })
}

async fn one(commands: &Commands, base: &Request, run: Uuid, wish: Wish) -> Result<(Option<Uuid>, Outcome), Error> {
    // Always the same for the command and the run, so that a repetition is known as one.
    let (request, id) = (base.part(run), RunId::from_uuid(run));
    match wish {
        Wish::Cancel { reason, grace } => Ok((None, commands.cancel_run(request, id, reason, grace).await?)),
        Wish::Pause { reason, clock } => Ok((None, commands.pause_run(request, id, reason, clock.domain()).await?)),
        Wish::Resume => Ok((None, commands.resume_run(request, id).await?)),
        Wish::Retry => {
            let started = commands.branch_run(request, id, Branch::Retry, Changes::default()).await?;
            Ok((Some(started.run.as_uuid()), started.outcome))
        }
    }
}
