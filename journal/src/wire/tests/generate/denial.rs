//! Strategies for arbitrary events of denials.

use domain::denial::{Denied, DeniedCount, DeniedMore};
use domain::{DenialEvent, Event};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{actor, text, timestamp};

pub(super) fn event() -> BoxedStrategy<Event> {
    let count = (actor(), text(), text(), any::<u64>()).prop_map(|(by, action, code, count)| DeniedCount {
        by,
        action,
        code,
        count,
    });
    prop_oneof![
        (text(), option::of(text()), text(), option::of(text()), timestamp())
            .prop_map(|(action, on, code, from, at)| DenialEvent::Recorded(Denied { action, on, code, from, at })),
        (timestamp(), timestamp(), vec(count, 0..4), any::<u64>()).prop_map(|(since, until, counts, others)| {
            DenialEvent::Counted(DeniedMore { since, until, counts, others })
        }),
    ]
    .prop_map(Event::from)
    .boxed()
}

pub(super) fn subject() -> BoxedStrategy<Event> {
    (actor(), timestamp()).prop_map(|(by, at)| domain::SubjectEvent::Erased { by, at }.into()).boxed()
}
