use super::{LimitScope, LimitSettings};
use crate::slots::MAX_RATE;
use crate::{Limit, LimitCommand, LimitEvent, Refusal};

/// Why a limit refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitRefusal {
    /// The settings are wrong.
    #[error("the limit is not valid: {0}")]
    Invalid(String),
    /// There is no such limit.
    #[error("the limit does not exist")]
    NotFound,
}

impl Refusal for LimitRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "LIMIT_INVALID",
            Self::NotFound => "LIMIT_NOT_FOUND",
        }
    }
}

pub(super) fn decide(state: &Limit, command: LimitCommand) -> Result<Vec<LimitEvent>, LimitRefusal> {
    match command {
        LimitCommand::Set { settings } => {
            check(&settings)?;
            if state.settings().is_some_and(|known| **known == *settings) {
                return Ok(vec![]);
            }
            Ok(vec![LimitEvent::Set { settings }])
        }
        LimitCommand::Remove { reason } => match state.settings() {
            Some(_) => Ok(vec![LimitEvent::Removed { reason }]),
            None => Err(LimitRefusal::NotFound),
        },
    }
}

fn check(settings: &LimitSettings) -> Result<(), LimitRefusal> {
    let wrong = |what: &str| Err(LimitRefusal::Invalid(what.to_owned()));
    let capacity = &settings.capacity;
    if capacity.max_running.is_none() && capacity.rate.is_none() {
        return wrong("it limits nothing; give `max_running`, `rate`, or both");
    }
    if capacity.max_running == Some(0) {
        return wrong("`max_running` must be at least 1; to stop everything, place a hold");
    }
    if let Some(rate) = &capacity.rate
        && (rate.starts == 0 || rate.starts > MAX_RATE || rate.per.is_zero())
    {
        return Err(LimitRefusal::Invalid(format!("`rate` must be 1 to {MAX_RATE} starts within more than no time")));
    }
    if settings.by.is_some() && !matches!(settings.scope, LimitScope::Workflow(_)) {
        return wrong("only a limit on the runs of a workflow can count by an expression over the input");
    }
    for (name, expression) in [("by", &settings.by), ("fairness", &settings.fairness)] {
        let references = expression.as_ref().map(crate::Expression::references).transpose();
        let references = references.map_err(|error| LimitRefusal::Invalid(format!("`{name}`: {error}")))?;
        if let Some(other) = references.iter().flatten().find(|path| path.0.first().is_none_or(|root| root != "input"))
        {
            return Err(LimitRefusal::Invalid(format!(
                "`{name}` reads `{}`, but only `input` is there",
                other.0.join(".")
            )));
        }
    }
    Ok(())
}
