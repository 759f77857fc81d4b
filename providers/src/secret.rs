use std::fmt;

use serde::Deserialize;

/// A text that is never shown: its `Debug` is masked and it has no `Display`.
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
        if self.0.len() < 4 { text.to_owned() } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn is_never_shown() {
        let secret = Secret::new("sk-12345");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.redact("key sk-12345 is wrong"), "key *** is wrong");
        assert_eq!(Secret::new("").redact("abc"), "abc");
    }
}
