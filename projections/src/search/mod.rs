//! The projector of search: the texts of the catalogue, of runs and of tasks, with their words.
//!
//! Invariants: each word is indexed by the rules of the language that its script tells, so nobody has to say which it is;
//! an output has no label of its own, those who read take that of its task or run, so
//! that writing reads nothing. Action items come to be by the end of a run and change afterwards, so they are not here but
//! have their words in their own read model; whoever searches asks both.

mod fold;

use std::sync::Arc;

use async_trait::async_trait;
use domain::Category;
use journal::RecordedEvent;
use sqlx::PgConnection;

use self::fold::Document;
use crate::projector::{ApplyError, Projector};
use crate::text::{Shared, Vector, Weight};

/// After how many bytes of text others get their turn: about a millisecond.
const TURN: usize = 1 << 16;

/// Keeps `read_search`.
#[derive(Default)]
pub(crate) struct Search {
    vectors: Shared,
}

impl Search {
    /// The words of documents, in their order.
    async fn words(&self, documents: impl Iterator<Item = &Document> + Send) -> Vec<Vector> {
        let mut vectors = self.vectors.take();
        let (mut words, mut read) = (Vec::new(), 0);
        for document in documents {
            words.push(vectors.of(&[(Weight::A, &document.label), (Weight::B, &document.body)]));
            read += document.body.len();
            if read > TURN {
                read = 0;
                tokio::task::yield_now().await;
            }
        }
        self.vectors.keep(vectors);
        words
    }
}

#[async_trait]
impl Projector for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    fn version(&self) -> i32 {
        3
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
        let words = self.words(rows.iter().map(|(_, document)| document)).await;
        let replaced: Vec<_> = rows.iter().filter(|(_, document)| document.replaces).collect();
        if !replaced.is_empty() {
            sqlx::query!(
                "DELETE FROM documents d USING unnest($1::text[], $2::uuid[]) AS u (kind, id)
                WHERE d.id = u.id AND d.kind = u.kind",
                column!(replaced, ((kind, _), _) => *kind) as _,
                column!(replaced, ((_, id), _) => *id) as _
            )
            .execute(&mut *connection)
            .await?;
        }
        sqlx::query!(
            "INSERT INTO documents (kind, id, label, run_id, step, at, body, words)
            SELECT unnest($1::text[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::uuid[]), unnest($5::text[]),
                unnest($6::bigint[]), unnest($7::text[]), unnest($8::tsvector[])",
            column!(rows, ((kind, _), _) => *kind) as _,
            column!(rows, ((_, id), _) => *id) as _,
            column!(rows, (_, document) => document.label.as_str()) as _,
            column!(rows, (_, document) => document.run) as _,
            column!(rows, (_, document) => document.step.as_deref()) as _,
            column!(rows, (_, document) => document.at) as _,
            column!(rows, (_, document) => document.body.as_str()) as _,
            words as _
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
