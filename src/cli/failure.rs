use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command of the CLI did not succeed; decides the exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The run failed or was cancelled, or a platform that was tried did not answer; all about it was shown already.
    /// Exit code 1.
    #[error("the run did not complete")]
    Run,
    /// What was verified is damaged; all about it was shown already. Exit code 1.
    #[error("the journal is damaged")]
    Damaged,
    /// Nothing that was verified is damaged, but not all of it could be looked into; all about it was shown already. Exit
    /// code 3.
    #[error("not everything could be checked")]
    Unchecked,
    /// Runs would differ on another version; all about it was shown already. Exit code 1.
    #[error("runs would differ")]
    Differs,
    /// The catalogue that was checked has errors; all of them were shown already. Exit code 1.
    #[error("the catalogue has errors")]
    Unsound,
    /// The rules say no, or the command was used wrongly. Exit code 2.
    #[error("{message}")]
    Refused {
        /// The stable code.
        code: String,
        /// What was wrong and what would be right.
        message: String,
    },
    /// More has to be given before anything can be started. Exit code 4.
    #[error("{message}")]
    Incomplete {
        /// What is missing, and how to give it.
        message: String,
        /// The same for machines, with what is known already.
        answer: Value,
    },
    /// Something failed that the command cannot help. Exit code 3.
    #[error("{0:#}")]
    Infrastructure(#[from] anyhow::Error),
}

impl Failure {
    /// A wrong use of the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Refused { code: "USAGE".to_owned(), message: message.into() }
    }

    /// A refusal of the write side, or its failure.
    pub(crate) fn command(error: commands::Error) -> Self {
        if error.is_refusal() {
            Self::Refused { code: error.code().to_owned(), message: error.to_string() }
        } else {
            Self::Infrastructure(error.into())
        }
    }

    /// A catalogue that is not to be loaded.
    pub(crate) fn catalog(errors: &[commands::catalog::CatalogError]) -> Self {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self::Refused { code: "CATALOG_INVALID".to_owned(), message: lines.join("\n") }
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Run | Self::Damaged | Self::Differs | Self::Unsound => 1,
            Self::Refused { .. } => 2,
            Self::Infrastructure(_) | Self::Unchecked => 3,
            Self::Incomplete { .. } => 4,
        })
    }

    /// For machines; nothing when the failure is part of an answer that was written already.
    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Run | Self::Damaged | Self::Unchecked | Self::Differs | Self::Unsound => None,
            Self::Refused { code, message } => Some(json!({ "error": { "code": code, "message": message } })),
            Self::Incomplete { answer, .. } => Some(answer.clone()),
            Self::Infrastructure(_) => {
                Some(json!({ "error": { "code": "INFRASTRUCTURE", "message": self.to_string() } }))
            }
        }
    }
}
