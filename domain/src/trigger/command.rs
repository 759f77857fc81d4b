use super::{Cause, EventRef, Overlap, RunEnd, TriggerSettings};
use crate::{Actor, RunId, Timestamp};

/// What may be asked of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerCommand {
    /// Sets it, or changes it when it exists. Equal settings change nothing.
    Set {
        /// All of it.
        settings: Box<TriggerSettings>,
        /// Now.
        now: Timestamp,
    },
    /// Takes it away. What it started goes on; what waited does not start.
    Remove {
        /// Why.
        reason: String,
    },
    /// Nothing fires until somebody resumes it. One that is paused stays as it is.
    Pause {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
        /// Now.
        now: Timestamp,
    },
    /// It fires again, from now on: what was due meanwhile is not made up for.
    Resume {
        /// Who.
        by: Actor,
        /// Now.
        now: Timestamp,
    },
    /// Decides on the next tick, if one is due. Ticks that are too old are passed over.
    Tick {
        /// Now.
        now: Timestamp,
    },
    /// Decides on an event that it waits for.
    Notice {
        /// Which event.
        event: EventRef,
        /// Why its condition could not be evaluated; it was met when not given.
        fault: Option<String>,
        /// Now.
        now: Timestamp,
    },
    /// Starts a run at once, whatever else is going on.
    RunNow {
        /// Who.
        by: Actor,
        /// Names this wish.
        id: String,
        /// Now.
        now: Timestamp,
    },
    /// Decides on a tick of the past.
    Backfill {
        /// Which tick.
        at: Timestamp,
        /// Who.
        by: Actor,
        /// What happens when other runs of the trigger are going.
        overlap: Overlap,
        /// Now.
        now: Timestamp,
    },
    /// Starts what has waited longest, if nothing of the trigger is running.
    StartBuffered {
        /// Now.
        now: Timestamp,
    },
    /// What was to start cannot.
    CannotStart {
        /// What.
        cause: Cause,
        /// The code of the refusal.
        code: String,
        /// The refusal.
        message: String,
        /// Now.
        now: Timestamp,
    },
    /// What was to start has been started before.
    AlreadyStarted {
        /// What.
        cause: Cause,
        /// Now.
        now: Timestamp,
    },
    /// A run that it started has ended.
    EndRun {
        /// Which run.
        run: RunId,
        /// How.
        end: RunEnd,
        /// Now.
        now: Timestamp,
    },
}
