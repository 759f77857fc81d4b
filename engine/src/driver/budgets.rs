//! Budgets: what an attempt may use at most is set aside in the append that records its start, and settled in the append
//! that records its end.

use std::sync::Arc;

use domain::budget::{BudgetScope, BudgetSettings, Unit};
use domain::purse::{Exhausted, Payer, Terms};
use domain::task::Reserved;
use domain::{ActorKind, Key, Purse, PurseCommand, PurseId, PurseRefusal, Run, Timestamp};

use super::{Driver, Stop};
use crate::plan::PlannedAttempt;
use crate::stage::{Stage, Unsettled};

/// A purse that an attempt has to pay from.
pub(super) struct Share {
    purse: PurseId,
    terms: Terms,
    amount: u64,
}

impl Driver {
    /// What an attempt may use at most, in every purse that it has to pay from; says why it may not start, when one of them
    /// does not hold so much.
    pub(super) async fn afford(
        &mut self,
        stage: &mut Stage,
        payer: Payer,
        planned: &PlannedAttempt,
        now: Timestamp,
    ) -> Result<Result<Vec<Share>, String>, Stop> {
        // What came back in this very turn is there again.
        self.settle_purses(stage).await?;
        let budgets = self.shared.standing.budgets();
        if budgets.is_empty() {
            return Ok(Ok(vec![]));
        }
        let above = self.runs_above(stage, &budgets).await?;
        let mut shares = Vec::new();
        for settings in budgets.iter() {
            let Some(partition) = counted(settings, stage.run(), &above, planned) else { continue };
            let amount = match (settings.unit, planned.most.money, settings.unpriced) {
                (Unit::Tokens, ..) => planned.most.tokens,
                (Unit::Money, Some(money), _) => money,
                (Unit::Money, None, Some(unpriced)) => unpriced,
                (Unit::Money, None, None) => return Ok(Err(unpriced(settings, planned))),
            };
            if amount == 0 {
                continue;
            }
            let purse = PurseId::of(&settings.key, &settings.scope, settings.unit, partition.as_deref());
            shares.push(Share { purse, terms: Terms::of(settings, partition), amount });
        }
        // All of them are asked before anything is set aside in one.
        for share in &shares {
            self.look_at_purse(stage, share.purse).await?;
            if stage.purse(share.purse).is_some_and(|purse| purse.reservation(payer).is_some()) {
                // Nothing more is set aside then, and so nothing of it checked: it has to be recorded.
                self.look_again_at_purse(stage, share.purse).await?;
            }
            if let Some(exhausted) = stage.purse(share.purse).and_then(|purse| refusal(purse, share, payer, now)) {
                // It may have been settled since by another process: what is refused is refused on what is recorded.
                self.look_again_at_purse(stage, share.purse).await?;
                if stage.purse(share.purse).is_some_and(|purse| refusal(purse, share, payer, now).is_some()) {
                    return Ok(Err(exhausted.to_string()));
                }
            }
        }
        Ok(Ok(shares))
    }

    /// Sets aside what was found to be there in this turn. Nobody else has decided on the purses since, and what was given
    /// back since makes them hold more.
    pub(super) fn set_aside(
        stage: &mut Stage,
        payer: Payer,
        shares: Vec<Share>,
        now: Timestamp,
    ) -> Result<Vec<Reserved>, String> {
        let mut reserved = Vec::new();
        for Share { purse, terms, amount } in shares {
            let unit = terms.unit;
            if let Err(PurseRefusal::Exhausted(exhausted)) =
                stage.decide_purse(purse, PurseCommand::Reserve { payer, amount, terms, now })
            {
                return Err(exhausted.to_string());
            }
            reserved.push(Reserved { purse, unit, amount });
        }
        Ok(reserved)
    }

    /// Takes back what was set aside in this turn for an attempt that does not start.
    pub(super) fn unreserve(stage: &mut Stage, payer: Payer, reserved: &[Reserved]) {
        for share in reserved {
            drop(stage.decide_purse(share.purse, PurseCommand::Settle { payer, amount: Some(0) }));
        }
    }

    /// Settles what was set aside for attempts that have ended in this turn.
    pub(super) async fn settle_purses(&self, stage: &mut Stage) -> Result<(), Stop> {
        for Unsettled { task, attempt, shares } in stage.take_unsettled() {
            let payer = Payer { task, attempt };
            for (purse, amount) in shares {
                self.look_at_purse(stage, purse).await?;
                let knows = |purse: &Purse| purse.reservation(payer).is_some();
                if !stage.purse(purse).is_some_and(knows) {
                    // Another process has set it aside.
                    self.look_again_at_purse(stage, purse).await?;
                }
                // A settlement is never refused.
                drop(stage.decide_purse(purse, PurseCommand::Settle { payer, amount }));
            }
        }
        Ok(())
    }

    /// The run and those that it was started by, the nearest first, with the keys of their workflows; only itself when no
    /// budget asks for more.
    async fn runs_above(&self, stage: &Stage, budgets: &[Arc<BudgetSettings>]) -> Result<Vec<(Key, String)>, Stop> {
        let asked =
            budgets.iter().any(|settings| matches!(settings.scope, BudgetScope::Workflow(_) | BudgetScope::EachRun(_)));
        let mut above = Vec::new();
        let name = |run: &Run| Some((run.definition()?.key.clone(), run.id()?.to_string()));
        above.extend(name(stage.run()));
        let mut parent = stage.run().parent().map(|parent| parent.run).filter(|_| asked);
        while let Some(id) = parent {
            let run = self.executor().load_cached::<Run>(id.into()).await?.state;
            above.extend(name(&run));
            parent = run.parent().map(|parent| parent.run);
        }
        Ok(above)
    }

    /// Takes a purse into the stage as this process last saw it, or is about to leave it. Decisions on what is out of date meet a conflict.
    async fn look_at_purse(&self, stage: &mut Stage, id: PurseId) -> Result<(), Stop> {
        if !stage.has_guard() {
            stage.keep(Arc::clone(&self.shared.slots).lock_owned().await);
        }
        if stage.purse(id).is_none() {
            match self.shared.ahead.purse(id) {
                Some(foreseen) => stage.foresee_purse(id, foreseen),
                None => stage.put_purse(id, self.executor().load_cached::<Purse>(id.into()).await?),
            }
        }
        Ok(())
    }

    /// The same as it is, unless something was decided on it already.
    async fn look_again_at_purse(&self, stage: &mut Stage, id: PurseId) -> Result<(), Stop> {
        if stage.purse_is_untouched(id) {
            // Nothing more sets out while others are kept from looking at purses, which they are.
            self.shared.ahead.settled().await;
            stage.put_purse(id, self.executor().load::<Purse>(id.into()).await?);
        }
        Ok(())
    }
}

fn refusal(purse: &Purse, share: &Share, payer: Payer, now: Timestamp) -> Option<Box<Exhausted>> {
    let (amount, terms) = (share.amount, share.terms.clone());
    match domain::Decide::decide(purse, PurseCommand::Reserve { payer, amount, terms, now }) {
        Ok(_) => None,
        Err(PurseRefusal::Exhausted(exhausted)) => Some(exhausted),
    }
}

/// Whether a budget counts an attempt; for which run, when it counts each run by itself.
fn counted(
    settings: &BudgetSettings,
    run: &Run,
    above: &[(Key, String)],
    planned: &PlannedAttempt,
) -> Option<Option<String>> {
    let by = |kind: ActorKind, id: &str| run.by().is_some_and(|by| by.kind == kind && by.id == id);
    let counts = match &settings.scope {
        BudgetScope::Organisation => true,
        BudgetScope::Department(name) => run.definition().is_some_and(|definition| definition.department == *name),
        BudgetScope::Person(id) => by(ActorKind::Person, id),
        BudgetScope::ApiKey(id) => by(ActorKind::ApiKey, id),
        BudgetScope::Workflow(key) => above.iter().any(|(workflow, _)| workflow == key),
        BudgetScope::EachRun(key) => {
            // The outermost: what it starts gets what remains.
            return above.iter().rev().find(|(workflow, _)| workflow == key).map(|(_, run)| Some(run.clone()));
        }
        BudgetScope::Agent(key) => planned.agent == *key,
        BudgetScope::Platform(key) => planned.start.platform == *key,
    };
    counts.then_some(None)
}

fn unpriced(settings: &BudgetSettings, planned: &PlannedAttempt) -> String {
    format!(
        "budget `{}` lets no call through whose price is not known, as on platform `{}`",
        settings.key.as_str(),
        planned.start.platform.as_str()
    )
}
