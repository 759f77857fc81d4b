//! What must not leave for a platform: masked on the way out, put back into the answer, and told by kind and count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::Key;
use domain::task::Masked;
use providers::redaction::{Redactor, Vault};

/// What is masked and what is refused, by agent and platform. By default nothing is.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    /// For agents that have nothing of their own; `None` lets everything through.
    pub usual: Option<Arc<Redactor>>,
    /// Instead of it, for some agents.
    pub agents: BTreeMap<Key, Option<Arc<Redactor>>>,
    /// Platforms to which everything may go, because nothing leaves the house there.
    pub inside: BTreeSet<Key>,
}

impl Redaction {
    /// What looks at a request of an agent before it goes to a platform.
    pub(crate) fn between(&self, agent: &Key, platform: &Key) -> Option<&Redactor> {
        if self.inside.contains(platform) {
            return None;
        }
        self.agents.get(agent).unwrap_or(&self.usual).as_deref()
    }
}

/// What may be recorded of what was masked.
pub(crate) fn counts(vault: &Vault) -> Vec<Masked> {
    vault.counts().iter().map(|(kind, count)| Masked { kind: kind.clone(), count: *count }).collect()
}

/// The answer with what was masked put back, so that what was JSON still is.
pub(crate) fn unmask(vault: &Vault, text: String) -> String {
    if vault.is_empty() {
        return text;
    }
    let is_json = |text: &str| commands::task_result(text).get("json").is_some_and(|json| !json.is_null());
    if is_json(&text) { vault.for_json().unmask(&text) } else { vault.unmask(&text) }
}
