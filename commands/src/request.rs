use domain::{Actor, CommandId, EventId, StreamId};
use journal::{Context, Done, Position};
use uuid::Uuid;

use crate::Commands;

/// Whose everything is, until there are several.
pub const TENANT: &str = "default";

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
}

impl Commands {
    /// The envelope of what will be recorded, and whether the command's id is to be remembered.
    pub(crate) fn context(&self, request: &Request) -> (Context, bool) {
        let command = request.command.unwrap_or_else(|| CommandId::from_uuid(self.surroundings.new_id()));
        let context = Context {
            command,
            at: self.surroundings.now(),
            actor: request.actor.clone(),
            tenant: TENANT.to_owned(),
            correlation: request.correlation.unwrap_or(command.as_uuid()),
            causation: request.causation,
            subject: None,
            keeping: None,
        };
        (context, request.command.is_some())
    }
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
