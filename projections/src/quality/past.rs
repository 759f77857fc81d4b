//! The marks that count, in memory: what the tables would say of them if the journal ended with the last event given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::task::{QualitySource, Score};
use journal::RecordedEvent;
use uuid::Uuid;

use super::fold;
use crate::projector::ApplyError;

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

/// Which mark counts, of those that people, a judge and checks give, in hundredths.
pub(crate) fn counts(people: &[i32], judge: Option<i32>, checks: Option<i32>) -> Option<(QualitySource, Score)> {
    let score = |mark: i32| u16::try_from(mark).ok().and_then(Score::of_hundredths);
    let people: Vec<Score> = people.iter().copied().filter_map(score).collect();
    let counting = Score::median(&people).map(|mark| (QualitySource::People, mark));
    let judge = || judge.and_then(score).map(|mark| (QualitySource::Judge, mark));
    let checks = || checks.and_then(score).map(|mark| (QualitySource::Checks, mark));
    counting.or_else(judge).or_else(checks)
}
