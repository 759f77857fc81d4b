//! Writes the changes of a batch. Columns are bound `as _` for the reason given at `column!`.

use sqlx::PgConnection;

use super::days;
use super::fold::Fold;
use crate::projector::ApplyError;

pub(super) async fn write(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let touched = days::touched(fold);
    // Those that come to be in this batch have brought nothing yet.
    let before: Vec<_> = touched.iter().filter(|id| !fold.tasks.contains_key(id)).copied().collect();
    days::count(connection, &before, -1).await?;
    origins(connection, fold).await?;
    tasks(connection, fold).await?;
    assigned(connection, fold).await?;
    ended(connection, fold).await?;
    marked(connection, fold).await?;
    spent(connection, fold).await?;
    begun(connection, fold).await?;
    settled(connection, fold).await?;
    cut(connection, fold).await?;
    days::count(connection, &touched, 1).await
}

async fn origins(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if !fold.names.is_empty() {
        sqlx::query!(
            "INSERT INTO names (id, key, kind)
            SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[])",
            column!(fold.names, (id, _) => *id) as _,
            column!(fold.names, (_, (_, key)) => *key) as _,
            column!(fold.names, (_, (kind, _)) => *kind) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !fold.runs.is_empty() {
        let costs = fold.first_costs()?;
        sqlx::query!(
            "INSERT INTO run_origins (id, workflow_key, department, person, cost_nano_usd)
            SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::bigint[])",
            column!(fold.runs, (id, _) => *id) as _,
            column!(fold.runs, (_, run) => run.workflow) as _,
            column!(fold.runs, (_, run) => &*run.department) as _,
            column!(fold.runs, (_, run) => run.person.as_str()) as _,
            column!(fold.runs, (id, _) => costs.get(id).copied().unwrap_or_default()) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Tasks that were created in this batch, with all that became of them in it.
async fn tasks(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.tasks.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO task_origins (id, run_id, template_id, agent_id, created_at, status, ended_at, quality)
        SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::uuid[]), unnest($5::bigint[]),
            unnest($6::text[]), unnest($7::bigint[]), unnest($8::integer[])",
        column!(fold.tasks, (id, _) => *id) as _,
        column!(fold.tasks, (_, task) => task.run) as _,
        column!(fold.tasks, (_, task) => task.template) as _,
        column!(fold.tasks, (id, _) => fold.assigned.get(id).copied()) as _,
        column!(fold.tasks, (_, task) => task.at) as _,
        column!(fold.tasks, (id, _) => fold.ended.get(id).map_or("open", |end| end.status)) as _,
        column!(fold.tasks, (id, _) => fold.ended.get(id).map(|end| end.at)) as _,
        column!(fold.tasks, (id, _) => fold.quality(id)) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn assigned(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.of_before(&fold.assigned).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE task_origins t SET agent_id = u.agent_id
        FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS agent_id) AS u
        WHERE t.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, agent) => **agent) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn ended(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.of_before(&fold.ended).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE task_origins t SET status = u.status, ended_at = u.at, quality = u.quality
        FROM (
            SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS status, unnest($3::bigint[]) AS at,
                unnest($4::integer[]) AS quality
        ) AS u
        WHERE t.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, end) => end.status) as _,
        column!(rows, (_, end) => end.at) as _,
        column!(rows, (_, end) => end.quality) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Comes after the ends, which say what answers count for at first.
async fn marked(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.of_before(&fold.marks).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE task_origins t SET quality = u.mark FROM unnest($1::uuid[], $2::integer[]) AS u (id, mark)
        WHERE t.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, mark) => **mark) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds what was learnt of costs to those of runs whose rows were there already; comes before the attempts are written,
/// because what was known of them before counts already.
async fn spent(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let known: Vec<_> = fold.priced().collect();
    if known.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE run_origins r SET cost_nano_usd = r.cost_nano_usd + d.cost FROM (
            SELECT t.run_id, sum(u.cost - coalesce(a.cost_nano_usd, 0))::bigint AS cost
            FROM unnest($1::uuid[], $2::integer[], $3::bigint[]) AS u (task_id, number, cost)
            JOIN task_origins t ON t.id = u.task_id
            LEFT JOIN costs a ON a.task_id = u.task_id AND a.number = u.number
            GROUP BY t.run_id
        ) AS d WHERE r.id = d.run_id AND d.cost <> 0",
        column!(known, ((task, _), _) => *task) as _,
        column!(known, ((_, number), _) => *number) as _,
        column!(known, (_, cost) => *cost) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Attempts that were started in this batch, with all that was learnt of them in it.
async fn begun(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.attempts.iter().filter(|(_, attempt)| attempt.started_at.is_some()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO costs (task_id, number, platform, model, started_at, status, simulated, cost_nano_usd,
            input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, kept, saved_nano_usd, duration_ms)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::text[]), unnest($4::text[]), unnest($5::bigint[]),
            unnest($6::text[]), unnest($7::boolean[]), unnest($8::bigint[]), unnest($9::bigint[]),
            unnest($10::bigint[]), unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::boolean[]),
            unnest($14::bigint[]), unnest($15::bigint[])",
        column!(rows, ((task, _), _) => *task) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(rows, (_, attempt) => attempt.platform) as _,
        column!(rows, (_, attempt) => attempt.model.as_deref()) as _,
        column!(rows, (_, attempt) => attempt.started_at) as _,
        column!(rows, (_, attempt) => attempt.status) as _,
        column!(rows, (_, attempt) => attempt.simulated) as _,
        column!(rows, (_, attempt) => attempt.cost) as _,
        column!(rows, (_, attempt) => attempt.input_tokens) as _,
        column!(rows, (_, attempt) => attempt.cached_input_tokens) as _,
        column!(rows, (_, attempt) => attempt.output_tokens) as _,
        column!(rows, (_, attempt) => attempt.reasoning_tokens) as _,
        column!(rows, (_, attempt) => attempt.kept) as _,
        column!(rows, (_, attempt) => attempt.saved) as _,
        column!(rows, (_, attempt) => attempt.duration_ms) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was learnt of attempts that had started before.
async fn settled(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<_> = fold.attempts.iter().filter(|(_, attempt)| attempt.started_at.is_none()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "UPDATE costs a SET model = coalesce(u.model, a.model), status = coalesce(u.status, a.status),
            simulated = a.simulated OR u.simulated, cost_nano_usd = coalesce(u.cost, a.cost_nano_usd),
            input_tokens = coalesce(u.input_tokens, a.input_tokens),
            cached_input_tokens = coalesce(u.cached_input_tokens, a.cached_input_tokens),
            output_tokens = coalesce(u.output_tokens, a.output_tokens),
            reasoning_tokens = coalesce(u.reasoning_tokens, a.reasoning_tokens),
            duration_ms = coalesce(u.duration_ms, a.duration_ms)
        FROM (
            SELECT unnest($1::uuid[]) AS task_id, unnest($2::integer[]) AS number, unnest($3::text[]) AS model,
                unnest($4::text[]) AS status, unnest($5::boolean[]) AS simulated, unnest($6::bigint[]) AS cost,
                unnest($7::bigint[]) AS input_tokens, unnest($8::bigint[]) AS cached_input_tokens,
                unnest($9::bigint[]) AS output_tokens, unnest($10::bigint[]) AS reasoning_tokens,
                unnest($11::bigint[]) AS duration_ms
        ) AS u
        WHERE a.task_id = u.task_id AND a.number = u.number",
        column!(rows, ((task, _), _) => *task) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(rows, (_, attempt) => attempt.model.as_deref()) as _,
        column!(rows, (_, attempt) => attempt.status) as _,
        column!(rows, (_, attempt) => attempt.simulated) as _,
        column!(rows, (_, attempt) => attempt.cost) as _,
        column!(rows, (_, attempt) => attempt.input_tokens) as _,
        column!(rows, (_, attempt) => attempt.cached_input_tokens) as _,
        column!(rows, (_, attempt) => attempt.output_tokens) as _,
        column!(rows, (_, attempt) => attempt.reasoning_tokens) as _,
        column!(rows, (_, attempt) => attempt.duration_ms) as _
    )
    .execute(connection)
    .await?;
    let found = usize::try_from(done.rows_affected()).unwrap_or(usize::MAX);
    if found == rows.len() {
        return Ok(());
    }
    let message = format!("{} attempts changed, but only {found} of them have been started", rows.len());
    Err(ApplyError::Indigestible(message))
}

async fn cut(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.cut.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE costs a SET status = 'cancelled' FROM unnest($1::uuid[]) AS u (task_id)
        WHERE a.task_id = u.task_id AND a.status = 'running'",
        column!(fold.cut, task => *task) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
