//! Carrying a trigger's decision out: the decision, the run that it starts and the runs that it ends, in one append.

use std::sync::Arc;

use cqrs_es::Aggregate;
use domain::run::Firing;
use domain::trigger::{Cause, TriggerSettings};
use domain::{
    Actor, ActorKind, Decide, Event, Run, RunCommand, RunId, StreamId, Trigger, TriggerCommand, TriggerEvent, TriggerId,
};
use journal::{Append, AppendError, Context, Expected, Loaded, StreamAppend};

use super::{Decided, scope};
use crate::runs::started;
use crate::{Commands, Error, Origin, Outcome, Request, StartRun};

/// What to do when the run cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Tell whoever asked; nothing is recorded.
    Return,
    /// Record it as a decision, because nobody asked.
    Record,
}

impl Commands {
    /// How often a decision is made anew when others were faster.
    const DECISIONS: usize = 16;

    pub(super) async fn decide_trigger(
        &self,
        id: TriggerId,
        command: TriggerCommand,
        fault: Fault,
        request: Option<&Request>,
    ) -> Result<Decided, Error> {
        let stream = StreamId::from(id);
        for _ in 0..Self::DECISIONS {
            let trigger = self.executor.load::<Trigger>(stream).await?;
            let refused = |refusal| Error::Refused(Box::new(refusal));
            let events = trigger.state.decide(command.clone()).map_err(refused)?;
            let prepared = match self.prepare_firing(&trigger.state, &events).await {
                Ok(prepared) => prepared,
                Err((_, error)) if fault == Fault::Return || !error.is_refusal() => return Err(error),
                Err((cause, error)) => {
                    let (code, message) = (error.code().to_owned(), error.to_string());
                    let now = self.surroundings.now();
                    let command = TriggerCommand::CannotStart { cause, code, message, now };
                    let events = trigger.state.decide(command).map_err(refused)?;
                    match self.record_decision(stream, trigger, events, Prepared::default(), request).await {
                        Err(AppendError::Conflict { .. }) => continue,
                        recorded => return Ok(recorded?),
                    }
                }
            };
            let run = prepared.run;
            match self.record_decision(stream, trigger.clone(), events.clone(), prepared, request).await {
                Err(AppendError::Conflict { stream: other, .. }) if Some(other) == run.map(StreamId::from) => {
                    // The same cause has started its run before: a tick that somebody made up for before its time.
                    let Some(cause) = fired(&events) else { continue };
                    let now = self.surroundings.now();
                    let command = TriggerCommand::AlreadyStarted { cause: cause.clone(), now };
                    let events = trigger.state.decide(command).map_err(refused)?;
                    match self.record_decision(stream, trigger, events, Prepared::default(), request).await {
                        Err(AppendError::Conflict { .. }) => {}
                        recorded => return Ok(recorded?),
                    }
                }
                Err(AppendError::Conflict { .. }) => {}
                recorded => return Ok(recorded?),
            }
        }
        Err(Error::Conflict(format!("too many others changed {stream} at the same time; try again")))
    }

    /// What an append of these decisions needs beside them.
    async fn prepare_firing(&self, trigger: &Trigger, events: &[TriggerEvent]) -> Result<Prepared, (Cause, Error)> {
        let mut prepared = Prepared::default();
        for event in events {
            let (cause, ends, run, at) = match event {
                TriggerEvent::Fired { cause, run, at, ends } => (cause, ends, Some(*run), *at),
                TriggerEvent::Buffered { cause, at, ends } => (cause, ends, None, *at),
                _ => continue,
            };
            let told = |error| (cause.clone(), error);
            let grace = if run.is_some() { std::time::Duration::ZERO } else { Self::GRACE };
            for other in ends {
                let ended = self.end_for(*other, trigger, grace).await.map_err(told)?;
                prepared.ends.extend(ended);
            }
            let (Some(run), Some(settings)) = (run, trigger.settings()) else { continue };
            let (start, by) = self.start_of(settings, cause, run, at).await.map_err(told)?;
            prepared.run = Some(run);
            prepared.by = Some(by);
            prepared.cause = Some(cause.clone());
            prepared.starts.push(start);
        }
        Ok(prepared)
    }

    /// The cancelling of a run that makes room; nothing when it is ending already.
    async fn end_for(
        &self,
        run: RunId,
        trigger: &Trigger,
        grace: std::time::Duration,
    ) -> Result<Option<StreamAppend>, Error> {
        let loaded = self.executor.load::<Run>(run.into()).await?;
        let key = trigger.settings().map_or("", |settings| settings.key.as_str());
        let reason = format!("trigger `{key}` fired again");
        let command = RunCommand::RequestCancel { reason, now: self.surroundings.now(), grace };
        Ok(match loaded.state.decide(command) {
            Ok(events) if !events.is_empty() => Some(StreamAppend {
                stream: run.into(),
                expected: loaded.expected(),
                events: events.into_iter().map(Event::from).collect(),
            }),
            // It has ended, or is about to.
            Ok(_) | Err(_) => None,
        })
    }

    async fn start_of(
        &self,
        settings: &Arc<TriggerSettings>,
        cause: &Cause,
        run: RunId,
        at: domain::Timestamp,
    ) -> Result<(StreamAppend, Actor), Error> {
        let scope = self.scope_of(settings, cause, at).await?;
        let input = scope::input(settings, &scope.value)?;
        let by = match cause {
            Cause::Tick { .. } => Actor { kind: ActorKind::Schedule, id: settings.key.as_str().to_owned() },
            Cause::Backfill { by, .. } | Cause::Manual { by, .. } => by.clone(),
            Cause::Event(_) => scope.by,
        };
        let firing = Firing { trigger: TriggerId::from_key(&settings.key), cause: cause.name() };
        let start = StartRun {
            version: settings.version,
            priority: settings.priority,
            ..StartRun::new(settings.workflow.clone(), input)
        };
        let origin = Origin { id: run, by: by.clone(), at, parent: None, trigger: Some(firing), subject: None };
        let begin = self.prepare_run(start, origin).await?;
        Ok((StreamAppend { stream: run.into(), expected: Expected::NoStream, events: started(begin)? }, by))
    }

    async fn record_decision(
        &self,
        stream: StreamId,
        trigger: Loaded<Trigger>,
        events: Vec<TriggerEvent>,
        prepared: Prepared,
        request: Option<&Request>,
    ) -> Result<Decided, AppendError> {
        let outcome = |revision, position, repeated, changed| Outcome { stream, revision, position, repeated, changed };
        if events.is_empty() {
            let outcome = outcome(trigger.revision, self.executor.journal().seen(), false, false);
            return Ok(Decided { events, trigger, outcome });
        }
        let (context, remember) = self.context_of(&prepared, request);
        let own = events.iter().cloned().map(Event::from).collect();
        let mut streams = prepared.ends;
        streams.push(StreamAppend { stream, expected: trigger.expected(), events: own });
        streams.extend(prepared.starts);
        let done = self.executor.journal().append(Append { streams, context, remember }).await?;
        if done.repeated {
            return Ok(Decided { events: vec![], trigger, outcome: outcome(None, done.position, true, false) });
        }
        let mut state = (*trigger.state).clone();
        events.iter().cloned().for_each(|event| state.apply(event));
        let revision = done.heads.iter().find(|(of, _)| *of == stream).map(|(_, revision)| *revision);
        let trigger = Loaded { state: Arc::new(state), revision };
        self.executor.remember(stream, &trigger);
        let head = done.heads.last().map(|(_, revision)| *revision);
        let mut outcome = outcome(head, done.position, false, true);
        if let Some(run) = prepared.run {
            outcome.stream = run.into();
        }
        Ok(Decided { events, trigger, outcome })
    }

    /// A run that nobody asked for begins a correlation of its own, named like the run, so that whatever follows from it
    /// can be told from what follows from others.
    fn context_of(&self, prepared: &Prepared, request: Option<&Request>) -> (Context, bool) {
        let Some(request) = request else {
            let by = prepared.by.clone().unwrap_or_else(|| Actor::system("triggers"));
            let causation = match &prepared.cause {
                Some(Cause::Event(event)) => Some(event.id),
                _ => None,
            };
            let correlation = prepared.run.map(RunId::as_uuid);
            return self.context(&Request { actor: by, command: None, correlation, causation });
        };
        self.context(request)
    }
}

/// What is appended beside a trigger's decisions. Runs that end stand before these, because others write to them too, and
/// where appends are not recorded whole nothing may say that a run was started which was not; the run that starts stands last.
#[derive(Default)]
struct Prepared {
    ends: Vec<StreamAppend>,
    starts: Vec<StreamAppend>,
    run: Option<RunId>,
    by: Option<Actor>,
    cause: Option<Cause>,
}

fn fired(events: &[TriggerEvent]) -> Option<&Cause> {
    events.iter().find_map(|event| match event {
        TriggerEvent::Fired { cause, .. } => Some(cause),
        _ => None,
    })
}
