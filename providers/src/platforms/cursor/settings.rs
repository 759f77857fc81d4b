//! What an administrator says of Cursor's cloud agents.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Cursor, HOME, Options, Repository};
use crate::Platform;
use crate::kind::{Kind, Role, Settings, Setup, Unusable};

/// The kind `cursor`. An agent belongs to the key that launched it, and speaks when it has ended: so it takes no further keys, and
/// its answers do not come in pieces.
pub const KIND: Kind = Kind {
    service: Some("CURSOR"),
    role: Role::Agent,
    rank: 90,
    takes: &["base_url", "api_key", "stored_key", "model", "proxy", "certificates"],
    ..Kind::of::<Own>("cursor")
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// What its agents work on.
    cursor: Option<Work>,
}

/// What agents work on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    /// The repository's URL, as its provider shows it.
    repository: String,
    /// The branch or commit that they begin with; the usual branch when not given.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    starting_ref: Option<String>,
    /// Whether a pull request is opened when one has ended.
    #[serde(default)]
    pull_request: bool,
    /// Whether they push to `ref` itself instead of to a branch of their own.
    #[serde(default)]
    same_branch: bool,
}

impl Work {
    fn fault(&self) -> Option<&'static str> {
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

impl From<Work> for Repository {
    fn from(work: Work) -> Self {
        let Work { repository, starting_ref, pull_request, same_branch } = work;
        Self { url: repository, starting_ref, pull_request, same_branch }
    }
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["cursor"];

    fn fault(&self, at: &str) -> Option<String> {
        self.cursor.as_ref().and_then(Work::fault).map(|fault| format!("{at}.cursor: {fault}"))
    }

    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let repository = self.cursor.clone().map(Repository::from);
        Ok(Arc::new(Cursor::new(Options { repository, ..Options::new(setup.at(HOME, None)) })?))
    }
}
