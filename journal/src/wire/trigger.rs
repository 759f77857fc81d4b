//! Frozen events of triggers.

use std::time::Duration;

use domain::trigger::{
    Cause, Cron, EventRef, Overlap, RunEnd, Schedule, SkipReason, TriggerKind, TriggerSettings, Zone,
};
use domain::{Event, EventId, Expression, RunId, StreamId, TriggerEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::definition::{MappingV1, expression};
use super::values::{ActorV1, Id, borrowed, checked, micros, moment, owned};
use super::{Encoded, Thaw, write};

/// What a trigger waits for.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum TriggerKindV1<'a> {
    Schedule {
        cron: &'a str,
        zone: &'a str,
        jitter_micros: u64,
        catch_up_micros: u64,
    },
    Event {
        #[serde(borrow)]
        types: Vec<&'a str>,
        #[serde(borrow)]
        when: Option<&'a str>,
    },
    External {
        name: &'a str,
        #[serde(borrow)]
        when: Option<&'a str>,
    },
}

/// What happens when a trigger fires while a run that it started is still going.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum OverlapV1 {
    Skip,
    BufferOne,
    BufferAll,
    CancelOther,
    TerminateOther,
    AllowAll,
}

/// Everything that makes a trigger.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct TriggerSettingsV1<'a> {
    key: &'a str,
    description: &'a str,
    workflow: &'a str,
    version: Option<u32>,
    #[serde(borrow)]
    kind: TriggerKindV1<'a>,
    #[serde(borrow)]
    input: Vec<MappingV1<'a>>,
    priority: i32,
    overlap: OverlapV1,
    pause_after: Option<u32>,
    enabled: bool,
}

/// Because of what a trigger fires.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum CauseV1<'a> {
    Tick {
        at_micros: i64,
    },
    Backfill {
        at_micros: i64,
        #[serde(borrow)]
        by: ActorV1<'a>,
    },
    Event {
        id: Id,
        category: &'a str,
        stream: Id,
        revision: u64,
        position: u64,
        at_micros: i64,
        depth: u32,
    },
    Manual {
        id: &'a str,
        #[serde(borrow)]
        by: ActorV1<'a>,
    },
}

/// Why a trigger did not start a run.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) enum SkipReasonV1<'a> {
    Overlap,
    BufferFull,
    Replaced,
    AlreadyStarted,
    ChainTooLong,
    ConditionFailed(&'a str),
    CannotStart { code: &'a str, message: &'a str },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum RunEndV1 {
    Completed,
    Failed,
    Cancelled,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SetV1<'a> {
    #[serde(borrow)]
    settings: TriggerSettingsV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RemovedV1<'a> {
    reason: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct PausedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    reason: &'a str,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct ResumedV1<'a> {
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FiredV1<'a> {
    #[serde(borrow)]
    cause: CauseV1<'a>,
    run: Id,
    at_micros: i64,
    ends: Vec<Id>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SkippedV1<'a> {
    #[serde(borrow)]
    cause: CauseV1<'a>,
    #[serde(borrow)]
    reason: SkipReasonV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct MissedV1 {
    first_micros: i64,
    until_micros: i64,
    count: u32,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct BufferedV1<'a> {
    #[serde(borrow)]
    cause: CauseV1<'a>,
    at_micros: i64,
    ends: Vec<Id>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct RunEndedV1 {
    run: Id,
    end: RunEndV1,
    at_micros: i64,
}

pub(super) fn freeze(event: &TriggerEvent) -> Result<Encoded, String> {
    match event {
        TriggerEvent::Set { settings, at } => {
            write(&SetV1 { settings: TriggerSettingsV1::freeze(settings)?, at_micros: at.as_micros() })
        }
        TriggerEvent::Removed { reason } => write(&RemovedV1 { reason }),
        TriggerEvent::Paused { by, reason, at } => {
            write(&PausedV1 { by: ActorV1::freeze(by), reason, at_micros: at.as_micros() })
        }
        TriggerEvent::Resumed { by, at } => write(&ResumedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() }),
        TriggerEvent::Fired { cause, run, at, ends } => write(&FiredV1 {
            cause: CauseV1::freeze(cause),
            run: run.as_uuid().into_bytes(),
            at_micros: at.as_micros(),
            ends: ids(ends),
        }),
        TriggerEvent::Skipped { cause, reason, at } => write(&SkippedV1 {
            cause: CauseV1::freeze(cause),
            reason: SkipReasonV1::freeze(reason),
            at_micros: at.as_micros(),
        }),
        TriggerEvent::Missed { first, until, count, at } => write(&MissedV1 {
            first_micros: first.as_micros(),
            until_micros: until.as_micros(),
            count: *count,
            at_micros: at.as_micros(),
        }),
        TriggerEvent::Buffered { cause, at, ends } => {
            write(&BufferedV1 { cause: CauseV1::freeze(cause), at_micros: at.as_micros(), ends: ids(ends) })
        }
        TriggerEvent::RunEnded { run, end, at } => write(&RunEndedV1 {
            run: run.as_uuid().into_bytes(),
            end: RunEndV1::freeze(*end),
            at_micros: at.as_micros(),
        }),
    }
}

fn ids(runs: &[RunId]) -> Vec<Id> {
    runs.iter().map(|run| run.as_uuid().into_bytes()).collect()
}

fn run(id: Id) -> RunId {
    RunId::from_uuid(Uuid::from_bytes(id))
}

impl<'a> TriggerKindV1<'a> {
    fn freeze(kind: &'a TriggerKind) -> Result<Self, String> {
        Ok(match kind {
            TriggerKind::Schedule(Schedule { cron, zone, jitter, catch_up }) => Self::Schedule {
                cron: cron.as_str(),
                zone: zone.as_str(),
                jitter_micros: micros(*jitter)?,
                catch_up_micros: micros(*catch_up)?,
            },
            TriggerKind::Event { types, when } => {
                Self::Event { types: borrowed(types), when: when.as_ref().map(Expression::as_str) }
            }
            TriggerKind::External { name, when } => {
                Self::External { name: name.as_str(), when: when.as_ref().map(Expression::as_str) }
            }
        })
    }

    fn thaw(self) -> Result<TriggerKind, String> {
        Ok(match self {
            Self::Schedule { cron, zone, jitter_micros, catch_up_micros } => TriggerKind::Schedule(Schedule {
                cron: Cron::trusted(cron),
                zone: Zone::trusted(zone),
                jitter: Duration::from_micros(jitter_micros),
                catch_up: Duration::from_micros(catch_up_micros),
            }),
            Self::Event { types, when } => TriggerKind::Event { types: owned(types), when: expression(when) },
            Self::External { name, when } => TriggerKind::External { name: checked(name)?, when: expression(when) },
        })
    }
}

impl OverlapV1 {
    fn freeze(overlap: Overlap) -> Self {
        match overlap {
            Overlap::Skip => Self::Skip,
            Overlap::BufferOne => Self::BufferOne,
            Overlap::BufferAll => Self::BufferAll,
            Overlap::CancelOther => Self::CancelOther,
            Overlap::TerminateOther => Self::TerminateOther,
            Overlap::AllowAll => Self::AllowAll,
        }
    }

    fn thaw(self) -> Overlap {
        match self {
            Self::Skip => Overlap::Skip,
            Self::BufferOne => Overlap::BufferOne,
            Self::BufferAll => Overlap::BufferAll,
            Self::CancelOther => Overlap::CancelOther,
            Self::TerminateOther => Overlap::TerminateOther,
            Self::AllowAll => Overlap::AllowAll,
        }
    }
}

impl<'a> TriggerSettingsV1<'a> {
    fn freeze(settings: &'a TriggerSettings) -> Result<Self, String> {
        let TriggerSettings {
            key,
            description,
            workflow,
            version,
            kind,
            input,
            priority,
            overlap,
            pause_after,
            enabled,
        } = settings;
        Ok(Self {
            key: key.as_str(),
            description,
            workflow: workflow.as_str(),
            version: *version,
            kind: TriggerKindV1::freeze(kind)?,
            input: MappingV1::freeze(input),
            priority: *priority,
            overlap: OverlapV1::freeze(*overlap),
            pause_after: *pause_after,
            enabled: *enabled,
        })
    }

    fn thaw(self) -> Result<TriggerSettings, String> {
        Ok(TriggerSettings {
            key: checked(self.key)?,
            description: self.description.to_owned(),
            workflow: checked(self.workflow)?,
            version: self.version,
            kind: self.kind.thaw()?,
            input: MappingV1::thaw(&self.input)?,
            priority: self.priority,
            overlap: self.overlap.thaw(),
            pause_after: self.pause_after,
            enabled: self.enabled,
        })
    }
}

impl<'a> CauseV1<'a> {
    fn freeze(cause: &'a Cause) -> Self {
        match cause {
            Cause::Tick { at } => Self::Tick { at_micros: at.as_micros() },
            Cause::Backfill { at, by } => Self::Backfill { at_micros: at.as_micros(), by: ActorV1::freeze(by) },
            Cause::Event(EventRef { id, stream, revision, position, at, depth }) => Self::Event {
                id: id.as_uuid().into_bytes(),
                category: stream.category.name(),
                stream: stream.id.into_bytes(),
                revision: *revision,
                position: *position,
                at_micros: at.as_micros(),
                depth: *depth,
            },
            Cause::Manual { id, by } => Self::Manual { id, by: ActorV1::freeze(by) },
        }
    }

    fn thaw(self) -> Result<Cause, String> {
        Ok(match self {
            Self::Tick { at_micros } => Cause::Tick { at: moment(at_micros) },
            Self::Backfill { at_micros, by } => Cause::Backfill { at: moment(at_micros), by: by.thaw() },
            Self::Event { id, category, stream, revision, position, at_micros, depth } => Cause::Event(EventRef {
                id: EventId::from_uuid(Uuid::from_bytes(id)),
                stream: StreamId { category: checked(category)?, id: Uuid::from_bytes(stream) },
                revision,
                position,
                at: moment(at_micros),
                depth,
            }),
            Self::Manual { id, by } => Cause::Manual { id: id.to_owned(), by: by.thaw() },
        })
    }
}

impl<'a> SkipReasonV1<'a> {
    fn freeze(reason: &'a SkipReason) -> Self {
        match reason {
            SkipReason::Overlap => Self::Overlap,
            SkipReason::BufferFull => Self::BufferFull,
            SkipReason::Replaced => Self::Replaced,
            SkipReason::AlreadyStarted => Self::AlreadyStarted,
            SkipReason::ChainTooLong => Self::ChainTooLong,
            SkipReason::ConditionFailed(what) => Self::ConditionFailed(what),
            SkipReason::CannotStart { code, message } => Self::CannotStart { code, message },
        }
    }

    fn thaw(self) -> SkipReason {
        match self {
            Self::Overlap => SkipReason::Overlap,
            Self::BufferFull => SkipReason::BufferFull,
            Self::Replaced => SkipReason::Replaced,
            Self::AlreadyStarted => SkipReason::AlreadyStarted,
            Self::ChainTooLong => SkipReason::ChainTooLong,
            Self::ConditionFailed(what) => SkipReason::ConditionFailed(what.to_owned()),
            Self::CannotStart { code, message } => {
                SkipReason::CannotStart { code: code.to_owned(), message: message.to_owned() }
            }
        }
    }
}

impl RunEndV1 {
    fn freeze(end: RunEnd) -> Self {
        match end {
            RunEnd::Completed => Self::Completed,
            RunEnd::Failed => Self::Failed,
            RunEnd::Cancelled => Self::Cancelled,
        }
    }

    fn thaw(self) -> RunEnd {
        match self {
            Self::Completed => RunEnd::Completed,
            Self::Failed => RunEnd::Failed,
            Self::Cancelled => RunEnd::Cancelled,
        }
    }
}

impl Thaw for SetV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let settings = Box::new(self.settings.thaw()?);
        Ok(TriggerEvent::Set { settings, at: moment(self.at_micros) }.into())
    }
}

impl Thaw for RemovedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TriggerEvent::Removed { reason: self.reason.to_owned() }.into())
    }
}

impl Thaw for PausedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let (by, reason) = (self.by.thaw(), self.reason.to_owned());
        Ok(TriggerEvent::Paused { by, reason, at: moment(self.at_micros) }.into())
    }
}

impl Thaw for ResumedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TriggerEvent::Resumed { by: self.by.thaw(), at: moment(self.at_micros) }.into())
    }
}

impl Thaw for FiredV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TriggerEvent::Fired {
            cause: self.cause.thaw()?,
            run: run(self.run),
            at: moment(self.at_micros),
            ends: self.ends.into_iter().map(run).collect(),
        }
        .into())
    }
}

impl Thaw for SkippedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let (cause, reason) = (self.cause.thaw()?, self.reason.thaw());
        Ok(TriggerEvent::Skipped { cause, reason, at: moment(self.at_micros) }.into())
    }
}

impl Thaw for MissedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(TriggerEvent::Missed {
            first: moment(self.first_micros),
            until: moment(self.until_micros),
            count: self.count,
            at: moment(self.at_micros),
        }
        .into())
    }
}

impl Thaw for BufferedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let ends = self.ends.into_iter().map(run).collect();
        Ok(TriggerEvent::Buffered { cause: self.cause.thaw()?, at: moment(self.at_micros), ends }.into())
    }
}

impl Thaw for RunEndedV1 {
    fn thaw(self) -> Result<Event, String> {
        Ok(TriggerEvent::RunEnded { run: run(self.run), end: self.end.thaw(), at: moment(self.at_micros) }.into())
    }
}
