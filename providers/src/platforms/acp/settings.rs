//! What an administrator says of a program that speaks the Agent Client Protocol.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AcpAgent, Options, Permissions};
use crate::kind::{Kind, Role, Settings, Setup, Unusable};
use crate::{Platform, Secret, program};

/// The kind `acp`.
pub const KIND: Kind = Kind { role: Role::Agent, rank: 80, ..Kind::of::<Own>("acp") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// What is started, and what it may do.
    acp: Option<Line>,
}

/// The program, and what it may do when it asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The program, with its whole path.
    program: PathBuf,
    /// Its arguments; `{model}` stands for the model.
    #[serde(default)]
    arguments: Vec<String>,
    /// Where it works, as a whole path.
    directory: PathBuf,
    /// The variables that it gets from the environment of the server.
    #[serde(default = "program::usual_variables")]
    inherit: Vec<String>,
    /// Further variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, Secret>,
    /// The method by which it logs itself in, where it wants to be told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// The mode that its sessions are put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// The kinds of actions that it is allowed when it asks; everything else is denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["acp"];

    fn fault(&self, at: &str) -> Option<String> {
        self.acp.is_none().then(|| format!("{at} is of kind acp, so it needs [{at}.acp]"))
    }

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let line = self.acp.clone().ok_or("it does not say what is started")?;
        let allowed = Permissions::named(line.allow.iter().map(String::as_str));
        let options = Options {
            arguments: line.arguments,
            environment: program::environment(&line.inherit, &line.environment, setup.variable),
            model: setup.model,
            login: line.login,
            mode: line.mode,
            permissions: allowed.map_err(|error| format!("allow: {error}"))?,
            ..Options::new(setup.key, line.program, line.directory)
        };
        Ok(Arc::new(AcpAgent::new(options)?))
    }
}
