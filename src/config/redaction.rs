//! What is masked before it leaves for an AI platform, and what may not leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use providers::redaction::{Kind, Redactor};
use serde::{Deserialize, Serialize};

/// What holds for every agent, and for some of them instead.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Redaction {
    /// What is masked, by kind: secret, email, phone, card, iban, national-id.
    pub(crate) mask: Vec<String>,
    /// Never masked: what one of these patterns matches as a whole.
    pub(crate) allow: Vec<String>,
    /// Further patterns that are masked, by the name that stands in their place.
    pub(crate) patterns: BTreeMap<String, String>,
    /// Patterns with which nothing leaves, by name.
    pub(crate) deny: BTreeMap<String, String>,
    /// Platforms to which everything may go, besides models in the program.
    pub(crate) inside: Vec<String>,
    /// What is otherwise for some agents, by key.
    pub(crate) agents: BTreeMap<String, AgentRedaction>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            mask: vec!["secret".to_owned()],
            allow: Vec::new(),
            patterns: BTreeMap::new(),
            deny: BTreeMap::new(),
            inside: Vec::new(),
            agents: BTreeMap::new(),
        }
    }
}

/// What an agent has instead; what is not given is as for everybody.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentRedaction {
    /// Instead of `mask`.
    pub(crate) mask: Option<Vec<String>>,
    /// Instead of `allow`.
    pub(crate) allow: Option<Vec<String>>,
    /// Instead of `patterns`.
    pub(crate) patterns: Option<BTreeMap<String, String>>,
    /// Instead of `deny`.
    pub(crate) deny: Option<BTreeMap<String, String>>,
}

impl Redaction {
    /// As the engine takes it; `inside` are the platforms whose models are in the program.
    ///
    /// # Errors
    /// In words, when a kind, a pattern or a key is none.
    pub(crate) fn compiled<'a>(&'a self, inside: impl Iterator<Item = &'a str>) -> Result<engine::Redaction, String> {
        let key = |place: &str, key: &str| {
            key.parse::<domain::Key>().map_err(|error| format!("redaction.{place}: `{key}`: {error}"))
        };
        let usual = redactor("redaction", &self.mask, &self.allow, &self.patterns, &self.deny)?;
        let mut agents = BTreeMap::new();
        for (agent, own) in &self.agents {
            let redactor = redactor(
                &format!("redaction.agents.{agent}"),
                own.mask.as_ref().unwrap_or(&self.mask),
                own.allow.as_ref().unwrap_or(&self.allow),
                own.patterns.as_ref().unwrap_or(&self.patterns),
                own.deny.as_ref().unwrap_or(&self.deny),
            )?;
            agents.insert(key("agents", agent)?, redactor);
        }
        let named = self.inside.iter().map(String::as_str);
        let inside = inside.chain(named).map(|platform| key("inside", platform)).collect::<Result<_, _>>()?;
        Ok(engine::Redaction { usual, agents, inside })
    }
}

/// Nothing, when nothing is to be done.
fn redactor(
    place: &str,
    mask: &[String],
    allow: &[String],
    patterns: &BTreeMap<String, String>,
    deny: &BTreeMap<String, String>,
) -> Result<Option<Arc<Redactor>>, String> {
    if mask.is_empty() && patterns.is_empty() && deny.is_empty() {
        return Ok(None);
    }
    let kinds = mask.iter().map(|name| Kind::named(name).ok_or_else(|| unknown(place, name)));
    let mut redactor = Redactor::new(kinds.collect::<Result<Vec<_>, _>>()?);
    let wrong = |list: &str| {
        let place = format!("{place}.{list}");
        move |error: providers::redaction::InvalidPattern| format!("{place}: {error}")
    };
    for pattern in allow {
        redactor = redactor.allow(pattern).map_err(wrong("allow"))?;
    }
    for (name, pattern) in patterns {
        redactor = redactor.mask(name, pattern).map_err(wrong("patterns"))?;
    }
    for (name, pattern) in deny {
        redactor = redactor.deny(name, pattern).map_err(wrong("deny"))?;
    }
    Ok(Some(Arc::new(redactor)))
}

fn unknown(place: &str, name: &str) -> String {
    let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.label().to_ascii_lowercase().replace('_', "-")).collect();
    format!("{place}.mask has `{name}`, but there are only: {}", known.join(", "))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_unless_said_otherwise() {
        let usual = Redaction::default().compiled(["local"].into_iter()).unwrap();
        let (masked, _) = usual.usual.as_ref().unwrap().text("password = hunter2!x of ada@example.com").unwrap();
        assert_eq!(masked, "password = [SECRET_1] of ada@example.com");
        assert!(usual.inside.contains(&"local".parse::<domain::Key>().unwrap()));
        let off = Redaction { mask: vec![], ..Redaction::default() };
        assert!(off.compiled(std::iter::empty()).unwrap().usual.is_none());
    }

    #[test]
    fn an_agent_has_its_own_in_parts() {
        let text = "[redaction]\nmask = [\"email\"]\nallow = [\"[^@]+@example\\\\.com\"]\ndeny = { plan = \"(?i)secret plan\" }\n\
             [redaction.agents.support]\nmask = [\"phone\"]\nallow = []\n";
        #[derive(Deserialize)]
        struct File {
            redaction: Redaction,
        }
        let file: File = figment::Figment::new()
            .merge(<figment::providers::Toml as figment::providers::Format>::string(text))
            .extract()
            .unwrap();
        let compiled = file.redaction.compiled(std::iter::empty()).unwrap();
        let usual = compiled.usual.unwrap();
        let masked = |redactor: &Redactor, text: &str| redactor.text(text).unwrap().0;
        assert_eq!(masked(&usual, "a@b.com, ada@example.com"), "[EMAIL_1], ada@example.com");
        let support = compiled.agents.values().next().unwrap().clone().unwrap();
        assert_eq!(masked(&support, "a@b.com, +49 30 901820"), "a@b.com, [PHONE_1]");
        assert!(support.text("the Secret Plan").is_err(), "what is not given is as for everybody");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |redaction: Redaction| redaction.compiled(std::iter::empty()).unwrap_err();
        let kind = wrong(Redaction { mask: vec!["emails".to_owned()], ..Redaction::default() });
        assert!(kind.contains("redaction.mask has `emails`") && kind.contains("national-id"), "{kind}");
        let pattern = BTreeMap::from([("x".to_owned(), "(".to_owned())]);
        let deny = wrong(Redaction { deny: pattern, ..Redaction::default() });
        assert!(deny.starts_with("redaction.deny: pattern `x`"), "{deny}");
        let agents = BTreeMap::from([("No Key".to_owned(), AgentRedaction::default())]);
        assert!(wrong(Redaction { agents, ..Redaction::default() }).contains("No Key"));
    }
}
