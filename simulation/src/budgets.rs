//! What there is to spend in some worlds, and what calls cost there.

use std::sync::Arc;

use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use providers::Usage;

use crate::catalog::{AGENTS, Blueprint, PEOPLE, key};
use crate::dice::Dice;
use crate::platforms::PLATFORMS;

/// What a call may cost at most, in billionths of a dollar.
const MOST: u64 = 100;
/// How many budgets there can be.
const BUDGETS: u64 = 5;

/// The key of a budget.
pub(crate) fn any_key(dice: &Dice) -> domain::Key {
    key(&format!("budget-{}", dice.below(BUDGETS)))
}

/// A budget of one of the few keys, whose unit is always the same. Some are never used up, some always are.
pub(crate) fn any(dice: &Dice, blueprints: &[Arc<Blueprint>]) -> BudgetSettings {
    let number = dice.below(BUDGETS);
    let unit = if number < 3 { Unit::Money } else { Unit::Tokens };
    let named = |from: &[&str]| key(dice.pick(from).copied().unwrap_or("ada"));
    let workflow = || dice.pick(blueprints).map(|blueprint| blueprint.definition.key.clone());
    let scope = match (dice.below(6), workflow()) {
        (0, Some(workflow)) => BudgetScope::Workflow(workflow),
        (1, Some(workflow)) => BudgetScope::EachRun(workflow),
        (2, _) => BudgetScope::Agent(named(&AGENTS)),
        (3, _) => BudgetScope::Platform(named(&PLATFORMS)),
        (4, _) => BudgetScope::Person(dice.pick(&PEOPLE).copied().unwrap_or("anna").to_owned()),
        _ => BudgetScope::Organisation,
    };
    // So many calls at most, one of which may use 4096 tokens and what the prompt has.
    let calls = dice.between(1, 40);
    BudgetSettings {
        key: key(&format!("budget-{number}")),
        description: String::new(),
        scope,
        unit,
        limit: calls * if unit == Unit::Money { MOST } else { 4200 },
        window: if dice.permille(500) { Window::Hour } else { Window::Ever },
        warn_milli: dice.permille(500).then_some(800),
        unpriced: (unit == Unit::Money).then_some(MOST),
    }
}

/// What a call is expected to cost at most.
pub(crate) fn most() -> i64 {
    i64::try_from(MOST).unwrap_or(i64::MAX)
}

/// What an answer has used and cost; now and then nobody knows.
pub(crate) fn used(dice: &Dice) -> (Usage, Option<i64>) {
    let known = dice.permille(900);
    let (input, output) = (dice.between(1, 16), dice.between(1, 4096));
    let usage = Usage { input: known.then_some(input), output: known.then_some(output), ..Usage::default() };
    (usage, known.then(|| i64::try_from(dice.between(0, MOST)).unwrap_or(0)))
}
