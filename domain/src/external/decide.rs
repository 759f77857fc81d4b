use crate::{External, ExternalCommand, ExternalEvent, Refusal, ValueTooLarge, check_size};

/// Why an external event refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalRefusal {
    /// Its id belongs to another one.
    #[error("an event with this id was posted before, with another payload; post what is new under a new id")]
    Reused,
    /// It is too large, or nested too deeply.
    #[error("the payload {0}")]
    TooLarge(ValueTooLarge),
}

impl Refusal for ExternalRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Reused => "EVENT_ID_REUSED",
            Self::TooLarge(_) => "EVENT_TOO_LARGE",
        }
    }
}

pub(super) fn decide(state: &External, command: ExternalCommand) -> Result<Vec<ExternalEvent>, ExternalRefusal> {
    let ExternalCommand::Post(posted) = command;
    check_size(&posted.payload).map_err(ExternalRefusal::TooLarge)?;
    match state.posted() {
        None => Ok(vec![ExternalEvent::Posted(posted)]),
        Some(known) if known.name == posted.name && known.payload == posted.payload => Ok(vec![]),
        Some(_) => Err(ExternalRefusal::Reused),
    }
}
