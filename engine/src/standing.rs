//! The limits, holds and budgets that are in force, as drivers ask for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::budget::BudgetSettings;
use domain::hold::Placed;
use domain::limit::{LimitScope, LimitSettings};
use domain::run::SlotsNeed;
use domain::slots::Capacity;
use domain::{Actor, Expression, HoldId, Key, LimitId, Root, Run, SlotsId};
use parking_lot::RwLock;
use serde_json::Value;

use crate::known::Known;

/// Cheap to clone; all drivers of a node see the same.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<RwLock<Orders>>);

#[derive(Default)]
struct Orders {
    limits: BTreeMap<LimitScope, Vec<LimitSettings>>,
    capacities: BTreeMap<Key, Capacity>,
    holds: BTreeMap<HoldId, Placed>,
    lifted: BTreeMap<HoldId, Actor>,
    budgets: Arc<[Arc<BudgetSettings>]>,
}

impl Standing {
    /// Takes over what is known now.
    pub(crate) fn set(&self, known: &Known) {
        let mut limits: BTreeMap<LimitScope, Vec<LimitSettings>> = BTreeMap::new();
        for settings in known.limits.values() {
            limits.entry(settings.scope.clone()).or_default().push(settings.clone());
        }
        let capacities = known.limits.iter().map(|(key, settings)| (key.clone(), settings.capacity)).collect();
        let (holds, lifted) = (known.holds.clone(), known.lifted.clone());
        let budgets = known.budgets.iter().cloned().collect();
        *self.0.write() = Orders { limits, capacities, holds, lifted, budgets };
    }

    /// The slots that a run needs before it begins.
    pub(crate) fn of_run(&self, run: &Run) -> Vec<SlotsNeed> {
        let orders = self.0.read();
        if orders.limits.is_empty() {
            return vec![];
        }
        let Some(definition) = run.definition() else { return vec![] };
        needs(&orders, [LimitScope::Workflow(definition.key.clone())], run)
    }

    /// The slots that an attempt of a task needs.
    pub(crate) fn of_attempt(&self, run: &Run, agent: &Key, platform: &Key) -> Vec<SlotsNeed> {
        let orders = self.0.read();
        if orders.limits.is_empty() {
            return vec![];
        }
        needs(&orders, [LimitScope::Agent(agent.clone()), LimitScope::Platform(platform.clone())], run)
    }

    /// How much a limit allows; `None` when it was removed, or set so lately that this node has not heard of it.
    pub(crate) fn capacity(&self, limit: &Key) -> Option<Capacity> {
        self.0.read().capacities.get(limit).copied()
    }

    /// Every budget.
    pub(crate) fn budgets(&self) -> Arc<[Arc<BudgetSettings>]> {
        Arc::clone(&self.0.read().budgets)
    }

    /// The hold that covers a workflow's runs, if one does.
    pub(crate) fn hold_on(&self, workflow: &Key) -> Option<Placed> {
        self.0.read().holds.values().find(|placed| placed.scope.covers(workflow)).cloned()
    }

    /// Who lifted a hold; `None` while it is in force.
    pub(crate) fn lifted(&self, hold: HoldId) -> Option<Actor> {
        let orders = self.0.read();
        if orders.holds.contains_key(&hold) {
            return None;
        }
        Some(orders.lifted.get(&hold).cloned().unwrap_or_else(|| Actor::system("engine")))
    }
}

/// Sorted by slots, so that everybody who needs several waits for them in the same order and never in a circle.
fn needs<const N: usize>(orders: &Orders, scopes: [LimitScope; N], run: &Run) -> Vec<SlotsNeed> {
    let settings = scopes.iter().filter_map(|scope| orders.limits.get(scope)).flatten();
    let mut needs: Vec<SlotsNeed> = settings
        .map(|settings| {
            let partition = settings.by.as_ref().map(|by| text_of(by, run));
            SlotsNeed {
                slots: SlotsId::of(LimitId::from_key(&settings.key), &settings.scope, partition.as_deref()),
                limit: settings.key.clone(),
                partition,
                fairness: settings.fairness.as_ref().map(|fairness| text_of(fairness, run)).unwrap_or_default(),
            }
        })
        .collect();
    needs.sort_by_key(|need| need.slots);
    needs
}

/// What an expression over the input gives, as text. One that fails counts as nothing, like a value that is not there.
fn text_of(expression: &Expression, run: &Run) -> String {
    match expression.evaluate(&[("input", Root::Value(run.input()))]) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) | Err(_) => String::new(),
        Ok(value) => value.to_string(),
    }
}
