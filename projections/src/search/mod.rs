//! The projector of search: the texts of the catalogue, of runs and of tasks, with their words.
//!
//! Invariant: each text is indexed by the rules of English and of Arabic, whatever its language, so nobody has to say
//! which it is.

mod fold;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use crate::projector::{ApplyError, Projector};

/// Keeps `read_search`.
pub(crate) struct Search;

macro_rules! column {
    ($rows:expr, $row:pat => $value:expr) => {
        &$rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

#[async_trait]
impl Projector for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn version(&self) -> i32 {
        1
    }

    fn schema(&self) -> &'static str {
        "read_search"
    }

    fn categories(&self) -> &'static [Category] {
        &[Category::Workflow, Category::Agent, Category::Template, Category::Run, Category::Task]
    }

    fn apart(&self) -> bool {
        true
    }

    fn tables(&self) -> &'static str {
        include_str!("tables.sql")
    }

    fn indexes(&self) -> &'static str {
        include_str!("indexes.sql")
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<RecordedEvent>]) -> Result<(), ApplyError> {
        let rows: Vec<_> = fold::fold(events)?.into_iter().collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO documents AS d (kind, id, label, run_id, step, at, body, words)
            SELECT kind, id, label, run_id, step, at, body,
                setweight(to_tsvector('english', label) || to_tsvector('arabic', label), 'A')
                    || setweight(to_tsvector('english', body) || to_tsvector('arabic', body), 'B')
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::text[])
                AS u (kind, id, label, run_id, step, at, body)
            ON CONFLICT (kind, id) DO UPDATE SET label = excluded.label, run_id = coalesce(excluded.run_id, d.run_id),
                step = coalesce(excluded.step, d.step), at = excluded.at, body = excluded.body, words = excluded.words",
            column!(rows, ((kind, _), _) => *kind) as _,
            column!(rows, ((_, id), _) => *id) as _,
            column!(rows, (_, document) => document.label.as_str()) as _,
            column!(rows, (_, document) => document.run) as _,
            column!(rows, (_, document) => document.step.as_deref()) as _,
            column!(rows, (_, document) => document.at) as _,
            column!(rows, (_, document) => document.body.as_str()) as _
        )
        .execute(&mut *connection)
        .await?;
        // An answer says nothing of its run; its task's document, which came before, does.
        sqlx::query!(
            "UPDATE documents o SET run_id = t.run_id, step = t.step, label = t.label,
                words = o.words || setweight(to_tsvector('english', t.label) || to_tsvector('arabic', t.label), 'A')
            FROM unnest($1::uuid[]) AS u (id) JOIN documents t ON t.kind = 'task' AND t.id = u.id
            WHERE o.kind = 'task_output' AND o.id = u.id AND o.label = ''",
            column!(rows, ((_, id), _) => *id) as _
        )
        .execute(&mut *connection)
        .await?;
        sqlx::query!(
            "UPDATE documents o SET label = r.label,
                words = o.words || setweight(to_tsvector('english', r.label) || to_tsvector('arabic', r.label), 'A')
            FROM unnest($1::uuid[]) AS u (id) JOIN documents r ON r.kind = 'run' AND r.id = u.id
            WHERE o.kind = 'run_output' AND o.id = u.id AND o.label = ''",
            column!(rows, ((_, id), _) => *id) as _
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
