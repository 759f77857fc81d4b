//! The projector of search: the texts of the catalogue, of runs and of tasks, with their words.
//!
//! Invariants: each text is indexed by the rules of English, and by those of Arabic unless it is of ASCII alone, so nobody
//! has to say which language it is; an output has no label of its own, those who read take that of its task or run, so
//! that writing reads nothing. Action items come to be by the end of a run and change afterwards, so they are not here but
//! have their words in their own read model; whoever searches asks both.

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
        2
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
                setweight(to_tsvector('english', label), 'A') || setweight(to_tsvector('english', body), 'B')
                    || CASE WHEN octet_length(label) = length(label) AND octet_length(body) = length(body) THEN ''
                        ELSE setweight(to_tsvector('arabic', label), 'A') || setweight(to_tsvector('arabic', body), 'B')
                        END
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::text[])
                AS u (kind, id, label, run_id, step, at, body)
            ON CONFLICT (id, kind) DO UPDATE SET label = excluded.label, run_id = excluded.run_id, step = excluded.step,
                at = excluded.at, body = excluded.body, words = excluded.words",
            column!(rows, ((kind, _), _) => *kind) as _,
            column!(rows, ((_, id), _) => *id) as _,
            column!(rows, (_, document) => document.label.as_str()) as _,
            column!(rows, (_, document) => document.run) as _,
            column!(rows, (_, document) => document.step.as_deref()) as _,
            column!(rows, (_, document) => document.at) as _,
            column!(rows, (_, document) => document.body.as_str()) as _
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
