use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown instead of a secret.
const MASK: &str = "***";

/// A text that is never shown: its `Debug` is masked, it has no `Display`, and it is masked wherever it is written down.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` with every occurrence of the secret masked. A secret under 4 characters masks nothing: it would be
    /// found everywhere.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.len() < 4 { text.to_owned() } else { text.replace(&self.0, MASK) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn is_never_shown() {
        let secret = Secret::new("sk-12345");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(serde_json::to_value(&secret).ok(), Some("***".into()));
        assert_eq!(secret.redact("key sk-12345 is wrong"), "key *** is wrong");
        assert_eq!(Secret::new("").redact("abc"), "abc");
    }
}
