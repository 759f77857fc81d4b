//! Folds a batch of events into the changes of rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AgentEvent, Event, NanoUsd, RunEvent, RunId, TaskEvent, TemplateEvent, Usage};
use journal::RecordedEvent;
use uuid::Uuid;

use crate::projector::{ApplyError, storable};

/// What a batch does.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    /// Agents and templates: their kinds and keys.
    pub(super) names: BTreeMap<Uuid, (&'static str, &'a str)>,
    pub(super) runs: BTreeMap<Uuid, Started<'a>>,
    pub(super) tasks: BTreeMap<Uuid, Created>,
    /// Tasks that were given to an agent.
    pub(super) assigned: BTreeMap<Uuid, Uuid>,
    pub(super) attempts: BTreeMap<(Uuid, i32), Attempt<'a>>,
    /// Tasks that ended.
    pub(super) ended: BTreeMap<Uuid, Ended>,
    /// Tasks whose answers count for another mark since somebody has said how good they are, in hundredths.
    pub(super) marks: BTreeMap<Uuid, i32>,
    /// Tasks that were cancelled: an attempt of theirs that still runs ends with them.
    pub(super) cut: Vec<Uuid>,
}

/// A run.
#[derive(Debug)]
pub(super) struct Started<'a> {
    pub(super) workflow: &'a str,
    pub(super) department: Cow<'a, str>,
    pub(super) person: String,
}

/// A task.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) run: Option<Uuid>,
    pub(super) template: Uuid,
    pub(super) at: i64,
}

/// How a task ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: &'static str,
    pub(super) at: i64,
    pub(super) quality: Option<i32>,
}

/// What happened to an attempt; `None` leaves a column as it is.
#[derive(Debug, Default)]
pub(super) struct Attempt<'a> {
    pub(super) platform: Option<&'a str>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) started_at: Option<i64>,
    pub(super) status: Option<&'static str>,
    pub(super) simulated: bool,
    /// What it has cost by all that is known.
    pub(super) cost: Option<i64>,
    /// Whether nothing was known of its cost before this batch: it started in it, or came to its end, which is the first
    /// to tell what it has cost.
    pub(super) unpriced: bool,
    pub(super) input_tokens: Option<i64>,
    pub(super) cached_input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) reasoning_tokens: Option<i64>,
    /// Whether a kept answer serves, and what it saves; known from the start.
    pub(super) kept: bool,
    pub(super) saved: Option<i64>,
    /// How long an answer that counts took.
    pub(super) duration_ms: Option<i64>,
}

impl Attempt<'_> {
    fn spend(&mut self, usage: &Usage, cost: Option<NanoUsd>) {
        let tokens = |count: Option<u64>, known| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).or(known);
        self.cost = cost.map(|cost| cost.0).or(self.cost);
        self.input_tokens = tokens(usage.input_tokens, self.input_tokens);
        self.cached_input_tokens = tokens(usage.cached_input_tokens, self.cached_input_tokens);
        self.output_tokens = tokens(usage.output_tokens, self.output_tokens);
        self.reasoning_tokens = tokens(usage.reasoning_tokens, self.reasoning_tokens);
    }
}

/// Folds events in the order of the journal.
pub(super) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Fold<'_>, ApplyError> {
    let mut fold = Fold::default();
    for recorded in events {
        let id = recorded.stream.id;
        match recorded.event().map_err(|error| ApplyError::Indigestible(error.to_string()))? {
            Event::Agent(AgentEvent::Registered { profile }) => {
                fold.names.insert(id, ("agent", profile.key.as_str()));
            }
            Event::Template(TemplateEvent::Registered { body }) => {
                fold.names.insert(id, ("template", body.key.as_str()));
            }
            Event::Run(RunEvent::Started(start)) => {
                let started = Started {
                    workflow: start.definition.key.as_str(),
                    department: storable(&start.definition.department),
                    person: storable(&start.by.to_string()).into_owned(),
                };
                fold.runs.insert(id, started);
            }
            Event::Task(event) => fold.task(recorded, event)?,
            _ => {}
        }
    }
    Ok(fold)
}

impl<'a> Fold<'a> {
    /// What happened to tasks that were created before this batch.
    pub(super) fn of_before<'b, T>(
        &'b self,
        changes: &'b BTreeMap<Uuid, T>,
    ) -> impl Iterator<Item = (&'b Uuid, &'b T)> {
        changes.iter().filter(|(id, _)| !self.tasks.contains_key(id))
    }

    /// What attempts add to the costs of runs that start in this batch; others are [`Self::priced`].
    pub(super) fn first_costs(&self) -> Result<BTreeMap<Uuid, i64>, ApplyError> {
        let mut costs = BTreeMap::new();
        for (run, attempt) in self.attempts.iter().filter_map(|(key, attempt)| Some((self.new_run(key)?, attempt))) {
            let sum: &mut i64 = costs.entry(run).or_default();
            *sum = sum
                .checked_add(attempt.cost.unwrap_or_default())
                .ok_or_else(|| ApplyError::Indigestible(format!("the costs of run {run} are beyond all counting")))?;
        }
        Ok(costs)
    }

    /// What was learnt of costs that may change those of runs whose rows are there already.
    pub(super) fn priced(&self) -> impl Iterator<Item = (&(Uuid, i32), i64)> {
        let learnt = self.attempts.iter().filter(|(key, _)| self.new_run(key).is_none());
        let costs = learnt.filter_map(|(key, attempt)| Some((key, attempt.cost?, attempt.unpriced)));
        // What costs nothing adds nothing, unless more was known before.
        costs.filter(|(_, cost, unpriced)| *cost != 0 || !unpriced).map(|(key, cost, _)| (key, cost))
    }

    /// The run of an attempt, if that starts in this batch; then so do its tasks and their attempts.
    fn new_run(&self, (task, _): &(Uuid, i32)) -> Option<Uuid> {
        self.tasks.get(task)?.run.filter(|run| self.runs.contains_key(run))
    }

    /// What the answer of a task counts for at the end of this batch, as far as it says.
    pub(super) fn quality(&self, task: &Uuid) -> Option<i32> {
        self.marks.get(task).copied().or_else(|| self.ended.get(task)?.quality)
    }

    fn attempt(&mut self, task: Uuid, number: u32) -> Result<&mut Attempt<'a>, ApplyError> {
        let number = i32::try_from(number)
            .map_err(|_| ApplyError::Indigestible(format!("{number} is too large a number for an attempt")))?;
        Ok(self.attempts.entry((task, number)).or_default())
    }

    fn end(&mut self, recorded: &RecordedEvent, status: &'static str, quality: Option<i32>) {
        let at = recorded.recorded_at.as_micros();
        self.ended.insert(recorded.stream.id, Ended { status, at, quality });
    }

    fn task(&mut self, recorded: &'a RecordedEvent, event: &'a TaskEvent) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        match event {
            TaskEvent::Created { run, template, at, .. } => {
                let (run, template) = (run.map(RunId::as_uuid), template.as_uuid());
                let created = Created { run, template, at: at.as_micros() };
                self.tasks.insert(id, created);
            }
            TaskEvent::Assigned { agent, .. } => {
                self.assigned.insert(id, agent.as_uuid());
            }
            TaskEvent::AttemptStarted { attempt, platform, model, kept, .. } => {
                let at = recorded.recorded_at.as_micros();
                let attempt = self.attempt(id, *attempt)?;
                attempt.platform = Some(platform.as_str());
                attempt.model = Some(model.as_deref().map(storable).unwrap_or_default());
                attempt.started_at = Some(at);
                attempt.unpriced = true;
                attempt.kept = kept.is_some();
                attempt.saved = kept.and_then(|kept| kept.cost).map(|cost| cost.0);
                attempt.status = Some("running");
            }
            TaskEvent::AttemptSucceeded { attempt, reply } => {
                let attempt = self.attempt(id, *attempt)?;
                attempt.status = Some("succeeded");
                attempt.unpriced = true;
                attempt.model = Some(storable(&reply.model));
                attempt.simulated |= reply.simulated;
                attempt.duration_ms = Some(i64::try_from(reply.duration.as_millis()).unwrap_or(i64::MAX));
                attempt.spend(&reply.usage, reply.cost);
            }
            TaskEvent::AttemptFailed { attempt, consumed, .. } => {
                let attempt = self.attempt(id, *attempt)?;
                attempt.status = Some("failed");
                attempt.unpriced = true;
                if let Some(consumed) = consumed {
                    attempt.spend(&consumed.usage, consumed.cost);
                }
            }
            TaskEvent::AttemptLost { attempt, .. } => self.attempt(id, *attempt)?.status = Some("lost"),
            TaskEvent::AttemptLate { attempt, reply } => {
                let attempt = self.attempt(id, *attempt)?;
                attempt.model = Some(storable(&reply.model));
                attempt.simulated |= reply.simulated;
                attempt.spend(&reply.usage, reply.cost);
            }
            TaskEvent::Completed { quality, .. } => {
                let quality = quality.as_ref().map(|quality| i32::from(quality.score.hundredths()));
                self.end(recorded, "completed", quality);
            }
            TaskEvent::Rated { shift: Some(shift), .. } | TaskEvent::Judged { shift: Some(shift), .. } => {
                self.marks.insert(id, i32::from(shift.to.hundredths()));
            }
            TaskEvent::Failed { .. } => self.end(recorded, "failed", None),
            TaskEvent::Cancelled { .. } => {
                self.end(recorded, "cancelled", None);
                match self.attempts.range_mut((id, 0)..=(id, i32::MAX)).next_back() {
                    Some((_, attempt)) if attempt.status == Some("running") => attempt.status = Some("cancelled"),
                    // Its last attempt had ended within this batch.
                    Some((_, attempt)) if attempt.status.is_some() => {}
                    _ => self.cut.push(id),
                }
            }
            _ => {}
        }
        Ok(())
    }
}
