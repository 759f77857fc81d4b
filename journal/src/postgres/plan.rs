//! Decides a batch of appends in the order in which they arrived, each counting what was accepted before it.
//!
//! Pure: what the plan believes about streams and commands is handed in; whether it was true is found out when the
//! batch is recorded.

use std::collections::HashMap;
use std::sync::Arc;

use domain::StreamId;
use uuid::Uuid;

use super::parts::Part;
use super::writer::Job;
use crate::append::Head;
use crate::{AppendError, Appended, Position, RecordedEvent, Ticket, prepare};

/// What becomes of one append of the batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is recorded with the batch.
    Accepted(Appended),
    /// Not.
    Refused(AppendError),
    /// Its command was decided before, in this batch or earlier.
    Repeated(Appended),
}

impl From<Verdict> for Result<Appended, AppendError> {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accepted(done) | Verdict::Repeated(done) => Ok(done),
            Verdict::Refused(refusal) => Err(refusal),
        }
    }
}

/// What becomes of a batch.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each append, in order.
    pub(super) verdicts: Vec<Verdict>,
    /// The new events, in order.
    pub(super) events: Vec<Arc<RecordedEvent>>,
    /// What each accepted append brings to each of its streams, in order: so many of the new events.
    pub(super) parts: Vec<Part>,
    /// Where the streams that were looked at end afterwards.
    pub(super) heads: HashMap<StreamId, Head>,
}

/// Plans a batch to be recorded after `position`.
pub(super) fn plan(
    batch: &mut [Job],
    position: Position,
    mut known: impl FnMut(&StreamId) -> Option<Head>,
    commands: &HashMap<Uuid, Appended>,
) -> Plan {
    let mut plan = Plan {
        verdicts: Vec::with_capacity(batch.len()),
        events: Vec::new(),
        parts: Vec::new(),
        heads: HashMap::new(),
    };
    let mut fresh: HashMap<Uuid, Appended> = HashMap::new();
    let mut position = position;
    // What is accepted of those that others may be based on.
    let mut beside: Vec<Ticket> = Vec::new();
    for Job { prepared, turn, .. } in batch {
        let remembered = prepared.remembered();
        let first = remembered.and_then(|command| fresh.get(&command).or_else(|| commands.get(&command)));
        if let Some(first) = first {
            plan.verdicts.push(Verdict::Repeated(first.again()));
            continue;
        }
        let met = prepared.streams.iter().try_for_each(|part| {
            let head = plan.heads.get(&part.stream).copied().or_else(|| known(&part.stream));
            if let Some(head) = head {
                plan.heads.insert(part.stream, head);
            }
            prepare::check(part.stream, part.expected, head)
        });
        let founded = met.and_then(|()| turn.as_ref().map_or(Ok(()), |turn| turn.check(&beside)));
        if let Err(refusal) = founded {
            plan.verdicts.push(Verdict::Refused(refusal));
            continue;
        }
        let done = prepared.stamp(position, &mut plan.heads, &mut plan.events);
        position = done.position;
        beside.extend(turn.as_ref().map(crate::Turn::ticket));
        plan.parts.extend(prepared.streams.iter().map(|part| Part { events: part.count(), command: None }));
        if let (Some(command), Some(last)) = (remembered, plan.parts.last_mut()) {
            last.command = Some(command);
            fresh.insert(command, done.clone());
        }
        plan.verdicts.push(Verdict::Accepted(done));
    }
    plan
}
