use super::TemplateBody;

/// What may be asked of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateCommand {
    /// Registers it, or revises it when it exists. An equal body changes nothing.
    Register {
        /// The whole body.
        body: Box<TemplateBody>,
    },
}
