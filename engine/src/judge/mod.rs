//! The reactor that has answers judged: when a task completes, a judge is asked several times in a run of its own; when
//! that run ends, what came of it is recorded on the task's stream.
//!
//! Invariants: nothing waits for a judge; a task is judged once, because the run's id follows from the task's and the task
//! itself refuses a second verdict, so whatever is looked at twice, by whichever node, changes nothing; a judge's calls are
//! attempts of ordinary tasks, under the same limits and budgets; a judge that brings no mark is recorded as such; judges
//! are not judged.

mod rubric;

use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, StartJudging};
use domain::task::{FailedJudgement, Judgement, Score};
use domain::{Agent, AgentId, Event, EventId, Key, Reply, Run, RunEvent, RunId, Task, TaskId, Template};
use journal::{AppendError, Checkpoint, Checkpoints, Filter, ReadError, RecordedEvent};
use tokio_util::sync::CancellationToken;

/// How answers are judged.
#[derive(Debug, Clone)]
pub struct Options {
    /// The agents that judge, most wanted first; one whose model is of another family than the author's goes before others.
    pub agents: Vec<Key>,
    /// How often a judge is asked about one answer, 1 to 9.
    pub samples: u32,
    /// The share of answers that are judged, in thousandths; which ones follows from their ids.
    pub share_milli: u32,
    /// After how many events how far it has come is saved.
    pub checkpoint_every: usize,
    /// How long it waits after a failure of the journal.
    pub retry_after: Duration,
}

impl Options {
    /// Three samples of every answer, a checkpoint every 500 events, 500 ms after a failure.
    #[must_use]
    pub fn new(agents: Vec<Key>) -> Self {
        Self { agents, samples: 3, share_milli: 1000, checkpoint_every: 500, retry_after: Duration::from_millis(500) }
    }
}

/// The reactor failed and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be read.
    #[error("the judge cannot read the journal")]
    Read(#[from] ReadError),
    /// How far it has come could not be saved.
    #[error("the judge cannot save its checkpoint")]
    Checkpoint(#[source] AppendError),
    /// The template with which judges are asked could not be registered.
    #[error("the template with which judges are asked cannot be registered")]
    Template(#[source] commands::Error),
    /// The rubric's own key is none, which is a fault of the program.
    #[error("the template with which judges are asked has no good key")]
    Key(#[from] domain::InvalidKey),
}

/// The reactor.
pub struct Service {
    options: Options,
    commands: Commands,
    checkpoints: Arc<dyn Checkpoints>,
}

/// The events that it acts on.
const TYPES: [&str; 4] = ["task.completed", "run.completed", "run.failed", "run.cancelled"];

impl Service {
    const CHECKPOINT: &'static str = "judge";

    /// A reactor that has yet to run.
    #[must_use]
    pub fn new(options: Options, commands: Commands, checkpoints: Arc<dyn Checkpoints>) -> Self {
        Self { options, commands, checkpoints }
    }

    /// Has answers judged until shutdown. The first time it begins with what is recorded from then on.
    ///
    /// # Errors
    /// When the journal cannot be read at start, or how far it has come cannot be saved at the end.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let journal = self.commands.executor().journal();
        let mut position = match self.checkpoints.load(Self::CHECKPOINT).await? {
            Some(saved) => saved.position,
            None => journal.head().await?,
        };
        self.save(position).await?;
        self.commands.register_rubric(rubric::template()?).await.map_err(Error::Template)?;
        let filter = Filter { types: TYPES.map(str::to_owned).to_vec(), ..Filter::default() };
        let mut subscription = journal.subscribe(position, filter).quiet();
        let mut unsaved = 0;
        loop {
            let batch = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                batch = subscription.next() => batch,
            };
            match batch {
                Ok(batch) => {
                    for recorded in &batch.events {
                        if !self.act_upon(recorded, &shutdown).await {
                            return self.save(position).await;
                        }
                        position = recorded.position;
                    }
                    position = batch.position;
                    unsaved += batch.events.len();
                    if unsaved >= self.options.checkpoint_every {
                        match self.save(position).await {
                            Ok(()) => unsaved = 0,
                            // Only the next start looks at more by this.
                            Err(error) => {
                                let error = &error as &dyn std::error::Error;
                                tracing::warn!(error, "how far the judge has come was not saved");
                            }
                        }
                    }
                }
                Err(ReadError::Closed) => break,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the judge waits for the journal");
                    tokio::time::sleep(self.options.retry_after).await;
                }
            }
        }
        self.save(position).await
    }

    async fn save(&self, position: journal::Position) -> Result<(), Error> {
        let checkpoint = Checkpoint { position, state: Vec::new() };
        self.checkpoints.save(Self::CHECKPOINT, checkpoint).await.map_err(Error::Checkpoint)
    }

    /// Does what follows from an event, as often as the journal needs; `false` when the program stops before.
    async fn act_upon(&self, recorded: &RecordedEvent, shutdown: &CancellationToken) -> bool {
        loop {
            let acted = match &*recorded.event_type {
                "task.completed" => self.have_judged(TaskId::from_uuid(recorded.stream.id), recorded.id).await,
                _ => self.conclude(RunId::from_uuid(recorded.stream.id), recorded.id).await,
            };
            let error = match acted {
                Ok(()) => return true,
                Err(error) if error.is_refusal() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(position = %recorded.position, error, "an answer is not judged");
                    return true;
                }
                Err(error) => error,
            };
            tracing::warn!(error = &error as &dyn std::error::Error, "the judge tries again");
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(self.options.retry_after) => {}
            }
        }
    }

    /// Asks a judge about an answer, when it is to be judged.
    async fn have_judged(&self, id: TaskId, cause: EventId) -> Result<(), commands::Error> {
        if !is_in_share(id, self.options.share_milli) {
            return Ok(());
        }
        let executor = self.commands.executor();
        let task = executor.load::<Task>(id.into()).await?.state;
        let (Some(order), Some(reply)) = (task.order(), task.reply()) else { return Ok(()) };
        if task.was_judged() || self.is_of_a_judge(order.run).await? {
            return Ok(());
        }
        let template = executor.load_cached::<Template>(order.template.into()).await?.state;
        let Some(body) = template.body_at(order.template_version) else { return Ok(()) };
        let Some(parameters) = rubric::parameters(body, order, &task) else { return Ok(()) };
        let asked = match self.judge_of(&reply.model).await? {
            Some(agent) => {
                let template = rubric::TEMPLATE
                    .parse()
                    .map_err(|error: domain::InvalidKey| commands::Error::Unavailable(Box::new(error)))?;
                let (task, samples) = (id, self.options.samples);
                let start = StartJudging { task, agent, template, parameters, samples };
                self.commands.start_judging(Some(cause), start).await.map(drop)
            }
            None => return self.fail(id, None, cause, "none of the agents that judge exists and is enabled").await,
        };
        match asked {
            Err(commands::Error::Refused(refusal)) => self.fail(id, None, cause, &refusal.to_string()).await,
            other => other,
        }
    }

    /// The judge for an answer of a model.
    async fn judge_of(&self, author: &str) -> Result<Option<Key>, commands::Error> {
        let mut judges = Vec::new();
        for key in &self.options.agents {
            let agent = self.commands.executor().load::<Agent>(AgentId::from_key(key).into()).await?.state;
            if let Some(profile) = agent.profile().filter(|_| agent.enabled()) {
                judges.push((key.clone(), profile.model.clone()));
            }
        }
        Ok(rubric::judge_for(&judges, author).cloned())
    }

    /// Whether a run was started for a judge, by its first event: most runs were not, and need not be read for that.
    async fn is_of_a_judge(&self, run: Option<RunId>) -> Result<bool, commands::Error> {
        let Some(run) = run else { return Ok(false) };
        let first = self.commands.executor().journal().read_stream(run.into(), 0, 1).await?;
        let started = first.first().and_then(|recorded| match recorded.event() {
            Ok(Event::Run(RunEvent::Started(start))) => Some(start.by == Commands::judge()),
            _ => None,
        });
        Ok(started.unwrap_or_default())
    }

    /// Records what came of asking a judge, when a run that did so has ended.
    async fn conclude(&self, id: RunId, cause: EventId) -> Result<(), commands::Error> {
        if !self.is_of_a_judge(Some(id)).await? {
            return Ok(());
        }
        let executor = self.commands.executor();
        let run = executor.load::<Run>(id.into()).await?.state;
        let judged = run.input().get("task").and_then(serde_json::Value::as_str);
        let Some(judged) = judged.and_then(|text| text.parse().ok()).map(TaskId::from_uuid) else { return Ok(()) };
        let task = executor.load::<Task>(judged.into()).await?.state;
        let Some(author) = task.reply() else { return Ok(()) };
        let (mut marks, mut said, mut judge) = (Vec::new(), Vec::new(), None);
        let mut asked: u32 = 0;
        let mut whys: Vec<String> = Vec::new();
        for step in run.steps().keys() {
            let sample = executor.load::<Task>(TaskId::of_step(id, step).into()).await?.state;
            asked = asked.saturating_add(1);
            match opinion(&sample, author) {
                Ok((score, reason, reply)) => {
                    marks.push(score);
                    said.push((score, reason));
                    judge = judge.or(sample.agent().map(|(agent, _)| (agent, reply.model.clone())));
                }
                Err(why) => whys.push(why),
            }
        }
        let (Some(median), Some((agent, model))) = (Score::median(&marks), judge) else {
            whys.dedup();
            let why = format!("none of {asked} samples has a mark: {}", whys.join("; "));
            return self.fail(judged, Some(id), cause, &why).await;
        };
        let nearest = said.into_iter().min_by_key(|(score, _)| score.hundredths().abs_diff(median.hundredths()));
        let reason = nearest.map(|(_, reason)| reason).unwrap_or_default();
        let at = self.commands.surroundings().now();
        let judgement = Judgement { run: id, agent, model, author: author.model.clone(), asked, marks, at };
        self.commands.record_judgement(Some(cause), judged, judgement, reason).await.map(drop)
    }

    async fn fail(&self, task: TaskId, run: Option<RunId>, cause: EventId, why: &str) -> Result<(), commands::Error> {
        let failed = FailedJudgement { run, reason: why.to_owned(), at: self.commands.surroundings().now() };
        tracing::warn!(task.id = %task, why, "an answer could not be judged");
        self.commands.record_failed_judgement(Some(cause), task, failed).await.map(drop)
    }
}

/// What one sample says, or why it says nothing. What was simulated says nothing about what was not.
fn opinion<'a>(sample: &'a Task, author: &Reply) -> Result<(Score, String, &'a Reply), String> {
    let Some(reply) = sample.reply() else {
        return Err(sample.error().map_or_else(|| "it was not asked".to_owned(), |error| error.message.clone()));
    };
    if reply.simulated && !author.simulated {
        return Err("its answer is simulated".to_owned());
    }
    let (score, reason) = rubric::read(&reply.text).ok_or("its answer has no mark from 1 to 10")?;
    Ok((score, reason, reply))
}

/// Whether an answer is among those that are judged.
fn is_in_share(task: TaskId, share_milli: u32) -> bool {
    let hash = blake3::hash(task.as_uuid().as_bytes());
    let [first, second, third, fourth, ..] = *hash.as_bytes();
    u32::from_le_bytes([first, second, third, fourth]).checked_rem(1000).unwrap_or(0) < share_milli
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_share_of_the_answers_is_judged_and_always_the_same_ones() {
        let judged = |share| {
            let all = (0..2000_u128).map(|number| TaskId::from_uuid(Uuid::from_u128(number)));
            all.filter(|task| is_in_share(*task, share)).collect::<Vec<_>>()
        };
        assert_eq!((judged(0).len(), judged(1000).len()), (0, 2000));
        let (some, more) = (judged(200), judged(500));
        assert!((300..500).contains(&some.len()), "{} of 2000", some.len());
        assert!(some.iter().all(|task| more.contains(task)), "a larger share has the smaller one in it");
        assert_eq!(some, judged(200));
    }
}
