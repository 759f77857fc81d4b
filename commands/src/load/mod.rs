//! Bringing a catalogue in: what would change, changing it, and writing out what is there.
//!
//! Invariants: everything is decided before anything is recorded, and what belongs to one catalogue is recorded at
//! once, so a catalogue that is refused leaves nothing behind. What somebody else than a catalogue has changed last is
//! kept unless the caller says otherwise; so is what a company's own catalogue has brought in, against the starter
//! catalogue. Each event names as its actor who asked for the load and as its cause the catalogue that it came from,
//! which is how the next load knows.

mod export;
mod plan;

use std::collections::BTreeMap;

use domain::{Actor, Event, EventId, Key, StreamId};
use journal::{Append, AppendError, Expected, Metadata, Position, StreamAppend};
use serde::Serialize;
use uuid::{Uuid, uuid};

use crate::catalog::{Catalog, Kind, Layer};
use crate::{Commands, Error, Request};

pub use export::Registered;

/// How often a load that somebody else's change got in the way of is decided again.
const TRIES: usize = 8;
/// How much goes into one append, in bytes of payload; more than any catalogue that people write by hand.
const APPEND_BYTES: usize = journal::MAX_APPEND_BYTES / 2;
/// How many events go into one append.
const APPEND_EVENTS: usize = journal::MAX_APPEND_EVENTS / 2;

/// What becomes of entries that people have changed since a catalogue brought them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edited {
    /// They stay as they are.
    #[default]
    Keep,
    /// They get a new version, which is the catalogue's.
    Replace,
}

/// What loading does to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It has a new version.
    Revised,
    /// It was there already.
    Unchanged,
    /// Somebody has changed it, so it stays as it is.
    Kept,
    /// It does not fit what was kept, so it is left out.
    Blocked,
}

impl Change {
    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Added | Self::Revised)
    }

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Revised => "revised",
            Self::Unchanged => "unchanged",
            Self::Kept => "kept",
            Self::Blocked => "blocked",
        }
    }
}

/// One entry of a catalogue that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadedEntry {
    /// What it is.
    pub kind: Kind,
    /// Its key.
    pub key: Key,
    /// Whose catalogue it comes from.
    pub layer: Layer,
    /// What loading does.
    pub change: Change,
    /// Why it was kept or left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What loading a catalogue did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// Every entry, agents first, triggers last.
    pub entries: Vec<LoadedEntry>,
    /// The journal's position that contains all of it.
    pub position: Position,
}

/// What loading would do to one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedEntry {
    /// The entry and its fate.
    pub entry: LoadedEntry,
    /// The registered entry as a catalogue file, when there is one and it differs.
    pub before: Option<String>,
    /// The catalogue's entry as a file, when it differs from what is registered.
    pub after: Option<String>,
    events: Vec<Event>,
    stream: StreamId,
    expected: Expected,
}

/// What stands as the cause of what a catalogue of this layer has brought in: the id of no event, the same for ever.
#[must_use]
pub const fn catalogue_cause(layer: Layer) -> EventId {
    EventId::from_uuid(match layer {
        Layer::Starter => uuid!("63617461-6c6f-8675-a573-746172746572"),
        Layer::Own => uuid!("63617461-6c6f-8675-a56f-776e00000000"),
    })
}

/// The layer of the catalogue that brought in what has this envelope; nothing when nobody but its actor did.
fn layer_of(metadata: &Metadata) -> Option<Layer> {
    let caused = |layer: &Layer| metadata.causation == Some(catalogue_cause(*layer));
    // As it was recorded before the envelope named who asked.
    let acted = |layer: &Layer| {
        let name = match layer {
            Layer::Starter => "catalogue.starter",
            Layer::Own => "catalogue.own",
        };
        metadata.actor == Actor::system(name)
    };
    [Layer::Starter, Layer::Own].into_iter().find(|layer| caused(layer) || acted(layer))
}

impl Commands {
    /// Registers everything in a catalogue and activates its workflows; what is there already is left alone, and so is
    /// what people have changed, as the caller wants it. The cause of what is recorded is the catalogue, whatever the
    /// request names.
    ///
    /// # Errors
    /// The first refusal, of an entry by itself or of a workflow or trigger that fits neither the catalogue nor what is
    /// registered; then nothing was recorded.
    pub async fn load_catalog(
        &self,
        request: &Request,
        catalog: &Catalog,
        edited: Edited,
    ) -> Result<LoadReport, Error> {
        let named = request.correlation.or(request.command.map(|id| id.as_uuid()));
        let correlation = named.unwrap_or_else(|| self.surroundings.new_id());
        let mut done: BTreeMap<(Kind, Key), Change> = BTreeMap::new();
        let mut position = Position::START;
        for attempt in 1.. {
            let planned = self.plan_catalog(catalog, edited).await?;
            let recorded = self.record(request, correlation, &planned, &mut done, &mut position).await;
            match recorded {
                Ok(()) => {
                    if done.is_empty() {
                        position = self.executor.journal().head().await?;
                    }
                    let entries = planned.into_iter().map(|PlannedEntry { mut entry, .. }| {
                        // Of what was recorded before somebody got in the way, the plan knows only that it is there.
                        if let Some(change) = done.get(&(entry.kind, entry.key.clone())) {
                            entry.change = *change;
                        }
                        entry
                    });
                    return Ok(LoadReport { entries: entries.collect(), position });
                }
                Err(AppendError::Conflict { .. }) if attempt < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict("too many others changed the catalogue at the same time; try again".to_owned()))
    }

    /// Records what was planned, each layer by itself, and notes what has been done.
    async fn record(
        &self,
        request: &Request,
        correlation: Uuid,
        planned: &[PlannedEntry],
        done: &mut BTreeMap<(Kind, Key), Change>,
        position: &mut Position,
    ) -> Result<(), AppendError> {
        for layer in [Layer::Starter, Layer::Own] {
            let mut rest: Vec<&PlannedEntry> =
                planned.iter().filter(|planned| planned.entry.layer == layer && !planned.events.is_empty()).collect();
            while !rest.is_empty() {
                let part: Vec<&PlannedEntry> = rest.drain(..fitting(&rest)?).collect();
                let request = Request {
                    actor: request.actor.clone(),
                    command: None,
                    correlation: Some(correlation),
                    causation: Some(catalogue_cause(layer)),
                };
                let streams = part.iter().map(|planned| StreamAppend {
                    stream: planned.stream,
                    expected: planned.expected,
                    events: planned.events.clone(),
                });
                let (context, remember) = self.context(&request);
                let append = Append { streams: streams.collect(), context, remember };
                let appended = self.executor.journal().append(append).await?;
                *position = appended.position;
                for (stream, revision) in appended.heads {
                    self.executor.forget(stream, revision);
                }
                for PlannedEntry { entry, .. } in part {
                    done.insert((entry.kind, entry.key.clone()), entry.change);
                }
            }
        }
        Ok(())
    }
}

/// How many of the entries go into one append; at least one.
fn fitting(planned: &[&PlannedEntry]) -> Result<usize, AppendError> {
    let (mut bytes, mut events) = (0, 0);
    for (count, entry) in planned.iter().enumerate() {
        for event in &entry.events {
            bytes += journal::wire::encode(event).map_err(AppendError::Invalid)?.payload.len();
            events += 1;
        }
        if count > 0 && (bytes > APPEND_BYTES || events > APPEND_EVENTS) {
            return Ok(count);
        }
    }
    Ok(planned.len())
}
