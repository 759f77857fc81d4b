//! Two runs beside each other.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::Queries;
use crate::{AttemptRow, Error, RunRow, StepRow};

/// Two runs beside each other: what each did, and what is different.
#[derive(Debug, Clone, PartialEq)]
pub struct RunComparison {
    /// One run.
    pub a: RunSide,
    /// The other.
    pub b: RunSide,
    /// Whether both were given the same input.
    pub same_input: bool,
    /// Whether both have the same output.
    pub same_output: bool,
    /// Every step of either, in the order of the first run's definition, then those that only the second has.
    pub steps: Vec<StepComparison>,
}

/// One of two runs that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSide {
    /// The run.
    pub run: RunRow,
    /// What all its steps took together, those included that it took over.
    pub effort: Effort,
}

/// A step in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct StepComparison {
    /// Its name.
    pub name: String,
    /// In the first run; `None` when that has no such step.
    pub a: Option<StepSide>,
    /// In the second run.
    pub b: Option<StepSide>,
    /// Whether it stands at the same status, with the same output, in both.
    pub same: bool,
}

/// A step in one of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSide {
    /// The step.
    pub step: StepRow,
    /// Whether it was taken over from another run as it was.
    pub kept: bool,
    /// What it took.
    pub effort: Effort,
}

/// What work took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// How many attempts.
    pub attempts: i64,
    /// The sum of all known costs, in billionths of a US dollar.
    pub cost_nano_usd: i64,
    /// Attempts whose cost is not known.
    pub unknown_costs: i64,
    /// All prompt tokens that were reported.
    pub input_tokens: i64,
    /// All answer tokens that were reported.
    pub output_tokens: i64,
}

impl Effort {
    /// What one attempt took.
    pub(crate) fn of(row: &AttemptRow) -> Self {
        Self {
            attempts: 1,
            cost_nano_usd: row.cost_nano_usd.unwrap_or(0),
            unknown_costs: i64::from(row.cost_nano_usd.is_none() && row.status != "running"),
            input_tokens: row.input_tokens.unwrap_or(0),
            output_tokens: row.output_tokens.unwrap_or(0),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.cost_nano_usd += other.cost_nano_usd;
        self.unknown_costs += other.unknown_costs;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

impl RunComparison {
    /// Two runs beside each other, from their steps and what those took.
    pub(crate) fn of(a: RunRow, b: RunRow, steps: &[StepRow], efforts: &BTreeMap<(Uuid, String), Effort>) -> Self {
        let of_a = sides(&a, steps, efforts);
        let mut of_b: BTreeMap<String, StepSide> =
            sides(&b, steps, efforts).into_iter().map(|side| (side.step.name.clone(), side)).collect();
        let (total_a, total_b) = (total(&of_a), total(of_b.values()));
        let mut compared: Vec<StepComparison> = Vec::new();
        for side in of_a {
            let name = side.step.name.clone();
            let other = of_b.remove(&name);
            compared.push(StepComparison::of(name, Some(side), other));
        }
        let mut only_b: Vec<StepSide> = of_b.into_values().collect();
        only_b.sort_by_key(|side| side.step.ordinal);
        compared.extend(only_b.into_iter().map(|side| StepComparison::of(side.step.name.clone(), None, Some(side))));
        Self {
            same_input: a.input == b.input,
            same_output: same(a.output.as_ref(), b.output.as_ref()),
            a: RunSide { run: a, effort: total_a },
            b: RunSide { run: b, effort: total_b },
            steps: compared,
        }
    }
}

impl StepComparison {
    fn of(name: String, a: Option<StepSide>, b: Option<StepSide>) -> Self {
        let end = |side: &StepSide| (side.step.status.clone(), side.step.output.clone());
        let same = matches!((&a, &b), (Some(a), Some(b)) if end(a) == end(b));
        Self { name, a, b, same }
    }
}

impl Queries {
    /// Two runs beside each other; `None` when there is no such run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn compare_runs(&self, a: Uuid, b: Uuid) -> Result<Option<RunComparison>, Error> {
        let runs = self.runs_by_ids(&[a, b]).await?;
        let of = |id: Uuid| runs.iter().find(|run| run.id == id).cloned();
        let (Some(a), Some(b)) = (of(a), of(b)) else { return Ok(None) };
        let efforts = self.efforts(&[a.id, b.id]).await?;
        let steps = self.steps_of_runs(&[a.id, b.id]).await?;
        Ok(Some(RunComparison::of(a, b, &steps, &efforts)))
    }

    /// What the steps of runs took, by run and step.
    async fn efforts(&self, runs: &[Uuid]) -> Result<BTreeMap<(Uuid, String), Effort>, Error> {
        let rows = sqlx::query!(
            r#"SELECT w.run_id AS "run_id!", w.step AS "step!", count(*) AS "attempts!",
                coalesce(sum(a.cost_nano_usd), 0)::bigint AS "cost!",
                count(*) FILTER (WHERE a.cost_nano_usd IS NULL AND a.status <> 'running') AS "unknown!",
                coalesce(sum(a.input_tokens), 0)::bigint AS "input!",
                coalesce(sum(a.output_tokens), 0)::bigint AS "output!"
            FROM (
                SELECT run_id, step, task_id FROM read_runs.steps WHERE run_id = ANY($1)
                UNION ALL SELECT run_id, step, task_id FROM read_runs.items WHERE run_id = ANY($1)
                UNION ALL SELECT run_id, step, task_id FROM read_runs.undos WHERE run_id = ANY($1)
            ) AS w JOIN read_runs.attempts a ON a.task_id = w.task_id GROUP BY w.run_id, w.step"#,
            runs
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter().map(|row| {
            let effort = Effort {
                attempts: row.attempts,
                cost_nano_usd: row.cost,
                unknown_costs: row.unknown,
                input_tokens: row.input,
                output_tokens: row.output,
            };
            ((row.run_id, row.step), effort)
        });
        Ok(rows.collect())
    }
}

fn sides(run: &RunRow, steps: &[StepRow], efforts: &BTreeMap<(Uuid, String), Effort>) -> Vec<StepSide> {
    let kept = |name: &String| run.kept.as_ref().is_some_and(|kept| kept.contains(name));
    let own = steps.iter().filter(|step| step.run_id == run.id);
    own.map(|step| StepSide {
        kept: kept(&step.name),
        effort: efforts.get(&(run.id, step.name.clone())).copied().unwrap_or_default(),
        step: step.clone(),
    })
    .collect()
}

fn total<'a>(sides: impl IntoIterator<Item = &'a StepSide>) -> Effort {
    sides.into_iter().fold(Effort::default(), |mut total, side| {
        total.add(side.effort);
        total
    })
}

/// Two outputs are the same when both are there and equal.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    a.is_some() && a == b
}
