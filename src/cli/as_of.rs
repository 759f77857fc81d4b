//! Questions about the past.

use clap::Args;
use serde_json::{Value, json};

/// Of which moment an answer is to be.
#[derive(Debug, Args)]
pub(super) struct AsOf {
    /// As of a position of the journal, or of a moment such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "POSITION|MOMENT")]
    as_of: Option<String>,
}

impl AsOf {
    /// Whether it is about the past at all.
    pub(super) fn is_past(&self) -> bool {
        self.as_of.is_some()
    }

    /// The GraphQL input `AsOf`; null for the present. A position has digits alone, anything else is a moment.
    pub(super) fn input(&self) -> Value {
        match &self.as_of {
            None => Value::Null,
            Some(position) if !position.is_empty() && position.bytes().all(|byte| byte.is_ascii_digit()) => {
                json!({ "position": position })
            }
            Some(moment) => json!({ "time": moment }),
        }
    }
}
