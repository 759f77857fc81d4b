//! Action items.

use domain::action::{ActionState, day_of};
use journal::Position;
use uuid::Uuid;

use super::order::{ActionKey, Place, SortKey, attach, placed};
use super::{Page, Queries, Window};
use crate::{ActionRow, Error, projector};

/// Which action items are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionFilter {
    /// Only in one of these states; empty means any.
    pub states: Vec<String>,
    /// Only of this owner, whatever the case.
    pub owner: Option<String>,
    /// Only of this run.
    pub run_id: Option<Uuid>,
    /// Only of runs of the workflow with this key.
    pub workflow_key: Option<String>,
    /// Only those that are not settled and were due before this day, counted from 1970-01-01.
    pub overdue_on: Option<i64>,
    /// Only with this text in what has to be done or in the note, whatever the case.
    pub text: Option<String>,
}

impl ActionFilter {
    /// Whether an item is wanted; the same as the conditions in SQL.
    #[must_use]
    pub fn wants(&self, row: &ActionRow) -> bool {
        let settled = ActionState::of(&row.state).is_none_or(ActionState::is_settled);
        let overdue = |day: i64| !settled && row.due_day.is_some_and(|due| due < day);
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        let says = |text: &String| {
            let within = |said: &String| said.to_lowercase().contains(text);
            within(&row.what) || row.note.as_ref().is_some_and(within)
        };
        let own = |owner: &String| row.owner.as_ref().is_some_and(|own| own.to_lowercase() == owner.to_lowercase());
        (self.states.is_empty() || self.states.contains(&row.state))
            && self.owner.as_ref().is_none_or(own)
            && self.run_id.is_none_or(|run| run == row.run_id)
            && self.workflow_key.as_ref().is_none_or(|key| *key == row.workflow_key)
            && self.overdue_on.is_none_or(overdue)
            && text.as_ref().is_none_or(says)
    }
}

/// Reads action items as they were when they came to be.
macro_rules! opened {
    ($pool:expr, $tail:literal $(+ $more:literal)*, $($arg:expr),*) => {{
        let rows = sqlx::query!(
            r#"SELECT a.task_id, a.number, a.run_id, a.workflow_key, a.steps, a.what, a.priority, a.asked_owner,
                a.asked_due, a.opened_at, a.opened_position
            FROM read_actions.action_items a WHERE "# + $tail $(+ $more)*,
            $($arg),*
        );
        let rows = rows.fetch_all($pool).await?.into_iter().map(|row| ActionRow {
            task_id: row.task_id,
            number: row.number,
            run_id: row.run_id,
            workflow_key: row.workflow_key,
            steps: row.steps,
            what: row.what,
            priority: row.priority,
            state: ActionState::Open.name().to_owned(),
            due_day: row.asked_due.as_deref().and_then(day_of),
            owner: row.asked_owner,
            due: row.asked_due,
            note: None,
            opened_at: row.opened_at,
            changed_at: row.opened_at,
            changed_by: None,
            position: row.opened_position,
        });
        rows.collect::<Vec<_>>()
    }};
}

impl Queries {
    /// Action items that had come to be by a position, as they were then, in their usual order or from its end
    /// backwards; of the filter only what never changes counts.
    pub(crate) async fn actions_opened_by(
        &self,
        position: Position,
        filter: &ActionFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Vec<ActionRow>, Error> {
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                opened!(
                    &self.pool,
                    "a.opened_position <= $1 AND ($2::uuid IS NULL OR a.run_id = $2)
                        AND ($3::text IS NULL OR a.workflow_key = $3)
                        AND ("
                        + $key
                        + ", a.task_id, a.number) > ($4::"
                        + $type
                        + ", $5::uuid, $6::integer)
                        AND ("
                        + $key
                        + ", a.task_id, a.number) < ($7::"
                        + $type
                        + ", $8::uuid, $9::integer)
                    ORDER BY "
                        + $key
                        + $desc
                        + ", a.task_id"
                        + $desc
                        + ", a.number"
                        + $desc
                        + " LIMIT $10",
                    projector::number(position),
                    filter.run_id,
                    filter.workflow_key.as_deref(),
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    i64::from(window.limit)
                )
            };
        }
        Ok(placed!(window, (Uuid::nil(), 0), (Uuid::max(), i32::MAX), page, number "-a.opened_at"))
    }

    /// The same by their tasks and numbers, in no particular order.
    pub(crate) async fn actions_opened(
        &self,
        position: Position,
        ids: &[(Uuid, i32)],
    ) -> Result<Vec<ActionRow>, Error> {
        let (tasks, numbers): (Vec<Uuid>, Vec<i32>) = ids.iter().copied().unzip();
        Ok(opened!(
            &self.pool,
            "a.opened_position <= $1 AND (a.task_id, a.number) IN (SELECT * FROM unnest($2::uuid[], $3::integer[]))",
            projector::number(position),
            &tasks,
            &numbers
        ))
    }

    /// The same by their runs, in the order of [`Self::actions_of_runs`].
    pub(crate) async fn actions_opened_of_runs(
        &self,
        position: Position,
        runs: &[Uuid],
    ) -> Result<Vec<ActionRow>, Error> {
        Ok(opened!(
            &self.pool,
            "a.opened_position <= $1 AND a.run_id = ANY($2) ORDER BY a.run_id, a.urgency, a.task_id, a.number",
            projector::number(position),
            runs
        ))
    }

    /// Action items, the smallest by the key first, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn actions(
        &self,
        key: ActionKey,
        filter: &ActionFilter,
        window: &Window<Place<(Uuid, i32)>>,
    ) -> Result<Page<(Place<(Uuid, i32)>, ActionRow)>, Error> {
        let (owner, text) = (filter.owner.as_ref(), filter.text.as_ref());
        let (owner, text) = (owner.map(|owner| owner.to_lowercase()), text.map(|text| text.to_lowercase()));
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT " + $key + " AS \"key!\", a.task_id, a.number FROM read_actions.action_items a
                    WHERE (cardinality($1::text[]) = 0 OR a.state = ANY($1))
                        AND ($2::text IS NULL OR (left(lower(a.owner), 200) = left($2, 200) AND lower(a.owner) = $2))
                        AND ($3::uuid IS NULL OR a.run_id = $3)
                        AND ($4::text IS NULL OR a.workflow_key = $4)
                        AND ($5::bigint IS NULL OR (a.state IN ('open', 'in_progress') AND a.due_day < $5))
                        AND ($6::text IS NULL OR strpos(lower(a.what), $6) > 0 OR strpos(lower(a.note), $6) > 0)
                        AND (" + $key + ", a.task_id, a.number) > ($7::" + $type + ", $8::uuid, $9::integer)
                        AND (" + $key + ", a.task_id, a.number) < ($10::" + $type + ", $11::uuid, $12::integer)
                    ORDER BY " + $key + $desc + ", a.task_id" + $desc + ", a.number" + $desc + " LIMIT $13",
                    &filter.states,
                    owner.as_deref(),
                    filter.run_id,
                    filter.workflow_key.as_deref(),
                    filter.overdue_on,
                    text.as_deref(),
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    window.probe()
                )
                .map(|row| (SortKey::from(row.key), (row.task_id, row.number)))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = ((Uuid::nil(), 0), (Uuid::max(), i32::MAX));
        let found = match key {
            ActionKey::Opened => placed!(window, least, most, page, number "-a.opened_at"),
            ActionKey::Changed => placed!(window, least, most, page, number "-a.changed_at"),
            ActionKey::Due => {
                placed!(window, least, most, page, number "coalesce(a.due_day, 9223372036854775806)")
            }
            ActionKey::Priority => placed!(window, least, most, page, number "a.urgency::bigint"),
        };
        let found = Page::cut(found, window);
        let ids: Vec<(Uuid, i32)> = found.rows.iter().map(|(_, id)| *id).collect();
        Ok(attach(found, self.actions_by_ids(&ids).await?, |row| (row.task_id, row.number)))
    }

    /// Action items by their tasks and numbers, in no particular order; unknown ones are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn actions_by_ids(&self, ids: &[(Uuid, i32)]) -> Result<Vec<ActionRow>, Error> {
        let (tasks, numbers): (Vec<Uuid>, Vec<i32>) = ids.iter().copied().unzip();
        let rows = sqlx::query_as!(
            ActionRow,
            "SELECT task_id, number, run_id, workflow_key, steps, what, priority, state, owner, due, due_day, note,
                opened_at, changed_at, changed_by, position
            FROM read_actions.action_items
            WHERE (task_id, number) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))",
            &tasks,
            &numbers
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The action items of runs, by run and in the order in which they were asked for, the most pressing first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn actions_of_runs(&self, runs: &[Uuid]) -> Result<Vec<ActionRow>, Error> {
        let rows = sqlx::query_as!(
            ActionRow,
            "SELECT task_id, number, run_id, workflow_key, steps, what, priority, state, owner, due, due_day, note,
                opened_at, changed_at, changed_by, position
            FROM read_actions.action_items WHERE run_id = ANY($1) ORDER BY run_id, urgency, task_id, number",
            runs
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
