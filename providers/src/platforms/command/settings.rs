//! What an administrator says of a program that works as an agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CommandAgent, Fields, Options, Output};
use crate::kind::{Kind, Role, Settings, Setup, Unusable};
use crate::{Platform, Secret, program};

/// The kind `command`.
pub const KIND: Kind = Kind { role: Role::Agent, rank: 70, ..Kind::of::<Own>("command") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// What is started.
    command: Option<CommandLine>,
}

/// What is started, and what is made of what it writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandLine {
    /// The program, with its whole path.
    program: PathBuf,
    /// Its arguments; `{prompt}` and `{model}` stand for these.
    #[serde(default)]
    arguments: Vec<String>,
    /// Where it works.
    directory: PathBuf,
    /// The variables that it gets from the environment of the server.
    #[serde(default = "program::usual_variables")]
    inherit: Vec<String>,
    /// Further variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, Secret>,
    /// Where what stands in its output, which then is JSON; without it the output is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Fields>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["command"];

    fn fault(&self, at: &str) -> Option<String> {
        self.command.is_none().then(|| format!("{at} is a command, so it needs [{at}.command]"))
    }

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let line = self.command.clone().ok_or("it says no command")?;
        let options = Options {
            arguments: line.arguments,
            environment: program::environment(&line.inherit, &line.environment, setup.variable),
            model: setup.model,
            output: line.json.map_or(Output::Text, |json| Output::Json(Box::new(json))),
            ..Options::new(setup.key, line.program, line.directory)
        };
        Ok(Arc::new(CommandAgent::new(options)?))
    }
}
