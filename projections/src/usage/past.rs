//! What tasks have brought in memory: what the tables would hold of them if the journal ended with the last event given.

use std::sync::Arc;

use journal::RecordedEvent;
use uuid::Uuid;

use super::fold;
use crate::UsageRow;
use crate::projector::ApplyError;
use crate::rows::MetricsSums;

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

/// What one task has brought.
#[derive(Debug)]
pub(crate) struct Work {
    /// The run that it was created in.
    pub(crate) run: Option<Uuid>,
    /// Its template.
    pub(crate) template: Uuid,
    /// The agent that has it.
    pub(crate) agent: Option<Uuid>,
    /// On which day it was created, counted from 1970-01-01.
    pub(crate) day: i64,
    /// What it adds to the metrics of its agent and of its template.
    pub(crate) sums: MetricsSums,
}

/// Tasks, from all events of their streams; those that there were not yet are left out.
pub(crate) fn works(events: &[Arc<RecordedEvent>]) -> Result<Vec<Work>, ApplyError> {
    let fold = fold::fold(events)?;
    let works = fold.tasks.iter().map(|(id, created)| {
        let mut sums = MetricsSums { total: 1, last_task_at: Some(created.at), ..MetricsSums::default() };
        let end = fold.ended.get(id);
        match end.map(|end| end.status) {
            Some("completed") => {
                sums.completed = 1;
                sums.elapsed = end.map_or(0, |end| end.at - created.at);
            }
            Some("failed") => sums.failed = 1,
            Some("cancelled") => sums.cancelled = 1,
            _ => {}
        }
        let mark = fold.marks.get(id).copied().or(end.and_then(|end| end.quality));
        sums.quality = mark.map_or(0, i64::from);
        sums.rated = i64::from(mark.is_some());
        for attempt in fold.attempts.range((*id, 0)..=(*id, i32::MAX)).map(|(_, attempt)| attempt) {
            let succeeded = attempt.status == Some("succeeded");
            sums.simulated += i64::from(attempt.simulated);
            sums.cost += attempt.cost.unwrap_or(0);
            sums.unknown_costs += i64::from(attempt.cost.is_none() && attempt.status != Some("running"));
            sums.input_tokens += attempt.input_tokens.unwrap_or(0);
            sums.output_tokens += attempt.output_tokens.unwrap_or(0);
            if succeeded {
                sums.answers += 1;
                sums.duration_ms += attempt.duration_ms.unwrap_or(0);
                sums.answer_cost += attempt.cost.unwrap_or(0);
                sums.priced_answers += i64::from(attempt.cost.is_some());
            }
        }
        let agent = fold.assigned.get(id).copied();
        let (run, template, day) = (created.run, created.template, created.at.div_euclid(DAY));
        Work { run, template, agent, day, sums }
    });
    Ok(works.collect())
}

/// What one attempt has cost.
#[derive(Debug)]
pub(crate) struct Spent {
    /// Its task.
    pub(crate) task: Uuid,
    /// When it started.
    pub(crate) started_at: i64,
    /// The platform.
    pub(crate) platform: String,
    /// The one that answered, else the one that was asked for.
    pub(crate) model: String,
    /// What it adds to what is rolled up. No dimension is told apart, and its task is not counted.
    pub(crate) sums: UsageRow,
}

/// Attempts by task, from all events of the tasks' streams; those that had not started yet are left out.
pub(crate) fn spent(events: &[Arc<RecordedEvent>]) -> Result<Vec<Spent>, ApplyError> {
    let fold = fold::fold(events)?;
    let spent = fold.attempts.iter().filter_map(|((task, _), attempt)| {
        let is = |status: &str| attempt.status == Some(status);
        let serves = attempt.kept && is("succeeded");
        let sums = UsageRow {
            attempts: 1,
            succeeded: i64::from(is("succeeded")),
            failed: i64::from(is("failed") || is("lost")),
            simulated: i64::from(attempt.simulated),
            cost_nano_usd: attempt.cost.unwrap_or(0),
            unknown_costs: i64::from(attempt.cost.is_none() && !is("running")),
            input_tokens: attempt.input_tokens.unwrap_or(0),
            cached_input_tokens: attempt.cached_input_tokens.unwrap_or(0),
            output_tokens: attempt.output_tokens.unwrap_or(0),
            reasoning_tokens: attempt.reasoning_tokens.unwrap_or(0),
            kept: i64::from(serves),
            saved_nano_usd: attempt.saved.filter(|_| is("succeeded")).unwrap_or(0),
            unknown_savings: i64::from(serves && attempt.saved.is_none()),
            ..UsageRow::default()
        };
        Some(Spent {
            task: *task,
            started_at: attempt.started_at?,
            platform: attempt.platform.unwrap_or_default().to_owned(),
            model: attempt.model.as_deref().unwrap_or_default().to_owned(),
            sums,
        })
    });
    Ok(spent.collect())
}
