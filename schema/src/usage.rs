//! What attempts have cost, rolled up.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use projections::{UsageFilter as Filter, UsageGroups, UsageRow};

use crate::failure;
use crate::scalar::{Count, DateTime, NanoUsd, Position};

/// By what usage is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum UsageDimension {
    /// The day in UTC on which the attempt started.
    Day,
    /// The department of the run's workflow.
    Department,
    /// The agent.
    Agent,
    /// The platform.
    Platform,
    /// The model.
    Model,
    /// The template.
    Template,
    /// The workflow.
    Workflow,
    /// Who started the run.
    Person,
}

/// Which attempts count; an empty filter counts all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct UsageFilter {
    /// Only those that started at or after this moment.
    from: Option<DateTime>,
    /// Only those that started before this moment.
    before: Option<DateTime>,
    /// Only of runs of this department's workflows.
    department: Option<String>,
    /// Only by the agent with this key.
    agent: Option<String>,
    /// Only on this platform.
    platform: Option<String>,
    /// Only by this model.
    model: Option<String>,
    /// Only with the template with this key.
    template: Option<String>,
    /// Only of runs of the workflow with this key.
    workflow: Option<String>,
    /// Only of runs that this actor started, as `kind:id`.
    person: Option<String>,
}

impl From<UsageFilter> for Filter {
    fn from(filter: UsageFilter) -> Self {
        let micros = |moment: DateTime| moment.0.as_micros();
        Self {
            from: filter.from.map(micros),
            before: filter.before.map(micros),
            department: filter.department,
            agent: filter.agent,
            platform: filter.platform,
            model: filter.model,
            template: filter.template,
            workflow: filter.workflow,
            person: filter.person,
        }
    }
}

/// The dimensions that are told apart.
pub(crate) fn groups(by: &[UsageDimension]) -> UsageGroups {
    let has = |dimension| by.contains(&dimension);
    UsageGroups {
        day: has(UsageDimension::Day),
        department: has(UsageDimension::Department),
        agent: has(UsageDimension::Agent),
        platform: has(UsageDimension::Platform),
        model: has(UsageDimension::Model),
        template: has(UsageDimension::Template),
        workflow: has(UsageDimension::Workflow),
        person: has(UsageDimension::Person),
    }
}

/// What attempts have cost, rolled up.
#[derive(Debug, SimpleObject)]
pub(crate) struct UsageReport {
    /// One entry for each group that has any attempts.
    pub(crate) groups: Vec<UsageGroup>,
    /// Whether there are more groups, which were left out.
    pub(crate) has_more: bool,
    /// All attempts that the filter hits together; null when there are none.
    pub(crate) total: Option<UsageGroup>,
    /// The journal's position that this reflects at least.
    pub(crate) position: Position,
}

/// What a group of attempts has cost. A dimension that is not told apart, or that they have none of, is null.
#[derive(Debug, SimpleObject)]
pub(crate) struct UsageGroup {
    /// The day in UTC, such as `2026-01-31`.
    day: Option<String>,
    /// The department.
    department: Option<String>,
    /// The agent's key.
    agent: Option<String>,
    /// The platform.
    platform: Option<String>,
    /// The model that answered, or that was asked for; empty where it was the platform's default and nothing came.
    model: Option<String>,
    /// The template's key.
    template: Option<String>,
    /// The workflow's key.
    workflow: Option<String>,
    /// Who started the runs, as `kind:id`.
    person: Option<String>,
    /// How many attempts.
    attempts: Count,
    /// How many of them succeeded.
    succeeded: Count,
    /// How many of them failed, or were lost.
    failed: Count,
    /// How many of them asked no model.
    simulated: Count,
    /// Of how many tasks they are.
    tasks: Count,
    /// The sum of all known costs.
    cost: NanoUsd,
    /// How many have ended with a cost that is not known, which is not free.
    unknown_costs: Count,
    /// All prompt tokens that were reported, cached ones included.
    input_tokens: Count,
    /// Of these, read from platforms' caches.
    cached_input_tokens: Count,
    /// All answer tokens that were reported, reasoning included.
    output_tokens: Count,
    /// Of these, spent on reasoning.
    reasoning_tokens: Count,
    /// How many were answered with a kept answer instead of a call; what platforms' own caches saved is told by the cached
    /// tokens.
    kept: Count,
    /// The sum of what is known to have been saved by that, at what the kept answers had cost.
    saved: NanoUsd,
    /// How many of them saved what nobody knows, because the cost of the kept answer is not known.
    unknown_savings: Count,
}

impl UsageGroup {
    pub(crate) fn of(row: UsageRow) -> Result<Self> {
        Ok(Self {
            day: row.day.map(day).transpose()?,
            department: row.department,
            agent: row.agent,
            platform: row.platform,
            model: row.model,
            template: row.template,
            workflow: row.workflow,
            person: row.person,
            attempts: Count::of(row.attempts),
            succeeded: Count::of(row.succeeded),
            failed: Count::of(row.failed),
            simulated: Count::of(row.simulated),
            tasks: Count::of(row.tasks),
            cost: NanoUsd(row.cost_nano_usd),
            unknown_costs: Count::of(row.unknown_costs),
            input_tokens: Count::of(row.input_tokens),
            cached_input_tokens: Count::of(row.cached_input_tokens),
            output_tokens: Count::of(row.output_tokens),
            reasoning_tokens: Count::of(row.reasoning_tokens),
            kept: Count::of(row.kept),
            saved: NanoUsd(row.saved_nano_usd),
            unknown_savings: Count::of(row.unknown_savings),
        })
    }
}

/// A day that is counted from 1970-01-01, as a date.
fn day(days: i64) -> Result<String> {
    let moment = days.checked_mul(86_400).and_then(|second| jiff::Timestamp::from_second(second).ok());
    let moment = moment.ok_or_else(|| failure::unreadable("day", &days.to_string()))?;
    Ok(moment.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}
