//! Slots of limits: asking for them, waiting, and giving them back in the append that records the end of what held
//! them.

use std::sync::Arc;

use domain::run::SlotsNeed;
use domain::slots::{Capacity, Holder};
use domain::{Limit, LimitId, RunCommand, Slots, SlotsCommand, SlotsId, TaskCommand, TaskId, Timestamp};

use super::{Driver, Stop, late};
use crate::stage::Stage;

impl Driver {
    /// Lets the run begin; one that limits make wait is queued, and let in when its slots are there.
    pub(super) async fn admit(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        if stage.run().queue().is_none() && stage.run().is_untouched() {
            let slots = self.shared.standing.of_run(stage.run());
            late(stage.decide_run(RunCommand::Queue { slots, now }));
        }
        if !stage.run().is_queued() {
            return Ok(());
        }
        let needs = stage.run().queue().map(|queue| queue.slots.clone()).unwrap_or_default();
        if self.acquire(stage, None, &needs, now).await? {
            late(stage.decide_run(RunCommand::Admit));
        }
        Ok(())
    }

    /// Asks for slots, in the order in which everybody does, so that nobody waits in a circle; whether all are there.
    pub(super) async fn acquire(
        &mut self,
        stage: &mut Stage,
        task: Option<TaskId>,
        needs: &[SlotsNeed],
        now: Timestamp,
    ) -> Result<bool, Stop> {
        let holder = Holder { run: self.id, task };
        let priority = stage.run().priority();
        for need in needs {
            // Who waits already has to see what others have given it; and nothing is recorded about a slot that it seems to have,
            // so nothing would tell that it has been given back.
            let news = self.look_around;
            self.look_at_slots(stage, need.slots, |slots| slots.has(holder) || (news && slots.awaits(holder))).await?;
            let capacity = self.capacity(need).await?;
            let request = SlotsCommand::Request {
                holder,
                limit: need.limit.clone(),
                partition: need.partition.clone(),
                priority,
                fairness: need.fairness.clone(),
                capacity,
                now,
            };
            let knows = |slots: &Slots| slots.has(holder) || slots.awaits(holder);
            if !stage.slots(need.slots).is_some_and(knows) {
                self.stand_by(stage, task);
            }
            let slots = stage.decide_slots(need.slots, request);
            if slots.is_none_or(|slots| !slots.has(holder)) {
                // When a slot is given back while the rate allows no start, nobody gets it then; so it is looked for again.
                let later = capacity.rate.map(|rate| now.plus(rate.per));
                let next = slots.and_then(|slots| slots.next_start(capacity, now)).or(later);
                self.poll_at = self.poll_at.into_iter().chain(next).min();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A request for a slot is recorded with something of what it is for, so that a node that was replaced cannot ask
    /// in the name of what it does not have any more: nobody would ever give that slot back.
    fn stand_by(&self, stage: &mut Stage, task: Option<TaskId>) {
        match task {
            Some(id) if !stage.is_touched(id) => {
                if let Some(slot) = self.tasks.get(&id) {
                    late(stage.decide_task(id, || slot.clone(), TaskCommand::Fence).map(drop));
                }
            }
            None if !stage.touches_run() => drop(late(stage.decide_run(RunCommand::Fence))),
            _ => {}
        }
    }

    /// Gives back what tasks have given up in this turn, slots and money.
    pub(super) async fn give_back(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        for (holder, needs) in stage.take_released() {
            self.release(stage, holder, &needs, now).await?;
        }
        self.settle_purses(stage).await
    }

    /// Gives slots back, or takes the wish for them back; whoever is next gets them in the same append.
    pub(super) async fn release(
        &mut self,
        stage: &mut Stage,
        holder: Holder,
        needs: &[SlotsNeed],
        now: Timestamp,
    ) -> Result<(), Stop> {
        for need in needs {
            // What is given back was recorded, perhaps by another node.
            self.look_at_slots(stage, need.slots, |slots| !slots.has(holder) && !slots.awaits(holder)).await?;
            let capacity = self.capacity(need).await?;
            stage.decide_slots(need.slots, SlotsCommand::Release { holder, capacity, now });
        }
        Ok(())
    }

    /// How much there may be of a slot; everything once its limit was removed. What this node has not heard of is looked
    /// up: taking it for removed would let in everybody who waits.
    async fn capacity(&self, need: &SlotsNeed) -> Result<Capacity, Stop> {
        if let Some(capacity) = self.shared.standing.capacity(&need.limit) {
            return Ok(capacity);
        }
        let limit = self.executor().load::<Limit>(LimitId::from_key(&need.limit).into()).await?.state;
        Ok(limit.settings().map(|settings| settings.capacity).unwrap_or_default())
    }

    /// Takes the slots into the stage as this process last saw them; as they are, when that is `outdated`. Decisions on
    /// what is out of date in any other way meet a conflict.
    async fn look_at_slots(
        &self,
        stage: &mut Stage,
        id: SlotsId,
        outdated: impl Fn(&Slots) -> bool,
    ) -> Result<(), Stop> {
        if !stage.has_guard() {
            stage.keep(Arc::clone(&self.shared.slots).lock_owned().await);
        }
        if !stage.knows_slots(id) {
            stage.put_slots(id, self.executor().load_cached::<Slots>(id.into()).await?);
        }
        if stage.untouched_slots(id).is_some_and(outdated) {
            stage.put_slots(id, self.executor().load::<Slots>(id.into()).await?);
        }
        Ok(())
    }
}
