//! What follows the answers of a task: its end, the same answer in the form that was asked for, or a better one.
//!
//! Invariants: what is decided follows from the task's own events and the versions of agent and template that it names; a
//! task needs nothing more than its answer when its template has neither checklist nor schema for data, or no parts were
//! asked for and the data fits. A task with an answer never fails for want of a better one. Of all versions the best counts,
//! of equals the first.

use std::sync::Arc;

use commands::SchemaError;
use domain::run::Place;
use domain::task::{Attempt, Ending, Order, Output, Purpose, Quality, Review, Version};
use domain::template::TemplateBody;
use domain::{NanoUsd, Reply, Run, Task, Timestamp};
use journal::ReadError;
use output::Lacks;
use providers::Message;
use serde_json::Value;

use crate::plan::Planner;

/// What follows.
pub(crate) enum Next {
    /// The task ends with the answer of this attempt.
    Enough(u32, Box<Ending>),
    /// Another attempt.
    More(Purpose),
}

/// An answer as it was read.
struct Answered {
    attempt: u32,
    lacks: Lacks,
    output: Option<Output>,
    quality: Option<Quality>,
}

impl Answered {
    fn version(&self) -> Version {
        let own = self.output.as_ref().and_then(|output| output.rating.as_ref()).map(|rating| rating.score);
        Version { attempt: self.attempt, checks: self.quality.as_ref().map(|quality| quality.score), own }
    }

    /// Whether it has the parts that were asked for, whatever its data is.
    fn has_parts(&self) -> bool {
        !self.lacks.parts
    }

    /// Whether it has all that was asked for.
    fn is_in_form(&self) -> bool {
        self.lacks == Lacks::default()
    }

    /// Whether it says itself, or a check says, that it could be better.
    fn could_be_better(&self) -> bool {
        let fails = self.quality.iter().flat_map(|quality| &quality.checks).any(|check| !check.holds);
        let wishes = self.output.as_ref().and_then(|output| output.improvements.as_ref());
        fails || wishes.is_some_and(|wishes| !wishes.is_empty())
    }

    fn ending(self, review: Option<Review>) -> Next {
        let Self { attempt, output, quality, .. } = self;
        Next::Enough(attempt, Box::new(Ending { output, quality, review, counts: None }))
    }
}

impl Planner {
    /// What follows the answers that a task has, `newest` among them when it is not recorded yet; nothing when it has none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn follows(
        &self,
        task: &Task,
        newest: Option<(u32, &Reply)>,
        run: &Run,
        place: &Place,
        now: Timestamp,
    ) -> Result<Option<Next>, ReadError> {
        let Some(order) = task.order() else { return Ok(None) };
        if newest.is_none() && task.answer().is_none() {
            return Ok(None);
        }
        self.weigh(task, order, newest, run, place, Some(now)).await
    }

    /// The attempt with the best answer that a task has, and what the task ends with when no further is asked for.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn best(&self, task: &Task, run: &Run, place: &Place) -> Result<Option<(u32, Ending)>, ReadError> {
        let Some(order) = task.order() else { return Ok(None) };
        match self.weigh(task, order, None, run, place, None).await? {
            Some(Next::Enough(attempt, ending)) => Ok(Some((attempt, *ending))),
            Some(Next::More(_)) | None => Ok(None),
        }
    }

    /// What follows; without a moment nothing further is asked for.
    async fn weigh(
        &self,
        task: &Task,
        order: &Order,
        newest: Option<(u32, &Reply)>,
        run: &Run,
        place: &Place,
        now: Option<Timestamp>,
    ) -> Result<Option<Next>, ReadError> {
        let parts = run.asks_for_parts(place);
        let template = self.template(order).await?;
        let body = template.body_at(order.template_version).map(AsRef::as_ref);
        let recorded = task.answers().map(|(attempt, reply)| (attempt.number, &**reply));
        let mut answers: Vec<Answered> =
            recorded.chain(newest).map(|(attempt, reply)| self.read(body, order, attempt, reply, parts)).collect();
        let first = match answers.iter().position(Answered::is_in_form) {
            Some(first) => first,
            // Whoever keeps to no form is asked once more.
            None if answers.len() == 1 && asked(task, Purpose::Form) == 0 && now.is_some() => {
                return Ok(Some(Next::More(Purpose::Form)));
            }
            // After that the first answer that has at least the parts has to do, or else the first.
            None => answers.iter().position(Answered::has_parts).unwrap_or_default(),
        };
        let mut versions = answers.split_off(first);
        if !parts || !versions.first().is_some_and(Answered::has_parts) {
            return Ok(versions.into_iter().next().map(|answer| answer.ending(None)));
        }
        let rounds = match body {
            Some(body) if !body.checklist.is_empty() => self.review_rounds(task).await?,
            _ => 0,
        };
        let asked = asked(task, Purpose::Revision);
        let last_was_read = versions.last().is_some_and(Answered::has_parts);
        versions.retain(Answered::has_parts);
        let review = Review { versions: versions.iter().map(Answered::version).collect(), rounds: asked };
        let Some(best) = review.best().map(|version| version.attempt) else { return Ok(None) };
        // While it gets better: the last version is the best, and was the last that was asked for.
        let is_rising = last_was_read && versions.last().is_some_and(|version| version.attempt == best);
        let Some(best) = versions.into_iter().find(|version| version.attempt == best) else { return Ok(None) };
        let goes_on = asked < rounds && is_rising && best.could_be_better();
        if goes_on
            && let Some(now) = now
            && self.can_afford(task, newest, run, place, now).await?
        {
            return Ok(Some(Next::More(Purpose::Revision)));
        }
        Ok(Some(best.ending((asked > 0).then_some(review))))
    }

    /// What was said since the first answer, by what the next attempt is for: the answer that was not in form, or the best
    /// version with what it lacks.
    pub(crate) fn said(
        &self,
        task: &Task,
        body: &TemplateBody,
        order: &Order,
        parts: bool,
        purpose: Purpose,
    ) -> Vec<Message> {
        let said = |reply: &Reply, asks: String| {
            let said = Message::Assistant { text: reply.text.clone(), tool_calls: Vec::new(), opaque: None };
            vec![said, Message::user(asks)]
        };
        if purpose != Purpose::Revision {
            let Some((attempt, reply)) = task.answer() else { return Vec::new() };
            let lacks = self.read(Some(body), order, attempt.number, reply, parts).lacks;
            return said(reply, output::repair(body, &lacks));
        }
        let read = |(attempt, reply): (&Attempt, &Arc<Reply>)| {
            (self.read(Some(body), order, attempt.number, reply, parts), Arc::clone(reply))
        };
        let versions = task.answers().map(read).filter(|(answer, _)| answer.has_parts());
        let best = versions.reduce(|best, other| if other.0.version().beats(&best.0.version()) { other } else { best });
        let Some((answer, reply)) = best else { return Vec::new() };
        let checks = answer.quality.iter().flat_map(|quality| &quality.checks);
        let failing: Vec<&str> = checks.filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
        said(&reply, output::revise(body, &failing, answer.output.as_ref()))
    }

    fn read(&self, body: Option<&TemplateBody>, order: &Order, attempt: u32, reply: &Reply, parts: bool) -> Answered {
        let reading = parts.then(|| output::read(&reply.text));
        let mut lacks =
            Lacks { parts: reading.as_ref().is_some_and(|reading| !reading.is_structured), data: Vec::new() };
        let output = reading.map(|reading| reading.output);
        let quality = body.and_then(|body| {
            let text = output.as_ref().map_or(&*reply.text, |output| &output.results);
            let fits = body.output_schema.as_ref().map(|schema| {
                let data = match &output {
                    Some(output) => output.data.clone(),
                    None => output::read_data(text),
                };
                lacks.data = self.misfits(schema, data);
                lacks.data.is_empty()
            });
            let complete = output.as_ref().map(Output::is_complete);
            let (finish, parameters) = (&reply.finish, &*order.parameters);
            output::quality(body, output::Answer { text, finish, parameters, fits, complete })
        });
        Answered { attempt, lacks, output, quality }
    }

    /// What of an answer's data does not fit the schema of its template.
    fn misfits(&self, schema: &Value, data: Option<Value>) -> Vec<String> {
        let Some(mut data) = data.filter(|data| !data.is_null()) else {
            return vec!["there is none".to_owned()];
        };
        match self.schemas.complete_and_check(schema, &mut data) {
            Ok(()) => Vec::new(),
            Err(SchemaError::Value(problems)) => problems,
            Err(error @ SchemaError::Schema(_)) => vec![error.to_string()],
        }
    }

    /// How many revisions the agent of a task allows.
    async fn review_rounds(&self, task: &Task) -> Result<u32, ReadError> {
        let Some((agent, version)) = task.agent() else { return Ok(0) };
        let agent = self.agent(agent, version).await?;
        Ok(agent.profile_at(version).map_or(0, |profile| profile.review_rounds.into()))
    }

    /// Whether there is time and money for one more version: twice as long as the last answer took is left to the step
    /// and the run, and another one at its price stays within what a task of the agent may cost. With a limit, what is not
    /// known to cost nothing is not affordable.
    async fn can_afford(
        &self,
        task: &Task,
        newest: Option<(u32, &Reply)>,
        run: &Run,
        place: &Place,
        now: Timestamp,
    ) -> Result<bool, ReadError> {
        let last = newest.map(|(_, reply)| reply).or_else(|| task.answers().last().map(|(_, reply)| &**reply));
        let Some(last) = last else { return Ok(false) };
        let step = run.steps().get(place.step()).and_then(|step| step.deadline);
        let enough = now.plus(last.duration.saturating_mul(2));
        if [step, run.deadline()].into_iter().flatten().any(|deadline| deadline < enough) {
            return Ok(false);
        }
        let Some((agent, version)) = task.agent() else { return Ok(false) };
        let agent = self.agent(agent, version).await?;
        let Some(limit) = agent.profile_at(version).and_then(|profile| profile.cost_limit) else { return Ok(true) };
        let recorded = task.attempts().iter().filter(|attempt| attempt.has_ended());
        let mut spent = recorded.map(|attempt| attempt.used(domain::budget::Unit::Money)).sum::<Option<u64>>();
        if let Some((_, reply)) = newest {
            spent = added(spent, reply.cost);
        }
        let after = added(spent, last.cost);
        Ok(after.is_some_and(|after| i64::try_from(after).is_ok_and(|after| after <= limit.0)))
    }
}

/// How many attempts were made for a purpose; what was cut when the program stopped was none.
fn asked(task: &Task, purpose: Purpose) -> u32 {
    let made = task.attempts().iter().filter(|attempt| attempt.purpose == purpose && !attempt.was_interrupted());
    u32::try_from(made.count()).unwrap_or(u32::MAX)
}

fn added(spent: Option<u64>, cost: Option<NanoUsd>) -> Option<u64> {
    spent?.checked_add(u64::try_from(cost?.0).ok()?)
}
