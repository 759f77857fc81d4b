use cqrs_es::Aggregate;

use super::{
    Cause, EventRef, Overlap, RunEnd, Schedule, SkipReason, Trigger, TriggerCommand, TriggerEvent, TriggerRefusal,
    TriggerSettings,
};
use crate::{Actor, RunId, Timestamp, TriggerId};

/// How many firings may wait at most.
pub const MAX_BUFFER: usize = 1000;

/// How many triggers may start one another in a row. Without an end, two triggers that wait for each other's runs would
/// go on for ever.
pub const MAX_CHAIN: u32 = 8;

/// How far missed ticks are counted.
const MAX_COUNT: usize = 1000;

pub(super) fn decide(state: &Trigger, command: TriggerCommand) -> Result<Vec<TriggerEvent>, TriggerRefusal> {
    let command = match command {
        TriggerCommand::Set { settings, now } => return set(state, settings, now),
        // What nobody asked for is not refused to anybody: the trigger is simply no more.
        TriggerCommand::Tick { .. }
        | TriggerCommand::Notice { .. }
        | TriggerCommand::StartBuffered { .. }
        | TriggerCommand::CannotStart { .. }
        | TriggerCommand::AlreadyStarted { .. }
        | TriggerCommand::EndRun { .. }
            if state.settings().is_none() =>
        {
            return Ok(vec![]);
        }
        command => command,
    };
    let settings = state.settings().ok_or(TriggerRefusal::NotFound)?;
    let id = TriggerId::from_key(&settings.key);
    Ok(match command {
        TriggerCommand::Set { .. } => vec![],
        TriggerCommand::Remove { reason } => vec![TriggerEvent::Removed { reason }],
        TriggerCommand::Pause { .. } if state.pause().is_some() => vec![],
        TriggerCommand::Pause { by, reason, now } => vec![TriggerEvent::Paused { by, reason, at: now }],
        TriggerCommand::Resume { .. } if state.pause().is_none() => return Err(TriggerRefusal::NotPaused),
        TriggerCommand::Resume { by, now } => vec![TriggerEvent::Resumed { by, at: now }],
        TriggerCommand::Tick { now } => tick(state, id, now),
        TriggerCommand::Notice { event, fault, now } => notice(state, id, event, fault, now),
        TriggerCommand::RunNow { by, id: wish, now } => {
            vec![fire(id, Cause::Manual { id: wish, by }, now, vec![])]
        }
        TriggerCommand::Backfill { at, by, overlap, now } => {
            let schedule = settings.schedule().ok_or(TriggerRefusal::NoSchedule)?;
            if !schedule.is_tick(at) {
                return Err(TriggerRefusal::NoTick(Schedule::name_of(at)));
            }
            let cause = Cause::Backfill { at, by };
            let run = cause.run(id);
            let known = state.running().contains(&run) || state.waiting().iter().any(|other| other.run(id) == run);
            if known { vec![] } else { overlapping(state, id, overlap, cause, now) }
        }
        TriggerCommand::StartBuffered { now } => {
            state.next_waiting().map(|cause| fire(id, cause.clone(), now, vec![])).into_iter().collect()
        }
        TriggerCommand::CannotStart { cause, code, message, now } => {
            let reason = SkipReason::CannotStart { code, message };
            with_pause(state, TriggerEvent::Skipped { cause, reason, at: now }, now)
        }
        TriggerCommand::AlreadyStarted { cause, now } => {
            vec![TriggerEvent::Skipped { cause, reason: SkipReason::AlreadyStarted, at: now }]
        }
        TriggerCommand::EndRun { run, .. } if !state.running().contains(&run) => vec![],
        TriggerCommand::EndRun { run, end, now } => {
            let ended = TriggerEvent::RunEnded { run, end, at: now };
            if end == RunEnd::Failed { with_pause(state, ended, now) } else { vec![ended] }
        }
    })
}

fn set(state: &Trigger, settings: Box<TriggerSettings>, now: Timestamp) -> Result<Vec<TriggerEvent>, TriggerRefusal> {
    settings.check(now)?;
    if state.settings().is_some_and(|known| **known == *settings) {
        return Ok(vec![]);
    }
    Ok(vec![TriggerEvent::Set { settings, at: now }])
}

/// The next tick, if it is due. Ticks whose time to fire lies before the catch-up window are passed over together,
/// without looking at each, because there may be millions.
fn tick(state: &Trigger, id: TriggerId, now: Timestamp) -> Vec<TriggerEvent> {
    let Some(settings) = state.acting() else { return vec![] };
    let (Some(schedule), Some(ticked)) = (settings.schedule(), state.ticked()) else { return vec![] };
    let Some(first) = schedule.next_after(ticked) else { return vec![] };
    let fires_at = |tick| schedule.fires_at(id, tick);
    if fires_at(first) > now {
        return vec![];
    }
    let horizon = before(now, schedule.catch_up);
    if fires_at(first) >= horizon {
        return overlapping(state, id, settings.overlap, Cause::Tick { at: first }, now);
    }
    // Whatever ticks before this moment fires before the horizon, whatever its jitter.
    let surely_missed = before(horizon, schedule.jitter).max(ticked);
    let rescued = schedule.ticks_after(before(surely_missed, MICROSECOND)).find(|tick| fires_at(*tick) >= horizon);
    let until = rescued.unwrap_or(horizon).max(first.plus(MICROSECOND));
    let count = schedule.ticks_after(ticked).take_while(|tick| *tick < until).take(MAX_COUNT).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut events = vec![TriggerEvent::Missed { first, until, count, at: now }];
    if let Some(tick) = rescued.filter(|tick| fires_at(*tick) <= now) {
        events.extend(overlapping(state, id, settings.overlap, Cause::Tick { at: tick }, now));
    }
    events
}

const MICROSECOND: std::time::Duration = std::time::Duration::from_micros(1);

fn before(at: Timestamp, duration: std::time::Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_sub(micros))
}

fn notice(state: &Trigger, id: TriggerId, event: EventRef, fault: Option<String>, now: Timestamp) -> Vec<TriggerEvent> {
    let Some(settings) = state.acting().filter(|_| !state.has_noticed(event.position)) else { return vec![] };
    let depth = event.depth;
    let cause = Cause::Event(event);
    let skipped = |cause, reason| vec![TriggerEvent::Skipped { cause, reason, at: now }];
    match fault {
        Some(fault) => skipped(cause, SkipReason::ConditionFailed(fault)),
        None if depth >= MAX_CHAIN => skipped(cause, SkipReason::ChainTooLong),
        None => overlapping(state, id, settings.overlap, cause, now),
    }
}

/// What a cause leads to while other runs of the trigger may be going or waiting.
fn overlapping(state: &Trigger, id: TriggerId, overlap: Overlap, cause: Cause, now: Timestamp) -> Vec<TriggerEvent> {
    let free = state.running().is_empty() && state.waiting().is_empty();
    let running = || -> Vec<RunId> { state.running().iter().copied().collect() };
    let skip = |cause, reason| vec![TriggerEvent::Skipped { cause, reason, at: now }];
    match overlap {
        _ if free => vec![fire(id, cause, now, vec![])],
        Overlap::AllowAll => vec![fire(id, cause, now, vec![])],
        Overlap::TerminateOther => vec![fire(id, cause, now, running())],
        Overlap::Skip => skip(cause, SkipReason::Overlap),
        Overlap::BufferOne if !state.waiting().is_empty() => skip(cause, SkipReason::Overlap),
        Overlap::BufferAll if state.waiting().len() >= MAX_BUFFER => skip(cause, SkipReason::BufferFull),
        Overlap::BufferOne | Overlap::BufferAll => vec![TriggerEvent::Buffered { cause, at: now, ends: vec![] }],
        Overlap::CancelOther => {
            let replaced = state.waiting().iter().cloned();
            let mut events: Vec<TriggerEvent> =
                replaced.flat_map(|waiting| skip(waiting, SkipReason::Replaced)).collect();
            events.push(if state.running().is_empty() {
                fire(id, cause, now, vec![])
            } else {
                TriggerEvent::Buffered { cause, at: now, ends: running() }
            });
            events
        }
    }
}

fn fire(id: TriggerId, cause: Cause, now: Timestamp, ends: Vec<RunId>) -> TriggerEvent {
    let run = cause.run(id);
    TriggerEvent::Fired { cause, run, at: now, ends }
}

/// A failure, and the pause that it leads to when it was one too many.
fn with_pause(state: &Trigger, failure: TriggerEvent, now: Timestamp) -> Vec<TriggerEvent> {
    let mut after = state.clone();
    after.apply(failure.clone());
    let limit = state.settings().and_then(|settings| settings.pause_after);
    let mut events = vec![failure];
    if let Some(limit) = limit.filter(|limit| state.pause().is_none() && after.failures() >= *limit) {
        let reason = format!("{limit} in a row failed");
        events.push(TriggerEvent::Paused { by: Actor::system("triggers"), reason, at: now });
    }
    events
}
