//! What loading a catalogue would do, decided entry by entry.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{
    Actor, Agent, AgentCommand, AgentEvent, AgentId, Decide, Definition, Event, Key, StreamId, Template,
    TemplateCommand, TemplateId, Trigger, TriggerCommand, TriggerEvent, TriggerId, Workflow, WorkflowCommand,
    WorkflowEvent, WorkflowId,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use journal::{Expected, Loaded, Metadata, ReadError};

use super::{Change, Edited, LoadedEntry, PlannedEntry, layer_of};
use crate::catalog::{
    Catalog, Fault, Kind, Known, Layer, TriggerEntry, agent_to_yaml, check_definition, check_trigger, template_to_yaml,
    trigger_to_yaml, workflow_to_yaml,
};
use crate::{Commands, Error, Refused};

/// How many streams are read at the same time.
const READS: usize = 8;
/// How many events of a stream are read at a time.
const PAGE: usize = 1000;

/// What will be registered.
#[derive(Default)]
struct Future {
    /// When everything of the catalogue came in.
    whole: Known,
    /// With what is kept.
    kept: Known,
}

impl Commands {
    /// What loading a catalogue would do: every entry, agents first, triggers last. Records nothing.
    ///
    /// # Errors
    /// As [`load_catalog`](Self::load_catalog).
    pub async fn plan_catalog(&self, catalog: &Catalog, edited: Edited) -> Result<Vec<PlannedEntry>, Error> {
        let mut future = Future::default();
        let mut planned = Vec::with_capacity(catalog.len());
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
        let workflows = workflows.buffered(READS).try_collect::<Vec<_>>().await?;
        for (definition, (entry, registered)) in catalog.workflows.iter().zip(workflows) {
            let definition = Arc::new(definition.clone());
            future.whole.workflows.insert(definition.key.clone(), Arc::clone(&definition));
            let stays = matches!(entry.entry.change, Change::Kept | Change::Blocked);
            match if stays { registered } else { Some(definition) } {
                Some(definition) => future.kept.workflows.insert(definition.key.clone(), definition),
                None => future.kept.workflows.remove(&entry.entry.key),
            };
            planned.push(entry);
        }
        for entry in &catalog.triggers {
            planned.push(self.plan_trigger(catalog, entry, edited, &future).await?);
        }
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
    ) -> Result<(PlannedEntry, Option<Arc<Definition>>), Error> {
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
        let active = workflow.state.active().and_then(|version| workflow.state.version(version)).cloned();
        if plan.events.is_empty() {
            return Ok((plan, active));
        }
        refuse_unfit(&definition.key, check_definition(definition, &future.whole))?;
        if drafted {
            plan.before = known.map(|known| workflow_to_yaml(&known)).transpose().map_err(unwritable)?;
            plan.after = Some(workflow_to_yaml(definition).map_err(unwritable)?);
        }
        self.keep(&mut plan, edited, |event| matches!(event, Event::Workflow(_))).await?;
        if plan.entry.change.is_change()
            && let Some(fault) = check_definition(definition, &future.kept).into_iter().next()
        {
            block(&mut plan, &fault);
        }
        Ok((plan, active))
    }

    async fn plan_trigger(
        &self,
        catalog: &Catalog,
        entry: &TriggerEntry,
        edited: Edited,
        future: &Future,
    ) -> Result<PlannedEntry, Error> {
        let settings = &entry.settings;
        crate::triggers::check_types(settings).map_err(|refusal| Error::Refused(Box::new(refusal)))?;
        let stream = StreamId::from(TriggerId::from_key(&settings.key));
        let trigger = self.executor.load::<Trigger>(stream).await?;
        let now = self.surroundings.now();
        let mut events = decided(&trigger, TriggerCommand::Set { settings: Box::new(settings.clone()), now })?;
        let known = trigger.state.settings().cloned();
        if entry.paused && known.is_none() && !events.is_empty() {
            let by = Actor::system("catalogue");
            let reason = "it came in with a catalogue that leaves the start to people".to_owned();
            events.push(TriggerEvent::Paused { by, reason, at: now }.into());
        }
        let mut plan = plan(catalog, Kind::Trigger, &settings.key, stream, &trigger, events);
        if plan.events.is_empty() {
            return Ok(plan);
        }
        refuse_unfit(&settings.key, check_trigger(settings, &future.whole))?;
        self.has_version(catalog, entry).await?;
        let paused = trigger.state.pause().is_some();
        let known = known.map(|settings| TriggerEntry { settings: (*settings).clone(), paused });
        plan.before = known.map(|known| trigger_to_yaml(&known)).transpose().map_err(unwritable)?;
        // Whether one that is there is paused is not the catalogue's business.
        let paused = if plan.before.is_some() { paused } else { entry.paused };
        let after = TriggerEntry { settings: settings.clone(), paused };
        plan.after = Some(trigger_to_yaml(&after).map_err(unwritable)?);
        self.keep(&mut plan, edited, |event| {
            matches!(event, Event::Trigger(TriggerEvent::Set { .. } | TriggerEvent::Removed { .. }))
        })
        .await?;
        if plan.entry.change.is_change()
            && let Some(fault) = check_trigger(settings, &future.kept).into_iter().next()
        {
            block(&mut plan, &fault);
        }
        Ok(plan)
    }

    /// A version that a trigger names has to be there, or to come in with the same catalogue.
    async fn has_version(&self, catalog: &Catalog, entry: &TriggerEntry) -> Result<(), Error> {
        let TriggerEntry { settings, .. } = entry;
        let Some(version) = settings.version else { return Ok(()) };
        let stream = StreamId::from(WorkflowId::from_key(&settings.workflow));
        let newest = self.executor.load::<Workflow>(stream).await?.state.newest();
        let comes = catalog.workflows.iter().any(|definition| definition.key == settings.workflow);
        if version >= 1 && version <= newest + u32::from(comes) {
            return Ok(());
        }
        Err(Refused::WorkflowVersionNotFound { key: settings.workflow.clone(), version, newest }.into())
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
        let Some(last) = self.last_made(plan.stream, content).await? else { return Ok(()) };
        let replaceable = match layer_of(&last) {
            Some(Layer::Starter) => true,
            Some(Layer::Own) => plan.entry.layer == Layer::Own,
            None => false,
        };
        if !replaceable {
            plan.events.clear();
            plan.entry.change = Change::Kept;
            plan.entry.note = Some(match layer_of(&last) {
                Some(_) => format!("last changed by {} with the company's own catalogue", last.actor),
                None => format!("last changed by {}", last.actor),
            });
        }
        Ok(())
    }

    /// The envelope of the last event of this sort in a stream.
    async fn last_made(
        &self,
        stream: StreamId,
        content: impl Fn(&Event) -> bool,
    ) -> Result<Option<Arc<Metadata>>, ReadError> {
        let (mut next, mut last) = (0, None);
        loop {
            let page = self.executor.journal().read_stream(stream, next, PAGE).await?;
            for recorded in &page {
                let event = recorded
                    .event()
                    .map_err(|error| ReadError::Damaged { position: recorded.position, what: error.to_string() })?;
                if content(event) {
                    last = Some(recorded.metadata.clone());
                }
                next = recorded.revision + 1;
            }
            if page.len() < PAGE {
                return Ok(last);
            }
        }
    }

    /// Adds what is registered, named in the catalogue, and not in it.
    async fn add_registered(&self, catalog: &Catalog, future: &mut Future) -> Result<(), Error> {
        let registered = self.known_to_workflows(catalog).await?;
        for known in [&mut future.whole, &mut future.kept] {
            known.agents.extend(registered.agents.iter().cloned());
            for (key, body) in &registered.templates {
                known.templates.entry(key.clone()).or_insert_with(|| Arc::clone(body));
            }
            for (key, definition) in &registered.workflows {
                known.workflows.entry(key.clone()).or_insert_with(|| Arc::clone(definition));
            }
        }
        Ok(())
    }

    /// The registered agents and templates that the workflows of a catalogue name, and the registered workflows that
    /// its triggers name, where the catalogue itself does not have them; for [`Catalog::check_against`].
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn known_to_workflows(&self, catalog: &Catalog) -> Result<Known, Error> {
        let mut agents: BTreeSet<&Key> = BTreeSet::new();
        let mut templates: BTreeSet<&Key> = BTreeSet::new();
        let steps = catalog.workflows.iter().flat_map(|definition| &definition.steps);
        for work in steps.flat_map(domain::Step::tasks) {
            agents.extend(work.agent.named());
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
        let mut workflows: BTreeSet<&Key> = catalog.triggers.iter().map(|entry| &entry.settings.workflow).collect();
        for definition in &catalog.workflows {
            workflows.remove(&definition.key);
        }
        for key in workflows {
            let workflow = self.executor.load::<Workflow>(WorkflowId::from_key(key).into()).await?.state;
            let active = workflow.active().and_then(|version| workflow.version(version));
            known.workflows.extend(active.map(|definition| (key.clone(), Arc::clone(definition))));
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

/// Refuses an entry that would not even fit the whole catalogue.
fn refuse_unfit(key: &Key, faults: Vec<Fault>) -> Result<(), Error> {
    let more = faults.len().saturating_sub(1);
    match faults.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(Refused::DoesNotFit { key: key.clone(), first: Box::new(first), more }.into()),
    }
}

/// Leaves an entry out that does not fit what was kept.
fn block(plan: &mut PlannedEntry, fault: &Fault) {
    plan.events.clear();
    plan.entry.change = Change::Blocked;
    plan.entry.note = Some(format!("does not fit what people have changed: {fault}"));
}

fn unwritable(error: serde_saphyr::ser::Error) -> Error {
    Error::Unavailable(Box::new(error))
}
