//! How good the answers of runs are, and how judges agree with people.

use std::collections::BTreeMap;

use domain::task::{QualitySource, Score};
use output::RunQuality;
use uuid::Uuid;

use super::Queries;
use crate::Error;
use crate::quality::counts;

/// How good the answers of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunQualityRow {
    /// Which run.
    pub run_id: Uuid,
    /// The average of the marks that count, and whose those are.
    pub quality: RunQuality,
}

/// How one model judges, compared with what people give to the same answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The model that judged; `None` for all of them together.
    pub model: Option<String>,
    /// How many tasks have both a judge's mark and people's.
    pub count: u32,
    /// The mean of judge − people: above 0 the judge is kinder.
    pub bias: f64,
    /// The mean of |judge − people|.
    pub absolute_error: f64,
    /// Pearson's correlation of both marks, -1 to 1; `None` below two tasks, and when either gives everything the same mark.
    pub pearson: Option<f64>,
    /// Spearman's correlation: Pearson's of the ranks, where equal marks share the mean of their ranks.
    pub spearman: Option<f64>,
}

impl Queries {
    /// How good the answers of runs are by the marks that count: of each task people's median, or else the judge's, or
    /// else the checks. A run of whose tasks nobody says anything is left out; what undoes a step does not count. Answered
    /// by the read model `quality`, whose position is one of its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn qualities_of_runs(&self, runs: &[Uuid]) -> Result<Vec<RunQualityRow>, Error> {
        let rows = sqlx::query!(
            r#"SELECT t.run_id AS "run_id!", c.mark AS "checks?", j.mark AS "judge?",
                (SELECT array_agg(r.mark) FROM read_quality.rated_tasks r WHERE r.task_id = t.task_id) AS "people?"
            FROM (
                SELECT s.run_id, s.task_id FROM read_runs.steps s WHERE s.run_id = ANY($1) AND s.task_id IS NOT NULL
                UNION SELECT i.run_id, i.task_id FROM read_runs.items i WHERE i.run_id = ANY($1)
            ) AS t
            LEFT JOIN read_quality.checked_tasks c ON c.task_id = t.task_id
            LEFT JOIN read_quality.judged_tasks j ON j.task_id = t.task_id"#,
            runs
        );
        let mut marks: BTreeMap<Uuid, Vec<(QualitySource, Score)>> = BTreeMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            if let Some(mark) = counts(row.people.as_deref().unwrap_or_default(), row.judge, row.checks) {
                marks.entry(row.run_id).or_default().push(mark);
            }
        }
        let of = |(run_id, marks): (Uuid, Vec<_>)| Some(RunQualityRow { run_id, quality: RunQuality::of(marks)? });
        Ok(marks.into_iter().filter_map(of).collect())
    }

    /// How judges agree with people, over the tasks that both have said something about: all models together first, then
    /// each by its name; nothing when there is no such task. `since` leaves out what was judged before that moment, in
    /// microseconds since the Unix epoch. People's mark of a task is the median of theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calibration(&self, since: Option<i64>) -> Result<Vec<Calibration>, Error> {
        let rows = sqlx::query!(
            r#"SELECT j.model, j.mark, percentile_cont(0.5) WITHIN GROUP (ORDER BY r.mark) AS "people!"
            FROM read_quality.judged_tasks j JOIN read_quality.rated_tasks r ON r.task_id = j.task_id
            WHERE ($1::bigint IS NULL OR j.judged_at >= $1)
            GROUP BY j.task_id, j.model, j.mark ORDER BY j.task_id"#,
            since
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(calibrations(rows.map(|row| Pair { model: row.model, judge: row.mark, people: row.people })))
    }

    /// Tasks of which both a judge and people have said something by now, judged at that moment or later; at most `limit`, in
    /// the order of their ids.
    pub(crate) async fn judged_and_rated(&self, since: Option<i64>, limit: usize) -> Result<Vec<Uuid>, Error> {
        let ids = sqlx::query_scalar!(
            "SELECT j.task_id FROM read_quality.judged_tasks j
            WHERE ($1::bigint IS NULL OR j.judged_at >= $1)
                AND EXISTS (SELECT FROM read_quality.rated_tasks r WHERE r.task_id = j.task_id)
            ORDER BY j.task_id LIMIT $2",
            since,
            i64::try_from(limit).unwrap_or(i64::MAX)
        );
        Ok(ids.fetch_all(&self.pool).await?)
    }
}

/// What both say of one task, in hundredths.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    /// The model that judged.
    pub(crate) model: String,
    /// The judge's mark.
    pub(crate) judge: i32,
    /// The median of people's.
    pub(crate) people: f64,
}

/// All models together, then each by its name. In another order of the tasks the last digits may be others.
pub(crate) fn calibrations(pairs: impl IntoIterator<Item = Pair>) -> Vec<Calibration> {
    let mut all = Vec::new();
    let mut models: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for Pair { model, judge, people } in pairs {
        let pair = (f64::from(judge) / 100.0, people / 100.0);
        all.push(pair);
        models.entry(model).or_default().push(pair);
    }
    let each = models.into_iter().filter_map(|(model, pairs)| calibrated(Some(model), &pairs));
    calibrated(None, &all).into_iter().chain(each).collect()
}

fn calibrated(model: Option<String>, pairs: &[(f64, f64)]) -> Option<Calibration> {
    let count = u32::try_from(pairs.len()).ok().filter(|count| *count > 0)?;
    let mean = |of: fn(f64, f64) -> f64| {
        pairs.iter().map(|(judge, people)| of(*judge, *people)).sum::<f64>() / f64::from(count)
    };
    let (judge, people): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(Calibration {
        model,
        count,
        bias: mean(|judge, people| judge - people),
        absolute_error: mean(|judge, people| (judge - people).abs()),
        pearson: pearson(&judge, &people),
        spearman: pearson(&ranks(&judge), &ranks(&people)),
    })
}

/// Pearson's product-moment correlation.
fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    let count = f64::from(u32::try_from(one.len()).ok().filter(|count| *count > 1)?);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut both, mut own, mut theirs) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (one - mean_one, other - mean_other);
        (both, own, theirs) = (both + one * other, own + one * one, theirs + other * other);
    }
    (own > 0.0 && theirs > 0.0).then(|| (both / (own.sqrt() * theirs.sqrt())).clamp(-1.0, 1.0))
}

/// The rank of each value, from 1; equal ones share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let (mut below, mut equal) = (0.0, 0.0);
        for other in values {
            match other.total_cmp(value) {
                std::cmp::Ordering::Less => below += 1.0,
                std::cmp::Ordering::Equal => equal += 1.0,
                std::cmp::Ordering::Greater => {}
            }
        }
        below + (equal + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_judge_is_measured_against_people() {
        let pairs = [(8.0, 7.0), (6.0, 5.0), (9.0, 9.0), (4.0, 1.0)];
        let found = calibrated(None, &pairs).unwrap();
        assert_eq!(found.count, 4);
        assert!((found.bias - 1.25).abs() < 1e-9, "{found:?}");
        assert!((found.absolute_error - 1.25).abs() < 1e-9);
        assert!((found.spearman.unwrap() - 1.0).abs() < 1e-9, "the order is the same");
        // By hand: 22.5 / sqrt(14.75 * 35).
        assert!((found.pearson.unwrap() - 22.5 / (14.75_f64 * 35.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn equal_marks_share_their_rank_and_say_nothing_alone() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        let same = calibrated(Some("m".to_owned()), &[(5.0, 4.0), (5.0, 8.0)]).unwrap();
        assert_eq!((same.pearson, same.spearman), (None, None));
        assert!((same.bias + 1.0).abs() < 1e-9 && (same.absolute_error - 2.0).abs() < 1e-9);
        assert_eq!(calibrated(None, &[(5.0, 4.0)]).unwrap().pearson, None);
        assert_eq!(calibrated(None, &[]), None);
    }
}
