use domain::Bilingual;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Compiled, Outcome};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The key of its workflow.
    pub workflow: String,
    /// The version of the workflow that it follows.
    pub version: u32,
    /// The workflow's name, as people read it.
    pub title: Bilingual,
    /// Where the run stands.
    pub status: String,
    /// Whether any part of it was simulated: no model was asked for that.
    pub simulated: bool,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` while it has not.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// The run's output, by name; empty while there is none.
    pub results: serde_json::Map<String, Value>,
    /// What each step came to, in the order of the workflow.
    pub steps: Vec<Part>,
    /// What each of its tasks ended in, as far as parts were asked for or somebody says how good it is.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// What those come to together.
    #[serde(default)]
    pub compiled: Compiled,
}

impl Report {
    /// With what its tasks ended in, in the order of the steps.
    #[must_use]
    pub fn with_outcomes(self, outcomes: Vec<Outcome>) -> Self {
        Self { compiled: Compiled::of(&outcomes), outcomes, ..self }
    }
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The kind of error.
    pub kind: String,
    /// What happened, for a person.
    pub message: String,
    /// Of a run: the step that failed first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
}

/// What one step of a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The step's name, unique in its run.
    pub step: String,
    /// Its title, as people read it.
    pub title: Bilingual,
    /// Where it stands.
    pub status: String,
    /// The agent that did it, when one did.
    pub agent: Option<String>,
    /// The template that says what was done.
    pub template: Option<String>,
    /// Whether it was simulated.
    pub simulated: bool,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// Its output; `None` when there is none.
    pub output: Option<Value>,
}
