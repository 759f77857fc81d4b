use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Topic, WebhookRefusal};

/// The longest URL, in bytes.
pub const MAX_URL: usize = 2048;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 1000;

/// Who is told, and about what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// Where it is told, by POST.
    pub url: String,
    /// About what, at least one.
    pub topics: BTreeSet<Topic>,
    /// What it is for.
    pub description: String,
}

impl WebhookSettings {
    /// Whether they can be. What kind of URL the installation allows is asked elsewhere.
    pub(super) fn check(&self) -> Result<(), WebhookRefusal> {
        let invalid = |what: String| Err(WebhookRefusal::Invalid(what));
        if self.url.is_empty() || self.url.len() > MAX_URL {
            return invalid(format!("`url` has {} bytes; it must have 1 to {MAX_URL}", self.url.len()));
        }
        if self.url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return invalid("`url` must have no spaces and no control characters".to_owned());
        }
        if self.topics.is_empty() {
            return invalid("`event_types` must name at least one type".to_owned());
        }
        if self.topics.contains(&Topic::Test) {
            return invalid(format!("`event_types` must not name `{}`; a test reaches every webhook", Topic::Test));
        }
        if self.description.len() > MAX_DESCRIPTION {
            let length = self.description.len();
            return invalid(format!("`description` has {length} bytes; it must have at most {MAX_DESCRIPTION}"));
        }
        Ok(())
    }
}

/// Tells master keys apart without telling anything about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyPrint(pub u64);

impl fmt::Display for KeyPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
