//! Examples of the events of denials.

use domain::denial::{Denied, DeniedCount, DeniedMore};
use domain::{Actor, DenialEvent, Event};

use super::moment;

pub(super) fn full() -> Vec<Event> {
    let denied = Denied {
        action: "mutation startRun".to_owned(),
        on: Some("document-brief".to_owned()),
        code: "RUN_INPUT_INVALID".to_owned(),
        from: Some("https://pages.example:8443".to_owned()),
        at: moment(41),
    };
    let count =
        |by, count| DeniedCount { by, action: "POST /api/v1/runs".to_owned(), code: "RATE_LIMITED".to_owned(), count };
    let counts = vec![count(Actor::person("ada"), 3), count(Actor::system("server"), u64::MAX)];
    let more = DeniedMore { since: moment(42), until: moment(43), counts, others: 7 };
    vec![DenialEvent::Recorded(denied).into(), DenialEvent::Counted(more).into()]
}

pub(super) fn bare() -> Vec<Event> {
    let (action, code) = ("POST /graphql".to_owned(), "BODY_TOO_LARGE".to_owned());
    let denied = Denied { action, on: None, code, from: None, at: moment(41) };
    let more = DeniedMore { since: moment(42), until: moment(43), counts: vec![], others: 1 };
    vec![DenialEvent::Recorded(denied).into(), DenialEvent::Counted(more).into()]
}

pub(super) fn subject() -> Vec<Event> {
    vec![domain::SubjectEvent::Erased { by: Actor::person("ada"), at: moment(44) }.into()]
}
