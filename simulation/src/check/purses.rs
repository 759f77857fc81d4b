//! What may happen to purses: there is never more spent and set aside than there may be, and only attempts that are under way have
//! something set aside.

use std::collections::BTreeMap;

use domain::budget::BudgetSettings;
use domain::purse::Payer;
use domain::{BudgetEvent, Key, PurseEvent, PurseId, Timestamp};

use super::{Checker, Seen};

/// How much each budget has ever allowed. Nodes learn of a change one after the other, so what is set aside is held against the
/// most that was ever allowed.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<Key, u64>);

impl Budgets {
    pub(super) fn take(&mut self, event: &BudgetEvent) {
        // One that was taken away sets nothing aside any more, once everybody knows.
        if let BudgetEvent::Set { settings } = event {
            let BudgetSettings { key, limit, .. } = &**settings;
            let most = self.0.entry(key.clone()).or_default();
            *most = (*most).max(*limit);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct PurseView {
    window: Option<Timestamp>,
    spent: u64,
    /// What is set aside, and in which window.
    open: BTreeMap<Payer, (u64, Timestamp)>,
}

impl PurseView {
    fn apply(&mut self, event: &PurseEvent, budgets: &Budgets) -> Result<(), String> {
        match event {
            PurseEvent::Reserved { payer, amount, budget, window, .. } => {
                if self.window.is_some_and(|known| *window < known) {
                    return Err(format!("{payer} pays from a window that is over"));
                }
                if self.window != Some(*window) {
                    (self.window, self.spent) = (Some(*window), 0);
                }
                if self.open.insert(*payer, (*amount, *window)).is_some() {
                    return Err(format!("{payer} is set something aside twice"));
                }
                let Some(most) = budgets.0.get(budget) else { return Err(format!("there is no budget {budget}")) };
                let reserved: u64 = self.open.values().map(|(amount, _)| amount).sum();
                if self.spent + reserved > *most {
                    let spent = self.spent;
                    return Err(format!("{spent} are spent and {reserved} set aside, but {most} are there ({budget})"));
                }
                Ok(())
            }
            PurseEvent::Settled { payer, amount, known } => {
                let Some((held, window)) = self.open.remove(payer) else {
                    return Err(format!("{payer} is settled and has nothing set aside"));
                };
                if *amount > held || (!known && *amount != held) {
                    return Err(format!("{payer} is settled with {amount} of {held} (known: {known})"));
                }
                if self.window == Some(window) {
                    self.spent += amount;
                }
                Ok(())
            }
            PurseEvent::Warned { .. } => Ok(()),
        }
    }
}

impl Checker {
    pub(super) fn take_purse(&mut self, id: PurseId, seen: &Seen<'_>, event: &PurseEvent) {
        let purse = self.purses.entry(id).or_default();
        if let Err(wrong) = purse.apply(event, &self.budgets) {
            self.blame(format!("purse {id} at {}: {wrong}", seen.recorded.position));
        }
    }

    /// What is set aside is set aside for an attempt that is under way, and all that was recorded with its start.
    pub(super) fn check_payers(&mut self) {
        let mut found = Vec::new();
        for (id, purse) in &self.purses {
            for (payer, (amount, _)) in &purse.open {
                let task = self.tasks.get(&payer.task);
                if !task.is_some_and(|task| task.pays(payer.attempt, *id, *amount)) {
                    found.push(format!("{payer} is not under way, and purse {id} has {amount} set aside for it"));
                }
            }
        }
        for (id, task) in &self.tasks {
            for (attempt, share) in task.shares() {
                let held =
                    self.purses.get(&share.purse).and_then(|purse| purse.open.get(&Payer { task: *id, attempt }));
                if held.map(|(amount, _)| *amount) != Some(share.amount) {
                    found.push(format!(
                        "attempt {attempt} of task {id} is under way, and purse {} holds {held:?} for it",
                        share.purse
                    ));
                }
            }
        }
        self.violations.extend(found);
    }

    /// What must be true of purses when everything is over.
    pub(super) fn finish_purses(&self, found: &mut Vec<String>) {
        for (id, purse) in &self.purses {
            found.extend(
                purse.open.keys().map(|payer| format!("at the end purse {id} has something set aside for {payer}")),
            );
        }
    }
}
