//! What people and judges give to answers.

use domain::task::{Judgement, Review, Score, Shift, Version};
use domain::{Actor, AgentId, Event, RunId, TaskEvent};

use super::{id, moment, reason};

fn mark(hundredths: u16) -> Score {
    Score::of_hundredths(hundredths).unwrap()
}

fn shift(from: Option<Score>) -> Option<Shift> {
    Some(Shift { agent: AgentId::from_uuid(id(6)), completed_at: moment(15), from, to: mark(900) })
}

pub(super) fn review() -> Review {
    Review {
        versions: vec![
            Version { attempt: 1, checks: Some(mark(550)), own: None },
            Version { attempt: 2, checks: None, own: Some(mark(1000)) },
        ],
        rounds: 2,
    }
}

/// As much as each event can hold.
pub(super) fn full() -> Vec<Event> {
    let judgement = Judgement {
        run: RunId::from_uuid(id(3)),
        agent: AgentId::from_uuid(id(7)),
        model: "gpt-x".to_owned(),
        author: "claude-y".to_owned(),
        asked: 3,
        marks: vec![mark(700), mark(100), mark(1000)],
        at: moment(16),
    };
    vec![
        TaskEvent::Rated {
            by: Actor::person("ada"),
            mark: mark(900),
            comment: reason(),
            at: moment(17),
            shift: shift(Some(mark(100))),
        }
        .into(),
        TaskEvent::Judged { judgement: Box::new(judgement), reason: reason(), shift: shift(None) }.into(),
        TaskEvent::JudgingFailed { run: Some(RunId::from_uuid(id(3))), reason: reason(), at: moment(18) }.into(),
    ]
}

/// As little as each event can hold.
pub(super) fn bare() -> Vec<Event> {
    let judgement = Judgement {
        run: RunId::from_uuid(id(0)),
        agent: AgentId::from_uuid(id(0)),
        model: String::new(),
        author: String::new(),
        asked: 0,
        marks: vec![],
        at: moment(0),
    };
    vec![
        TaskEvent::Rated {
            by: Actor::system("x"),
            mark: mark(100),
            comment: String::new(),
            at: moment(0),
            shift: None,
        }
        .into(),
        TaskEvent::Judged { judgement: Box::new(judgement), reason: String::new(), shift: None }.into(),
        TaskEvent::JudgingFailed { run: None, reason: String::new(), at: moment(0) }.into(),
    ]
}

/// What every attempt can be for, and a review without versions.
pub(super) fn variants() -> Vec<(String, Event)> {
    let review = Box::new(Review { versions: vec![], rounds: 0 });
    let reviewed = TaskEvent::Completed { attempt: 1, output: None, quality: None, review: Some(review) };
    vec![("reviewed".to_owned(), reviewed.into())]
}
