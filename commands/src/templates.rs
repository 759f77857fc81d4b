use domain::template::TemplateBody;
use domain::{StreamId, Template, TemplateCommand, TemplateId};

use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// Registers a template, or revises it when it exists; an equal body changes nothing.
    ///
    /// # Errors
    /// `SCHEMA_INVALID`, `TEMPLATE_INVALID`, `TEMPLATE_UNREADABLE`, `TEMPLATE_UNKNOWN_NAMES`.
    pub async fn register_template(&self, request: Request, body: TemplateBody) -> Result<Outcome, Error> {
        self.schemas
            .check_schema(&body.parameters)
            .map_err(|error| Refused::SchemaInvalid { place: format!("template `{}`, parameters", body.key), error })?;
        let stream = StreamId::from(TemplateId::from_key(&body.key));
        let command = TemplateCommand::Register { body: Box::new(body) };
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Template>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }
}
