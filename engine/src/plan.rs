//! From a step that may start to a task with its first attempt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::{SchemaCache, TENANT};
use domain::agent::Profile;
use domain::run::{Activity, Place};
use domain::task::{Attempt, AttemptStatus, Choice, Kept, Masked, Order, PassedOver, Prompt, Purpose, Reserved};
use domain::template::TemplateBody;
use domain::workflow::{Assignee, TaskWork};
use domain::{
    Agent, AgentId, AttemptError, ErrorKind, Key, Run, RunId, Task, TaskCommand, TaskId, Template, TemplateId,
    Timestamp,
};
use journal::{Executor, ReadError};
use providers::redaction::Vault;
use providers::{OutputSchema, Registry, Request};
use serde_json::Value;

use crate::cache::Cache;
use crate::call::Call;
use crate::dispatch::{self, Dispatch};
use crate::guard::{self, Redaction};
use crate::recorded::{self, Asked};
use crate::residency::Residency;
use crate::traffic::Traffic;
use crate::way::{Chosen, Most, Next, Way};

/// What planning needs.
#[derive(Clone)]
pub(crate) struct Planner {
    pub(crate) executor: Executor,
    pub(crate) schemas: SchemaCache,
    pub(crate) platforms: Registry,
    pub(crate) traffic: Traffic,
    pub(crate) dispatch: Dispatch,
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) cache: Cache,
    pub(crate) residency: Arc<Residency>,
}

/// What is next for a task.
pub(crate) enum Planned {
    /// An attempt.
    Attempt(Box<PlannedAttempt>),
    /// Nothing before whoever could be asked has rested.
    Rest {
        /// For so long.
        pause: Duration,
        /// Who rests, and who cannot do it at all.
        passed_over: Vec<PassedOver>,
    },
}

/// A first or further attempt: what is recorded of it and the call that follows.
pub(crate) struct PlannedAttempt {
    pub(crate) start: Start,
    pub(crate) call: Box<Call>,
    /// Whose it is.
    pub(crate) agent: Key,
    /// What it may use at most.
    pub(crate) most: Most,
}

/// What is recorded when it starts.
pub(crate) struct Start {
    pub(crate) purpose: Purpose,
    pub(crate) platform: Key,
    pub(crate) model: Option<String>,
    pub(crate) request_hash: [u8; 32],
    pub(crate) choice: Choice,
    pub(crate) masked: Vec<Masked>,
    pub(crate) kept: Option<Kept>,
}

impl Start {
    /// The command that records it, with what is set aside for it.
    pub(crate) fn command(self, reserved: Vec<Reserved>) -> TaskCommand {
        let Self { purpose, platform, model, request_hash, choice, masked, kept } = self;
        TaskCommand::StartAttempt { purpose, platform, model, request_hash, choice, reserved, masked, kept }
    }
}

/// Why something cannot be planned.
pub(crate) enum Unplannable {
    /// It never will be; the task fails.
    Rejected(AttemptError),
    /// The journal could not be read; worth another try.
    Unavailable(ReadError),
}

impl From<ReadError> for Unplannable {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error)
    }
}

fn rejected(kind: ErrorKind, message: impl Into<String>) -> Unplannable {
    Unplannable::Rejected(AttemptError { kind, message: message.into(), retry_after: None })
}

/// What names the next attempt of a task at a platform. Attempts of which nobody knows what became share theirs with the one that
/// comes after them, which so can take up what they have begun.
fn token(id: TaskId, task: &Task, platform: &Key) -> [u8; 16] {
    let attempts = task.attempts();
    let lost = |attempt: &&Attempt| attempt.status == AttemptStatus::Lost && attempt.platform == *platform;
    let first = attempts.len() - attempts.iter().rev().take_while(lost).count();
    let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 token of an attempt");
    hasher.update(id.as_uuid().as_bytes()).update(&u64::try_from(first).unwrap_or(u64::MAX).to_le_bytes());
    let mut token = [0; 16];
    hasher.finalize_xof().fill(&mut token);
    token
}

impl Planner {
    /// The commands that create and assign a task of a run, which is run `id`.
    pub(crate) async fn task(
        &self,
        id: RunId,
        run: &Run,
        task: TaskId,
        place: &Place,
        now: Timestamp,
    ) -> Result<[TaskCommand; 2], Unplannable> {
        let missing =
            || rejected(ErrorKind::InvalidInput, format!("the workflow has no work for step `{}`", place.step()));
        let definition = run.definition().ok_or_else(missing)?;
        let step = definition.step(place.step()).ok_or_else(missing)?;
        let work = match place {
            Place::Step(_) | Place::Item(..) => step.work.task(),
            Place::Undo(_) => step.compensation.as_deref(),
        };
        let work = work.ok_or_else(missing)?;
        let (assignee, template_key) = overridden(run, place, work);
        let named = match assignee.named() {
            Some(key) => Some(self.named(key, run.again().and_then(|again| again.agent_version)).await?),
            None => None,
        };
        let template_id = TemplateId::from_key(template_key);
        let pinned = run.again().map(|again| again.template_version);
        let mut template = self.executor.load_cached::<Template>(template_id.into()).await?.state;
        if pinned.is_some_and(|version| template.body_at(version).is_none()) {
            template = self.executor.load::<Template>(template_id.into()).await?.state;
        }
        let version = pinned.unwrap_or_else(|| template.version());
        let Some(body) = template.body_at(version) else {
            return Err(rejected(ErrorKind::InvalidInput, format!("template `{template_key}` does not exist")));
        };
        let mut parameters = run
            .task_parameters(work, element(run, place))
            .map_err(|error| rejected(ErrorKind::InvalidInput, error.to_string()))?;
        self.schemas.complete_and_check(&body.parameters, &mut parameters).map_err(|error| {
            rejected(ErrorKind::InvalidInput, format!("parameters of template `{}`: {error}", body.key))
        })?;
        let assign = match named {
            Some(assign) => assign,
            None => {
                let asks = dispatch::asks(body, &definition.department, &parameters);
                self.chosen(task, &asks, body, now).await?
            }
        };
        Ok([
            TaskCommand::Create {
                run: Some(id),
                step: Some(step.name.clone()),
                template: template_id,
                template_version: version,
                parameters: Arc::new(parameters),
                retry: work.retry.clone(),
                attempt_timeout: work.attempt_timeout,
                at: now,
                start_by: work.start_timeout.map(|timeout| now.plus(timeout)),
            },
            assign,
        ])
    }

    /// Gives a task to the agent that its step names, in a version of it or in the newest.
    async fn named(&self, key: &Key, version: Option<u32>) -> Result<TaskCommand, Unplannable> {
        let id = AgentId::from_key(key);
        let agent = self.executor.load_cached::<Agent>(id.into()).await?.state;
        if agent.profile().is_none() {
            return Err(rejected(ErrorKind::InvalidInput, format!("agent `{key}` does not exist")));
        }
        if !agent.enabled() {
            return Err(rejected(ErrorKind::InvalidInput, format!("agent `{key}` is disabled")));
        }
        let reason = "named by the workflow".to_owned();
        let agent_version = version.unwrap_or_else(|| agent.version());
        Ok(TaskCommand::Assign { agent: id, agent_version, reason, choice: None })
    }

    /// Gives a task to the best agent that there is now.
    async fn chosen(
        &self,
        task: TaskId,
        asks: &selection::Task,
        body: &TemplateBody,
        now: Timestamp,
    ) -> Result<TaskCommand, Unplannable> {
        self.dispatch.ready().await?;
        let mut gone = BTreeSet::new();
        loop {
            let choice = self.dispatch.choose(asks, Some(body), &gone, now);
            if let Some(key) = &choice.agent {
                let id = AgentId::from_key(key);
                let agent = self.executor.load_cached::<Agent>(id.into()).await?.state;
                if !agent.enabled() {
                    // It was switched off a moment ago.
                    gone.insert(key.clone());
                    continue;
                }
                let agent_version = agent.version();
                if let Some(recorded) = self.dispatch.settle(task, asks, &choice, now) {
                    let (reason, choice) = (choice.told(asks), Some(Box::new(recorded)));
                    return Ok(TaskCommand::Assign { agent: id, agent_version, reason, choice });
                }
            }
            return Err(rejected(ErrorKind::InvalidInput, choice.told(asks)));
        }
    }

    /// The next attempt of an assigned task, or that it has to wait for a platform.
    /// Platforms that budgets do not let it go to are left out, with the reasons.
    #[expect(clippy::too_many_arguments, reason = "what it follows from; each is known to somebody else")]
    pub(crate) async fn attempt(
        &self,
        id: TaskId,
        task: &Task,
        run: &Run,
        place: &Place,
        purpose: Purpose,
        unaffordable: &[(Key, String)],
        now: Timestamp,
    ) -> Result<Planned, Unplannable> {
        let parts = run.asks_for_parts(place);
        let (mut way, agent, timeout, holds) = self.way(task, run, parts, purpose).await?;
        way.leave_out(unaffordable);
        loop {
            let chosen = match way.next(&self.traffic, task) {
                Next::Call(chosen) => *chosen,
                Next::Rest { pause, passed_over } => return Ok(Planned::Rest { pause, passed_over }),
                Next::Nowhere(error) => return Err(Unplannable::Rejected(error)),
            };
            let Chosen { key, platform, model, choice, permit, most } = chosen;
            let request = way.request();
            request.model = model.asked;
            request.token = Some(token(id, task, &key));
            let named = model.recorded.as_deref().unwrap_or_default();
            let schema = (holds && platform.capabilities(named).schema == Some(true)).then(output::schema);
            request.output = schema.map(|schema| OutputSchema { name: "output".to_owned(), schema });
            // Of what was asked for: what leaves may be the same for two people.
            let request_hash = request.hash();
            let vault = match self.redaction.between(&agent, &key).map(|redactor| redactor.request(request)) {
                None => Vault::default(),
                Some(Ok(vault)) => vault,
                // Another platform may be one that it may go to.
                Some(Err(denied)) => {
                    way.forbid(&key, &denied);
                    continue;
                }
            };
            let target = (&key, model.recorded.as_deref());
            let keeping = self.cache.of(run, TENANT, &agent, target, &request_hash, now);
            // Who asks once more, or does a task again, wants another answer than the one that there is.
            let does_again = run.again().is_some() && run.lineage().is_none();
            let is_first = task.attempts().is_empty() && !does_again;
            let mut served = match &keeping {
                Some(keeping) if is_first => keeping.serve().await,
                _ => None,
            };
            if served.is_none() && is_first && self.cache.forks {
                let asked = Asked { platform: target.0, model: target.1, request_hash: &request_hash };
                served = recorded::answer(&self.executor, run, place, asked).await?;
            }
            let (served, kept) = served.unzip();
            // What does not leave was not masked, and costs nothing.
            let masked = if kept.is_some() { Vec::new() } else { guard::counts(&vault) };
            let most = if kept.is_some() { Most { tokens: 0, money: Some(0) } } else { most };
            let start = Start { purpose, platform: key, model: model.recorded, request_hash, choice, masked, kept };
            let request = way.into_request();
            let call = Box::new(Call { platform, request, timeout, permit, vault, keeping, served });
            return Ok(Planned::Attempt(Box::new(PlannedAttempt { start, call, agent, most })));
        }
    }

    /// Whether another platform can take over at once when the running attempt of a task has failed.
    pub(crate) async fn can_take_over(
        &self,
        task: &Task,
        run: &Run,
        place: &Place,
        error: &AttemptError,
    ) -> Result<bool, Unplannable> {
        if !error.kind.may_pass_elsewhere() {
            return Ok(false);
        }
        let purpose = task.running_attempt().map(|attempt| attempt.purpose).unwrap_or_default();
        let (way, ..) = self.way(task, run, run.asks_for_parts(place), purpose).await?;
        Ok(way.has_fallback(&self.traffic, task, error))
    }

    /// Where the attempts of a task can go, whose it is, how long an attempt may take, and whether a platform that holds
    /// models to a schema is to do so.
    async fn way(
        &self,
        task: &Task,
        run: &Run,
        parts: bool,
        purpose: Purpose,
    ) -> Result<(Way, Key, Duration, bool), Unplannable> {
        let (Some(order), Some((agent_id, agent_version))) = (task.order(), task.agent()) else {
            return Err(rejected(ErrorKind::InvalidInput, "the task has no agent"));
        };
        let (profile, body) = self.at_versions(order, agent_id, agent_version).await?;
        let request = output::request(&body, parts);
        let prompt = Prompt::assemble(&profile, &body, &order.parameters, request.as_deref())
            .map_err(|error| rejected(ErrorKind::InvalidInput, error.to_string()))?;
        let asked = run.model().map(str::to_owned);
        let request = Request {
            system: Some(prompt.system),
            model: asked.or_else(|| profile.model.clone()),
            temperature_milli: profile.temperature_milli,
            max_tokens: profile.max_tokens,
            top_p_milli: profile.top_p_milli,
            frequency_penalty_milli: profile.frequency_penalty_milli,
            presence_penalty_milli: profile.presence_penalty_milli,
            timeout: order.attempt_timeout,
            turns: self.said(task, &body, order, parts, purpose),
            ..Request::new(prompt.user)
        };
        let department = run.definition().map(|definition| definition.department.as_str());
        let demanded = self.residency.demands(Some(&profile), Some(&body), department);
        let way = Way::new(&self.platforms, &profile, request, order.retry.max_attempts, demanded);
        // A schema for the parts has no place for data of a schema of their own.
        let holds = parts && body.output_schema.is_none();
        Ok((way.map_err(Unplannable::Rejected)?, profile.key.clone(), order.attempt_timeout, holds))
    }

    pub(crate) async fn template(&self, order: &Order) -> Result<Arc<Template>, ReadError> {
        let template = self.executor.load_cached::<Template>(order.template.into()).await?.state;
        if template.body_at(order.template_version).is_some() {
            return Ok(template);
        }
        Ok(self.executor.load::<Template>(order.template.into()).await?.state)
    }

    /// An agent that has this version, should there be one.
    pub(crate) async fn agent(&self, id: AgentId, version: u32) -> Result<Arc<Agent>, ReadError> {
        let agent = self.executor.load_cached::<Agent>(id.into()).await?.state;
        if agent.profile_at(version).is_some() {
            return Ok(agent);
        }
        Ok(self.executor.load::<Agent>(id.into()).await?.state)
    }

    async fn at_versions(
        &self,
        order: &Order,
        agent_id: AgentId,
        agent_version: u32,
    ) -> Result<(Arc<Profile>, Arc<TemplateBody>), Unplannable> {
        let agent = self.agent(agent_id, agent_version).await?;
        let template = self.template(order).await?;
        match (agent.profile_at(agent_version), template.body_at(order.template_version)) {
            (Some(profile), Some(body)) => Ok((Arc::clone(profile), Arc::clone(body))),
            _ => Err(rejected(ErrorKind::InvalidInput, "the version of the agent or template does not exist")),
        }
    }
}

/// The agent and template of a task: those of the workflow, unless the run does it differently from the one that it
/// branched off.
fn overridden<'a>(run: &'a Run, place: &Place, work: &'a TaskWork) -> (&'a Assignee, &'a Key) {
    let own = (&work.agent, &work.template);
    let Some(lineage) = run.lineage().filter(|_| !matches!(place, Place::Undo(_))) else { return own };
    let Some(change) = lineage.overrides.steps.iter().find(|change| change.step == *place.step()) else { return own };
    (change.agent.as_ref().unwrap_or(own.0), change.template.as_ref().unwrap_or(own.1))
}

/// The element of a list that a task is for, with its number.
fn element<'a>(run: &'a Run, place: &Place) -> Option<(u32, &'a Value)> {
    let Place::Item(step, item) = place else { return None };
    let Activity::Items(items) = &run.steps().get(step)?.activity else { return None };
    Some((*item, items.values.get(usize::try_from(*item).ok()?)?))
}
