//! Limits, their slots and holds, as random commands leave them.

use std::collections::HashMap;
use std::time::Duration;

use domain::hold::{HoldScope, Placed};
use domain::limit::{LimitScope, LimitSettings};
use domain::run::PauseClock;
use domain::slots::{Capacity, Holder, Rate};
use domain::{
    Actor, Decide, Event, Hold, HoldCommand, Key, Limit, LimitCommand, LimitId, RunId, Slots, SlotsCommand, SlotsId,
    StreamId, TaskId, Timestamp,
};
use uuid::Uuid;

/// What there is.
#[derive(Default)]
pub(crate) struct Flow {
    limits: HashMap<LimitId, Limit>,
    slots: HashMap<SlotsId, Slots>,
    holds: HashMap<StreamId, Hold>,
}

const CAPACITY: Capacity =
    Capacity { max_running: Some(1), rate: Some(Rate { starts: 100, per: Duration::from_secs(1) }) };

impl Flow {
    /// Something happens; nothing when the rules refuse it.
    pub(crate) fn tick(&mut self, kind: u64, number: u64, now: Timestamp) -> (StreamId, Vec<Event>) {
        let key: Key = format!("limit-{}", number % 2).parse().unwrap();
        let limit = LimitId::from_key(&key);
        let partition = (number > 1).then(|| format!("p\0{number}"));
        let slots = SlotsId::of(limit, &LimitScope::Workflow(key.clone()), partition.as_deref());
        let task = (number == 0).then(|| TaskId::from_uuid(Uuid::from_u128(3)));
        let holder = Holder { run: RunId::from_uuid(Uuid::from_u128(u128::from(number))), task };
        let scope = if number == 0 { HoldScope::Everything } else { HoldScope::Workflow(key.clone()) };
        match kind {
            0 => {
                let settings = LimitSettings {
                    key,
                    description: format!("no mo\0re than {number}"),
                    scope: LimitScope::Workflow("entry-0".parse().unwrap()),
                    by: Some("input.n".parse().unwrap()),
                    capacity: CAPACITY,
                    fairness: None,
                };
                let set = LimitCommand::Set { settings: Box::new(settings) };
                (limit.into(), happen(self.limits.entry(limit).or_default(), set))
            }
            1 => {
                let remove = LimitCommand::Remove { reason: "no n\0eed".to_owned() };
                (limit.into(), happen(self.limits.entry(limit).or_default(), remove))
            }
            2 => {
                let (by, reason) = (Actor::person("boss"), "lun\0ch".to_owned());
                let id = StreamId::from(scope.id());
                let place = HoldCommand::Place(Placed { scope, by, reason, at: now, clock: PauseClock::Frozen });
                (id, happen(self.holds.entry(id).or_default(), place))
            }
            3 => {
                let id = StreamId::from(scope.id());
                let lift = HoldCommand::Lift { by: Actor::person("boss"), now };
                (id, happen(self.holds.entry(id).or_default(), lift))
            }
            4 | 5 => {
                let (fairness, capacity) = ("a\0".to_owned(), CAPACITY);
                let request =
                    SlotsCommand::Request { holder, limit: key, partition, priority: 1, fairness, capacity, now };
                (slots.into(), happen(self.slots.entry(slots).or_default(), request))
            }
            6 => {
                let release = SlotsCommand::Release { holder, capacity: CAPACITY, now };
                (slots.into(), happen(self.slots.entry(slots).or_default(), release))
            }
            _ => {
                let poll = SlotsCommand::Poll { capacity: CAPACITY, now };
                (slots.into(), happen(self.slots.entry(slots).or_default(), poll))
            }
        }
    }
}

fn happen<A: Decide>(state: &mut A, command: A::Command) -> Vec<Event>
where
    A::Event: Into<Event>,
{
    let Ok(events) = state.decide(command) else { return vec![] };
    events.iter().cloned().for_each(|event| state.apply(event));
    events.into_iter().map(Into::into).collect()
}
