use serde_json::Value;

use crate::agent::Profile;
use crate::template::{RenderError, TemplateBody};

/// What a platform is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// How the model is told to work.
    pub system: String,
    /// What it is told to do.
    pub user: String,
}

impl Prompt {
    /// Assembles the prompt: the agent's system prompt, then the template's instructions with the parameters in
    /// them, then the requester's own words.
    ///
    /// # Errors
    /// When the template cannot be rendered with these parameters.
    pub fn assemble(
        profile: &Profile,
        template: &TemplateBody,
        parameters: &Value,
        request: Option<&str>,
    ) -> Result<Self, RenderError> {
        let mut user = template.render(parameters)?;
        if let Some(request) = request.filter(|request| !request.trim().is_empty()) {
            user.push_str("\n\n");
            user.push_str(request);
        }
        Ok(Self { system: profile.system_text(), user })
    }
}
