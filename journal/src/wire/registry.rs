//! The closed list of event types and their versions. Adding an event is one struct and one line here.

use super::run::{control, start, steps, waits};
use super::{
    action, agent, assigned, attempt_failed, budget, delivery, denial, external, hold, limit, purse, seal, search,
    slots, subject, task, template, trigger, verdict, webhook, workflow,
};

/// Makes the list of types, the dispatch of decoding, and each struct's [`Frozen`](super::Frozen) from one table.
///
/// A line reads `"type" { 1 => FirstStruct, 2 => SecondStruct }`: versions ascend without gaps, each struct but the
/// last is turned into its successor by `From`, and the last one implements [`Thaw`](super::Thaw).
macro_rules! registry {
    ($($name:literal { $($version:literal => $frozen:ty),+ $(,)? })+) => {
        $($(
            impl $crate::wire::Frozen for $frozen {
                const TYPE: &'static str = $name;
                const VERSION: u16 = $version;
            }
        )+)+

        /// Every event type, in the order of the table.
        pub(super) static TYPES: &[$crate::wire::EventType] = &[$(
            $crate::wire::EventType {
                name: $name,
                versions: &[$(
                    $crate::wire::Version {
                        number: $version,
                        key: postcard_schema::key::Key::for_path::<$frozen>($name).to_bytes(),
                        schema: <$frozen as postcard_schema::Schema>::SCHEMA,
                    }
                ),+],
            }
        ),+];

        /// Today's event from a payload of any version; `None` when nobody knows the type in this version.
        pub(super) fn decode(
            event_type: &str,
            version: u16,
            payload: &[u8],
        ) -> Option<Result<domain::Event, String>> {
            match event_type {
                $($name => {
                    $crate::wire::registry::upcast!(version, payload; $($version => $frozen),+);
                    None
                })+
                _ => None,
            }
        }

        /// The bytes of a payload after reading and writing it in its own version.
        #[cfg(test)]
        pub(super) fn rewrite(event_type: &str, version: u16, payload: &[u8]) -> Option<Result<Vec<u8>, String>> {
            $($(
                if event_type == $name && version == $version {
                    let frozen = $crate::wire::read::<$frozen>(payload);
                    return Some(frozen.and_then(|frozen| Ok($crate::wire::write(&frozen)?.payload)));
                }
            )+)+
            None
        }
    };
}

/// Reads the first struct when the version is its own, sends it down the chain, and returns the event; else tries
/// the next.
macro_rules! upcast {
    ($wanted:expr, $payload:expr;) => {};
    ($wanted:expr, $payload:expr; $version:literal => $frozen:ty $(, $later:literal => $next:ty)*) => {
        if $wanted == $version {
            let frozen = $crate::wire::read::<$frozen>($payload);
            $( let frozen = frozen.map(<$next>::from); )*
            return Some(frozen.and_then($crate::wire::Thaw::thaw));
        }
        $crate::wire::registry::upcast!($wanted, $payload; $($later => $next),*);
    };
}
#[cfg(test)]
pub(super) use registry;
pub(super) use upcast;

registry! {
    "workflow.drafted" { 1 => workflow::DraftedV1<'_>, 2 => workflow::DraftedV2<'_>, 3 => workflow::DraftedV3<'_> }
    "workflow.activated" { 1 => workflow::ActivatedV1 }

    "run.started" {
        1 => start::StartedV1<'_>, 2 => start::StartedV2<'_>, 3 => start::StartedV3<'_>, 4 => start::StartedV4<'_>, 5 => start::StartedV5<'_>,
        6 => start::StartedV6<'_>
    }
    "run.claimed" { 1 => control::ClaimedV1 }
    "run.queued" { 1 => control::QueuedV1<'_> }
    "run.admitted" { 1 => control::AdmittedV1 }
    "run.step_started" { 1 => steps::StepStartedV1<'_>, 2 => steps::StepStartedV2<'_> }
    "run.items_planned" { 1 => steps::ItemsPlannedV1<'_> }
    "run.item_started" { 1 => steps::ItemStartedV1<'_> }
    "run.item_completed" { 1 => steps::ItemCompletedV1<'_> }
    "run.item_failed" { 1 => steps::ItemFailedV1<'_>, 2 => steps::ItemFailedV2<'_>, 3 => steps::ItemFailedV3<'_> }
    "run.approval_requested" { 1 => waits::ApprovalRequestedV1<'_> }
    "run.approval_decided" { 1 => waits::ApprovalDecidedV1<'_> }
    "run.approval_expired" { 1 => waits::ApprovalExpiredV1<'_> }
    "run.timer_started" { 1 => waits::TimerStartedV1<'_> }
    "run.signal_awaited" { 1 => waits::SignalAwaitedV1<'_> }
    "run.signal_received" { 1 => waits::SignalReceivedV1<'_> }
    "run.child_started" { 1 => waits::ChildStartedV1<'_> }
    "run.child_abandoned" { 1 => waits::ChildAbandonedV1<'_> }
    "run.step_skipped" { 1 => steps::StepSkippedV1<'_> }
    "run.step_completed" { 1 => steps::StepCompletedV1<'_> }
    "run.step_failed" {
        1 => steps::StepFailedV1<'_>, 2 => steps::StepFailedV2<'_>, 3 => steps::StepFailedV3<'_>,
        4 => steps::StepFailedV4<'_>
    }
    "run.step_cancelled" { 1 => steps::StepCancelledV1<'_> }
    "run.paused" { 1 => control::PausedV1<'_> }
    "run.resumed" { 1 => control::ResumedV1<'_> }
    "run.cancel_requested" { 1 => control::CancelRequestedV1<'_>, 2 => control::CancelRequestedV2<'_> }
    "run.failing" { 1 => control::FailingV1<'_>, 2 => control::FailingV2<'_>, 3 => control::FailingV3<'_> }
    "run.stalled" { 1 => control::StalledV1<'_> }
    "run.compensation_started" { 1 => steps::CompensationStartedV1<'_> }
    "run.compensation_completed" { 1 => steps::CompensationCompletedV1<'_> }
    "run.compensation_failed" {
        1 => steps::CompensationFailedV1<'_>, 2 => steps::CompensationFailedV2<'_>,
        3 => steps::CompensationFailedV3<'_>
    }
    "run.completed" { 1 => control::CompletedV1<'_> }
    "run.failed" {
        1 => control::FailedV1<'_>, 2 => control::FailedV2<'_>, 3 => control::FailedV3<'_>, 4 => control::FailedV4<'_>
    }
    "run.cancelled" { 1 => control::CancelledV1<'_> }

    "task.created" { 1 => task::CreatedV1<'_>, 2 => task::CreatedV2<'_> }
    "task.assigned" { 1 => assigned::AssignedV1<'_>, 2 => assigned::AssignedV2<'_> }
    "task.queued" { 1 => task::QueuedV1<'_> }
    "task.attempt_started" {
        1 => task::AttemptStartedV1<'_>, 2 => task::AttemptStartedV2<'_>, 3 => task::AttemptStartedV3<'_>,
        4 => task::AttemptStartedV4<'_>
    }
    "task.postponed" { 1 => task::PostponedV1<'_> }
    "task.attempt_succeeded" {
        1 => task::AttemptSucceededV1<'_>, 2 => task::AttemptSucceededV2<'_>, 3 => task::AttemptSucceededV3<'_>
    }
    "task.attempt_failed" {
        1 => attempt_failed::AttemptFailedV1<'_>, 2 => attempt_failed::AttemptFailedV2<'_>,
        3 => attempt_failed::AttemptFailedV3<'_>, 4 => attempt_failed::AttemptFailedV4<'_>,
        5 => attempt_failed::AttemptFailedV5<'_>
    }
    "task.attempt_lost" { 1 => task::AttemptLostV1 }
    "task.attempt_late" {
        1 => task::AttemptLateV1<'_>, 2 => task::AttemptLateV2<'_>, 3 => task::AttemptLateV3<'_>
    }
    "task.deferred" { 1 => task::DeferredV1 }
    "task.completed" { 1 => task::CompletedV1, 2 => task::CompletedV2<'_>, 3 => verdict::CompletedV3<'_> }
    "task.failed" { 1 => task::FailedV1<'_>, 2 => task::FailedV2<'_>, 3 => task::FailedV3<'_>, 4 => task::FailedV4<'_> }
    "task.cancelled" { 1 => task::CancelledV1<'_> }
    "task.rated" { 1 => verdict::RatedV1<'_> }
    "task.judged" { 1 => verdict::JudgedV1<'_> }
    "task.judging_failed" { 1 => verdict::JudgingFailedV1<'_> }

    "agent.registered" {
        1 => agent::RegisteredV1<'_>, 2 => agent::RegisteredV2<'_>, 3 => agent::RegisteredV3<'_>, 4 => agent::RegisteredV4<'_>
    }
    "agent.revised" {
        1 => agent::RevisedV1<'_>, 2 => agent::RevisedV2<'_>, 3 => agent::RevisedV3<'_>, 4 => agent::RevisedV4<'_>
    }
    "agent.enabled" { 1 => agent::EnabledV1 }
    "agent.disabled" { 1 => agent::DisabledV1<'_> }

    "template.registered" {
        1 => template::RegisteredV1<'_>, 2 => template::RegisteredV2<'_>, 3 => template::RegisteredV3<'_>
    }
    "template.revised" { 1 => template::RevisedV1<'_>, 2 => template::RevisedV2<'_>, 3 => template::RevisedV3<'_> }

    "limit.set" { 1 => limit::SetV1<'_> }
    "limit.removed" { 1 => limit::RemovedV1<'_> }

    "budget.set" { 1 => budget::SetV1<'_> }
    "budget.removed" { 1 => budget::RemovedV1<'_> }

    "purse.reserved" { 1 => purse::ReservedV1<'_> }
    "purse.settled" { 1 => purse::SettledV1 }
    "purse.warned" { 1 => purse::WarnedV1 }

    "slots.requested" { 1 => slots::RequestedV1<'_> }
    "slots.granted" { 1 => slots::GrantedV1 }
    "slots.released" { 1 => slots::ReleasedV1 }

    "hold.placed" { 1 => hold::PlacedV1<'_> }
    "hold.lifted" { 1 => hold::LiftedV1<'_> }

    "trigger.set" { 1 => trigger::SetV1<'_> }
    "trigger.removed" { 1 => trigger::RemovedV1<'_> }
    "trigger.paused" { 1 => trigger::PausedV1<'_> }
    "trigger.resumed" { 1 => trigger::ResumedV1<'_> }
    "trigger.fired" { 1 => trigger::FiredV1<'_> }
    "trigger.skipped" { 1 => trigger::SkippedV1<'_> }
    "trigger.missed" { 1 => trigger::MissedV1 }
    "trigger.buffered" { 1 => trigger::BufferedV1<'_> }
    "trigger.run_ended" { 1 => trigger::RunEndedV1 }

    "seal.key_introduced" { 1 => seal::KeyIntroducedV1 }
    "seal.key_rotated" { 1 => seal::KeyRotatedV1 }
    "seal.sealed" { 1 => seal::SealedV1 }

    "search.saved" { 1 => search::SavedV1<'_> }
    "search.deleted" { 1 => search::DeletedV1<'_> }

    "external.posted" { 1 => external::PostedV1<'_> }

    "webhook.subscribed" { 1 => webhook::SubscribedV1<'_> }
    "webhook.changed" { 1 => webhook::ChangedV1<'_> }
    "webhook.paused" { 1 => webhook::PausedV1<'_> }
    "webhook.resumed" { 1 => webhook::ResumedV1<'_> }
    "webhook.disabled" { 1 => webhook::DisabledV1 }
    "webhook.rotated" { 1 => webhook::RotatedV1<'_> }
    "webhook.tested" { 1 => webhook::TestedV1<'_> }
    "webhook.deleted" { 1 => webhook::DeletedV1<'_> }

    "delivery.succeeded" { 1 => delivery::SucceededV1<'_> }
    "delivery.failed" { 1 => delivery::FailedV1<'_> }
    "delivery.requested" { 1 => delivery::RequestedV1<'_> }

    "action.changed" { 1 => action::ChangedV1<'_> }

    "subject.erased" { 1 => subject::ErasedV1<'_> }

    "denial.recorded" { 1 => denial::RecordedV1<'_> }
    "denial.counted" { 1 => denial::CountedV1<'_> }
}
