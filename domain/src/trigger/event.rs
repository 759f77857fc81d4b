use serde::{Deserialize, Serialize};

use super::{Schedule, TriggerSettings};
use crate::{Actor, EventId, RunId, StreamId, Timestamp, TriggerId};

/// What can happen to a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TriggerEvent {
    /// It was set or changed.
    Set {
        /// All of it.
        settings: Box<TriggerSettings>,
        /// When; a new schedule counts from here.
        at: Timestamp,
    },
    /// It was taken away.
    Removed {
        /// Why.
        reason: String,
    },
    /// It fires no more until somebody resumes it.
    Paused {
        /// Who: a person, or `system:triggers` after too many failures.
        by: Actor,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// It fires again.
    Resumed {
        /// Who.
        by: Actor,
        /// When; its schedule counts from here.
        at: Timestamp,
    },
    /// It started a run.
    Fired {
        /// Because of what.
        cause: Cause,
        /// Which run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// The runs that are cut for it.
        ends: Vec<RunId>,
    },
    /// It did not start a run, and will not for this cause.
    Skipped {
        /// Because of what it would have.
        cause: Cause,
        /// Why not.
        reason: SkipReason,
        /// When.
        at: Timestamp,
    },
    /// Ticks were passed over because they were older than the catch-up window.
    Missed {
        /// The first of them.
        first: Timestamp,
        /// The first moment after the last of them.
        until: Timestamp,
        /// How many; counted up to 1000.
        count: u32,
        /// When.
        at: Timestamp,
    },
    /// It waits until its running runs have ended.
    Buffered {
        /// Because of what it will start a run.
        cause: Cause,
        /// When.
        at: Timestamp,
        /// The runs that are asked to cancel for it.
        ends: Vec<RunId>,
    },
    /// A run that it started has ended.
    RunEnded {
        /// Which run.
        run: RunId,
        /// How.
        end: RunEnd,
        /// When.
        at: Timestamp,
    },
}

/// Because of what a trigger fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The time of a schedule came.
    Tick {
        /// Which time, without jitter.
        at: Timestamp,
    },
    /// Somebody wanted a time of the past made up for.
    Backfill {
        /// Which time.
        at: Timestamp,
        /// Who.
        by: Actor,
    },
    /// Something happened.
    Event(EventRef),
    /// Somebody wanted a run now.
    Manual {
        /// Names the wish.
        id: String,
        /// Who.
        by: Actor,
    },
}

/// Where the journal has the event that made a trigger fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: u64,
    /// Its place in the whole journal.
    pub position: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// How many triggers stand before it in the chain of causes.
    pub depth: u32,
}

impl Cause {
    /// Its name, from which the run's id follows. A tick has one name, whether it fires in time or is made up for.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Tick { at } | Self::Backfill { at, .. } => Schedule::name_of(*at),
            Self::Event(event) => event.id.to_string(),
            Self::Manual { id, .. } => id.clone(),
        }
    }

    /// The run that a trigger starts because of it.
    #[must_use]
    pub fn run(&self, trigger: TriggerId) -> RunId {
        RunId::of_firing(trigger, &self.name())
    }

    /// How many triggers stand before what it starts in the chain of causes.
    #[must_use]
    pub fn depth(&self) -> u32 {
        match self {
            Self::Event(event) => event.depth,
            Self::Tick { .. } | Self::Backfill { .. } | Self::Manual { .. } => 0,
        }
    }

    /// The stable snake_case name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tick { .. } => "tick",
            Self::Backfill { .. } => "backfill",
            Self::Event(_) => "event",
            Self::Manual { .. } => "manual",
        }
    }
}

/// Why a trigger did not start a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Another run of it was going, or waiting.
    Overlap,
    /// Too many were waiting.
    BufferFull,
    /// A newer one took its place before it could start.
    Replaced,
    /// The tick had been made up for before its time was decided on.
    AlreadyStarted,
    /// The chain of triggers that start one another is too long.
    ChainTooLong,
    /// Its condition could not be evaluated.
    ConditionFailed(String),
    /// The run could not be started.
    CannotStart {
        /// The code of the refusal.
        code: String,
        /// The refusal.
        message: String,
    },
}

impl SkipReason {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::BufferFull => "buffer_full",
            Self::Replaced => "replaced",
            Self::AlreadyStarted => "already_started",
            Self::ChainTooLong => "chain_too_long",
            Self::ConditionFailed(_) => "condition_failed",
            Self::CannotStart { .. } => "cannot_start",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// With an output.
    Completed,
    /// With an error; counts for the pause after failures.
    Failed,
    /// Somebody cancelled it, which says nothing about the trigger.
    Cancelled,
}

impl RunEnd {
    /// Every end.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl TriggerEvent {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "trigger.set",
            Self::Removed { .. } => "trigger.removed",
            Self::Paused { .. } => "trigger.paused",
            Self::Resumed { .. } => "trigger.resumed",
            Self::Fired { .. } => "trigger.fired",
            Self::Skipped { .. } => "trigger.skipped",
            Self::Missed { .. } => "trigger.missed",
            Self::Buffered { .. } => "trigger.buffered",
            Self::RunEnded { .. } => "trigger.run_ended",
        }
    }
}
