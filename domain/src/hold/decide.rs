use crate::{Hold, HoldCommand, HoldEvent, Refusal};

/// Why a hold refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldRefusal {
    /// It is not in force.
    #[error("there is no such hold, so there is nothing to lift")]
    NotPlaced,
}

impl Refusal for HoldRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotPlaced => "HOLD_NOT_PLACED",
        }
    }
}

pub(super) fn decide(state: &Hold, command: HoldCommand) -> Result<Vec<HoldEvent>, HoldRefusal> {
    match (command, state.placed()) {
        (HoldCommand::Place(_), Some(_)) => Ok(vec![]),
        (HoldCommand::Place(placed), None) => Ok(vec![HoldEvent::Placed(placed)]),
        (HoldCommand::Lift { by, now }, Some(_)) => Ok(vec![HoldEvent::Lifted { by, at: now }]),
        (HoldCommand::Lift { .. }, None) => Err(HoldRefusal::NotPlaced),
    }
}
