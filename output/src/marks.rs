//! How good the answers of a run are together, by whoever counts for each of them.

use domain::task::{QualitySource, Score, Standing};
use serde::{Deserialize, Serialize};

/// What one source gives the answer of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Who.
    pub source: QualitySource,
    /// The mark, in hundredths; the median when there are several.
    pub score: Score,
    /// How many marks it is made of; for checks, how many checks.
    pub count: u32,
    /// Whether it is the one that counts; of the marks of a task exactly one does.
    pub counts: bool,
}

impl Mark {
    /// The marks of a task, the one that counts first.
    #[must_use]
    pub fn all(standing: &Standing) -> Vec<Self> {
        let counting = standing.counting().map(|part| part.source);
        let mark = |part: &domain::task::QualityPart| Self {
            source: part.source,
            score: part.mark,
            count: part.count,
            counts: Some(part.source) == counting,
        };
        standing.parts().iter().rev().map(mark).collect()
    }
}

/// How many tasks' marks come from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sources {
    /// From people.
    pub people: u32,
    /// From a judge.
    pub judge: u32,
    /// From what a program could decide.
    pub checks: u32,
}

impl Sources {
    /// How many come from one source.
    #[must_use]
    pub fn of(&self, source: QualitySource) -> u32 {
        match source {
            QualitySource::People => self.people,
            QualitySource::Judge => self.judge,
            QualitySource::Checks => self.checks,
        }
    }
}

/// How good the answers of a run are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunQuality {
    /// The average of the marks that count, one of each task that has any; rounded down to hundredths.
    pub score: Score,
    /// Whose marks those are.
    pub sources: Sources,
}

impl RunQuality {
    /// Of the mark that counts of each task; nothing when there is none.
    #[must_use]
    pub fn of(marks: impl IntoIterator<Item = (QualitySource, Score)>) -> Option<Self> {
        let (mut sum, mut count, mut sources) = (0_u64, 0_u64, Sources::default());
        for (source, score) in marks {
            sum = sum.saturating_add(score.hundredths().into());
            count = count.saturating_add(1);
            let of_source = match source {
                QualitySource::People => &mut sources.people,
                QualitySource::Judge => &mut sources.judge,
                QualitySource::Checks => &mut sources.checks,
            };
            *of_source = of_source.saturating_add(1);
        }
        let average = sum.checked_div(count).and_then(|mark| u16::try_from(mark).ok());
        average.and_then(Score::of_hundredths).map(|score| Self { score, sources })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use domain::task::{Judgement, PersonRating, Quality};
    use domain::{Actor, AgentId, Timestamp};

    use super::*;

    fn score(hundredths: u16) -> Score {
        Score::of_hundredths(hundredths).unwrap()
    }

    #[test]
    fn a_run_is_as_good_as_the_marks_that_count_say() {
        let marks = [
            (QualitySource::People, score(400)),
            (QualitySource::Judge, score(700)),
            (QualitySource::Checks, score(901)),
            (QualitySource::Checks, score(1000)),
        ];
        let sources = Sources { people: 1, judge: 1, checks: 2 };
        assert_eq!(RunQuality::of(marks), Some(RunQuality { score: score(750), sources }));
        assert_eq!(RunQuality::of([]), None);
    }

    #[test]
    fn of_the_marks_of_a_task_one_counts_and_it_comes_first() {
        let checks = Quality { score: score(1000), checks: vec![] };
        let judgement = Judgement {
            run: "0190f7a2-0000-7000-8000-000000000001".parse().unwrap(),
            agent: AgentId::from_key(&"judge".parse().unwrap()),
            model: "m".to_owned(),
            author: "n".to_owned(),
            asked: 3,
            marks: vec![score(600), score(800), score(700)],
            at: Timestamp::from_micros(1),
        };
        let rating = |by: &str, mark| PersonRating {
            by: Actor::person(by),
            mark: score(mark),
            comment: String::new(),
            at: Timestamp::from_micros(2),
        };
        let told = |standing: Option<Standing>| {
            Mark::all(&standing.unwrap())
                .into_iter()
                .map(|mark| (mark.source.name(), mark.score.hundredths(), mark.count, mark.counts))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(Standing::of(Some(&checks), None, &[])), [("checks", 1000, 0, true)]);
        let judged = Standing::of(Some(&checks), Some(&judgement), &[]);
        assert_eq!(told(judged), [("judge", 700, 3, true), ("checks", 1000, 0, false)]);
        let rated = Standing::of(Some(&checks), Some(&judgement), &[rating("ada", 200), rating("bob", 500)]);
        assert_eq!(told(rated), [("people", 350, 2, true), ("judge", 700, 3, false), ("checks", 1000, 0, false)]);
    }
}
