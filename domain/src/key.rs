use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not a key or step name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: it must be {rule}")]
pub struct InvalidKey {
    /// What was given, cut to 80 characters.
    pub text: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $first:expr, $other:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The longest allowed text, in bytes.
            pub const MAX_LEN: usize = 64;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidKey;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let first: fn(char) -> bool = $first;
                let other: fn(char) -> bool = $other;
                let mut chars = text.chars();
                if text.len() <= Self::MAX_LEN && chars.next().is_some_and(first) && chars.all(other) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidKey { text: text.chars().take(80).collect(), what: $what, rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidKey;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// Names a workflow, an agent or a template across the whole installation.
    Key,
    "key",
    "1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
);

checked_text!(
    /// What a platform must be tagged with to be sent something, such as the region in which it processes data. What it means
    /// is known to whoever tags the platforms.
    PlatformTag,
    "tag",
    "1 to 64 of a-z, 0-9, `-`, `_`, `.` and `:`",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':'),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':')
);

checked_text!(
    /// Names a step within its workflow, or a value within a mapping; a plain identifier, so that expressions
    /// can say `steps.NAME`.
    StepName,
    "step name",
    "1 to 64 of a-z, 0-9 and `_`, starting with a letter",
    |c| c.is_ascii_lowercase(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
);
