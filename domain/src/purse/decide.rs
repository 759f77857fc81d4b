use std::fmt;

use super::{PurseCommand, Terms};
use crate::budget::Unit;
use crate::{Key, Purse, PurseEvent, Refusal, Timestamp};

/// What a call would need is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The budget's key.
    pub budget: Key,
    /// What it counts.
    pub unit: Unit,
    /// How much there may be.
    pub limit: u64,
    /// How much is spent.
    pub spent: u64,
    /// How much is set aside for calls under way.
    pub reserved: u64,
    /// How much the call may use at most.
    pub asked: u64,
    /// When the next window begins; `None` when there is none.
    pub resets_at: Option<Timestamp>,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |amount| self.unit.show(amount);
        write!(
            f,
            "budget `{}` is used up: of {}, {} are spent and {} set aside for calls under way; the call may use {}",
            self.budget.as_str(),
            show(self.limit),
            show(self.spent),
            show(self.reserved),
            show(self.asked)
        )?;
        match self.resets_at.map(|at| jiff::Timestamp::from_microsecond(at.as_micros())) {
            Some(Ok(at)) => write!(f, "; it begins anew at {at}"),
            _ => f.write_str("; it does not begin anew by itself"),
        }
    }
}

/// Why a purse refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurseRefusal {
    /// What the call would need is not there.
    #[error("{0}")]
    Exhausted(Box<Exhausted>),
}

impl Refusal for PurseRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Exhausted(_) => "BUDGET_EXHAUSTED",
        }
    }
}

pub(super) fn decide(state: &Purse, command: PurseCommand) -> Result<Vec<PurseEvent>, PurseRefusal> {
    match command {
        PurseCommand::Reserve { payer, amount, terms, now } => {
            if state.reservation(payer).is_some() {
                return Ok(vec![]);
            }
            let Terms { budget, partition, unit, limit, window, warn_at } = terms;
            let (spent, reserved) = (state.spent(window, now), state.reserved());
            let used = spent.checked_add(reserved).and_then(|used| used.checked_add(amount));
            let Some(used) = used.filter(|used| *used <= limit) else {
                let resets_at = window.end(now);
                let exhausted = Exhausted { budget, unit, limit, spent, reserved, asked: amount, resets_at };
                return Err(PurseRefusal::Exhausted(Box::new(exhausted)));
            };
            // Clocks of several nodes differ a little; a window that has begun is not left for the one before it.
            let start = window.start(now);
            let start = state.window().map_or(start, |known| known.max(start));
            let reserved = PurseEvent::Reserved { payer, amount, budget, partition, window: start, at: now };
            let warns = warn_at.is_some_and(|warn_at| used >= warn_at) && !state.warned(start);
            let warned = warns.then_some(PurseEvent::Warned { used, limit });
            Ok([reserved].into_iter().chain(warned).collect())
        }
        PurseCommand::Settle { payer, amount } => match state.reservation(payer) {
            Some(reservation) => {
                let (known, amount) = (amount.is_some(), amount.unwrap_or(reservation.amount));
                Ok(vec![PurseEvent::Settled { payer, amount, known }])
            }
            None => Ok(vec![]),
        },
    }
}
