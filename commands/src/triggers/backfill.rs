//! Making up for a range of the past. One request, many appends: see [`crate::repeat`].

use domain::trigger::{Cause, Overlap, SkipReason};
use domain::{
    Category, Event, Key, Run, RunId, StreamId, Timestamp, Trigger, TriggerCommand, TriggerEvent, TriggerId,
    TriggerRefusal,
};
use journal::{Filter, Position, ReadError, RecordedEvent};

use super::fire::Fault;
use super::not_found;
use crate::{Commands, Error, Refused, Request};

/// A range of the past whose ticks are made up for.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// From here on, this moment included.
    pub from: Timestamp,
    /// Up to here, this moment included; not after the present.
    pub until: Timestamp,
    /// What happens when other runs of the trigger are going, those of earlier ticks of the range included.
    pub overlap: Overlap,
}

/// What making up for a range came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// The ticks whose runs were started, and the runs.
    pub started: Vec<(Timestamp, RunId)>,
    /// The ticks that wait until the runs before them have ended.
    pub waiting: Vec<Timestamp>,
    /// The ticks that were skipped because of the overlap policy.
    pub skipped: Vec<Timestamp>,
    /// The ticks that have a run already, or wait for one.
    pub known: Vec<Timestamp>,
    /// A position that contains all that was begun.
    pub position: Position,
    /// Whether all of it had been carried out before, and this is that first answer.
    pub repeated: bool,
}

impl Backfilled {
    fn add(&mut self, tick: Timestamp, fate: Fate) {
        match fate {
            Fate::Started(run) => self.started.push((tick, run)),
            Fate::Waits => self.waiting.push(tick),
            Fate::Skipped => self.skipped.push(tick),
            Fate::Known => self.known.push(tick),
        }
    }
}

/// What became of a tick.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Started(RunId),
    Waits,
    Skipped,
    Known,
}

impl Fate {
    fn of(decided: Option<&TriggerEvent>) -> Self {
        match decided {
            Some(TriggerEvent::Fired { run, .. }) => Self::Started(*run),
            Some(TriggerEvent::Buffered { .. }) => Self::Waits,
            Some(TriggerEvent::Skipped { reason: SkipReason::AlreadyStarted, .. }) | None => Self::Known,
            Some(_) => Self::Skipped,
        }
    }

    /// By the last event of the append that decided upon it: the run stands last when one was started.
    fn recorded(event: &RecordedEvent) -> Result<Self, ReadError> {
        match decoded(event)? {
            Event::Trigger(decided) => Ok(Self::of(Some(decided))),
            _ => Ok(Self::Started(RunId::from_uuid(event.stream.id))),
        }
    }
}

impl Commands {
    /// The most ticks that one backfill may cover.
    pub const MAX_BACKFILL: usize = 1000;

    /// Makes up for a range of the past: each tick that has no run yet is decided upon once, in its order, with the
    /// given overlap policy. Under the same command id it is answered as the first time, and goes on where it was
    /// interrupted; the request's correlation then tells it from another request ([`Request::asking`]).
    ///
    /// # Errors
    /// `TRIGGER_NOT_FOUND`, `TRIGGER_NO_SCHEDULE`, `BACKFILL_INVALID`, `IDEMPOTENCY_KEY_REUSED`, and those of
    /// [`Commands::start_run`].
    pub async fn backfill_trigger(&self, request: Request, key: &Key, range: Backfill) -> Result<Backfilled, Error> {
        let id = TriggerId::from_key(key);
        // What ties the appends together is the correlation.
        let (context, _) = self.context(&request);
        let request = Request { correlation: Some(context.correlation), ..request };
        let first = self.recorded_for(&request).await?;
        let ticks = match &first {
            Some(first) => self.ticks_of(key, &self.set_before(id, first.position).await?, &range)?,
            None => self.ticks_of(key, &*self.trigger(key).await?, &range)?,
        };
        let before = match &first {
            Some(first) => self.fates(id, &request, &ticks, first).await?,
            None => vec![None; ticks.len()],
        };
        let last = before.iter().rposition(Option::is_some);
        let mut done = Backfilled { repeated: first.is_some(), ..Backfilled::default() };
        let mut begun = first.is_some();
        for (index, (tick, fate)) in ticks.into_iter().zip(before).enumerate() {
            if let Some((fate, position)) = fate {
                done.position = done.position.max(position);
                done.add(tick, fate);
                continue;
            }
            let run = Cause::Tick { at: tick }.run(id);
            // Nothing was left to decide when its turn came, or nothing is now.
            if last.is_some_and(|last| index < last) || self.executor.load::<Run>(run.into()).await?.revision.is_some()
            {
                done.known.push(tick);
                continue;
            }
            let each = if begun { request.part(run.as_uuid()) } else { request.clone() };
            let (by, now) = (each.actor.clone(), self.surroundings.now());
            let command = TriggerCommand::Backfill { at: tick, by, overlap: range.overlap, now };
            let decided = self.decide_trigger(id, command, Fault::Return, Some(&each)).await;
            let decided = decided.map_err(|error| not_found(key, error))?;
            if decided.outcome.repeated {
                // Somebody carries the same command out at the same time.
                return Box::pin(self.backfill_trigger(request, key, range)).await;
            }
            if decided.outcome.changed {
                (begun, done.repeated) = (true, false);
                done.position = done.position.max(decided.outcome.position);
            }
            done.add(tick, Fate::of(decided.events.last()));
        }
        if !begun {
            if self.recorded_for(&request).await?.is_some() {
                return Box::pin(self.backfill_trigger(request, key, range)).await;
            }
            done.position = self.executor.journal().head().await?;
        }
        Ok(done)
    }

    /// The ticks of a trigger's schedule in a range.
    fn ticks_of(&self, key: &Key, trigger: &Trigger, range: &Backfill) -> Result<Vec<Timestamp>, Error> {
        let invalid = |what: String| Err(Refused::BackfillInvalid(what).into());
        let settings = trigger.settings().ok_or_else(|| Refused::TriggerNotFound(key.clone()))?;
        let schedule = settings.schedule().ok_or_else(|| Error::Refused(Box::new(TriggerRefusal::NoSchedule)))?;
        if range.until > self.surroundings.now() {
            return invalid("the range must end before the present; what is to come fires by itself".to_owned());
        }
        let before = Timestamp::from_micros(range.from.as_micros().saturating_sub(1));
        let ticks = schedule.ticks_after(before).take_while(|tick| *tick <= range.until);
        let ticks: Vec<Timestamp> = ticks.take(Self::MAX_BACKFILL + 1).collect();
        if ticks.is_empty() {
            return invalid("the schedule has no tick in the range".to_owned());
        }
        if ticks.len() > Self::MAX_BACKFILL {
            return invalid(format!("the range has more than {} ticks; take a shorter one", Self::MAX_BACKFILL));
        }
        Ok(ticks)
    }

    /// A trigger as it was when it was last set before a position; its schedule does not change otherwise.
    async fn set_before(&self, id: TriggerId, before: Position) -> Result<Trigger, Error> {
        let types = vec!["trigger.set".to_owned()];
        let filter = Filter { stream: Some(id.into()), types, ..Filter::default() };
        let (mut trigger, mut position) = (Trigger::default(), Position::START);
        loop {
            let page = self.executor.journal().read_all(position, &filter, 1000).await?;
            for recorded in page.events.iter().filter(|event| event.position < before) {
                if let Event::Trigger(event) = decoded(recorded)? {
                    cqrs_es::Aggregate::apply(&mut trigger, event.clone());
                }
            }
            if page.position == position || page.position >= before {
                return Ok(trigger);
            }
            position = page.position;
        }
    }

    /// What became of each tick when the command was carried out before, and where that is recorded.
    async fn fates(
        &self,
        id: TriggerId,
        request: &Request,
        ticks: &[Timestamp],
        first: &RecordedEvent,
    ) -> Result<Vec<Option<(Fate, Position)>>, Error> {
        let mut fates = Vec::with_capacity(ticks.len());
        for tick in ticks {
            let run = Cause::Tick { at: *tick }.run(id);
            fates.push(if is_about(first, run, *tick)? {
                Some((Fate::recorded(first)?, first.position))
            } else {
                match self.recorded_for(&request.part(run.as_uuid())).await? {
                    Some(recorded) => Some((Fate::recorded(&recorded)?, recorded.position)),
                    None => None,
                }
            });
        }
        Ok(fates)
    }
}

/// Whether an append that ends with this event decided upon a tick.
fn is_about(event: &RecordedEvent, run: RunId, tick: Timestamp) -> Result<bool, ReadError> {
    if event.stream.category == Category::Run {
        return Ok(event.stream == StreamId::from(run));
    }
    Ok(match decoded(event)? {
        Event::Trigger(TriggerEvent::Buffered { cause, .. } | TriggerEvent::Skipped { cause, .. }) => {
            matches!(cause, Cause::Tick { at } | Cause::Backfill { at, .. } if *at == tick)
        }
        _ => false,
    })
}

fn decoded(recorded: &RecordedEvent) -> Result<&Event, ReadError> {
    recorded.event().map_err(|error| ReadError::Damaged { position: recorded.position, what: error.to_string() })
}
