//! What a run can take over of another run's history.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Lineage;
use super::refusal::RunRefusal;
use super::state::Run;
use crate::{Definition, RunEvent, StepName, StreamId};

impl Run {
    /// The steps that a new run can take over from this one when it follows `definition` and does those of `anew`
    /// again: all that had ended well, have not been undone, and need only steps that are taken over too. What stays
    /// out of it starts again, and so does everything that comes after. In the order of the definition.
    #[must_use]
    pub fn keepable(&self, definition: &Definition, anew: &[StepName]) -> Vec<StepName> {
        let mut after: BTreeMap<&StepName, Vec<&StepName>> = BTreeMap::new();
        let (mut kept, mut dropped) = (BTreeSet::new(), Vec::new());
        for step in &definition.steps {
            step.needs.iter().for_each(|need| after.entry(need).or_default().push(&step.name));
            if self.stands(&step.name) && !anew.contains(&step.name) {
                kept.insert(&step.name);
            } else {
                dropped.push(&step.name);
            }
        }
        while let Some(step) = dropped.pop() {
            dropped.extend(after.get(step).into_iter().flatten().filter(|next| kept.remove(**next)).copied());
        }
        definition.steps.iter().map(|step| &step.name).filter(|name| kept.contains(name)).cloned().collect()
    }

    /// Whether what a step did is there: it ended well and was not undone.
    fn stands(&self, step: &StepName) -> bool {
        self.steps.get(step).is_some_and(|step| step.status.is_done() && step.undo.is_none())
    }

    pub(super) fn check_kept(&self, definition: &Definition, kept: &[StepName]) -> Result<(), RunRefusal> {
        let wanted: BTreeSet<&StepName> = kept.iter().collect();
        for name in kept {
            let why = match definition.step(name) {
                None => "the definition has no such step".to_owned(),
                Some(_) if self.steps.get(name).is_some_and(|step| step.undo.is_some()) => "it was undone".to_owned(),
                Some(_) if !self.stands(name) => "it had not ended well".to_owned(),
                Some(step) => match step.needs.iter().find(|need| !wanted.contains(need)) {
                    Some(need) => format!("it needs `{need}`, which is not kept"),
                    None => continue,
                },
            };
            return Err(RunRefusal::CannotKeep { step: name.clone(), why });
        }
        Ok(())
    }
}

impl RunEvent {
    /// The other run's events that come before this one's, when a run takes over another's history.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        match self {
            Self::Started(start) => start.lineage.as_ref(),
            _ => None,
        }
    }

    /// The other run's stream and the revision up to which it comes before this event.
    pub(super) fn origin(&self) -> Option<(StreamId, u64)> {
        self.lineage().map(|lineage| (lineage.run.into(), lineage.revision))
    }
}
