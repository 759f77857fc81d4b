//! The catalogue's lists in other orders than by key. They are not long, so one statement knows every order.

use domain::Capability;
use uuid::Uuid;

use super::order::{CatalogKey, Place, SortKey, attach, placed};
use super::{CatalogFilter, Page, Queries, Window};
use crate::{AgentRow, Error, TemplateRow, WorkflowRow};

/// Reads the places of a list of `$table`, whose names are in `$name`, and of which `$of_its_own` is asked of `$11` too.
macro_rules! shelf {
    ($self:ident, $key:ident, $filter:ident, $asked:ident, $table:literal, $name:literal, $of_its_own:literal,
        $($arg:expr),*) => {{
        let text = $filter.text.as_ref().map(|text| text.to_lowercase());
        macro_rules! page {
            ($sort:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT s.id AS \"id!\", s.sort AS \"key!\" FROM (
                        SELECT id, CASE $1 WHEN 'name' THEN lower(" + $name + ") WHEN 'department' THEN department
                            WHEN 'created' THEN lpad(created_at::text, 20, '0')
                            ELSE lpad(updated_at::text, 20, '0') END COLLATE \"C\" AS sort
                        FROM read_catalog." + $table + "
                        WHERE ($2::text IS NULL OR strpos(key, $2) > 0 OR strpos(lower(" + $name + "), $2) > 0
                            OR strpos(lower(" + $name + "_ar), $2) > 0)
                        AND ($3::text IS NULL OR department = $3) AND ($4::text IS NULL OR $4 = ANY(tags))
                        AND " + $of_its_own + "
                    ) AS s WHERE (" + $sort + ", s.id) > ($5::" + $type + ", $6::uuid)
                        AND (" + $sort + ", s.id) < ($7::" + $type + ", $8::uuid)
                    ORDER BY " + $sort + $desc + ", s.id" + $desc + " LIMIT $9",
                    $key.name(),
                    text.as_deref(),
                    $filter.department.as_deref(),
                    $filter.tag.as_deref(),
                    $lower.0,
                    $lower.1,
                    $upper.0,
                    $upper.1,
                    $asked.probe(),
                    $($arg),*
                )
                .map(|row| (SortKey::from(row.key), row.id))
                .fetch_all(&$self.pool)
                .await?
            };
        }
        let found = placed!($asked, Uuid::nil(), Uuid::max(), page, text "s.sort");
        Page::cut(found, &$asked).turned($key.descends())
    }};
}

fn ids(page: &Page<Place>) -> Vec<Uuid> {
    page.rows.iter().map(|(_, id)| *id).collect()
}

impl Queries {
    /// Workflows in another order than by key, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflows_by(
        &self,
        key: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, WorkflowRow)>, Error> {
        let asked = window.turned(key.descends());
        let found = shelf!(
            self,
            key,
            filter,
            asked,
            "workflows",
            "name",
            "($10::boolean IS NULL OR (active_version IS NOT NULL) = $10)",
            filter.active
        );
        let rows = self.workflows_by_ids(&ids(&found)).await?;
        Ok(attach(found, rows, |row| row.id))
    }

    /// Agents in another order than by key, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agents_by(
        &self,
        key: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, AgentRow)>, Error> {
        let asked = window.turned(key.descends());
        let found = shelf!(
            self,
            key,
            filter,
            asked,
            "agents",
            "name",
            "($10::boolean IS NULL OR enabled = $10) AND ($11::text IS NULL OR $11 = ANY(capabilities))",
            filter.active,
            filter.capability.map(Capability::name)
        );
        let rows = self.agents_by_ids(&ids(&found)).await?;
        Ok(attach(found, rows, |row| row.id))
    }

    /// Templates in another order than by key, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn templates_by(
        &self,
        key: CatalogKey,
        filter: &CatalogFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, TemplateRow)>, Error> {
        let asked = window.turned(key.descends());
        let found = shelf!(
            self,
            key,
            filter,
            asked,
            "templates",
            "title",
            "($10::text IS NULL OR capability = $10)",
            filter.capability.map(Capability::name)
        );
        let rows = self.templates_by_ids(&ids(&found)).await?;
        Ok(attach(found, rows, |row| row.id))
    }
}
