//! Limits, their slots, and holds.

use uuid::Uuid;

use super::order::{HoldKey, Place, SortKey, attach, placed};
use super::{Page, Queries, Window};
use crate::{Error, HoldRow, LimitRow, SeatRow, SlotsRow};

/// Which limits are wanted; the default wants all that are in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitFilter {
    /// Only with this text in the key, whatever the case.
    pub text: Option<String>,
    /// Only of a `workflow`, an `agent` or a `platform`.
    pub scope_kind: Option<String>,
}

impl LimitFilter {
    /// Whether a limit is wanted; the same as the conditions in SQL.
    pub(crate) fn wants(&self, row: &LimitRow) -> bool {
        self.text.as_ref().is_none_or(|text| row.key.contains(&text.to_lowercase()))
            && self.scope_kind.as_ref().is_none_or(|kind| *kind == row.scope_kind)
    }
}

/// Which holds are wanted; the default wants all that ever were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldFilter {
    /// Only those that are in force.
    pub placed: bool,
    /// Only those of the workflow with this key.
    pub workflow_key: Option<String>,
    /// Only those that this actor placed, as `kind:id`.
    pub placed_by: Option<String>,
    /// Only with this text in the reason, whatever the case.
    pub text: Option<String>,
    /// Only placed at or after this moment, in microseconds.
    pub placed_from: Option<i64>,
    /// Only placed before this moment, in microseconds.
    pub placed_before: Option<i64>,
}

impl HoldFilter {
    /// Whether a time of a hold is wanted; the same as the conditions in SQL.
    pub(crate) fn wants(&self, row: &HoldRow) -> bool {
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        (!self.placed || row.lifted_at.is_none())
            && self.workflow_key.as_ref().is_none_or(|key| row.workflow_key.as_ref() == Some(key))
            && self.placed_by.as_ref().is_none_or(|by| *by == row.placed_by)
            && text.is_none_or(|text| row.reason.to_lowercase().contains(&text))
            && self.placed_from.is_none_or(|from| row.placed_at >= from)
            && self.placed_before.is_none_or(|before| row.placed_at < before)
    }
}

macro_rules! seats {
    ($tail:literal, $($arg:expr),*) => {
        sqlx::query_as!(
            SeatRow,
            r#"SELECT slots_id, limit_key, partition, run_id,
                nullif(task_id, '00000000-0000-0000-0000-000000000000') AS task_id, priority, fairness, requested_at,
                granted_at
            FROM read_flow.seats WHERE "# + $tail,
            $($arg),*
        )
    };
}

impl Queries {
    /// Limits in force, by key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn limits(&self, filter: &LimitFilter, window: &Window<String>) -> Result<Page<LimitRow>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        macro_rules! page {
            ($order:literal) => {
                sqlx::query_as!(
                    LimitRow,
                    "SELECT id, key, description, scope_kind, scope_key, partition_by, max_running, rate_starts,
                        rate_micros, fairness, set_by, set_at, removed_at, removed_reason, position
                    FROM read_flow.limits WHERE removed_at IS NULL
                        AND ($1::text IS NULL OR key COLLATE \"C\" > $1) AND ($2::text IS NULL OR key COLLATE \"C\" < $2)
                        AND ($4::text IS NULL OR strpos(key, $4) > 0) AND ($5::text IS NULL OR scope_kind = $5)
                    ORDER BY " + $order + " LIMIT $3",
                    window.after.as_deref(),
                    window.before.as_deref(),
                    window.probe(),
                    text.as_deref(),
                    filter.scope_kind.as_deref()
                )
            };
        }
        let rows = if window.from_end {
            page!("key COLLATE \"C\" DESC").fetch_all(&self.pool).await?
        } else {
            page!("key COLLATE \"C\"").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows, window))
    }

    /// Limits in force by when they were set, the latest first, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn limits_by_time(
        &self,
        filter: &LimitFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, LimitRow)>, Error> {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT l.id, " + $key + " AS \"key!\" FROM read_flow.limits l WHERE l.removed_at IS NULL
                        AND ($1::text IS NULL OR strpos(l.key, $1) > 0) AND ($2::text IS NULL OR l.scope_kind = $2)
                        AND (" + $key + ", l.id) > ($3::" + $type + ", $4::uuid)
                        AND (" + $key + ", l.id) < ($5::" + $type + ", $6::uuid)
                    ORDER BY " + $key + $desc + ", l.id" + $desc + " LIMIT $7",
                    text.as_deref(),
                    filter.scope_kind.as_deref(),
                    $lower.0,
                    $lower.1,
                    $upper.0,
                    $upper.1,
                    asked.probe()
                )
                .map(|row| (SortKey::from(row.key), row.id))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let found = placed!(asked, Uuid::nil(), Uuid::max(), page, number "l.set_at");
        let found = Page::cut(found, &asked).turned(true);
        let ids: Vec<Uuid> = found.rows.iter().map(|(_, id)| *id).collect();
        Ok(attach(found, self.limits_by_ids(&ids).await?, |row| row.id))
    }

    /// Limits by their ids, in no particular order, those included that were taken away; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn limits_by_ids(&self, ids: &[Uuid]) -> Result<Vec<LimitRow>, Error> {
        let rows = sqlx::query_as!(
            LimitRow,
            "SELECT id, key, description, scope_kind, scope_key, partition_by, max_running, rate_starts, rate_micros,
                fairness, set_by, set_at, removed_at, removed_reason, position
            FROM read_flow.limits WHERE id = ANY($1)",
            ids
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// How many have a slot of these limits or wait for one, by limit and partition; what nobody has or wants is left
    /// out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slots_of_limits(&self, keys: &[String]) -> Result<Vec<SlotsRow>, Error> {
        let rows = sqlx::query_as!(
            SlotsRow,
            r#"SELECT limit_key, slots_id, partition, count(granted_at) AS "running!",
                count(*) - count(granted_at) AS "waiting!"
            FROM read_flow.seats WHERE limit_key = ANY($1)
            GROUP BY limit_key, slots_id, partition ORDER BY limit_key, partition, slots_id"#,
            keys
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Who has one of these slots, in the order in which they got it, and then who waits, oldest first; at most
    /// `limit` of each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seats_of_slots(&self, slots: &[Uuid], limit: u32) -> Result<Vec<SeatRow>, Error> {
        let rows = sqlx::query_as!(
            SeatRow,
            r#"SELECT s.slots_id AS "slots_id!", s.limit_key AS "limit_key!", s.partition AS "partition?",
                s.run_id AS "run_id!", nullif(s.task_id, '00000000-0000-0000-0000-000000000000') AS "task_id?",
                s.priority AS "priority!", s.fairness AS "fairness!", s.requested_at AS "requested_at!", s.granted_at
            FROM unnest($1::uuid[]) AS u (slots_id) CROSS JOIN LATERAL (
                (SELECT * FROM read_flow.seats h WHERE h.slots_id = u.slots_id AND h.granted_at IS NOT NULL
                 ORDER BY h.granted_at, h.run_id, h.task_id LIMIT $2)
                UNION ALL
                (SELECT * FROM read_flow.seats w WHERE w.slots_id = u.slots_id AND w.granted_at IS NULL
                 ORDER BY w.requested_at, w.run_id, w.task_id LIMIT $2)
            ) AS s ORDER BY s.slots_id, s.granted_at NULLS LAST, s.requested_at, s.run_id, s.task_id"#,
            slots,
            i64::from(limit)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The slots that runs and their tasks have or wait for, by run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seats_of_runs(&self, runs: &[Uuid]) -> Result<Vec<SeatRow>, Error> {
        let rows = seats!("run_id = ANY($1) ORDER BY run_id, requested_at, limit_key, slots_id, task_id", runs);
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Times during which everything or a workflow was held, the latest first, by `(placed_at, id)`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds(&self, filter: &HoldFilter, window: &Window<(i64, Uuid, i64)>) -> Result<Page<HoldRow>, Error> {
        let (upper, upper_id, upper_number) = window.after.unwrap_or((i64::MAX, Uuid::max(), i64::MAX));
        let (lower, lower_id, lower_number) = window.before.unwrap_or((i64::MIN, Uuid::nil(), i64::MIN));
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        macro_rules! page {
            ($order:literal) => {
                sqlx::query_as!(
                    HoldRow,
                    "SELECT hold_id, number, workflow_key, placed_by, reason, placed_at, clock, lifted_by, lifted_at,
                        position
                    FROM read_flow.holds WHERE ($1::boolean IS FALSE OR lifted_at IS NULL)
                        AND ($9::text IS NULL OR workflow_key = $9) AND ($10::text IS NULL OR placed_by = $10)
                        AND ($11::text IS NULL OR strpos(lower(reason), $11) > 0)
                        AND ($12::bigint IS NULL OR placed_at >= $12) AND ($13::bigint IS NULL OR placed_at < $13)
                        AND (placed_at, hold_id, number) < ($2::bigint, $3::uuid, $4::bigint)
                        AND (placed_at, hold_id, number) > ($5::bigint, $6::uuid, $7::bigint)
                    ORDER BY "
                        + $order
                        + " LIMIT $8",
                    filter.placed,
                    upper,
                    upper_id,
                    upper_number,
                    lower,
                    lower_id,
                    lower_number,
                    window.probe(),
                    filter.workflow_key.as_deref(),
                    filter.placed_by.as_deref(),
                    text.as_deref(),
                    filter.placed_from,
                    filter.placed_before
                )
            };
        }
        let rows = if window.from_end {
            page!("placed_at, hold_id, number").fetch_all(&self.pool).await?
        } else {
            page!("placed_at DESC, hold_id DESC, number DESC").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows, window))
    }

    /// The same in another order, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds_by(
        &self,
        key: HoldKey,
        filter: &HoldFilter,
        window: &Window<Place<(Uuid, i64)>>,
    ) -> Result<Page<(Place<(Uuid, i64)>, HoldRow)>, Error> {
        let asked = window.turned(key.descends());
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT hold_id, number, workflow_key, placed_by, reason, placed_at, clock, lifted_by, lifted_at,
                        position, " + $key + " AS \"key!\"
                    FROM read_flow.holds WHERE ($1::boolean IS FALSE OR lifted_at IS NULL)
                        AND ($2::text IS NULL OR workflow_key = $2) AND ($3::text IS NULL OR placed_by = $3)
                        AND ($4::text IS NULL OR strpos(lower(reason), $4) > 0)
                        AND ($5::bigint IS NULL OR placed_at >= $5) AND ($6::bigint IS NULL OR placed_at < $6)
                        AND (" + $key + ", hold_id, number) > ($7::" + $type + ", $8::uuid, $9::bigint)
                        AND (" + $key + ", hold_id, number) < ($10::" + $type + ", $11::uuid, $12::bigint)
                    ORDER BY " + $key + $desc + ", hold_id" + $desc + ", number" + $desc + " LIMIT $13",
                    filter.placed,
                    filter.workflow_key.as_deref(),
                    filter.placed_by.as_deref(),
                    text.as_deref(),
                    filter.placed_from,
                    filter.placed_before,
                    $lower.0,
                    $lower.1.0,
                    $lower.1.1,
                    $upper.0,
                    $upper.1.0,
                    $upper.1.1,
                    asked.probe()
                )
                .map(|row| {
                    let hold = HoldRow {
                        hold_id: row.hold_id,
                        number: row.number,
                        workflow_key: row.workflow_key,
                        placed_by: row.placed_by,
                        reason: row.reason,
                        placed_at: row.placed_at,
                        clock: row.clock,
                        lifted_by: row.lifted_by,
                        lifted_at: row.lifted_at,
                        position: row.position,
                    };
                    ((SortKey::from(row.key), (hold.hold_id, hold.number)), hold)
                })
                .fetch_all(&self.pool)
                .await?
            };
        }
        let (least, most) = ((Uuid::nil(), i64::MIN), (Uuid::max(), i64::MAX));
        let rows = match key {
            HoldKey::Lifted => placed!(asked, least, most, page, number "coalesce(lifted_at, -1)"),
            HoldKey::Workflow => {
                placed!(asked, least, most, page, text "coalesce(workflow_key, '') COLLATE \"C\"")
            }
        };
        Ok(Page::cut(rows, &asked).turned(key.descends()))
    }

    /// Times of holds by the hold's id and their number there, in no particular order; unknown ones are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds_by_ids(&self, ids: &[(Uuid, i64)]) -> Result<Vec<HoldRow>, Error> {
        let (holds, numbers): (Vec<Uuid>, Vec<i64>) = ids.iter().copied().unzip();
        let rows = sqlx::query_as!(
            HoldRow,
            "SELECT hold_id, number, workflow_key, placed_by, reason, placed_at, clock, lifted_by, lifted_at, position
            FROM read_flow.holds WHERE (hold_id, number) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[]))",
            &holds,
            &numbers
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
