//! Ollama on this machine, which speaks OpenAI Chat Completions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Settings, Setup, Unusable};
use crate::{OpenAi, Platform};

/// Where Ollama listens unless it is told otherwise.
pub const HOME: &str = "http://localhost:11434/v1";

/// The kind `ollama`.
pub const KIND: Kind = Kind { rank: 60, ..Kind::over_http::<Own>("ollama") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {}

impl Settings for Own {
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Ok(Arc::new(OpenAi::new(setup.at(HOME, None))?))
    }
}
