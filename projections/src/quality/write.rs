//! Writes the changes of a batch. Columns are bound `as _` for the reason given at `column!`.

use sqlx::PgConnection;

use super::fold::Fold;
use crate::projector::ApplyError;

pub(super) async fn write(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let checked = &fold.checked;
    if !checked.is_empty() {
        sqlx::query!(
            "INSERT INTO checked_tasks (task_id, mark)
            SELECT unnest($1::uuid[]), unnest($2::integer[])",
            column!(checked, (id, _) => *id) as _,
            column!(checked, (_, mark) => *mark) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    let judged = &fold.judged;
    if !judged.is_empty() {
        sqlx::query!(
            "INSERT INTO judged_tasks (task_id, agent_id, model, author, mark, spread, samples, asked, judged_at)
            SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]),
                unnest($5::integer[]), unnest($6::integer[]), unnest($7::integer[]), unnest($8::bigint[]),
                unnest($9::bigint[])",
            column!(judged, (id, _) => *id) as _,
            column!(judged, (_, row) => row.agent) as _,
            column!(judged, (_, row) => &*row.model) as _,
            column!(judged, (_, row) => &*row.author) as _,
            column!(judged, (_, row) => row.mark) as _,
            column!(judged, (_, row) => row.spread) as _,
            column!(judged, (_, row) => row.samples) as _,
            column!(judged, (_, row) => row.asked) as _,
            column!(judged, (_, row) => row.at) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    let rated = &fold.rated;
    if !rated.is_empty() {
        sqlx::query!(
            "INSERT INTO rated_tasks (task_id, person, mark, rated_at)
            SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::integer[]), unnest($4::bigint[])
            ON CONFLICT (task_id, person) DO UPDATE SET mark = excluded.mark, rated_at = excluded.rated_at",
            column!(rated, ((task, _), _) => *task) as _,
            column!(rated, ((_, person), _) => person.as_str()) as _,
            column!(rated, (_, row) => row.mark) as _,
            column!(rated, (_, row) => row.at) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
