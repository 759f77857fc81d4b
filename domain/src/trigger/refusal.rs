use crate::Refusal;

/// Why a trigger refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerRefusal {
    /// The settings are wrong.
    #[error("the trigger is not valid: {0}")]
    Invalid(String),
    /// There is no such trigger.
    #[error("the trigger does not exist")]
    NotFound,
    /// It is not paused.
    #[error("the trigger is not paused")]
    NotPaused,
    /// Only schedules have ticks.
    #[error("the trigger has no schedule, so it has no times")]
    NoSchedule,
    /// The schedule does not fire at that moment.
    #[error("the schedule has no tick at {0}")]
    NoTick(String),
}

impl Refusal for TriggerRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "TRIGGER_INVALID",
            Self::NotFound => "TRIGGER_NOT_FOUND",
            Self::NotPaused => "TRIGGER_NOT_PAUSED",
            Self::NoSchedule => "TRIGGER_NO_SCHEDULE",
            Self::NoTick(_) => "TRIGGER_NO_TICK",
        }
    }
}
