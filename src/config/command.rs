//! Agents that are programs on this machine or work in somebody's cloud: what an administrator allows to be started, and to be
//! done.

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

/// A program that speaks the Agent Client Protocol, and what it may do when it asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcpLine {
    /// The program, with its whole path.
    pub(crate) program: PathBuf,
    /// Its arguments; `{model}` stands for the model.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Where it works, as a whole path.
    pub(crate) directory: PathBuf,
    /// The variables that it gets from the environment of the server.
    #[serde(default = "usual")]
    pub(crate) inherit: Vec<String>,
    /// Further variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environment: BTreeMap<String, Masked>,
    /// The method by which it logs itself in, where it wants to be told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<String>,
    /// The mode that its sessions are put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    /// The kinds of actions that it is allowed when it asks; everything else is denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<String>,
}

/// What Cursor's cloud agents work on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CursorWork {
    /// The repository's URL, as its provider shows it.
    pub(crate) repository: String,
    /// The branch or commit that they begin with; the usual branch when not given.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub(crate) starting_ref: Option<String>,
    /// Whether a pull request is opened when one has ended.
    #[serde(default)]
    pub(crate) pull_request: bool,
    /// Whether they push to `ref` itself instead of to a branch of their own.
    #[serde(default)]
    pub(crate) same_branch: bool,
}

impl CursorWork {
    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let host = self.repository.strip_prefix("https://").or_else(|| self.repository.strip_prefix("http://"));
        let wrong = host.is_none_or(|rest| rest.split('/').next().unwrap_or_default().contains('@'));
        match (wrong, self.same_branch, &self.starting_ref) {
            (true, ..) => {
                Some("repository is no URL such as https://github.com/COMPANY/REPOSITORY, without a password")
            }
            (_, true, None) => Some("same_branch needs a ref: the branch that is pushed to"),
            _ => None,
        }
    }
}

impl From<&CursorWork> for providers::cursor::Repository {
    fn from(work: &CursorWork) -> Self {
        let CursorWork { repository, starting_ref, pull_request, same_branch } = work.clone();
        Self { url: repository, starting_ref, pull_request, same_branch }
    }
}

fn environment(inherit: &[String], own: &BTreeMap<String, Masked>) -> BTreeMap<String, String> {
    let inherited = inherit.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let own = own.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    inherited.chain(own).collect()
}

impl AcpLine {
    /// The whole environment of the program.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        environment(&self.inherit, &self.environment)
    }
}

impl CommandLine {
    /// The whole environment of the program.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        environment(&self.inherit, &self.environment)
    }

    /// What its output means.
    pub(crate) fn output(&self) -> Output {
        self.json.as_ref().map_or(Output::Text, |json| {
            let JsonOutput { text, failed, model, input_tokens, output_tokens, dollars, usage } = json.clone();
            Output::Json(Box::new(Fields { text, failed, model, input_tokens, output_tokens, dollars, usage }))
        })
    }
}
