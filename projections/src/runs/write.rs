//! Writes the changes of a batch, each table with one insert and one update at most.

use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{AttemptChange, RunChange, TaskChange};
use super::fold::Fold;
use crate::projector::ApplyError;

/// One column of many rows, as PostgreSQL's `unnest` takes it. It is bound `as _`, because a column may be borrowed
/// text or optional, which the compile-time check of parameters does not know; PostgreSQL itself checks the types.
macro_rules! column {
    ($rows:expr, $row:pat => $value:expr) => {
        &$rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

pub(super) async fn write(connection: &mut PgConnection, fold: Fold<'_>) -> Result<(), ApplyError> {
    write_plans(connection, &fold).await?;
    let (born, changed) = fold.runs.iter().partition::<Vec<_>, _>(|(_, run)| run.born.is_some());
    insert_runs(connection, &born).await?;
    update_runs(connection, &changed).await?;
    upsert_steps(connection, &fold).await?;
    let (born, changed) = fold.tasks.iter().partition::<Vec<_>, _>(|(_, task)| task.born.is_some());
    insert_tasks(connection, &born).await?;
    update_tasks(connection, &changed).await?;
    let (born, changed) = fold.attempts.iter().partition::<Vec<_>, _>(|(_, attempt)| attempt.born.is_some());
    insert_attempts(connection, &born).await?;
    update_attempts(connection, &changed).await?;
    cut_attempts(connection, &fold).await
}

/// A change must find its row: what is missing was lost, and the read model would lie.
fn all_found(found: u64, wanted: usize, what: &str) -> Result<(), ApplyError> {
    if usize::try_from(found).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    Err(ApplyError::Indigestible(format!("{wanted} {what} changed, but only {found} of them have been created")))
}

async fn write_plans(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    for ((workflow, version), definition) in &fold.plans {
        // Known to all but the first run of a version, so ask before building the rows.
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM plans WHERE workflow_id = $1 AND version = $2) AS "known!""#,
            workflow,
            version
        );
        if known.fetch_one(&mut *connection).await? {
            continue;
        }
        for (ordinal, step) in definition.steps.iter().enumerate() {
            let needs: Vec<&str> = step.needs.iter().map(domain::StepName::as_str).collect();
            sqlx::query!(
                "INSERT INTO plans (workflow_id, version, ordinal, step, title, agent_key, template_key, needs)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                workflow,
                version,
                i32::try_from(ordinal).unwrap_or(i32::MAX),
                step.name.as_str(),
                &crate::projector::storable(&step.title) as _,
                step.agent.as_str(),
                step.template.as_str(),
                &needs as _
            )
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

async fn insert_runs(connection: &mut PgConnection, rows: &[(&Uuid, &RunChange<'_>)]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, run)| run.born.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO runs (id, workflow_id, workflow_key, version, status, input, output, simulated, error_kind,
            error_message, failed_step, cancel_reason, node, epoch, actor, correlation, started_at, ended_at, position)
        SELECT id, workflow_id, workflow_key, version, status, input::json, output::json, simulated, error_kind,
            error_message, failed_step, cancel_reason, node, epoch, actor, correlation, started_at, ended_at, position
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[],
            $8::boolean[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::bigint[], $15::text[],
            $16::uuid[], $17::bigint[], $18::bigint[], $19::bigint[])
            AS u (id, workflow_id, workflow_key, version, status, input, output, simulated, error_kind, error_message,
                failed_step, cancel_reason, node, epoch, actor, correlation, started_at, ended_at, position)",
        column!(rows, (id, _) => **id) as _,
        column!(births, birth => birth.workflow_id) as _,
        column!(births, birth => birth.workflow_key) as _,
        column!(births, birth => birth.version) as _,
        column!(rows, (_, run) => run.status) as _,
        column!(births, birth => birth.input.as_str()) as _,
        column!(rows, (_, run) => run.output.as_deref()) as _,
        column!(rows, (_, run) => run.simulated) as _,
        column!(rows, (_, run) => run.error.kind) as _,
        column!(rows, (_, run) => run.error.message.as_deref()) as _,
        column!(rows, (_, run) => run.failed_step) as _,
        column!(rows, (_, run) => run.cancel_reason.as_deref()) as _,
        column!(rows, (_, run) => run.node) as _,
        column!(rows, (_, run) => run.epoch) as _,
        column!(births, birth => birth.actor.as_str()) as _,
        column!(births, birth => birth.correlation) as _,
        column!(births, birth => birth.started_at) as _,
        column!(rows, (_, run) => run.ended_at) as _,
        column!(rows, (_, run) => run.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_runs(connection: &mut PgConnection, rows: &[(&Uuid, &RunChange<'_>)]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE runs r SET status = coalesce(u.status, r.status), output = coalesce(u.output::json, r.output),
            simulated = r.simulated OR u.simulated, error_kind = coalesce(u.error_kind, r.error_kind),
            error_message = coalesce(u.error_message, r.error_message),
            failed_step = coalesce(u.failed_step, r.failed_step),
            cancel_reason = coalesce(u.cancel_reason, r.cancel_reason), node = coalesce(u.node, r.node),
            epoch = coalesce(u.epoch, r.epoch), ended_at = coalesce(u.ended_at, r.ended_at), position = u.position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::uuid[], $10::bigint[], $11::bigint[], $12::bigint[])
            AS u (id, status, output, simulated, error_kind, error_message, failed_step, cancel_reason, node, epoch,
                ended_at, position)
        WHERE r.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, run) => run.status) as _,
        column!(rows, (_, run) => run.output.as_deref()) as _,
        column!(rows, (_, run) => run.simulated) as _,
        column!(rows, (_, run) => run.error.kind) as _,
        column!(rows, (_, run) => run.error.message.as_deref()) as _,
        column!(rows, (_, run) => run.failed_step) as _,
        column!(rows, (_, run) => run.cancel_reason.as_deref()) as _,
        column!(rows, (_, run) => run.node) as _,
        column!(rows, (_, run) => run.epoch) as _,
        column!(rows, (_, run) => run.ended_at) as _,
        column!(rows, (_, run) => run.position) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "runs")
}

/// Steps are upserted, because one can fail before it ever started and then has no row yet.
async fn upsert_steps(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.steps.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO steps AS s (run_id, step, status, task_id, output, simulated, error_kind, error_message,
            started_at, ended_at, position)
        SELECT run_id, step, status, task_id, output::json, simulated, error_kind, error_message, started_at, ended_at,
            position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::boolean[], $7::text[], $8::text[],
            $9::bigint[], $10::bigint[], $11::bigint[])
            AS u (run_id, step, status, task_id, output, simulated, error_kind, error_message, started_at, ended_at,
                position)
        ON CONFLICT (run_id, step) DO UPDATE SET status = excluded.status,
            task_id = coalesce(excluded.task_id, s.task_id), output = excluded.output, simulated = excluded.simulated,
            error_kind = excluded.error_kind, error_message = excluded.error_message,
            started_at = coalesce(excluded.started_at, s.started_at), ended_at = excluded.ended_at,
            position = excluded.position",
        column!(rows, ((run, _), _) => *run) as _,
        column!(rows, ((_, step), _) => *step) as _,
        column!(rows, (_, step) => step.status) as _,
        column!(rows, (_, step) => step.task_id) as _,
        column!(rows, (_, step) => step.output.as_deref()) as _,
        column!(rows, (_, step) => step.simulated) as _,
        column!(rows, (_, step) => step.error.kind) as _,
        column!(rows, (_, step) => step.error.message.as_deref()) as _,
        column!(rows, (_, step) => step.started_at) as _,
        column!(rows, (_, step) => step.ended_at) as _,
        column!(rows, (_, step) => step.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_tasks(connection: &mut PgConnection, rows: &[(&Uuid, &TaskChange<'_>)]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, task)| task.born.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO tasks (id, run_id, step, template_id, template_version, agent_id, agent_version, assign_reason,
            parameters, status, retry_at, error_kind, error_message, cancel_reason, created_at, ended_at, attempts,
            position)
        SELECT id, run_id, step, template_id, template_version, agent_id, agent_version, assign_reason,
            parameters::json, status, retry_at, error_kind, error_message, cancel_reason, created_at, ended_at,
            attempts, position
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::integer[], $6::uuid[], $7::integer[],
            $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::bigint[],
            $16::bigint[], $17::integer[], $18::bigint[])
            AS u (id, run_id, step, template_id, template_version, agent_id, agent_version, assign_reason, parameters,
                status, retry_at, error_kind, error_message, cancel_reason, created_at, ended_at, attempts, position)",
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
        column!(rows, (_, task) => task.ended_at) as _,
        column!(rows, (_, task) => task.attempts) as _,
        column!(rows, (_, task) => task.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_tasks(connection: &mut PgConnection, rows: &[(&Uuid, &TaskChange<'_>)]) -> Result<(), ApplyError> {
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
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::text[],
            $8::text[], $9::text[], $10::bigint[], $11::integer[], $12::bigint[])
            AS u (id, agent_id, agent_version, assign_reason, status, retry_at, error_kind, error_message,
                cancel_reason, ended_at, attempts, position)
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

async fn insert_attempts(connection: &mut PgConnection, rows: &AttemptRows<'_, '_>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let births: Vec<_> = rows.iter().filter_map(|(_, attempt)| attempt.born.as_ref()).collect();
    let answers: Vec<_> = rows.iter().map(|(_, attempt)| attempt.answer.as_ref()).collect();
    sqlx::query!(
        "INSERT INTO attempts (task_id, number, platform, model, answered_by, status, error_kind, error_message,
            finish_reason, text, simulated, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
            cost_nano_usd, duration_ms, request_hash, started_at, ended_at, late)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::boolean[], $12::bigint[], $13::bigint[], $14::bigint[],
            $15::bigint[], $16::bigint[], $17::bigint[], $18::bytea[], $19::bigint[], $20::bigint[], $21::boolean[])",
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
        column!(answers, answer => answer.and_then(|answer| answer.input_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.cached_input_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.output_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.reasoning_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.cost_nano_usd)) as _,
        column!(answers, answer => answer.map(|answer| answer.duration_ms)) as _,
        column!(births, birth => birth.request_hash) as _,
        column!(births, birth => birth.started_at) as _,
        column!(rows, (_, attempt) => attempt.ended_at) as _,
        column!(rows, (_, attempt) => attempt.late) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_attempts(connection: &mut PgConnection, rows: &AttemptRows<'_, '_>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let answers: Vec<_> = rows.iter().map(|(_, attempt)| attempt.answer.as_ref()).collect();
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
            duration_ms = coalesce(u.duration_ms, a.duration_ms), ended_at = coalesce(u.ended_at, a.ended_at),
            late = a.late OR u.late
        FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::boolean[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
            $16::bigint[], $17::boolean[])
            AS u (task_id, number, answered_by, status, error_kind, error_message, finish_reason, text, simulated,
                input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, cost_nano_usd, duration_ms,
                ended_at, late)
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
        column!(answers, answer => answer.and_then(|answer| answer.input_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.cached_input_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.output_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.reasoning_tokens)) as _,
        column!(answers, answer => answer.and_then(|answer| answer.cost_nano_usd)) as _,
        column!(answers, answer => answer.map(|answer| answer.duration_ms)) as _,
        column!(rows, (_, attempt) => attempt.ended_at) as _,
        column!(rows, (_, attempt) => attempt.late) as _
    )
    .execute(connection)
    .await?;
    all_found(done.rows_affected(), rows.len(), "attempts")
}

async fn cut_attempts(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
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
