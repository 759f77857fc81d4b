use domain::template::TemplateBody;
use domain::{StreamId, Template, TemplateCommand, TemplateId};

use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// Registers a template, or revises it when it exists; an equal body changes nothing.
    ///
    /// # Errors
    /// `SCHEMA_INVALID`, `TEMPLATE_INVALID`, `TEMPLATE_EXAMPLE_INVALID`, `TEMPLATE_UNREADABLE`,
    /// `TEMPLATE_UNKNOWN_NAMES`.
    pub async fn register_template(&self, request: Request, body: TemplateBody) -> Result<Outcome, Error> {
        self.check_template(&body)?;
        let stream = StreamId::from(TemplateId::from_key(&body.key));
        let command = TemplateCommand::Register { body: Box::new(body) };
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Template>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }

    /// Checks what the domain cannot: the schemas, and whether the example fits them.
    pub(crate) fn check_template(&self, body: &TemplateBody) -> Result<(), Error> {
        let schemas = [("parameters", Some(&body.parameters)), ("output_schema", body.output_schema.as_ref())];
        for (field, schema) in schemas {
            let Some(schema) = schema else { continue };
            self.schemas.check_schema(schema).map_err(|error| Refused::SchemaInvalid {
                place: format!("template `{}`, {field}", body.key),
                error,
            })?;
        }
        let Some(example) = &body.example else { return Ok(()) };
        for parameters in [Some(&example.parameters), example.parameters_ar.as_ref()].into_iter().flatten() {
            self.schemas
                .complete_and_check(&body.parameters, &mut parameters.clone())
                .map_err(|error| Refused::ExampleInvalid { key: body.key.clone(), problems: error.to_string() })?;
        }
        Ok(())
    }
}
