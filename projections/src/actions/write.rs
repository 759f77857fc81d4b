//! Writes the changes of a batch. Columns are bound `as _` for the reason given at `column!`.

use domain::action::{ActionState, Standing, day_of, gather};
use domain::task::{ActionItem, Priority};
use domain::{ActionId, TaskId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::fold::Fold;
use crate::projector::{ApplyError, storable};
use crate::text::{Shared, Vector, Vectors, Weight};

/// In how many characters of what has to be done words are found. Models write as much as they please.
const LONGEST_WHAT: usize = 20_000;
/// In how many of an owner. A note is never long, because people write it.
const LONGEST_OWNER: usize = 1_000;

pub(super) async fn write(connection: &mut PgConnection, fold: &Fold<'_>, vectors: &Shared) -> Result<(), ApplyError> {
    begun(connection, fold).await?;
    asked(connection, fold).await?;
    ended(connection, fold, vectors).await?;
    changed(connection, fold, vectors).await
}

/// The first characters of a text, at most so many.
fn beginning(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// The words of an owner and a note. What has to be done has words of its own, which stay when these change.
fn remarks(vectors: &mut Vectors, owner: Option<&str>, note: Option<&str>) -> Vector {
    let owner = beginning(owner.unwrap_or_default(), LONGEST_OWNER);
    vectors.of(&[(Weight::B, owner), (Weight::B, note.unwrap_or_default())])
}

async fn begun(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if !fold.runs.is_empty() {
        sqlx::query!(
            "INSERT INTO asking_runs (id, workflow_key)
            SELECT unnest($1::uuid[]), unnest($2::text[])",
            column!(fold.runs, (id, _) => *id) as _,
            column!(fold.runs, (_, key) => *key) as _
        )
        .execute(&mut *connection)
        .await?;
    }
    if !fold.tasks.is_empty() {
        sqlx::query!(
            "INSERT INTO asking_tasks (id, run_id, step)
            SELECT u.id, u.run_id, u.step FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u (id, run_id, step)
            WHERE EXISTS (SELECT FROM asking_runs r WHERE r.id = u.run_id)",
            column!(fold.tasks, (id, _, _) => *id) as _,
            column!(fold.tasks, (_, run, _) => *run) as _,
            column!(fold.tasks, (_, _, step) => *step) as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn asked(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    if fold.asked.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO asked_for (task_id, number, position, what, owner, due, priority)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::bigint[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::text[]), unnest($7::text[])",
        column!(fold.asked, asked => asked.task) as _,
        column!(fold.asked, asked => asked.number) as _,
        column!(fold.asked, asked => asked.position) as _,
        column!(fold.asked, asked => storable(&asked.item.what)) as _,
        column!(fold.asked, asked => asked.item.owner.as_deref().map(storable)) as _,
        column!(fold.asked, asked => asked.item.due.as_deref().map(storable)) as _,
        column!(fold.asked, asked => asked.item.priority.map(Priority::name)) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An item that is tracked from now on.
struct Opened {
    id: ActionId,
    run: Uuid,
    workflow: String,
    steps: String,
    item: ActionItem,
    at: i64,
    position: i64,
}

async fn ended(connection: &mut PgConnection, fold: &Fold<'_>, vectors: &Shared) -> Result<(), ApplyError> {
    if fold.ended.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = fold.ended.keys().copied().collect();
    let known = sqlx::query!("DELETE FROM asking_runs WHERE id = ANY($1) RETURNING id, workflow_key", &ids)
        .fetch_all(&mut *connection)
        .await?;
    if known.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = known.iter().map(|run| run.id).collect();
    let ends: Vec<i64> = ids.iter().filter_map(|id| fold.ended.get(id)).map(|(position, _)| *position).collect();
    let rows = sqlx::query!(
        "DELETE FROM asked_for a USING asking_tasks t, unnest($1::uuid[], $2::bigint[]) AS u (run_id, ended)
        WHERE t.id = a.task_id AND t.run_id = u.run_id AND a.position < u.ended
        RETURNING t.run_id, a.task_id, a.number, t.step, a.position, a.what, a.owner, a.due, a.priority",
        &ids,
        &ends
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM asking_tasks WHERE run_id = ANY($1)", &ids).execute(&mut *connection).await?;
    let mut opened = Vec::new();
    for run in known {
        let Some((position, at)) = fold.ended.get(&run.id) else { continue };
        let mut own: Vec<_> = rows.iter().filter(|row| row.run_id == run.id).collect();
        own.sort_by_key(|row| (row.position, row.number));
        let asked = own.into_iter().map(|row| {
            let id = ActionId { task: TaskId::from_uuid(row.task_id), number: row.number.unsigned_abs() };
            let priority = row.priority.as_deref();
            let priority = Priority::ALL.into_iter().find(|known| Some(known.name()) == priority);
            let item = ActionItem { what: row.what.clone(), owner: row.owner.clone(), due: row.due.clone(), priority };
            (id, row.step.as_str(), item)
        });
        opened.extend(gather(asked).into_iter().map(|gathered| Opened {
            id: gathered.id,
            run: run.id,
            workflow: run.workflow_key.clone(),
            // A list of lists has no type in PostgreSQL; names of steps have no spaces.
            steps: gathered.steps.join(" "),
            item: gathered.item,
            at: *at,
            position: *position,
        }));
    }
    if opened.is_empty() {
        return Ok(());
    }
    let standing = |opened: &Opened| Standing::opened(&opened.item);
    let mut making = vectors.take();
    let what = opened.iter().map(|one| making.of(&[(Weight::A, beginning(&one.item.what, LONGEST_WHAT))]));
    let what: Vec<Vector> = what.collect();
    let rest: Vec<Vector> =
        opened.iter().map(|one| remarks(&mut making, standing(one).owner.as_deref(), None)).collect();
    vectors.keep(making);
    sqlx::query!(
        "INSERT INTO action_items (task_id, number, run_id, workflow_key, steps, what, priority, urgency, state, owner,
            due, due_day, opened_at, changed_at, position, asked_owner, asked_due, opened_position, words)
        SELECT u.task_id, u.number, u.run_id, u.workflow_key, string_to_array(u.steps, ' '), u.what, u.priority,
            u.urgency, $14, u.owner, u.due, u.due_day, u.at, u.at, u.position, u.owner, u.due, u.position,
            u.words || u.rest
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::integer[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $15::tsvector[],
            $16::tsvector[])
            AS u (task_id, number, run_id, workflow_key, steps, what, priority, urgency, owner, due, due_day, at,
                position, words, rest)",
        column!(opened, one => one.id.task.as_uuid()) as _,
        column!(opened, one => one.id.number.cast_signed()) as _,
        column!(opened, one => one.run) as _,
        column!(opened, one => one.workflow.as_str()) as _,
        column!(opened, one => one.steps.as_str()) as _,
        column!(opened, one => one.item.what.as_str()) as _,
        column!(opened, one => one.item.priority.map(Priority::name)) as _,
        column!(opened, one => urgency(one.item.priority)) as _,
        column!(opened, one => standing(one).owner) as _,
        column!(opened, one => standing(one).due) as _,
        column!(opened, one => one.item.due.as_deref().and_then(day_of)) as _,
        column!(opened, one => one.at) as _,
        column!(opened, one => one.position) as _,
        ActionState::Open.name(),
        what as _,
        rest as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// By what an item's priority is sorted: 0 is the most pressing.
pub(super) fn urgency(priority: Option<Priority>) -> i32 {
    match priority.unwrap_or(Priority::Medium) {
        Priority::High => 0,
        Priority::Medium => 1,
        Priority::Low => 2,
    }
}

/// An item whose person was erased is there no more, so a change of it may find nothing.
async fn changed(connection: &mut PgConnection, fold: &Fold<'_>, vectors: &Shared) -> Result<(), ApplyError> {
    let rows = &fold.changed;
    if rows.is_empty() {
        return Ok(());
    }
    let mut making = vectors.take();
    let rest = rows.values().map(|row| remarks(&mut making, row.owner.as_deref(), row.note.as_deref()));
    let rest: Vec<Vector> = rest.collect();
    vectors.keep(making);
    // What has to be done never changes, and its words alone have weight A.
    sqlx::query!(
        "UPDATE action_items a SET state = u.state, owner = u.owner, due = u.due, due_day = u.due_day, note = u.note,
            changed_at = u.at, changed_by = u.by, position = u.position, words = ts_filter(a.words, '{a}') || u.rest
        FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
            $8::bigint[], $9::text[], $10::bigint[], $11::tsvector[])
            AS u (task_id, number, state, owner, due, due_day, note, at, by, position, rest)
        WHERE a.task_id = u.task_id AND a.number = u.number",
        column!(rows, ((task, _), _) => *task) as _,
        column!(rows, ((_, number), _) => *number) as _,
        column!(rows, (_, row) => row.state) as _,
        column!(rows, (_, row) => row.owner.as_deref()) as _,
        column!(rows, (_, row) => row.due.as_deref()) as _,
        column!(rows, (_, row) => row.due_day) as _,
        column!(rows, (_, row) => row.note.as_deref()) as _,
        column!(rows, (_, row) => row.at) as _,
        column!(rows, (_, row) => row.by.as_str()) as _,
        column!(rows, (_, row) => row.position) as _,
        rest as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
