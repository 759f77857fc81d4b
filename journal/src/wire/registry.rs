//! The closed list of event types and their versions. Adding an event is one struct and one line here.

use super::{agent, run, task, template, workflow};

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
    "workflow.drafted" { 1 => workflow::DraftedV1<'_> }
    "workflow.activated" { 1 => workflow::ActivatedV1 }

    "run.started" { 1 => run::StartedV1<'_> }
    "run.claimed" { 1 => run::ClaimedV1 }
    "run.step_started" { 1 => run::StepStartedV1<'_> }
    "run.step_completed" { 1 => run::StepCompletedV1<'_> }
    "run.step_failed" { 1 => run::StepFailedV1<'_> }
    "run.step_cancelled" { 1 => run::StepCancelledV1<'_> }
    "run.cancel_requested" { 1 => run::CancelRequestedV1<'_> }
    "run.completed" { 1 => run::CompletedV1<'_> }
    "run.failed" { 1 => run::FailedV1<'_> }
    "run.cancelled" { 1 => run::CancelledV1<'_> }

    "task.created" { 1 => task::CreatedV1<'_> }
    "task.assigned" { 1 => task::AssignedV1<'_> }
    "task.attempt_started" { 1 => task::AttemptStartedV1<'_> }
    "task.attempt_succeeded" { 1 => task::AttemptSucceededV1<'_> }
    "task.attempt_failed" { 1 => task::AttemptFailedV1<'_> }
    "task.attempt_lost" { 1 => task::AttemptLostV1 }
    "task.attempt_late" { 1 => task::AttemptLateV1<'_> }
    "task.completed" { 1 => task::CompletedV1 }
    "task.failed" { 1 => task::FailedV1<'_> }
    "task.cancelled" { 1 => task::CancelledV1<'_> }

    "agent.registered" { 1 => agent::RegisteredV1<'_>, 2 => agent::RegisteredV2<'_> }
    "agent.revised" { 1 => agent::RevisedV1<'_>, 2 => agent::RevisedV2<'_> }
    "agent.enabled" { 1 => agent::EnabledV1 }
    "agent.disabled" { 1 => agent::DisabledV1<'_> }

    "template.registered" { 1 => template::RegisteredV1<'_>, 2 => template::RegisteredV2<'_> }
    "template.revised" { 1 => template::RevisedV1<'_>, 2 => template::RevisedV2<'_> }
}
