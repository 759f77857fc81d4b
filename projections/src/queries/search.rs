//! Finding by words.

use uuid::Uuid;

use super::Queries;
use crate::Error;

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRow {
    /// `workflow`, `agent`, `template`, `run`, `task`, `run_output` or `task_output`.
    pub kind: String,
    /// Of the workflow, agent, template, run or task.
    pub id: Uuid,
    /// The name that people read, or the key.
    pub label: String,
    /// Of tasks and their outputs: the run.
    pub run_id: Option<Uuid>,
    /// Of tasks and their outputs: the step.
    pub step: Option<String>,
    /// When it was last written, in microseconds since the Unix epoch.
    pub at: i64,
    /// How well it fits; only for comparing within one answer.
    pub rank: f32,
    /// Where the words stand; those that were looked for are between `«` and `»`.
    pub excerpt: String,
}

impl Queries {
    /// What has these words, the best first, at most `limit`. Words are written as people write them for web searches:
    /// `"exact phrase"`, `or`, `-without`; the rules of English and Arabic say which forms of a word are the same.
    /// `kinds` may be empty, which means all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn search(&self, words: &str, kinds: &[String], limit: u32) -> Result<Vec<FoundRow>, Error> {
        let words = crate::projector::storable(words);
        let rows = sqlx::query_as!(
            FoundRow,
            r#"WITH asked AS (
                SELECT websearch_to_tsquery('english', $1) || websearch_to_tsquery('arabic', $1) AS words
            ), found AS (
                SELECT d.kind, d.id, d.label, d.run_id, d.step, d.at, d.body, asked.words AS wanted,
                    ts_rank(d.words, asked.words) AS rank
                FROM read_search.documents d, asked
                WHERE d.words @@ asked.words AND (cardinality($2::text[]) = 0 OR d.kind = ANY($2))
                ORDER BY rank DESC, d.kind, d.id LIMIT $3
            )
            SELECT found.kind AS "kind!", found.id AS "id!", coalesce(origin.label, found.label) AS "label!",
                coalesce(origin.run_id, found.run_id) AS "run_id?", coalesce(origin.step, found.step) AS "step?",
                found.at AS "at!", found.rank AS "rank!",
                ts_headline('english', left(found.body, 20000), wanted,
                    'StartSel=«, StopSel=», MaxFragments=2, MaxWords=24, MinWords=6, FragmentDelimiter= … ') AS "excerpt!"
            FROM found LEFT JOIN read_search.documents origin ON origin.id = found.id
                AND origin.kind = CASE found.kind WHEN 'task_output' THEN 'task' WHEN 'run_output' THEN 'run' END
            ORDER BY found.rank DESC, found.kind, found.id"#,
            &words,
            kinds,
            i64::from(limit)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
