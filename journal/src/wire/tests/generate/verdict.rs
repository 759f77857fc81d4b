//! What people and judges give to answers.

use domain::task::{Judgement, Review, Shift, Version};
use domain::{AgentId, RunId, TaskEvent};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{actor, score, text, timestamp, uuid};

pub(super) fn review() -> impl Strategy<Value = Review> {
    let version = (any::<u32>(), option::of(score()), option::of(score())).prop_map(|(attempt, checks, own)| Version {
        attempt,
        checks,
        own,
    });
    (vec(version, 0..4), any::<u32>()).prop_map(|(versions, rounds)| Review { versions, rounds })
}

fn shift() -> impl Strategy<Value = Shift> {
    (uuid(), timestamp(), option::of(score()), score()).prop_map(|(agent, completed_at, from, to)| Shift {
        agent: AgentId::from_uuid(agent),
        completed_at,
        from,
        to,
    })
}

fn judgement() -> impl Strategy<Value = Judgement> {
    (uuid(), uuid(), text(), text(), any::<u32>(), vec(score(), 0..4), timestamp()).prop_map(
        |(run, agent, model, author, asked, marks, at)| Judgement {
            run: RunId::from_uuid(run),
            agent: AgentId::from_uuid(agent),
            model,
            author,
            asked,
            marks,
            at,
        },
    )
}

pub(super) fn events() -> BoxedStrategy<TaskEvent> {
    prop_oneof![
        (actor(), score(), text(), timestamp(), option::of(shift()))
            .prop_map(|(by, mark, comment, at, shift)| TaskEvent::Rated { by, mark, comment, at, shift }),
        (judgement(), text(), option::of(shift())).prop_map(|(judgement, reason, shift)| TaskEvent::Judged {
            judgement: Box::new(judgement),
            reason,
            shift
        }),
        (option::of(uuid()), text(), timestamp()).prop_map(|(run, reason, at)| TaskEvent::JudgingFailed {
            run: run.map(RunId::from_uuid),
            reason,
            at
        }),
    ]
    .boxed()
}
