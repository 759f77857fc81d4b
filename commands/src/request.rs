use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Actor, CommandId, EventId, StreamId, Timestamp};
use journal::{Context, Done, Position};
use uuid::Uuid;

/// Who asks, and in what connection.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who.
    pub actor: Actor,
    /// The caller's own id for this command: a repetition gets the first answer. Without one, every call is new.
    pub command: Option<CommandId>,
    /// What ties together all that follows from one request; the command's id when not given.
    pub correlation: Option<Uuid>,
    /// The event that led to the request.
    pub causation: Option<EventId>,
}

impl Request {
    /// A request that is not connected to anything.
    #[must_use]
    pub fn by(actor: Actor) -> Self {
        Self { actor, command: None, correlation: None, causation: None }
    }

    /// The envelope of what will be recorded, and whether the command's id is to be remembered.
    pub(crate) fn context(&self) -> (Context, bool) {
        let command = self.command.unwrap_or_else(|| CommandId::from_uuid(Uuid::now_v7()));
        let context = Context {
            command,
            at: now(),
            actor: self.actor.clone(),
            tenant: "default".to_owned(),
            correlation: self.correlation.unwrap_or(command.as_uuid()),
            causation: self.causation,
        };
        (context, self.command.is_some())
    }
}

/// The present moment, by the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The aggregate's stream.
    pub stream: StreamId,
    /// Its revision after the command.
    pub revision: Option<u64>,
    /// The journal's position that contains the command's effect; whoever reads read models waits for it.
    pub position: Position,
    /// Whether the command had been carried out before, and this is that first answer.
    pub repeated: bool,
    /// Whether anything was recorded now; otherwise the wish was true already, or this is a repetition.
    pub changed: bool,
}

impl Outcome {
    pub(crate) fn of<A>(stream: StreamId, done: &Done<A>) -> Self {
        Self {
            stream,
            revision: done.revision,
            position: done.position,
            repeated: done.repeated,
            changed: done.changed,
        }
    }
}
