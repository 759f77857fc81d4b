//! Tasks and their attempts.

use sqlx::PgConnection;
use uuid::Uuid;

use super::all_found;
use crate::projector::ApplyError;
use crate::runs::change::{AttemptChange, TaskChange};
use crate::runs::fold::Fold;

pub(super) async fn insert_tasks(
    connection: &mut PgConnection,
    rows: &[(&Uuid, &TaskChange<'_>)],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, task)| task.born.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO tasks (id, run_id, step, template_id, template_version, agent_id, agent_version, assign_reason,
            parameters, status, retry_at, error_kind, error_message, cancel_reason, created_at, start_by, ended_at,
            attempts, position)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::integer[]),
            unnest($6::uuid[]), unnest($7::integer[]), unnest($8::text[]), unnest($9::text[])::json,
            unnest($10::text[]), unnest($11::bigint[]), unnest($12::text[]), unnest($13::text[]), unnest($14::text[]),
            unnest($15::bigint[]), unnest($16::bigint[]), unnest($17::bigint[]), unnest($18::integer[]),
            unnest($19::bigint[])",
        column!(rows, (id, _) => **id) as _,
        column!(births, birth => birth.run_id) as _,
        column!(births, birth => birth.step) as _,
        column!(births, birth => birth.template_id) as _,
        column!(births, birth => birth.template_version) as _,
        column!(rows, (_, task) => task.agent_id) as _,
        column!(rows, (_, task) => task.agent_version) as _,
        column!(rows, (_, task) => task.assign_reason.as_deref()) as _,
        column!(births, birth => birth.parameters.as_str()) as _,
        column!(rows, (_, task) => task.status) as _,
        column!(rows, (_, task) => task.retry_at) as _,
        column!(rows, (_, task) => task.error.kind) as _,
        column!(rows, (_, task) => task.error.message.as_deref()) as _,
        column!(rows, (_, task) => task.cancel_reason.as_deref()) as _,
        column!(births, birth => birth.created_at) as _,
        column!(births, birth => birth.start_by) as _,
        column!(rows, (_, task) => task.ended_at) as _,
        column!(rows, (_, task) => task.attempts) as _,
        column!(rows, (_, task) => task.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update_tasks(
    connection: &mut PgConnection,
    rows: &[(&Uuid, &TaskChange<'_>)],
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE tasks t SET agent_id = coalesce(u.agent_id, t.agent_id),
            agent_version = coalesce(u.agent_version, t.agent_version),
            assign_reason = coalesce(u.assign_reason, t.assign_reason), status = coalesce(u.status, t.status),
            retry_at = CASE WHEN u.status IS NULL THEN t.retry_at ELSE u.retry_at END,
            error_kind = coalesce(u.error_kind, t.error_kind),
            error_message = coalesce(u.error_message, t.error_message),
            cancel_reason = coalesce(u.cancel_reason, t.cancel_reason), ended_at = coalesce(u.ended_at, t.ended_at),
            attempts = greatest(u.attempts, t.attempts), position = u.position
        FROM (
            SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS agent_id, unnest($3::integer[]) AS agent_version,
                unnest($4::text[]) AS assign_reason, unnest($5::text[]) AS status, unnest($6::bigint[]) AS retry_at,
                unnest($7::text[]) AS error_kind, unnest($8::text[]) AS error_message,
                unnest($9::text[]) AS cancel_reason, unnest($10::bigint[]) AS ended_at,
                unnest($11::integer[]) AS attempts, unnest($12::bigint[]) AS position
        ) AS u
        WHERE t.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, task) => task.agent_id) as _,
        column!(rows, (_, task) => task.agent_version) as _,
        column!(rows, (_, task) => task.assign_reason.as_deref()) as _,
        column!(rows, (_, task) => task.status) as _,
        column!(rows, (_, task) => task.retry_at) as _,
        column!(rows, (_, task) => task.error.kind) as _,
        column!(rows, (_, task) => task.error.message.as_deref()) as _,
        column!(rows, (_, task) => task.cancel_reason.as_deref()) as _,
        column!(rows, (_, task) => task.ended_at) as _,
        column!(rows, (_, task) => task.attempts) as _,
        column!(rows, (_, task) => task.position) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "tasks")
}

type AttemptRows<'r, 'a> = [(&'r (Uuid, i32), &'r AttemptChange<'a>)];

pub(super) async fn insert_attempts(
    connection: &mut PgConnection,
    rows: &AttemptRows<'_, '_>,
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, attempt)| attempt.born.as_ref()).collect();
    let answers: Vec<_> = rows.iter().map(|(_, attempt)| attempt.answer.as_ref()).collect();
    let spent: Vec<_> = rows.iter().map(|(_, attempt)| &attempt.spent).collect();
    sqlx::query!(
        "INSERT INTO attempts (task_id, number, platform, model, answered_by, status, error_kind, error_message,
            finish_reason, text, simulated, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
            cost_nano_usd, duration_ms, first_piece_ms, request_hash, kept_at, saved_nano_usd, started_at, ended_at, late,
            cost_source, price_list)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]),
            unnest($11::boolean[]), unnest($12::bigint[]), unnest($13::bigint[]), unnest($14::bigint[]),
            unnest($15::bigint[]), unnest($16::bigint[]), unnest($17::bigint[]), unnest($18::bigint[]),
            unnest($19::bytea[]), unnest($20::bigint[]), unnest($21::bigint[]), unnest($22::bigint[]),
            unnest($23::bigint[]), unnest($24::boolean[]), unnest($25::text[]), unnest($26::text[])",
        column!(rows, ((task, _), _) => *task) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(births, birth => birth.platform) as _,
        column!(births, birth => birth.model.as_deref()) as _,
        column!(answers, answer => answer.map(|answer| &*answer.answered_by)) as _,
        column!(rows, (_, attempt) => attempt.status) as _,
        column!(rows, (_, attempt) => attempt.error.kind) as _,
        column!(rows, (_, attempt) => attempt.error.message.as_deref()) as _,
        column!(answers, answer => answer.map(|answer| &*answer.finish_reason)) as _,
        column!(answers, answer => answer.map(|answer| &*answer.text)) as _,
        column!(answers, answer => answer.is_some_and(|answer| answer.simulated)) as _,
        column!(spent, spent => spent.input_tokens) as _,
        column!(spent, spent => spent.cached_input_tokens) as _,
        column!(spent, spent => spent.output_tokens) as _,
        column!(spent, spent => spent.reasoning_tokens) as _,
        column!(spent, spent => spent.cost_nano_usd) as _,
        column!(answers, answer => answer.map(|answer| answer.duration_ms)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.first_piece_ms)) as _,
        column!(births, birth => birth.request_hash) as _,
        column!(births, birth => birth.kept_at) as _,
        column!(births, birth => birth.saved_nano_usd) as _,
        column!(births, birth => birth.started_at) as _,
        column!(rows, (_, attempt) => attempt.ended_at) as _,
        column!(rows, (_, attempt) => attempt.late) as _,
        column!(spent, spent => spent.cost_source) as _,
        column!(spent, spent => spent.price_list.as_deref()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update_attempts(
    connection: &mut PgConnection,
    rows: &AttemptRows<'_, '_>,
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let answers: Vec<_> = rows.iter().map(|(_, attempt)| attempt.answer.as_ref()).collect();
    let spent: Vec<_> = rows.iter().map(|(_, attempt)| &attempt.spent).collect();
    let done = sqlx::query!(
        "UPDATE attempts a SET answered_by = coalesce(u.answered_by, a.answered_by),
            status = coalesce(u.status, a.status), error_kind = coalesce(u.error_kind, a.error_kind),
            error_message = coalesce(u.error_message, a.error_message),
            finish_reason = coalesce(u.finish_reason, a.finish_reason), text = coalesce(u.text, a.text),
            simulated = a.simulated OR u.simulated, input_tokens = coalesce(u.input_tokens, a.input_tokens),
            cached_input_tokens = coalesce(u.cached_input_tokens, a.cached_input_tokens),
            output_tokens = coalesce(u.output_tokens, a.output_tokens),
            reasoning_tokens = coalesce(u.reasoning_tokens, a.reasoning_tokens),
            cost_nano_usd = coalesce(u.cost_nano_usd, a.cost_nano_usd),
            duration_ms = coalesce(u.duration_ms, a.duration_ms),
            first_piece_ms = coalesce(u.first_piece_ms, a.first_piece_ms),
            ended_at = coalesce(u.ended_at, a.ended_at), late = a.late OR u.late,
            cost_source = CASE WHEN u.cost_nano_usd IS NOT NULL OR (a.cost_nano_usd IS NULL AND u.cost_source IS NOT NULL)
                THEN u.cost_source ELSE a.cost_source END,
            price_list = CASE WHEN u.cost_nano_usd IS NOT NULL OR (a.cost_nano_usd IS NULL AND u.cost_source IS NOT NULL)
                THEN u.price_list ELSE a.price_list END
        FROM (
            SELECT unnest($1::uuid[]) AS task_id, unnest($2::integer[]) AS number, unnest($3::text[]) AS answered_by,
                unnest($4::text[]) AS status, unnest($5::text[]) AS error_kind, unnest($6::text[]) AS error_message,
                unnest($7::text[]) AS finish_reason, unnest($8::text[]) AS text, unnest($9::boolean[]) AS simulated,
                unnest($10::bigint[]) AS input_tokens, unnest($11::bigint[]) AS cached_input_tokens,
                unnest($12::bigint[]) AS output_tokens, unnest($13::bigint[]) AS reasoning_tokens,
                unnest($14::bigint[]) AS cost_nano_usd, unnest($15::bigint[]) AS duration_ms,
                unnest($16::bigint[]) AS first_piece_ms, unnest($17::bigint[]) AS ended_at,
                unnest($18::boolean[]) AS late, unnest($19::text[]) AS cost_source, unnest($20::text[]) AS price_list
        ) AS u
        WHERE a.task_id = u.task_id AND a.number = u.number",
        column!(rows, ((task, _), _) => *task) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(answers, answer => answer.map(|answer| &*answer.answered_by)) as _,
        column!(rows, (_, attempt) => attempt.status) as _,
        column!(rows, (_, attempt) => attempt.error.kind) as _,
        column!(rows, (_, attempt) => attempt.error.message.as_deref()) as _,
        column!(answers, answer => answer.map(|answer| &*answer.finish_reason)) as _,
        column!(answers, answer => answer.map(|answer| &*answer.text)) as _,
        column!(answers, answer => answer.is_some_and(|answer| answer.simulated)) as _,
        column!(spent, spent => spent.input_tokens) as _,
        column!(spent, spent => spent.cached_input_tokens) as _,
        column!(spent, spent => spent.output_tokens) as _,
        column!(spent, spent => spent.reasoning_tokens) as _,
        column!(spent, spent => spent.cost_nano_usd) as _,
        column!(answers, answer => answer.map(|answer| answer.duration_ms)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.first_piece_ms)) as _,
        column!(rows, (_, attempt) => attempt.ended_at) as _,
        column!(rows, (_, attempt) => attempt.late) as _,
        column!(spent, spent => spent.cost_source) as _,
        column!(spent, spent => spent.price_list.as_deref()) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "attempts")
}

pub(super) async fn cut_attempts(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.cut.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE attempts a SET status = 'cancelled', ended_at = u.at
         FROM unnest($1::uuid[], $2::bigint[]) AS u (task_id, at)
         WHERE a.task_id = u.task_id AND a.status = 'running'",
        column!(fold.cut, (task, _) => *task) as _,
        column!(fold.cut, (_, at) => *at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Tasks whose times were moved because their run's clock stood still.
pub(super) async fn defer_tasks(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let moved = |task: &TaskChange<'_>| task.retry_moved.is_some() || task.start_moved.is_some();
    let rows: Vec<_> = fold.tasks.iter().filter(|(_, task)| moved(task)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE tasks t SET retry_at = CASE WHEN u.retry_moved THEN u.retry_at ELSE t.retry_at END,
            start_by = CASE WHEN u.start_moved THEN u.start_by ELSE t.start_by END
        FROM unnest($1::uuid[], $2::boolean[], $3::bigint[], $4::boolean[], $5::bigint[])
            AS u (id, retry_moved, retry_at, start_moved, start_by)
        WHERE t.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, task) => task.retry_moved.is_some()) as _,
        column!(rows, (_, task) => task.retry_moved.flatten()) as _,
        column!(rows, (_, task) => task.start_moved.is_some()) as _,
        column!(rows, (_, task) => task.start_moved.flatten()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
