//! Which runs have started and not ended, kept from events and saved now and then so that a start is quick.

use std::collections::HashSet;

use domain::{Category, RunId};
use journal::{Checkpoint, Filter, Position, RecordedEvent};
use uuid::Uuid;

/// The events that tell the engine what there is to do.
const TYPES: [&str; 6] =
    ["run.started", "run.claimed", "run.cancel_requested", "run.completed", "run.failed", "run.cancelled"];

#[derive(Debug, Default)]
pub(crate) struct LiveRuns {
    pub(crate) runs: HashSet<RunId>,
    pub(crate) position: Position,
}

impl LiveRuns {
    /// What the engine wants to see of the journal.
    pub(crate) fn filter() -> Filter {
        Filter {
            categories: vec![Category::Run],
            types: TYPES.iter().map(|name| (*name).to_owned()).collect(),
            stream: None,
        }
    }

    pub(crate) fn take_in(&mut self, event: &RecordedEvent) {
        let run = RunId::from_uuid(event.stream.id);
        match event.event_type.as_str() {
            "run.started" => {
                self.runs.insert(run);
            }
            "run.completed" | "run.failed" | "run.cancelled" => {
                self.runs.remove(&run);
            }
            _ => {}
        }
    }

    /// A version byte, then the ids.
    pub(crate) fn to_checkpoint(&self) -> Checkpoint {
        let mut state = vec![1];
        self.runs.iter().for_each(|run| state.extend_from_slice(run.as_uuid().as_bytes()));
        Checkpoint { position: self.position, state }
    }

    /// `None` when the checkpoint is not of this format; then everything is read from the journal again.
    pub(crate) fn from_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let (version, ids) = checkpoint.state.split_first()?;
        if *version != 1 || ids.len() % 16 != 0 {
            return None;
        }
        let runs =
            ids.chunks_exact(16).map(|id| Uuid::from_slice(id).map(RunId::from_uuid).ok()).collect::<Option<_>>()?;
        Some(Self { runs, position: checkpoint.position })
    }
}
