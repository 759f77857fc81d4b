//! A program on this machine that works as an agent: what an administrator allows to be started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use providers::command::{Fields, Output};
use serde::{Deserialize, Serialize};

use super::Masked;

/// What is started, and what is made of what it writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandLine {
    /// The program, with its whole path.
    pub(crate) program: PathBuf,
    /// Its arguments; `{prompt}` and `{model}` stand for these.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Where it works.
    pub(crate) directory: PathBuf,
    /// The variables that it gets from the environment of the server.
    #[serde(default = "usual")]
    pub(crate) inherit: Vec<String>,
    /// Further variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environment: BTreeMap<String, Masked>,
    /// Where what stands in its output, which then is JSON; without it the output is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) json: Option<JsonOutput>,
}

fn usual() -> Vec<String> {
    ["PATH", "HOME", "LANG"].map(str::to_owned).to_vec()
}

/// JSON pointers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonOutput {
    /// The answer.
    pub(crate) text: String,
    /// Whether it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
    /// The model that worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Tokens in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input_tokens: Option<String>,
    /// Tokens out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output_tokens: Option<String>,
    /// What it cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dollars: Option<String>,
    /// Its own account of what it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<String>,
}

impl CommandLine {
    /// The whole environment of the program.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let inherited = self.inherit.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
        let own = self.environment.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        inherited.chain(own).collect()
    }

    /// What its output means.
    pub(crate) fn output(&self) -> Output {
        self.json.as_ref().map_or(Output::Text, |json| {
            let JsonOutput { text, failed, model, input_tokens, output_tokens, dollars, usage } = json.clone();
            Output::Json(Box::new(Fields { text, failed, model, input_tokens, output_tokens, dollars, usage }))
        })
    }
}
