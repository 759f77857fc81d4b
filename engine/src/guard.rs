//! What must not leave for a platform: masked on the way out, put back into the answer, and told by kind and count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::Key;
use domain::task::Masked;
use providers::redaction::{Redactor, Unmasker, Vault};

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

/// The same for an answer that comes in pieces. Whether it is JSON is told by how it begins; what counts in the end is the
/// whole answer.
pub(crate) struct Unmasking<'a> {
    plain: &'a Vault,
    json: &'a Vault,
    chosen: Option<Unmasker<'a>>,
}

impl<'a> Unmasking<'a> {
    /// With what was masked, and with the same for JSON.
    pub(crate) fn new(plain: &'a Vault, json: &'a Vault) -> Self {
        Self { plain, json, chosen: None }
    }

    /// Takes a piece and returns what can be handed on.
    pub(crate) fn push(&mut self, piece: String) -> String {
        let begins = piece.trim_start();
        if self.plain.is_empty() || (self.chosen.is_none() && begins.is_empty()) {
            return piece;
        }
        // A bracket may be that of a placeholder.
        let is_json = ["{", "```", "[\"", "[{", "[\n", "[ "].iter().any(|opening| begins.starts_with(opening));
        let vault = if is_json { self.json } else { self.plain };
        self.chosen.get_or_insert_with(|| vault.unmasker()).push(&piece)
    }

    /// What was still held back, once the answer has ended.
    pub(crate) fn finish(&mut self) -> String {
        self.chosen.as_mut().map(Unmasker::finish).unwrap_or_default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use providers::redaction::Kind;

    use super::*;

    fn streamed(vault: &Vault, answer: &str) -> String {
        let json = vault.for_json();
        let mut unmasking = Unmasking::new(vault, &json);
        let mut said = String::new();
        for piece in answer.split_inclusive(['E', ' ', ']']) {
            said.push_str(&unmasking.push(piece.to_owned()));
        }
        said + &unmasking.finish()
    }

    #[test]
    fn what_is_said_meanwhile_is_what_is_said_in_the_end() {
        let text = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----";
        let (masked, vault) = Redactor::new([Kind::Secret]).text(text).unwrap();
        assert_eq!(masked, "[SECRET_1]");
        for answer in [
            "[SECRET_1] it is",
            "it is [SECRET_1], and [SECRET_2] is none",
            "{ \"key\": \"[SECRET_1]\" }",
            "[ \"[SECRET_1]\" ]",
            "```json\n{ \"key\": \"[SECRET_1]\" }\n```",
            " [SECRET",
            "",
        ] {
            let whole = unmask(&vault, answer.to_owned());
            assert_eq!(streamed(&vault, answer), whole);
            assert_eq!(whole.contains("MIIE"), answer.contains("[SECRET_1]"));
        }
        assert_eq!(streamed(&Vault::default(), "[SECRET_1] it is"), "[SECRET_1] it is");
    }
}
