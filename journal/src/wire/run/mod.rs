//! Frozen events of runs.

pub(super) mod control;
pub(super) mod start;
pub(super) mod steps;
pub(super) mod waits;

use domain::run::Pause;
use domain::{RunEvent, StepName, Timestamp};

use super::failure::AttemptErrorV4;
use super::values::{ActorV1, JsonV1, PauseClockV1, SlotsNeedV1, micros};
use super::{Encoded, write};

pub(super) fn freeze(event: &RunEvent) -> Result<Encoded, String> {
    match event {
        RunEvent::Started(start) => start::freeze(start),
        RunEvent::Claimed { node, epoch } => {
            write(&control::ClaimedV1 { node: node.as_uuid().into_bytes(), epoch: *epoch })
        }
        RunEvent::Queued { slots, at } => {
            write(&control::QueuedV1 { slots: SlotsNeedV1::freeze(slots), at_micros: at.as_micros() })
        }
        RunEvent::Admitted => write(&control::AdmittedV1 {}),
        RunEvent::StepStarted { step, task, at, deadline } => write(&steps::StepStartedV2 {
            step: step.as_str(),
            task: task.as_uuid().into_bytes(),
            at_micros: at.as_micros(),
            deadline_micros: deadline.map(Timestamp::as_micros),
        }),
        RunEvent::ItemsPlanned { step, items, at, deadline } => write(&steps::ItemsPlannedV1 {
            step: step.as_str(),
            items: JsonV1::freeze(items)?,
            at_micros: at.as_micros(),
            deadline_micros: deadline.map(Timestamp::as_micros),
        }),
        RunEvent::ItemStarted { step, item, task } => {
            write(&steps::ItemStartedV1 { step: step.as_str(), item: *item, task: task.as_uuid().into_bytes() })
        }
        RunEvent::ItemCompleted { step, item, result, simulated } => write(&steps::ItemCompletedV1 {
            step: step.as_str(),
            item: *item,
            result: JsonV1::freeze(result)?,
            simulated: *simulated,
        }),
        RunEvent::ItemFailed { step, item, error } => {
            write(&steps::ItemFailedV3 { step: step.as_str(), item: *item, error: AttemptErrorV4::freeze(error)? })
        }
        RunEvent::ApprovalRequested { step, content, content_hash, at, expires_at, deadline } => {
            write(&waits::ApprovalRequestedV1 {
                step: step.as_str(),
                content: JsonV1::freeze(content)?,
                content_hash: *content_hash,
                at_micros: at.as_micros(),
                expires_at_micros: expires_at.map(Timestamp::as_micros),
                deadline_micros: deadline.map(Timestamp::as_micros),
            })
        }
        RunEvent::ApprovalDecided { step, by, approved, comment, content_hash, at } => {
            write(&waits::ApprovalDecidedV1 {
                step: step.as_str(),
                by: ActorV1::freeze(by),
                approved: *approved,
                comment,
                content_hash: *content_hash,
                at_micros: at.as_micros(),
            })
        }
        RunEvent::ApprovalExpired { step } => write(&waits::ApprovalExpiredV1 { step: step.as_str() }),
        RunEvent::TimerStarted { step, fires_at, at, deadline } => write(&waits::TimerStartedV1 {
            step: step.as_str(),
            fires_at_micros: fires_at.as_micros(),
            at_micros: at.as_micros(),
            deadline_micros: deadline.map(Timestamp::as_micros),
        }),
        RunEvent::SignalAwaited { step, signal, at, deadline } => write(&waits::SignalAwaitedV1 {
            step: step.as_str(),
            signal: signal.as_str(),
            at_micros: at.as_micros(),
            deadline_micros: deadline.map(Timestamp::as_micros),
        }),
        RunEvent::SignalReceived { signal, payload, at } => write(&waits::SignalReceivedV1 {
            signal: signal.as_str(),
            payload: JsonV1::freeze(payload)?,
            at_micros: at.as_micros(),
        }),
        RunEvent::ChildStarted { step, run, at, deadline } => write(&waits::ChildStartedV1 {
            step: step.as_str(),
            run: run.as_uuid().into_bytes(),
            at_micros: at.as_micros(),
            deadline_micros: deadline.map(Timestamp::as_micros),
        }),
        RunEvent::ChildAbandoned { step, run } => {
            write(&waits::ChildAbandonedV1 { step: step.as_str(), run: run.as_uuid().into_bytes() })
        }
        RunEvent::StepSkipped { step, reason } => write(&steps::StepSkippedV1 { step: step.as_str(), reason }),
        RunEvent::StepCompleted { step, output, simulated } => write(&steps::StepCompletedV1 {
            step: step.as_str(),
            output: JsonV1::freeze(output)?,
            simulated: *simulated,
        }),
        RunEvent::StepFailed { step, error } => {
            write(&steps::StepFailedV4 { step: step.as_str(), error: AttemptErrorV4::freeze(error)? })
        }
        RunEvent::StepCancelled { step } => write(&steps::StepCancelledV1 { step: step.as_str() }),
        RunEvent::Paused(Pause { by, reason, at, clock, hold }) => write(&control::PausedV1 {
            by: ActorV1::freeze(by),
            reason,
            at_micros: at.as_micros(),
            clock: PauseClockV1::freeze(*clock),
            hold: hold.map(|hold| hold.as_uuid().into_bytes()),
        }),
        RunEvent::Resumed { by, at } => {
            write(&control::ResumedV1 { by: ActorV1::freeze(by), at_micros: at.as_micros() })
        }
        RunEvent::CancelRequested { reason, at, grace } => {
            write(&control::CancelRequestedV2 { reason, at_micros: at.as_micros(), grace_micros: micros(*grace)? })
        }
        RunEvent::Stalled { what, at } => write(&control::StalledV1 { what, at_micros: at.as_micros() }),
        RunEvent::Failing { error } => write(&control::FailingV3 { error: AttemptErrorV4::freeze(error)? }),
        RunEvent::CompensationStarted { step, task, at } => write(&steps::CompensationStartedV1 {
            step: step.as_str(),
            task: task.as_uuid().into_bytes(),
            at_micros: at.as_micros(),
        }),
        RunEvent::CompensationCompleted { step, simulated } => {
            write(&steps::CompensationCompletedV1 { step: step.as_str(), simulated: *simulated })
        }
        RunEvent::CompensationFailed { step, error } => {
            write(&steps::CompensationFailedV3 { step: step.as_str(), error: AttemptErrorV4::freeze(error)? })
        }
        RunEvent::Completed { output, simulated } => {
            write(&control::CompletedV1 { output: JsonV1::freeze(output)?, simulated: *simulated })
        }
        RunEvent::Failed { step, error } => write(&control::FailedV4 {
            step: step.as_ref().map(StepName::as_str),
            error: AttemptErrorV4::freeze(error)?,
        }),
        RunEvent::Cancelled { reason } => write(&control::CancelledV1 { reason }),
    }
}
