use std::sync::Arc;

use domain::external::Posted;
use domain::{External, ExternalCommand, ExternalId, Key};
use serde_json::Value;

use crate::{Commands, Error, Outcome, Refused, Request};

/// Something happened outside.
#[derive(Debug, Clone)]
pub struct PostEvent {
    /// What kind of thing; triggers wait for it by this name.
    pub name: Key,
    /// What is known about it.
    pub payload: Value,
    /// The poster's own id for it: the same name and id mean the same event, however often it is posted.
    pub id: Option<String>,
}

impl Commands {
    /// The longest id of an external event, in bytes.
    const MAX_EVENT_ID: usize = 255;

    /// Records that something happened outside. Triggers that wait for it fire shortly after; whether there are any does
    /// not matter here. Posting the same name, id and payload again changes nothing.
    ///
    /// # Errors
    /// `EVENT_ID_INVALID`, `EVENT_ID_REUSED`, `EVENT_TOO_LARGE`.
    pub async fn post_event(&self, request: Request, event: PostEvent) -> Result<(ExternalId, Outcome), Error> {
        let PostEvent { name, payload, id } = event;
        let (context, remember) = self.context(&request);
        let id = match id {
            Some(id) if id.is_empty() || id.len() > Self::MAX_EVENT_ID => {
                return Err(Refused::EventIdInvalid { max: Self::MAX_EVENT_ID }.into());
            }
            Some(id) => ExternalId::of(&context.tenant, &name, &id),
            // A command that is repeated under its id is the same event, too.
            None => ExternalId::of(&context.tenant, &name, &context.command.to_string()),
        };
        let posted = Posted { name, payload: Arc::new(payload), by: request.actor.clone(), at: context.at };
        let command = ExternalCommand::Post(posted);
        let done = self.executor.execute::<External>(id.into(), command, context, remember).await?;
        Ok((id, Outcome::of(id.into(), &done)))
    }
}
