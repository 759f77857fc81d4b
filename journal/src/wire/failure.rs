//! Frozen values: how an attempt can fail, since there are budgets, and since there are tags of platforms.

use std::time::Duration;

use domain::{AttemptError, ErrorKind};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{AttemptErrorV2, ErrorKindV2, micros};

/// How an attempt can fail. A new kind is a new version, and so is every event that holds it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ErrorKindV3 {
    Known(ErrorKindV2),
    BudgetExhausted,
}

/// With one kind more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum ErrorKindV4 {
    Known(ErrorKindV3),
    TagMissing,
}

impl ErrorKindV4 {
    fn freeze(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::TagMissing => Self::TagMissing,
            older => Self::Known(ErrorKindV2::freeze(older).map_or(ErrorKindV3::BudgetExhausted, ErrorKindV3::Known)),
        }
    }

    fn thaw(self) -> ErrorKind {
        match self {
            Self::Known(ErrorKindV3::Known(kind)) => kind.thaw(),
            Self::Known(ErrorKindV3::BudgetExhausted) => ErrorKind::BudgetExhausted,
            Self::TagMissing => ErrorKind::TagMissing,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptErrorV3<'a> {
    kind: ErrorKindV3,
    message: &'a str,
    retry_after_micros: Option<u64>,
}

impl<'a> From<AttemptErrorV2<'a>> for AttemptErrorV3<'a> {
    fn from(old: AttemptErrorV2<'a>) -> Self {
        let AttemptErrorV2 { kind, message, retry_after_micros } = old;
        Self { kind: ErrorKindV3::Known(kind), message, retry_after_micros }
    }
}

/// The kind is one of more.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptErrorV4<'a> {
    kind: ErrorKindV4,
    message: &'a str,
    retry_after_micros: Option<u64>,
}

impl<'a> From<AttemptErrorV3<'a>> for AttemptErrorV4<'a> {
    fn from(old: AttemptErrorV3<'a>) -> Self {
        let AttemptErrorV3 { kind, message, retry_after_micros } = old;
        Self { kind: ErrorKindV4::Known(kind), message, retry_after_micros }
    }
}

impl<'a> AttemptErrorV4<'a> {
    pub(super) fn freeze(error: &'a AttemptError) -> Result<Self, String> {
        let AttemptError { kind, message, retry_after } = error;
        let retry_after_micros = retry_after.map(micros).transpose()?;
        Ok(Self { kind: ErrorKindV4::freeze(*kind), message, retry_after_micros })
    }

    pub(super) fn thaw(&self) -> AttemptError {
        AttemptError {
            kind: self.kind.thaw(),
            message: self.message.to_owned(),
            retry_after: self.retry_after_micros.map(Duration::from_micros),
        }
    }
}
