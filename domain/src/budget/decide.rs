use super::{BudgetScope, BudgetSettings, Unit};
use crate::{BudgetCommand, BudgetEvent, Budgets, Key, Refusal};

/// More budgets than that would make every attempt slow.
const MAX_BUDGETS: usize = 1000;
/// The longest name of a department, person or API key, and the longest description.
const MAX_TEXT: usize = 200;

/// Why the budgets refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetRefusal {
    /// The settings are wrong.
    #[error("the budget is not valid: {0}")]
    Invalid(String),
    /// There is no such budget.
    #[error("there is no budget `{}`", .0.as_str())]
    NotFound(Key),
}

impl Refusal for BudgetRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "BUDGET_INVALID",
            Self::NotFound(_) => "BUDGET_NOT_FOUND",
        }
    }
}

pub(super) fn decide(state: &Budgets, command: BudgetCommand) -> Result<Vec<BudgetEvent>, BudgetRefusal> {
    match command {
        BudgetCommand::Set { settings } => {
            check(&settings)?;
            let known = state.get(&settings.key);
            if known.is_some_and(|known| **known == *settings) {
                return Ok(vec![]);
            }
            if known.is_none() && state.iter().len() >= MAX_BUDGETS {
                return Err(BudgetRefusal::Invalid(format!("there are {MAX_BUDGETS} already; remove one first")));
            }
            Ok(vec![BudgetEvent::Set { settings }])
        }
        BudgetCommand::Remove { key, reason } => match state.get(&key) {
            Some(_) => Ok(vec![BudgetEvent::Removed { key, reason }]),
            None => Err(BudgetRefusal::NotFound(key)),
        },
    }
}

fn check(settings: &BudgetSettings) -> Result<(), BudgetRefusal> {
    let wrong = |what: &str| Err(BudgetRefusal::Invalid(what.to_owned()));
    // Money is told as a signed number everywhere else.
    if i64::try_from(settings.limit).is_err() {
        return wrong("`limit` is larger than can be counted");
    }
    if settings.limit == 0 {
        return wrong("`limit` must be more than nothing; to stop everything, place a hold");
    }
    if settings.warn_milli.is_some_and(|milli| milli == 0 || milli > 1000) {
        return wrong("it can warn from 1 to 1000 thousandths of the limit on");
    }
    if settings.unit == Unit::Tokens && settings.unpriced.is_some() {
        return wrong("what a call without a price counts as is only for budgets of money");
    }
    if settings.unpriced.is_some_and(|unpriced| unpriced > settings.limit) {
        return wrong("a call without a price would count as more than the whole limit");
    }
    if let BudgetScope::Department(name) | BudgetScope::Person(name) | BudgetScope::ApiKey(name) = &settings.scope
        && (name.trim().is_empty() || name.chars().count() > MAX_TEXT)
    {
        return Err(BudgetRefusal::Invalid(format!(
            "the {} needs a name of 1 to {MAX_TEXT} characters",
            settings.scope.kind()
        )));
    }
    if settings.description.chars().count() > MAX_TEXT {
        return Err(BudgetRefusal::Invalid(format!("`description` has more than {MAX_TEXT} characters")));
    }
    Ok(())
}
