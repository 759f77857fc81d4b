//! What attempts had cost, and how all had done who did the work: sums over everything.
//!
//! Tasks are folded some at a time and forgotten: what is held is the sums, not the events.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Past;
use crate::queries::UsageOrigin;
use crate::rows::MetricsSums;
use crate::usage::{Spent, spent};
use crate::{Error, MetricsKey, MetricsOf, MetricsRow, UsageFilter, UsageGroups, UsageKey, UsageRow};

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;
/// How many tasks are folded at a time.
pub(super) const TASKS: usize = 500;

/// What a group is told apart by. As in SQL, what is not told apart comes last.
type Dimensions = ((bool, Option<i64>), [(bool, Option<String>); 7]);

impl Past {
    /// What attempts had cost, rolled up, as [`crate::Queries::usage`] gives it.
    ///
    /// # Errors
    /// As [`Past::usage_and_total`].
    pub async fn usage(
        &self,
        groups: UsageGroups,
        filter: &UsageFilter,
        key: UsageKey,
        reversed: bool,
        limit: u32,
    ) -> Result<Vec<UsageRow>, Error> {
        Ok(self.usage_and_total(groups, filter, key, reversed, limit).await?.0)
    }

    /// The same, and all attempts that the filter hits together; nothing when there were none.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many tasks would have to be looked at, or the failure of database or journal.
    pub async fn usage_and_total(
        &self,
        groups: UsageGroups,
        filter: &UsageFilter,
        key: UsageKey,
        reversed: bool,
        limit: u32,
    ) -> Result<(Vec<UsageRow>, Option<UsageRow>), Error> {
        let mut rolled_up: BTreeMap<Dimensions, UsageRow> = BTreeMap::new();
        let mut total = UsageRow::default();
        let origins = self.queries.usage_origins(self.position, filter, Self::MAX_TASKS + 1).await?;
        if origins.len() > Self::MAX_TASKS {
            return Err(self.too_much(format!("attempts of more than {} tasks, narrow the filter", Self::MAX_TASKS)));
        }
        for some in origins.chunks(TASKS) {
            let tasks: BTreeSet<Uuid> = some.iter().map(|origin| origin.task).collect();
            let origins: HashMap<Uuid, &UsageOrigin> = some.iter().map(|origin| (origin.task, origin)).collect();
            let spent = spent(&self.events_of_tasks(&tasks).await?).map_err(|error| self.unreadable(&error))?;
            // A task counts once in each group that it has attempts in.
            let mut counted: BTreeSet<(Uuid, Dimensions)> = BTreeSet::new();
            let mut counted_in_all: BTreeSet<Uuid> = BTreeSet::new();
            for Spent { task, started_at, platform, model, sums } in spent {
                let Some(origin) = origins.get(&task) else { continue };
                if !wanted(filter, started_at, &platform, &model) {
                    continue;
                }
                let told = row(groups, origin, started_at, platform, model);
                let dimensions = dimensions(&told);
                let group = rolled_up.entry(dimensions.clone()).or_insert(told);
                group.add(&sums);
                group.tasks += i64::from(counted.insert((task, dimensions)));
                total.add(&sums);
                total.tasks += i64::from(counted_in_all.insert(task));
            }
        }
        let mut rows: Vec<UsageRow> = rolled_up.into_values().collect();
        // They come by their dimensions; of those with the same value they stay so, unless that is the order that is turned.
        match (key, reversed) {
            (UsageKey::Group, false) => {}
            (UsageKey::Group, true) => rows.reverse(),
            (_, false) => rows.sort_by_key(|row| std::cmp::Reverse(key.of(row))),
            (_, true) => rows.sort_by_key(|row| key.of(row)),
        }
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok((rows, Some(total).filter(|total| total.attempts > 0)))
    }

    /// How all agents or all templates had done that had tasks, in an order, as [`crate::Queries::metrics_of_all`] gives it.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when there were too many tasks, or the failure of database or journal.
    pub async fn metrics_of_all(
        &self,
        of: MetricsOf,
        from: Option<i64>,
        key: MetricsKey,
        limit: u32,
    ) -> Result<Vec<MetricsRow>, Error> {
        let mut sums: BTreeMap<Uuid, MetricsSums> = BTreeMap::new();
        let tasks = self.queries.tasks_since(self.position, from, Self::MAX_TASKS + 1).await?;
        for some in self.few(tasks)?.chunks(TASKS) {
            for work in self.works(some).await? {
                let subject = match of {
                    MetricsOf::Agents => work.agent,
                    MetricsOf::Templates => Some(work.template),
                };
                if let Some(subject) = subject
                    && from.is_none_or(|from| work.day >= from)
                {
                    sums.entry(subject).or_default().add(&work.sums);
                }
            }
        }
        let subjects: Vec<Uuid> = sums.keys().copied().collect();
        let named = self.queries.names_of(of, &subjects).await?;
        let mut rows: Vec<(Uuid, String, MetricsSums)> =
            named.into_iter().filter_map(|(subject, name)| Some((subject, name, sums.remove(&subject)?))).collect();
        rows.sort_by(|one, other| -> Ordering {
            key.order((&one.2, one.1.as_str(), one.0), (&other.2, other.1.as_str(), other.0))
        });
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows.into_iter().map(|(subject, name, sums)| sums.of(subject, name)).collect())
    }
}

/// Whether an attempt is wanted, as far as its task alone does not say that.
fn wanted(filter: &UsageFilter, started_at: i64, platform: &str, model: &str) -> bool {
    filter.from.is_none_or(|from| started_at >= from)
        && filter.before.is_none_or(|before| started_at < before)
        && filter.platform.as_deref().is_none_or(|wanted| wanted == platform)
        && filter.model.as_deref().is_none_or(|wanted| wanted == model)
}

/// The group of an attempt, with nothing in it.
fn row(groups: UsageGroups, origin: &UsageOrigin, started_at: i64, platform: String, model: String) -> UsageRow {
    let told = |apart: bool, value: &Option<String>| value.clone().filter(|_| apart);
    UsageRow {
        // As in SQL, which cuts towards zero.
        day: groups.day.then_some(started_at / DAY),
        department: told(groups.department, &origin.department),
        agent: told(groups.agent, &origin.agent),
        platform: groups.platform.then_some(platform),
        model: groups.model.then_some(model),
        template: told(groups.template, &origin.template),
        workflow: told(groups.workflow, &origin.workflow),
        person: told(groups.person, &origin.person),
        ..UsageRow::default()
    }
}

fn dimensions(row: &UsageRow) -> Dimensions {
    let UsageRow { day, department, agent, platform, model, template, workflow, person, .. } = row;
    let names = [department, agent, platform, model, template, workflow, person];
    ((day.is_none(), *day), names.map(|name| (name.is_none(), name.clone())))
}
