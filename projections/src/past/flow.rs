//! Who had slots of limits, who waited for one, and what was held.
//!
//! Where slots were ever given follows from the read model, and from what runs and tasks said that they need; who had one is
//! folded from the stream of the slots.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Category, Event, RunEvent, StreamId, TaskEvent};
use uuid::Uuid;

use super::Past;
use crate::queries::sorted;
use crate::{Error, HoldFilter, HoldKey, HoldRow, Page, Place, SeatRow, SlotsRow, Window};

impl Past {
    /// How many had a slot of these limits or waited for one, as [`crate::Queries::slots_of_limits`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at, or the failure of database or journal.
    pub async fn slots_of_limits(&self, keys: &[String]) -> Result<Vec<SlotsRow>, Error> {
        let known = self.queries.slots_ever(keys, Self::MAX_ENTRIES + 1).await?;
        if known.len() > Self::MAX_ENTRIES {
            let most = Self::MAX_ENTRIES;
            return Err(self.too_much(format!("limits that were counted apart for more than {most} values")));
        }
        // As in SQL, what is not counted apart comes last.
        let mut groups: BTreeMap<(String, bool, Option<String>, Uuid), SlotsRow> = BTreeMap::new();
        for seat in self.seats(&known).await? {
            let SeatRow { slots_id, limit_key, partition, granted_at, .. } = seat;
            let key = (limit_key.clone(), partition.is_none(), partition.clone(), slots_id);
            let new = SlotsRow { limit_key, slots_id, partition, running: 0, waiting: 0 };
            let row = groups.entry(key).or_insert(new);
            if granted_at.is_some() {
                row.running += 1;
            } else {
                row.waiting += 1;
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Who had one of these slots, and who waited, as [`crate::Queries::seats_of_slots`] gives them.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn seats_of_slots(&self, slots: &[Uuid], limit: u32) -> Result<Vec<SeatRow>, Error> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows = self.seats(slots).await?;
        rows.sort_by_key(|row| {
            let waits = row.granted_at.is_none();
            (row.slots_id, waits, row.granted_at.unwrap_or(row.requested_at), row.run_id, row.task_id)
        });
        let mut shown: BTreeMap<(Uuid, bool), usize> = BTreeMap::new();
        rows.retain(|row| {
            let count = shown.entry((row.slots_id, row.granted_at.is_some())).or_default();
            *count += 1;
            *count <= most
        });
        Ok(rows)
    }

    /// The slots that runs and their tasks had or waited for, by run.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when the runs have too many tasks, or the failure of database or journal.
    pub async fn seats_of_runs(&self, runs: &[Uuid]) -> Result<Vec<SeatRow>, Error> {
        let tasks = self.task_ids_of_runs(runs).await?;
        let of = |category: Category, ids: &[Uuid]| -> Vec<StreamId> {
            ids.iter().map(|id| StreamId { category, id: *id }).collect()
        };
        let mut streams = of(Category::Run, runs);
        streams.extend(of(Category::Task, &tasks));
        let mut needed = BTreeSet::new();
        for recorded in self.read(&streams, self.position).await? {
            let event = recorded.event().map_err(|error| self.damaged(&error))?;
            if let Event::Run(RunEvent::Queued { slots, .. }) | Event::Task(TaskEvent::Queued { slots }) = event {
                needed.extend(slots.iter().map(|need| need.slots.as_uuid()));
            }
        }
        let mut rows = self.seats(&needed.into_iter().collect::<Vec<_>>()).await?;
        rows.retain(|row| runs.contains(&row.run_id));
        rows.sort_by(|one, other| {
            let key = |row: &SeatRow| (row.run_id, row.requested_at);
            let rest = |row: &SeatRow| (row.slots_id, row.task_id);
            (key(one), &one.limit_key, rest(one)).cmp(&(key(other), &other.limit_key, rest(other)))
        });
        Ok(rows)
    }

    /// Times during which everything or a workflow was held, the latest first, as [`crate::Queries::holds`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many holds or events would have to be looked at, or the failure of database or journal.
    pub async fn holds(&self, filter: &HoldFilter, window: &Window<(i64, Uuid, i64)>) -> Result<Page<HoldRow>, Error> {
        let rows = self.held(filter).await?.into_iter();
        let placed = rows.map(|row| ((row.placed_at, row.hold_id, row.number), row)).collect();
        let page = sorted(placed, &window.turned(true)).turned(true);
        Ok(Page { rows: page.rows.into_iter().map(|(_, row)| row).collect(), has_more: page.has_more })
    }

    /// The same in another order, as [`crate::Queries::holds_by`] gives them.
    ///
    /// # Errors
    /// As [`Self::holds`].
    pub async fn holds_by(
        &self,
        key: HoldKey,
        filter: &HoldFilter,
        window: &Window<Place<(Uuid, i64)>>,
    ) -> Result<Page<(Place<(Uuid, i64)>, HoldRow)>, Error> {
        let rows = self.held(filter).await?.into_iter();
        let placed = rows.map(|row| ((key.of(&row), (row.hold_id, row.number)), row)).collect();
        Ok(sorted(placed, &window.turned(key.descends())).turned(key.descends()))
    }

    /// Times of holds by the hold's id and their number there, in no particular order; those that there were not yet are left
    /// out.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn holds_by_ids(&self, ids: &[(Uuid, i64)]) -> Result<Vec<HoldRow>, Error> {
        let holds: BTreeSet<Uuid> = ids.iter().map(|(hold, _)| *hold).collect();
        let mut rows = self.times_of_holds(holds).await?;
        rows.retain(|row| ids.contains(&(row.hold_id, row.number)));
        Ok(rows)
    }

    /// All wanted times of holds.
    async fn held(&self, filter: &HoldFilter) -> Result<Vec<HoldRow>, Error> {
        let holds = self.queries.holds_ever(filter.workflow_key.as_deref(), Self::MAX_ENTRIES + 1).await?;
        if holds.len() > Self::MAX_ENTRIES {
            return Err(self.too_much(format!("holds of more than {} workflows, name one", Self::MAX_ENTRIES)));
        }
        let mut rows = self.times_of_holds(holds).await?;
        rows.retain(|row| filter.wants(row));
        Ok(rows)
    }

    async fn times_of_holds(&self, holds: impl IntoIterator<Item = Uuid>) -> Result<Vec<HoldRow>, Error> {
        let streams: Vec<_> = holds.into_iter().map(|id| StreamId { category: Category::Hold, id }).collect();
        let events = self.read(&streams, self.position).await?;
        crate::flow::holds(&events).map_err(|error| self.unreadable(&error))
    }

    /// Everybody who had one of some slots or waited for it.
    async fn seats(&self, slots: &[Uuid]) -> Result<Vec<SeatRow>, Error> {
        let slots: BTreeSet<Uuid> = slots.iter().copied().collect();
        let streams: Vec<_> = slots.into_iter().map(|id| StreamId { category: Category::Slots, id }).collect();
        let events = self.read(&streams, self.position).await?;
        crate::flow::seats(&events).map_err(|error| self.unreadable(&error))
    }
}
