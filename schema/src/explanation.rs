//! Why a run stands where it stands.

use async_graphql::{Context, Result, SimpleObject};
use commands::{Cause as Reason, Commands};
use domain::RunId;
use uuid::Uuid;

use crate::as_of::{self, past_above};
use crate::assignment::Assignment;
use crate::failure;
use crate::scalar::{Count, DateTime};
use crate::status::{CauseKind, PauseClock, RunStatus, StepStatus};

/// Why a run stands where it stands, straight from the journal.
#[derive(Debug, SimpleObject)]
pub(crate) struct Explanation {
    /// Which run.
    run_id: Uuid,
    /// Where it stands.
    status: RunStatus,
    /// The node that owns it.
    node: Option<Uuid>,
    /// What has to happen next for the run to go on; empty only when it has ended.
    next: Vec<Cause>,
    /// Each step that has not completed, in the order of the definition.
    steps: Vec<StepExplanation>,
}

/// Why a step stands where it stands.
#[derive(Debug, SimpleObject)]
pub(crate) struct StepExplanation {
    /// The step's name.
    step: String,
    /// Where it stands.
    status: StepStatus,
    /// What it waits for.
    cause: Cause,
    /// Who has its task, when it has one; of a list, who has the first task under way.
    assignment: Option<Assignment>,
    /// What platforms must be tagged with to be sent that task, by what its agent and its template say of themselves; the
    /// installation may demand more.
    residency: Vec<String>,
}

/// What something waits for.
#[derive(Debug, SimpleObject)]
pub(crate) struct Cause {
    /// What it is.
    kind: CauseKind,
    /// Since when it is waited for, where that is known.
    since: Option<DateTime>,
    /// When it goes on by itself: of a retry the next attempt, of resting platforms when
    /// the first of them may be asked again, of a timer its end, of an approval its expiry, of a limit
    /// the next start that its rate allows, of a grace period the cut.
    at: Option<DateTime>,
    /// Of a step that waits: which one.
    step: Option<String>,
    /// Of an attempt or a retry: for which task.
    task_id: Option<Uuid>,
    /// Of an attempt: which one, from 1. Of a retry: how many there were.
    attempt: Option<u32>,
    /// Of an attempt: which platform is being called.
    platform: Option<String>,
    /// Of a retry or a failure: what went wrong.
    error: Option<String>,
    /// Of steps that wait: for which steps.
    steps: Vec<String>,
    /// Of a pause: who paused it, as `kind:id`.
    by: Option<String>,
    /// Of a pause or a skipped step: why.
    reason: Option<String>,
    /// Of a pause: what happens to what waits for a time.
    clock: Option<PauseClock>,
    /// Of a pause: whether everything, or the workflow, is held.
    held: Option<bool>,
    /// Of a limit: its key.
    limit: Option<String>,
    /// Of a limit: what it is for.
    limit_description: Option<String>,
    /// Of a limit: who has its slots, as far as there are fewer than a hundred.
    holders: Vec<Holder>,
    /// Of a limit: how many wait before this one.
    ahead: Option<Count>,
    /// Of a list: how many elements are under way.
    running: Option<u32>,
    /// Of a list: how many are done.
    done: Option<u32>,
    /// Of a list: how many there are.
    total: Option<Count>,
    /// Of an approval: who may decide.
    approvers: Vec<String>,
    /// Of an approval: how many have agreed.
    agreed: Option<Count>,
    /// Of an approval: how many have to.
    quorum: Option<u32>,
    /// Of a signal: its name.
    signal: Option<String>,
    /// Of another run: which one.
    run_id: Option<Uuid>,
    /// Of another run: where that stands.
    run_status: Option<RunStatus>,
    /// Of a list: what one of the elements under way waits for. Of a step that is being undone: what the task that
    /// undoes it waits for.
    inner: Option<Box<Cause>>,
}

/// Who has a slot of a limit.
#[derive(Debug, SimpleObject)]
pub(crate) struct Holder {
    /// The id of the run.
    run_id: Uuid,
    /// The id of its task, when the slot is for an attempt.
    task_id: Option<Uuid>,
}

impl Explanation {
    pub(crate) async fn of_run(context: &Context<'_>, run: RunId) -> Result<Self> {
        let commands = context.data::<Commands>()?;
        let explained = match past_above(context) {
            Some(past) => commands.explain_as_of(run, past.position(), as_of::moment(context).await?).await,
            None => commands.explain(run).await,
        };
        let explained = explained.map_err(|error| failure::command(context, error))?;
        let steps = explained.steps.into_iter().map(|step| StepExplanation {
            step: step.step.into(),
            status: step.status.into(),
            cause: step.cause.into(),
            assignment: step.assignment.map(Assignment::from),
            residency: step.residency.into_iter().map(String::from).collect(),
        });
        Ok(Self {
            run_id: explained.run.as_uuid(),
            status: RunStatus::of(explained.status.name())?,
            node: explained.node.map(domain::NodeId::as_uuid),
            next: explained.next.into_iter().map(Cause::from).collect(),
            steps: steps.collect(),
        })
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unclaimed => Self::plain(CauseKind::Unclaimed),
            Reason::Paused { by, reason, since, clock, held } => Self {
                by: Some(by.to_string()),
                reason: Some(reason),
                since: Some(since.into()),
                clock: Some(PauseClock::of_domain(clock)),
                held: Some(held),
                ..Self::plain(CauseKind::Paused)
            },
            Reason::Limit { limit, description, holders, ahead, next_start, since } => Self {
                limit: Some(limit.into()),
                limit_description: Some(description),
                holders: holders.into_iter().map(Holder::from).collect(),
                ahead: Some(count(ahead)),
                at: next_start.map(Into::into),
                since: since.map(Into::into),
                ..Self::plain(CauseKind::Limit)
            },
            Reason::Attempt { task, attempt, platform, since } => Self {
                task_id: Some(task.as_uuid()),
                attempt: Some(attempt),
                platform: Some(platform),
                since: since.map(Into::into),
                ..Self::plain(CauseKind::Attempt)
            },
            Reason::Retry { task, attempts, at, error } => Self {
                task_id: Some(task.as_uuid()),
                attempt: Some(attempts),
                at: Some(at.into()),
                error: Some(error),
                ..Self::plain(CauseKind::Retry)
            },
            Reason::Resting { task, passed_over, at } => Self {
                task_id: Some(task.as_uuid()),
                at: Some(at.into()),
                platform: passed_over.first().map(|first| first.platform.to_string()),
                reason: Some(listed(&passed_over)),
                ..Self::plain(CauseKind::Resting)
            },
            Reason::Items { running, done, total, one } => Self {
                running: Some(running),
                done: Some(done),
                total: Some(count(total)),
                inner: one.map(|one| Box::new(Self::from(*one))),
                ..Self::plain(CauseKind::Items)
            },
            Reason::Approval { step, approvers, agreed, quorum, since, expires_at } => Self {
                step: Some(step.into()),
                approvers,
                agreed: Some(count(agreed)),
                quorum: Some(quorum),
                since: since.map(Into::into),
                at: expires_at.map(Into::into),
                ..Self::plain(CauseKind::Approval)
            },
            Reason::Timer { step, at, since } => Self {
                step: Some(step.into()),
                at: Some(at.into()),
                since: since.map(Into::into),
                ..Self::plain(CauseKind::Timer)
            },
            Reason::Signal { step, signal, since } => Self {
                step: Some(step.into()),
                signal: Some(signal.into()),
                since: since.map(Into::into),
                ..Self::plain(CauseKind::Signal)
            },
            Reason::Child { step, run, status, since } => Self {
                step: Some(step.into()),
                run_id: Some(run.as_uuid()),
                run_status: RunStatus::of(status.name()).ok(),
                since: since.map(Into::into),
                ..Self::plain(CauseKind::Child)
            },
            Reason::Grace { until } => Self { at: Some(until.into()), ..Self::plain(CauseKind::Grace) },
            Reason::Undo { step, task } => Self {
                step: Some(step.into()),
                inner: Some(Box::new(Self::from(*task))),
                ..Self::plain(CauseKind::Undo)
            },
            Reason::Engine => Self::plain(CauseKind::Engine),
            Reason::Needs { steps } => {
                Self { steps: steps.into_iter().map(String::from).collect(), ..Self::plain(CauseKind::Needs) }
            }
            Reason::Failed { error } => Self { error: Some(error), ..Self::plain(CauseKind::Failed) },
            Reason::Skipped { reason } => Self { reason: Some(reason), ..Self::plain(CauseKind::Skipped) },
            Reason::NotReached => Self::plain(CauseKind::NotReached),
        }
    }
}

impl Cause {
    const fn plain(kind: CauseKind) -> Self {
        Self {
            kind,
            since: None,
            at: None,
            step: None,
            task_id: None,
            attempt: None,
            platform: None,
            error: None,
            steps: Vec::new(),
            by: None,
            reason: None,
            clock: None,
            held: None,
            limit: None,
            limit_description: None,
            holders: Vec::new(),
            ahead: None,
            running: None,
            done: None,
            total: None,
            approvers: Vec::new(),
            agreed: None,
            quorum: None,
            signal: None,
            run_id: None,
            run_status: None,
            inner: None,
        }
    }
}

impl From<domain::slots::Holder> for Holder {
    fn from(holder: domain::slots::Holder) -> Self {
        Self { run_id: holder.run.as_uuid(), task_id: holder.task.map(domain::TaskId::as_uuid) }
    }
}

/// Who was passed over and why, in one line.
fn listed(passed_over: &[domain::task::PassedOver]) -> String {
    let one = |one: &domain::task::PassedOver| match &one.model {
        Some(model) => format!("{}/{model}: {}", one.platform, one.reason),
        None => format!("{}: {}", one.platform, one.reason),
    };
    passed_over.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn count(number: usize) -> Count {
    Count(u64::try_from(number).unwrap_or(u64::MAX))
}
