//! What waited for people.

use uuid::Uuid;

use super::Past;
use crate::queries::sorted;
use crate::{ApprovalFilter, ApprovalKey, ApprovalRow, Error, Page, Place, SortKey, Window};

fn tie(row: &ApprovalRow) -> (Uuid, String) {
    (row.run_id, row.step.clone())
}

impl Past {
    /// Approvals that waited for decisions, the one that was asked longest ago first, as [`crate::Queries::open_approvals`]
    /// gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many runs would have to be looked at, or the failure of database or journal.
    pub async fn open_approvals(
        &self,
        filter: &ApprovalFilter,
        window: &Window<(i64, Uuid, String)>,
    ) -> Result<Page<ApprovalRow>, Error> {
        let place = |(at, run, step): (i64, Uuid, String)| (SortKey::Number(at), (run, step));
        let asked = Window {
            after: window.after.clone().map(place),
            before: window.before.clone().map(place),
            limit: window.limit,
            from_end: window.from_end,
        };
        let rows = self.waiting(filter).await?.into_iter();
        let page = sorted(rows.map(|row| ((row.requested_at.into(), tie(&row)), row)).collect(), &asked);
        Ok(Page { rows: page.rows.into_iter().map(|(_, row)| row).collect(), has_more: page.has_more })
    }

    /// The same in another order, as [`crate::Queries::open_approvals_by`] gives them.
    ///
    /// # Errors
    /// As [`Self::open_approvals`].
    pub async fn open_approvals_by(
        &self,
        key: ApprovalKey,
        filter: &ApprovalFilter,
        window: &Window<Place<(Uuid, String)>>,
    ) -> Result<Page<(Place<(Uuid, String)>, ApprovalRow)>, Error> {
        let rows = self.waiting(filter).await?.into_iter();
        Ok(sorted(rows.map(|row| ((key.of(&row), tie(&row)), row)).collect(), window))
    }

    async fn waiting(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, Error> {
        let runs = self.queries.runs_that_asked(self.position, filter, Self::MAX_ENTRIES + 1).await?;
        if runs.len() > Self::MAX_ENTRIES {
            let most = Self::MAX_ENTRIES;
            return Err(self.too_much(format!("more than {most} runs may have waited for people, narrow the filter")));
        }
        let mut rows = self.approvals_of_runs(&runs).await?;
        rows.retain(|row| row.is_waiting() && filter.wants(row));
        Ok(rows)
    }
}
