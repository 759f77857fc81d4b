//! Finding by words.

use uuid::Uuid;
use words::Lexicon;

use super::Queries;
use crate::Error;
use crate::text::{Asked, excerpt};

/// Within how many characters of a text an excerpt is made.
const SHOWN: i32 = 20_000;

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRow {
    /// `workflow`, `agent`, `template`, `run`, `task`, `run_output`, `task_output` or `action_item`.
    pub kind: String,
    /// Of the workflow, agent, template, run or task; of an action item, of the task that asked for it first.
    pub id: Uuid,
    /// Of an action item: its number there.
    pub number: Option<i32>,
    /// The name that people read, or the key; of an action item, what has to be done.
    pub label: String,
    /// Of tasks, their outputs and action items: the run.
    pub run_id: Option<Uuid>,
    /// Of tasks, their outputs and action items: the step.
    pub step: Option<String>,
    /// When it was last written, in microseconds since the Unix epoch.
    pub at: i64,
    /// How well it fits; only for comparing within one answer.
    pub rank: f32,
    /// Where the words stand; those that were looked for are between `«` and `»`.
    pub excerpt: String,
}

impl Queries {
    /// What has these words, the best first, at most `limit`. Words are written as people write them for web searches: all
    /// of them must be there, `"exact phrase"`, `or`, `-without`; what is written without spaces (`foo@bar.com`) is a
    /// phrase. The rules of English and Arabic say which forms of a word are the same. Any text is a question; one with
    /// nothing but function words finds nothing, and of one with very many words the first 512 count. `kinds` may be empty,
    /// which means all. Action items are found by what they are now, in their own read model.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search(&self, words: &str, kinds: &[String], limit: u32) -> Result<Vec<FoundRow>, Error> {
        let mut lexicon = Lexicon::default();
        let Some(asked) = Asked::parse(words, &mut lexicon) else { return Ok(Vec::new()) };
        let rows = sqlx::query!(
            r#"WITH asked AS (
                SELECT $1::text::tsquery AS words
            ), found AS (
                (SELECT d.kind, d.id, NULL::integer AS number, d.label, d.run_id, d.step, d.at, d.body,
                    ts_rank(d.words, asked.words) AS rank
                FROM read_search.documents d, asked
                WHERE d.words @@ asked.words AND (cardinality($2::text[]) = 0 OR d.kind = ANY($2))
                ORDER BY rank DESC, d.kind, d.id LIMIT $3)
                UNION ALL
                (SELECT 'action_item', a.task_id, a.number, a.what, a.run_id, a.steps[1], a.changed_at,
                    concat_ws(E'\n', a.what, a.owner, a.note), ts_rank(a.words, asked.words) AS rank
                FROM read_actions.action_items a, asked
                WHERE a.words @@ asked.words AND (cardinality($2::text[]) = 0 OR 'action_item' = ANY($2))
                ORDER BY rank DESC, a.task_id, a.number LIMIT $3)
            )
            SELECT found.kind AS "kind!", found.id AS "id!", found.number AS "number?", coalesce(origin.label, found.label) AS "label!",
                coalesce(origin.run_id, found.run_id) AS "run_id?", coalesce(origin.step, found.step) AS "step?",
                found.at AS "at!", found.rank AS "rank!", left(found.body, $4) AS "beginning!"
            FROM found LEFT JOIN read_search.documents origin ON origin.id = found.id
                AND origin.kind = CASE found.kind WHEN 'task_output' THEN 'task' WHEN 'run_output' THEN 'run' END
            ORDER BY found.rank DESC, found.kind, found.id, found.number LIMIT $3"#,
            asked.query,
            kinds,
            i64::from(limit),
            SHOWN
        )
        .fetch_all(&self.pool)
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(FoundRow {
                kind: row.kind,
                id: row.id,
                number: row.number,
                label: row.label,
                run_id: row.run_id,
                step: row.step,
                at: row.at,
                rank: row.rank,
                excerpt: excerpt(&row.beginning, &asked.wanted, &mut lexicon),
            });
            // Reading many long texts takes a while.
            tokio::task::consume_budget().await;
        }
        Ok(found)
    }
}
