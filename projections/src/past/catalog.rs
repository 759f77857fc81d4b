//! The catalogue and limits as they were.

use domain::{Category, StreamId};
use uuid::Uuid;

use super::Past;
use crate::catalog::Entries;
use crate::queries::{Shelf, sorted};
use crate::{
    AgentRow, AgentVersionRow, CatalogFilter, CatalogKey, Error, LimitFilter, LimitRow, Page, Place, SortKey,
    TemplateRow, TemplateVersionRow, Window, WorkflowRow, WorkflowVersionRow,
};

impl Past {
    async fn entries(&self, category: Category, ids: &[Uuid]) -> Result<Entries, Error> {
        let streams: Vec<_> = ids.iter().map(|id| StreamId { category, id: *id }).collect();
        let events = self.read(&streams, self.position).await?;
        Entries::of(&events).map_err(|error| self.unreadable(&error))
    }

    /// A page of a list by key; `rows` takes the wanted ones of these entries, which are in no particular order.
    async fn listed<R>(
        &self,
        shelf: Shelf,
        window: &Window<String>,
        key: impl Fn(&R) -> &str,
        rows: impl Fn(Entries) -> Vec<R>,
    ) -> Result<Page<R>, Error> {
        let wanted = usize::try_from(window.limit).unwrap_or(usize::MAX).saturating_add(1);
        let mut look = Window { limit: Self::CHUNK, ..window.clone() };
        let (mut found, mut looked) = (Vec::new(), 0);
        while found.len() < wanted {
            let known = self.queries.shelf(shelf, &look).await?;
            let ids: Vec<Uuid> = known.iter().map(|(id, _)| *id).collect();
            let mut page = rows(self.entries(shelf.category(), &ids).await?);
            // In the order in which the read model lists them.
            page.sort_by_cached_key(|row| known.iter().position(|(_, of)| of == key(row)));
            found.extend(page);
            looked += known.len();
            match known.last() {
                Some((_, last)) if known.len() >= usize::try_from(look.limit).unwrap_or(usize::MAX) => {
                    let last = Some(last.clone());
                    if look.from_end { look.before = last } else { look.after = last }
                }
                _ => break,
            }
            if looked >= Self::MAX_ENTRIES && found.len() < wanted {
                return Err(self.too_much(format!("{looked} entries were looked at, narrow the filter")));
            }
        }
        Ok(Page::cut(found, window))
    }

    /// A page of all that is wanted, in another order.
    async fn resorted<R>(
        &self,
        shelf: Shelf,
        descends: bool,
        window: &Window<Place>,
        place: impl Fn(&R) -> Place,
        key: impl Fn(&R) -> &str,
        rows: impl Fn(Entries) -> Vec<R>,
    ) -> Result<Page<(Place, R)>, Error> {
        let most = u32::try_from(Self::MAX_ENTRIES).unwrap_or(u32::MAX);
        let all = self.listed(shelf, &Window::first(most), key, rows).await?;
        if all.has_more {
            return Err(self.too_much(format!("more than {most} entries would have to be sorted, narrow the filter")));
        }
        let rows = all.rows.into_iter().map(|row| (place(&row), row)).collect();
        Ok(sorted(rows, &window.turned(descends)).turned(descends))
    }

    /// Workflows in another order than by key, as [`crate::Queries::workflows_by`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be sorted, or the failure of database or journal.
    pub async fn workflows_by(
        &self,
        by: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, WorkflowRow)>, Error> {
        let rows = |entries: Entries| {
            let rows = entries.workflows.into_iter();
            rows.filter(|row| filter.wants_workflow(row)).collect()
        };
        let place = |row: &WorkflowRow| (by.of_workflow(row), row.id);
        self.resorted(Shelf::Workflows, by.descends(), window, place, |row| &row.key, rows).await
    }

    /// Agents in another order than by key, as [`crate::Queries::agents_by`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be sorted, or the failure of database or journal.
    pub async fn agents_by(
        &self,
        by: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, AgentRow)>, Error> {
        let rows = |entries: Entries| entries.agents.into_iter().filter(|row| filter.wants_agent(row)).collect();
        let place = |row: &AgentRow| (by.of_agent(row), row.id);
        self.resorted(Shelf::Agents, by.descends(), window, place, |row| &row.key, rows).await
    }

    /// Templates in another order than by key, as [`crate::Queries::templates_by`] gives them.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be sorted, or the failure of database or journal.
    pub async fn templates_by(
        &self,
        by: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, TemplateRow)>, Error> {
        let rows = |entries: Entries| entries.templates.into_iter().filter(|row| filter.wants_template(row)).collect();
        let place = |row: &TemplateRow| (by.of_template(row), row.id);
        self.resorted(Shelf::Templates, by.descends(), window, place, |row| &row.key, rows).await
    }

    /// Workflows, by key.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at, or the failure of database or journal.
    pub async fn workflows(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<WorkflowRow>, Error> {
        let rows = |entries: Entries| {
            let rows = entries.workflows.into_iter();
            rows.filter(|row| filter.wants_workflow(row)).collect()
        };
        self.listed(Shelf::Workflows, window, |row: &WorkflowRow| &row.key, rows).await
    }

    /// Agents, by key.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at, or the failure of database or journal.
    pub async fn agents(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<AgentRow>, Error> {
        let rows = |entries: Entries| entries.agents.into_iter().filter(|row| filter.wants_agent(row)).collect();
        self.listed(Shelf::Agents, window, |row: &AgentRow| &row.key, rows).await
    }

    /// Templates, by key.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at, or the failure of database or journal.
    pub async fn templates(&self, filter: &CatalogFilter, window: &Window<String>) -> Result<Page<TemplateRow>, Error> {
        let rows = |entries: Entries| entries.templates.into_iter().filter(|row| filter.wants_template(row)).collect();
        self.listed(Shelf::Templates, window, |row: &TemplateRow| &row.key, rows).await
    }

    /// All limits that were in force.
    async fn limits_in_force(&self, filter: &LimitFilter) -> Result<Vec<LimitRow>, Error> {
        let known = self.queries.limits_ever(Self::MAX_ENTRIES).await?;
        if known.len() >= Self::MAX_ENTRIES {
            return Err(self.too_much(format!("there are more than {} limits", Self::MAX_ENTRIES)));
        }
        let mut rows = self.limits_by_ids(&known).await?;
        rows.retain(|row| row.removed_at.is_none() && filter.wants(row));
        Ok(rows)
    }

    /// Limits that were in force, by key.
    ///
    /// # Errors
    /// [`Error::TooMuchPast`] when too many would have to be looked at, or the failure of database or journal.
    pub async fn limits(&self, filter: &LimitFilter, window: &Window<String>) -> Result<Page<LimitRow>, Error> {
        let mut rows = self.limits_in_force(filter).await?;
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        let before = |row: &LimitRow| window.before.as_ref().is_none_or(|before| row.key < *before);
        let after = |row: &LimitRow| window.after.as_ref().is_none_or(|after| row.key > *after);
        rows.retain(|row| before(row) && after(row));
        if window.from_end {
            rows.reverse();
        }
        Ok(Page::cut(rows, window))
    }

    /// Limits that were in force by when they were set, the latest first.
    ///
    /// # Errors
    /// As [`Self::limits`].
    pub async fn limits_by_time(
        &self,
        filter: &LimitFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, LimitRow)>, Error> {
        let rows = self.limits_in_force(filter).await?;
        let rows = rows.into_iter().map(|row| ((SortKey::Number(row.set_at), row.id), row)).collect();
        Ok(sorted(rows, &window.turned(true)).turned(true))
    }

    /// Limits by their ids, in no particular order, those included that had been taken away.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn limits_by_ids(&self, ids: &[Uuid]) -> Result<Vec<LimitRow>, Error> {
        let streams: Vec<_> = ids.iter().map(|id| StreamId { category: Category::Limit, id: *id }).collect();
        let events = self.read(&streams, self.position).await?;
        crate::flow::limits(&events).map_err(|error| self.unreadable(&error))
    }

    /// Workflows by their ids, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn workflows_by_ids(&self, ids: &[Uuid]) -> Result<Vec<WorkflowRow>, Error> {
        Ok(self.entries(Category::Workflow, ids).await?.workflows)
    }

    /// All versions of workflows, by workflow, newest first.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn workflow_versions(&self, workflows: &[Uuid]) -> Result<Vec<WorkflowVersionRow>, Error> {
        Ok(self.entries(Category::Workflow, workflows).await?.workflow_versions)
    }

    /// Agents by their ids, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn agents_by_ids(&self, ids: &[Uuid]) -> Result<Vec<AgentRow>, Error> {
        Ok(self.entries(Category::Agent, ids).await?.agents)
    }

    /// All versions of agents, by agent, newest first.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn agent_versions(&self, agents: &[Uuid]) -> Result<Vec<AgentVersionRow>, Error> {
        Ok(self.entries(Category::Agent, agents).await?.agent_versions)
    }

    /// Templates by their ids, in no particular order; those that there were not yet are left out.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn templates_by_ids(&self, ids: &[Uuid]) -> Result<Vec<TemplateRow>, Error> {
        Ok(self.entries(Category::Template, ids).await?.templates)
    }

    /// All versions of templates, by template, newest first.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn template_versions(&self, templates: &[Uuid]) -> Result<Vec<TemplateVersionRow>, Error> {
        Ok(self.entries(Category::Template, templates).await?.template_versions)
    }
}
