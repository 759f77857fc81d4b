use std::cmp::Reverse;
use std::time::Duration;

use cqrs_es::Aggregate;

use super::{Capacity, Waiting};
use crate::{Refusal, Slots, SlotsCommand, SlotsEvent, Timestamp};

/// Who waits gains one step of priority in so much time, so that nobody waits for ever behind more important ones.
pub const AGEING: Duration = Duration::from_secs(60);

/// Slots refuse nothing: who has no claim simply gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotsRefusal {}

impl Refusal for SlotsRefusal {
    fn code(&self) -> &'static str {
        match *self {}
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every aggregate's decision")]
pub(super) fn decide(state: &Slots, command: SlotsCommand) -> Result<Vec<SlotsEvent>, SlotsRefusal> {
    let mut state = state.clone();
    let mut events = Vec::new();
    let mut happen = |state: &mut Slots, event: SlotsEvent| {
        state.apply(event.clone());
        events.push(event);
    };
    let (capacity, now) = match command {
        SlotsCommand::Request { holder, limit, partition, priority, fairness, capacity, now } => {
            if state.has(holder) {
                return Ok(vec![]);
            }
            if !state.awaits(holder) {
                let requested = SlotsEvent::Requested { holder, limit, partition, priority, fairness, at: now };
                happen(&mut state, requested);
            }
            (capacity, now)
        }
        SlotsCommand::Release { holder, capacity, now } => {
            if !state.has(holder) && !state.awaits(holder) {
                return Ok(vec![]);
            }
            happen(&mut state, SlotsEvent::Released { holder });
            (capacity, now)
        }
        SlotsCommand::Poll { capacity, now } => (capacity, now),
    };
    // Clocks of several nodes differ a little; the moments of grants never go back, so that no window of the rate can
    // hold more than it should.
    let now = state.last_grant().map_or(now, |last| now.max(last));
    while let Some(next) = next(&state, capacity, now) {
        let granted = SlotsEvent::Granted { holder: next.holder, at: now };
        happen(&mut state, granted);
    }
    Ok(events)
}

/// Who gets the next slot, if there is one.
///
/// First the priority is chosen: the one whose longest waiting request is the most urgent, counting one step for each
/// [`AGEING`] that it has waited. Among those of that priority the limit is fair: the value goes first of which the
/// least is running, then the one that was served longest ago, then who has waited longest.
fn next(state: &Slots, capacity: Capacity, now: Timestamp) -> Option<Waiting> {
    if !state.has_room(capacity, now) {
        return None;
    }
    let urgency = |waiting: &Waiting| {
        let steps = now.since(waiting.at).as_micros() / AGEING.as_micros();
        i64::from(waiting.priority).saturating_add(i64::try_from(steps).unwrap_or(i64::MAX))
    };
    let running = state.running();
    let most_urgent = state.waiting().iter().max_by_key(|waiting| (urgency(waiting), Reverse(waiting.at)))?;
    let level = state.waiting().iter().filter(|waiting| waiting.priority == most_urgent.priority);
    level
        .min_by_key(|waiting| {
            let running = running.get(waiting.fairness.as_str()).copied().unwrap_or_default();
            (running, state.served(&waiting.fairness), waiting.at, waiting.holder)
        })
        .cloned()
}
