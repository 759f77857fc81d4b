//! Finding by words.

use uuid::Uuid;

use super::Queries;
use crate::Error;

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
    /// What has these words, the best first, at most `limit`. Words are written as people write them for web searches:
    /// `"exact phrase"`, `or`, `-without`; the rules of English and Arabic say which forms of a word are the same.
    /// `kinds` may be empty, which means all. Action items are found by what they are now, in their own read model.
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
                (SELECT d.kind, d.id, NULL::integer AS number, d.label, d.run_id, d.step, d.at, d.body,
                    asked.words AS wanted, ts_rank(d.words, asked.words) AS rank
                FROM read_search.documents d, asked
                WHERE d.words @@ asked.words AND (cardinality($2::text[]) = 0 OR d.kind = ANY($2))
                ORDER BY rank DESC, d.kind, d.id LIMIT $3)
                UNION ALL
                (SELECT 'action_item', a.task_id, a.number, a.what, a.run_id, a.steps[1], a.changed_at,
                    concat_ws(E'\n', a.what, a.owner, a.note), asked.words, ts_rank(a.words, asked.words) AS rank
                FROM read_actions.action_items a, asked
                WHERE a.words @@ asked.words AND (cardinality($2::text[]) = 0 OR 'action_item' = ANY($2))
                ORDER BY rank DESC, a.task_id, a.number LIMIT $3)
            )
            SELECT found.kind AS "kind!", found.id AS "id!", found.number AS "number?", coalesce(origin.label, found.label) AS "label!",
                coalesce(origin.run_id, found.run_id) AS "run_id?", coalesce(origin.step, found.step) AS "step?",
                found.at AS "at!", found.rank AS "rank!",
                ts_headline('english', left(found.body, 20000), wanted,
                    'StartSel=«, StopSel=», MaxFragments=2, MaxWords=24, MinWords=6, FragmentDelimiter= … ') AS "excerpt!"
            FROM found LEFT JOIN read_search.documents origin ON origin.id = found.id
                AND origin.kind = CASE found.kind WHEN 'task_output' THEN 'task' WHEN 'run_output' THEN 'run' END
            ORDER BY found.rank DESC, found.kind, found.id, found.number LIMIT $3"#,
            &words,
            kinds,
            i64::from(limit)
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
