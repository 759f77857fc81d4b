//! The marks that count, in memory: what the tables would say of them if the journal ended with the last event given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::task::{QualitySource, Score};
use journal::RecordedEvent;
use uuid::Uuid;

use super::fold;
use crate::projector::ApplyError;
use crate::queries::Pair;

/// The mark that counts of each task: people's median, or else the judge's, or else the checks. Tasks of which nobody says
/// anything are left out.
pub(crate) fn counting(events: &[Arc<RecordedEvent>]) -> Result<BTreeMap<Uuid, (QualitySource, Score)>, ApplyError> {
    let fold = fold::fold(events)?;
    let mut people: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for ((task, _), rated) in &fold.rated {
        people.entry(*task).or_default().push(rated.mark);
    }
    let tasks: BTreeSet<Uuid> = people.keys().chain(fold.judged.keys()).chain(fold.checked.keys()).copied().collect();
    let mark = |task: Uuid| {
        let (judge, checks) = (fold.judged.get(&task).map(|judged| judged.mark), fold.checked.get(&task).copied());
        Some((task, counts(people.get(&task).map(Vec::as_slice).unwrap_or_default(), judge, checks)?))
    };
    Ok(tasks.into_iter().filter_map(mark).collect())
}

/// What judges and people say of tasks of which both say something, in the order of their ids.
pub(crate) fn pairs(events: &[Arc<RecordedEvent>]) -> Result<Vec<Pair>, ApplyError> {
    let fold = fold::fold(events)?;
    let mut people: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for ((task, _), rated) in &fold.rated {
        people.entry(*task).or_default().push(rated.mark);
    }
    let pair = |(task, judged): (&Uuid, &fold::Judged<'_>)| {
        let people = middle(people.remove(task)?)?;
        Some(Pair { model: judged.model.clone().into_owned(), judge: judged.mark, people })
    };
    Ok(fold.judged.iter().filter_map(pair).collect())
}

/// The median as `percentile_cont(0.5)` gives it; nothing where there is no mark.
fn middle(mut marks: Vec<i32>) -> Option<f64> {
    marks.sort_unstable();
    let (low, high) = (marks.len().checked_sub(1)? / 2, marks.len() / 2);
    let (low, high) = (f64::from(*marks.get(low)?), f64::from(*marks.get(high)?));
    Some(low + (high - low) / 2.0)
}

/// Which mark counts, of those that people, a judge and checks give, in hundredths.
pub(crate) fn counts(people: &[i32], judge: Option<i32>, checks: Option<i32>) -> Option<(QualitySource, Score)> {
    let score = |mark: i32| u16::try_from(mark).ok().and_then(Score::of_hundredths);
    let people: Vec<Score> = people.iter().copied().filter_map(score).collect();
    let counting = Score::median(&people).map(|mark| (QualitySource::People, mark));
    let judge = || judge.and_then(score).map(|mark| (QualitySource::Judge, mark));
    let checks = || checks.and_then(score).map(|mark| (QualitySource::Checks, mark));
    counting.or_else(judge).or_else(checks)
}
