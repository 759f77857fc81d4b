//! What loading a catalogue would do, decided entry by entry.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{
    Actor, Agent, AgentCommand, AgentEvent, AgentId, Decide, Definition, Event, Key, StreamId, Template,
    TemplateCommand, TemplateId, Workflow, WorkflowCommand, WorkflowEvent, WorkflowId,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use journal::{Expected, Loaded, ReadError};

use super::{Change, Edited, LoadedEntry, PlannedEntry, layer_of};
use crate::catalog::{
    Catalog, Kind, Known, Layer, agent_to_yaml, check_definition, template_to_yaml, workflow_to_yaml,
};
use crate::{Commands, Error, Refused};

/// How many streams are read at the same time.
const READS: usize = 8;
/// How many events of a stream are read at a time.
const PAGE: usize = 1000;

/// What the registered agents and templates will be.
#[derive(Default)]
struct Future {
    /// When everything of the catalogue came in.
    whole: Known,
    /// With what is kept.
    kept: Known,
}

impl Commands {
    /// What loading a catalogue would do: every entry, agents first, workflows last. Records nothing.
    ///
    /// # Errors
    /// As [`load_catalog`](Self::load_catalog).
    pub async fn plan_catalog(&self, catalog: &Catalog, edited: Edited) -> Result<Vec<PlannedEntry>, Error> {
        let mut future = Future::default();
        let mut planned = Vec::with_capacity(catalog.agents.len() + catalog.templates.len() + catalog.workflows.len());
        let agents = stream::iter(&catalog.agents).map(|profile| self.plan_agent(catalog, profile, edited));
        planned.extend(agents.buffered(READS).try_collect::<Vec<_>>().await?);
        for profile in &catalog.agents {
            future.whole.agents.insert(profile.key.clone());
            future.kept.agents.insert(profile.key.clone());
        }
        let templates = stream::iter(&catalog.templates).map(|body| self.plan_template(catalog, body, edited));
        for (body, (entry, registered)) in
            catalog.templates.iter().zip(templates.buffered(READS).try_collect::<Vec<_>>().await?)
        {
            let body = Arc::new(body.clone());
            future.whole.templates.insert(body.key.clone(), Arc::clone(&body));
            let kept = registered.filter(|_| entry.entry.change == Change::Kept);
            future.kept.templates.insert(body.key.clone(), kept.unwrap_or(body));
            planned.push(entry);
        }
        self.add_registered(catalog, &mut future).await?;
        let workflows =
            stream::iter(&catalog.workflows).map(|definition| self.plan_workflow(catalog, definition, edited, &future));
        planned.extend(workflows.buffered(READS).try_collect::<Vec<_>>().await?);
        Ok(planned)
    }

    async fn plan_agent(&self, catalog: &Catalog, profile: &Profile, edited: Edited) -> Result<PlannedEntry, Error> {
        let stream = StreamId::from(AgentId::from_key(&profile.key));
        let agent = self.executor.load::<Agent>(stream).await?;
        let command = AgentCommand::Register { profile: Box::new(profile.clone()) };
        let events = decided(&agent, command)?;
        let known = agent.state.profile();
        let mut plan = plan(catalog, Kind::Agent, &profile.key, stream, &agent, events);
        if !plan.events.is_empty() {
            plan.before = known.map(|known| agent_to_yaml(known)).transpose().map_err(unwritable)?;
            plan.after = Some(agent_to_yaml(profile).map_err(unwritable)?);
            self.keep(&mut plan, edited, |event| {
                matches!(event, Event::Agent(AgentEvent::Registered { .. } | AgentEvent::Revised { .. }))
            })
            .await?;
        }
        Ok(plan)
    }

    async fn plan_template(
        &self,
        catalog: &Catalog,
        body: &TemplateBody,
        edited: Edited,
    ) -> Result<(PlannedEntry, Option<Arc<TemplateBody>>), Error> {
        // Tests have seen to the starter catalogue, and compiling hundreds of schemas takes its time.
        if catalog.layer(Kind::Template, &body.key) == Layer::Own {
            self.check_template(body)?;
        }
        let stream = StreamId::from(TemplateId::from_key(&body.key));
        let template = self.executor.load::<Template>(stream).await?;
        let events = decided(&template, TemplateCommand::Register { body: Box::new(body.clone()) })?;
        let known = template.state.body();
        let mut plan = plan(catalog, Kind::Template, &body.key, stream, &template, events);
        if !plan.events.is_empty() {
            plan.before = known.map(|known| template_to_yaml(known)).transpose().map_err(unwritable)?;
            plan.after = Some(template_to_yaml(body).map_err(unwritable)?);
            self.keep(&mut plan, edited, |event| matches!(event, Event::Template(_))).await?;
        }
        Ok((plan, known.cloned()))
    }

    async fn plan_workflow(
        &self,
        catalog: &Catalog,
        definition: &Definition,
        edited: Edited,
        future: &Future,
    ) -> Result<PlannedEntry, Error> {
        self.check_workflow(definition)?;
        let stream = StreamId::from(WorkflowId::from_key(&definition.key));
        let workflow = self.executor.load::<Workflow>(stream).await?;
        let mut events = decided(&workflow, WorkflowCommand::Draft { definition: Box::new(definition.clone()) })?;
        let known = workflow.state.version(workflow.state.newest()).cloned();
        let drafted = !events.is_empty();
        let version = workflow.state.newest() + u32::from(drafted);
        if drafted || workflow.state.active() != Some(version) {
            // A version that is only drafted here cannot be activated by the state as it is.
            events.push(WorkflowEvent::Activated { version }.into());
        }
        let mut plan = plan(catalog, Kind::Workflow, &definition.key, stream, &workflow, events);
        if plan.events.is_empty() {
            return Ok(plan);
        }
        let faults = |known: &Known| check_definition(definition, known).into_iter();
        if let Some(first) = faults(&future.whole).next() {
            let more = faults(&future.whole).count() - 1;
            return Err(Refused::DoesNotFit { key: definition.key.clone(), first: Box::new(first), more }.into());
        }
        if drafted {
            plan.before = known.map(|known| workflow_to_yaml(&known)).transpose().map_err(unwritable)?;
            plan.after = Some(workflow_to_yaml(definition).map_err(unwritable)?);
        }
        self.keep(&mut plan, edited, |event| matches!(event, Event::Workflow(_))).await?;
        if plan.entry.change.is_change()
            && let Some(fault) = faults(&future.kept).next()
        {
            plan.events.clear();
            plan.entry.change = Change::Blocked;
            plan.entry.note = Some(format!("does not fit what people have changed: {fault}"));
        }
        Ok(plan)
    }

    /// Leaves a registered entry as it is when its last version is not the catalogue's to replace; `content` says which
    /// events make versions.
    async fn keep(
        &self,
        plan: &mut PlannedEntry,
        edited: Edited,
        content: impl Fn(&Event) -> bool,
    ) -> Result<(), Error> {
        if plan.entry.change == Change::Added || edited == Edited::Replace {
            return Ok(());
        }
        let Some(actor) = self.last_actor(plan.stream, content).await? else { return Ok(()) };
        let replaceable = match layer_of(&actor) {
            Some(Layer::Starter) => true,
            Some(Layer::Own) => plan.entry.layer == Layer::Own,
            None => false,
        };
        if !replaceable {
            plan.events.clear();
            plan.entry.change = Change::Kept;
            plan.entry.note = Some(format!("last changed by {actor}"));
        }
        Ok(())
    }

    /// Who recorded the last event of this sort in a stream.
    async fn last_actor(&self, stream: StreamId, content: impl Fn(&Event) -> bool) -> Result<Option<Actor>, ReadError> {
        let (mut next, mut last) = (0, None);
        loop {
            let page = self.executor.journal().read_stream(stream, next, PAGE).await?;
            for recorded in &page {
                let event = recorded
                    .event()
                    .map_err(|error| ReadError::Damaged { position: recorded.position, what: error.to_string() })?;
                if content(event) {
                    last = Some(recorded.metadata.actor.clone());
                }
                next = recorded.revision + 1;
            }
            if page.len() < PAGE {
                return Ok(last);
            }
        }
    }

    /// Adds the registered agents and templates that the catalogue's workflows name and the catalogue does not have.
    async fn add_registered(&self, catalog: &Catalog, future: &mut Future) -> Result<(), Error> {
        let registered = self.known_to_workflows(catalog).await?;
        for known in [&mut future.whole, &mut future.kept] {
            known.agents.extend(registered.agents.iter().cloned());
            for (key, body) in &registered.templates {
                known.templates.entry(key.clone()).or_insert_with(|| Arc::clone(body));
            }
        }
        Ok(())
    }

    /// The registered agents and templates that the workflows of a catalogue name and the catalogue itself does not
    /// have, for [`Catalog::check_against`].
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn known_to_workflows(&self, catalog: &Catalog) -> Result<Known, Error> {
        let mut agents: BTreeSet<&Key> = BTreeSet::new();
        let mut templates: BTreeSet<&Key> = BTreeSet::new();
        let steps = catalog.workflows.iter().flat_map(|definition| &definition.steps);
        for work in steps.flat_map(domain::Step::tasks) {
            agents.insert(&work.agent);
            templates.insert(&work.template);
        }
        for profile in &catalog.agents {
            agents.remove(&profile.key);
        }
        for body in &catalog.templates {
            templates.remove(&body.key);
        }
        let mut known = Known::default();
        for key in agents {
            let agent = self.executor.load::<Agent>(AgentId::from_key(key).into()).await?.state;
            known.agents.extend(agent.profile().map(|_| key.clone()));
        }
        for key in templates {
            let template = self.executor.load::<Template>(TemplateId::from_key(key).into()).await?.state;
            known.templates.extend(template.body().map(|body| (key.clone(), Arc::clone(body))));
        }
        Ok(known)
    }
}

/// What a command on an aggregate comes to.
fn decided<A: Decide>(loaded: &Loaded<A>, command: A::Command) -> Result<Vec<Event>, Error> {
    let events = loaded.state.decide(command).map_err(|refusal| Error::Refused(Box::new(refusal)))?;
    Ok(events.into_iter().map(Into::into).collect())
}

fn plan<A: Default>(
    catalog: &Catalog,
    kind: Kind,
    key: &Key,
    stream: StreamId,
    loaded: &Loaded<A>,
    events: Vec<Event>,
) -> PlannedEntry {
    let change = match loaded.revision {
        _ if events.is_empty() => Change::Unchanged,
        None => Change::Added,
        Some(_) => Change::Revised,
    };
    let expected: Expected = loaded.expected();
    let entry = LoadedEntry { kind, key: key.clone(), layer: catalog.layer(kind, key), change, note: None };
    PlannedEntry { entry, before: None, after: None, events, stream, expected }
}

fn unwritable(error: serde_saphyr::ser::Error) -> Error {
    Error::Unavailable(Box::new(error))
}
