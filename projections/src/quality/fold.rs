//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Event, TaskEvent};
use journal::RecordedEvent;
use uuid::Uuid;

use crate::projector::{ApplyError, storable};

/// What a batch does.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    /// What programs give.
    pub(super) checked: BTreeMap<Uuid, i32>,
    pub(super) judged: BTreeMap<Uuid, Judged<'a>>,
    /// The last rating of each person, by task and person.
    pub(super) rated: BTreeMap<(Uuid, String), Rated>,
}

/// What a judge gives.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) agent: Uuid,
    pub(super) model: Cow<'a, str>,
    pub(super) author: Cow<'a, str>,
    pub(super) mark: i32,
    pub(super) spread: i32,
    pub(super) samples: i32,
    pub(super) asked: i64,
    pub(super) at: i64,
}

/// What somebody gives.
#[derive(Debug)]
pub(super) struct Rated {
    pub(super) mark: i32,
    pub(super) at: i64,
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        let id = recorded.stream.id;
        match recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))? {
            Event::Task(TaskEvent::Completed { quality: Some(quality), .. }) => {
                fold.checked.insert(id, quality.score.hundredths().into());
            }
            Event::Task(TaskEvent::Judged { judgement, .. }) => {
                let median = judgement.median();
                let mark = median.ok_or_else(|| ApplyError::Indigestible("a judgement has no mark".to_owned()))?;
                let judged = Judged {
                    agent: judgement.agent.as_uuid(),
                    model: storable(&judgement.model),
                    author: storable(&judgement.author),
                    mark: mark.hundredths().into(),
                    spread: judgement.spread().into(),
                    samples: i32::try_from(judgement.marks.len()).unwrap_or(i32::MAX),
                    asked: judgement.asked.into(),
                    at: judgement.at.as_micros(),
                };
                fold.judged.insert(id, judged);
            }
            Event::Task(TaskEvent::Rated { by, mark, at, .. }) => {
                let rated = Rated { mark: mark.hundredths().into(), at: at.as_micros() };
                fold.rated.insert((id, storable(&by.to_string()).into_owned()), rated);
            }
            _ => {}
        }
    }
    Ok(fold)
}
